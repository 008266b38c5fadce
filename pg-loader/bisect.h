/* Finds the rows that the database refuses, by trying halves. Pure: the trying is the caller's. */
#ifndef FUNNEL_BISECT_H
#define FUNNEL_BISECT_H

#include <stdint.h>

#include "base/err.h"

struct bisect {
	void *context;
	/* Tries rows alone. False with ERR_INPUT: refused; with any other class: the search stops with that error. */
	bool (*try_rows)(void *context, const uint32_t *rows, uint32_t count, struct err *err);
	/* This row alone is refused, for this reason. False and err stops the search. */
	bool (*found)(void *context, uint32_t row, const struct err *why, struct err *err);
};

/* rows as a whole were refused. True: at least one was found. ERR_FATAL where every part passes alone: then it is not
 * a row that is bad. Tries at most 2 * count times, and about 2 * log2(count) for one bad row. */
MUST_USE bool bisect_rows(const struct bisect *bisect, const uint32_t *rows, uint32_t count,
                          struct err *err);

#endif
