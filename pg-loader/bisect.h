/* Finds the rows that the database rejects, by trying halves. Pure: the caller tries them. */
#ifndef FUNNEL_BISECT_H
#define FUNNEL_BISECT_H

#include <stdint.h>

#include "base/err.h"

struct bisect {
	void *context;
	/* Tries these rows without the others. False with ERR_INPUT: the database rejects them.
	 * False with any other class: the search stops with that error. */
	bool (*try_rows)(void *context, const uint32_t *rows, uint32_t count, struct err *err);
	/* This single row is rejected; why says for which reason. False and err: the search
	 * stops. */
	bool (*found)(void *context, uint32_t row, const struct err *why, struct err *err);
};

/* The database has rejected these rows together. True: at least one bad row was found. ERR_FATAL:
 * every part passes by itself, so the fault is not in a row. Tries at most 2 * count times, and
 * about 2 * log2(count) times if one row is bad. */
MUST_USE bool bisect_rows(const struct bisect *bisect, const uint32_t *rows, uint32_t count,
                          struct err *err);

#endif
