/* A second silence before the check has passed does not change the record to look for: the records
 * read after the first silence may be from another log, and would be found there.
 *
 * Limits: a live input rarely pauses for 0.5 s, and a person cannot delete, create and fill a topic
 * in that time. A program can, if the position is low. Then only the check after
 * RECREATION_CHECK_US notices the new log, and rows were skipped by then. The same holds if the
 * machine's clock stops together with the process, or if the records fetched ahead last longer than
 * the replacement takes. */
#include "stream/recreation_check.h"

void recreation_check_begin(struct recreation_check *check, const struct record_mark *last,
                            int64_t now_us)
{
	*check = (struct recreation_check){*last, now_us, now_us, true};
}

void recreation_check_delivered(struct recreation_check *check, const struct record_mark *last,
                                int64_t polled_us)
{
	if (polled_us - check->delivered_us > RECREATION_SILENCE_US && !check->due) {
		check->known = *last;
		check->due = true;
	}
	check->delivered_us = polled_us;
}

bool recreation_check_is_due(const struct recreation_check *check, const struct record_mark *last,
                             int64_t now_us)
{
	return check->due || (now_us - check->known_us >= RECREATION_CHECK_US &&
	                      last->offset > check->known.offset);
}

void recreation_check_passed(struct recreation_check *check, const struct record_mark *last,
                             int64_t now_us)
{
	check->known = *last;
	check->known_us = now_us;
	check->due = false;
}
