/* The mark of the first doubt stays until it is answered: what was read after it may be from
 * another log, and would be found there.
 *
 * 0.5 s is more than a live input rests, and less than somebody needs to delete, create and fill a
 * topic by hand. A program can do it in less where the position is low. Then, as where the
 * machine's clock stands still with the process, or where records fetched ahead last longer than
 * the replacement, the look after LOG_CHECK_US notices it; rows were skipped by then. */
#include "log_watch.h"

void log_watch_begin(struct log_watch *watch, const struct record_mark *last, int64_t now_us)
{
	*watch = (struct log_watch){*last, now_us, now_us, true};
}

void log_watch_seen(struct log_watch *watch, const struct record_mark *last, int64_t polled_us)
{
	if (polled_us - watch->seen_us > LOG_SILENCE_US && !watch->doubted) {
		watch->known = *last;
		watch->doubted = true;
	}
	watch->seen_us = polled_us;
}

bool log_watch_asks(const struct log_watch *watch, const struct record_mark *last, int64_t now_us)
{
	return watch->doubted ||
	       (now_us - watch->known_us >= LOG_CHECK_US && last->offset > watch->known.offset);
}

void log_watch_found(struct log_watch *watch, const struct record_mark *last, int64_t now_us)
{
	watch->known = *last;
	watch->known_us = now_us;
	watch->doubted = false;
}
