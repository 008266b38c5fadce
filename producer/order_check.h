/* Whether the rows of a source are in the order of their times, as a replay needs them. Pure.
 *
 * The first rows are checked before anything is sent. If they run backwards, or have no order, most
 * of them would be late or refused. During the replay, 100 rows in succession before the
 * de-duplication horizon mean that the input starts again in the past. */
#ifndef FUNNEL_ORDER_CHECK_H
#define FUNNEL_ORDER_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "packed_queue.h"
#include "row.h"

#define ORDER_FIRST_ROWS 10000 /* rows that are checked before anything is sent */
#define ORDER_LATE_ROWS  100   /* this many rows in succession before the horizon end it */

/* Checks the first rows. ERR_REFUSED: they have no usable order; the message says what to do. */
MUST_USE bool order_check_first(const struct packed_queue *rows, int64_t latest_us,
                                struct err *err);

/* Rows in succession before the horizon. */
struct order_check {
	int64_t horizon_us;
	int64_t late_rows, first_row, first_time_us;
};
/* Call for each row. clock_us: the source clock after the row. ERR_REFUSED: the replay must
 * stop. */
MUST_USE bool order_check_row(struct order_check *check, const struct row *row, int64_t clock_us,
                              struct err *err);

#endif
