/* Depth first, left before right. The search tries both halves, so that it finds several bad rows
 * in one pass. Its depth is log2 of the batch size. */
#include "bisect.h"

static bool search(const struct bisect *bisect, const uint32_t *rows, uint32_t count, uint32_t *bad,
                   struct err *err);

/* Tries a part, and searches it if the database rejects it. */
static bool try_part(const struct bisect *bisect, const uint32_t *rows, uint32_t count,
                     uint32_t *bad, struct err *err)
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

	if (!try_part(bisect, rows, half, bad, err) ||
	    !try_part(bisect, rows + half, count - half, bad, err))
		return false;
	if (*bad == before)
		return err_set(
			err, ERR_FATAL,
			"the database rejects %u rows together but accepts each half of them: "
			"the fault is not in a row",
			count);
	return true;
}

bool bisect_rows(const struct bisect *bisect, const uint32_t *rows, uint32_t count, struct err *err)
{
	uint32_t bad = 0;

	if (count > 1)
		return search(bisect, rows, count, &bad, err);
	if (count == 1 && !try_part(bisect, rows, 1, &bad, err))
		return false;
	if (bad == 0)
		return err_set(err, ERR_FATAL,
		               "the database rejected a row and accepts it when tried again: the "
		               "fault is not in the row");
	return true;
}
