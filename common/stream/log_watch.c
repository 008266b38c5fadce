/* The first doubt keeps its mark until it is settled: records that were read after it may be from
 * another log, and would be found there.
 *
 * A live input rarely pauses for 0.5 s, and nobody can delete, create and fill a topic by hand in
 * that time. A program can, if the position is low. Only the look after LOG_CHECK_US notices that
 * case, and rows were skipped by then. The same holds if the machine's clock stops together with
 * the process, or if records fetched ahead last longer than the replacement takes. */
#include "stream/log_watch.h"

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
