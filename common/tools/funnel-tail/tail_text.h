/* Numbers and spans of time as people read them. Pure. Each function returns out. */
#ifndef FUNNEL_TAIL_TEXT_H
#define FUNNEL_TAIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define TAIL_TEXT_MAX 48

/* "1,234,567" */
const char *tail_count(int64_t number, char out[TAIL_TEXT_MAX]);
/* "447,805.46", of cents */
const char *tail_money(int64_t cents, char out[TAIL_TEXT_MAX]);
/* "2.9 %"; "-" if `of` is 0 */
const char *tail_percent(int64_t part, int64_t of, char out[TAIL_TEXT_MAX]);
/* "0.4 s", "12 s", "3 min", "5 h", "12 d" */
const char *tail_age(int64_t age_us, char out[TAIL_TEXT_MAX]);
/* "2019-10-01 23:39:46"; "23:39:46" if with_day is 0 */
const char *tail_clock(int64_t time_us, int with_day, char out[TAIL_TEXT_MAX]);

#endif
