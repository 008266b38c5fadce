/* Months of event time: lists of them, and the month in the name of a file. Pure.
 *
 * A month is its number since year 0: year * 12 + (month - 1). Times are UTC. */
#ifndef FUNNEL_MONTHS_H
#define FUNNEL_MONTHS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MONTHS_MAX 1200 /* 100 years */
#define MONTH_NONE INT32_MIN

/* In ascending order, each once. */
struct months {
	int32_t count;
	int32_t at[MONTHS_MAX];
};

/* "2019-10", "2019-10,2019-12" and "2019-10..2020-04", also mixed. ERR_INPUT: anything else. */
MUST_USE bool months_parse(const char *text, struct months *months, struct err *err);
/* False: the list is full. */
bool months_add(struct months *months, int32_t month);
bool months_have(const struct months *months, int32_t month);

int32_t month_of_time(int64_t time_us);
/* input_month_of as one number. MONTH_NONE: the name has no month. */
int32_t month_of_name(const char *name);
/* "2019-10"; returns the length. */
size_t month_format(int32_t month, char out[16]);

#endif
