/* Depth first, left before right. Both halves are tried, so that several bad rows are found in one search;
 * the depth is log2 of the batch size. */
#include "bisect.h"

static bool search(const struct bisect *bisect, const uint32_t *rows, uint32_t count, uint32_t *bad,
                   struct err *err);

/* Tries a part and searches it where it is refused. */
static bool part(const struct bisect *bisect, const uint32_t *rows, uint32_t count, uint32_t *bad,
                 struct err *err)
{
	struct err why = {ERR_NONE, ""};

	if (bisect->try_rows(bisect->context, rows, count, &why))
		return true;
	if (why.class != ERR_INPUT) {
		*err = why;
		return false;
	}
	if (count == 1) {
		(*bad)++;
		return bisect->found(bisect->context, rows[0], &why, err);
	}
	return search(bisect, rows, count, bad, err);
}

static bool search(const struct bisect *bisect, const uint32_t *rows, uint32_t count, uint32_t *bad,
                   struct err *err)
{
	uint32_t half = count / 2, before = *bad;

	if (!part(bisect, rows, half, bad, err) ||
	    !part(bisect, rows + half, count - half, bad, err))
		return false;
	return *bad > before ||
	       err_set(err, ERR_FATAL,
	               "the database refuses %u rows together, but not one half or the other: no row can be blamed",
	               count);
}

bool bisect_rows(const struct bisect *bisect, const uint32_t *rows, uint32_t count, struct err *err)
{
	uint32_t bad = 0;

	if (count > 1)
		return search(bisect, rows, count, &bad, err);
	if (count == 1 && !part(bisect, rows, 1, &bad, err))
		return false;
	return bad > 0 ||
	       err_set(err, ERR_FATAL,
	               "the database refuses a row, but not when it is tried again alone");
}
