/* Each output is flushed at the end of the run, or before a pause; a failed write ends the run. */
#include "producer_output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timetext.h"
#include "display.h"
#include "event/clock.h"
#include "feed.h"
#include "producer_reading.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "source.h"

#define CSV_HEADER                                                                        \
	"event_time,event_type,product_id,category_id,category_code,brand,price,user_id," \
	"user_session\n"

static FILE *open_out(const char *path, struct err *err)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (!out)
		err_set(err, ERR_INPUT, "cannot write %s: %s", path, strerror(errno));
	return out;
}

bool producer_open_rows(struct producer *p, struct err *err)
{
	const char *path = p->config->dry_run     ? "-"
	                   : p->config->output[0] ? p->config->output
	                                          : p->config->tee;

	if (!path[0])
		return true;
	p->rows_out = open_out(path, err);
	if (p->rows_out && !p->config->dry_run)
		fputs(CSV_HEADER, p->rows_out);
	p->form.keep_line = !p->config->dry_run;
	return p->rows_out != NULL;
}

bool producer_write_line(struct producer *p, struct span line, struct err *err)
{
	if (fwrite(line.at, 1, line.len, p->rows_out) == line.len && putc('\n', p->rows_out) != EOF)
		return true;
	return err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

bool producer_flush_rows(struct producer *p, struct err *err)
{
	return !p->rows_out || fflush(p->rows_out) == 0 ||
	       err_set(err, ERR_FATAL, "writing rows failed: %s", strerror(errno));
}

bool producer_paced(const struct producer *p)
{
	return p->pace.speed_milli > 0 || p->pace.rate > 0;
}

void producer_show(struct producer *p, int64_t now_us)
{
	struct display_numbers numbers = {.rows = p->sender ? p->saved.checkpoint.rows : p->sent,
	                                  .event_time_us = feed_clock_us(p->feed)};

	numbers.done = source_progress(p->source, &numbers.total);
	/* a live source gives nothing most of the time */
	if (!source_is_live(p->source) || numbers.rows != p->display.shown_rows)
		display_show(&p->display, &numbers, now_us);
	metric_set(p->metrics.sent, p->earlier.sent + p->sent);
	metric_set(p->metrics.malformed, p->earlier.malformed + p->malformed);
	if (numbers.event_time_us != CLOCK_NONE)
		metric_set(p->metrics.event_time, numbers.event_time_us / US_PER_SECOND);
}

void producer_summarise(struct producer *p, const char *event, const char *detail)
{
	int64_t took_us = monotonic_us() - p->began_us;

	display_end(&p->display);
	if (p->selection.out_by_time > 0 || p->selection.out_by_day > 0)
		log_info("left_out", log_str("segment", source_segment(p->source)),
		         log_int("by_month_from_to", p->selection.out_by_time),
		         log_int("by_rows_per_day", p->selection.out_by_day),
		         log_int("passes", p->selection.pass + 1));
	producer_log_left_out(p);
	log_info(event, log_str("segment", source_segment(p->source)), log_int("rows", p->sent),
	         log_int("malformed", p->malformed), log_seconds("seconds", took_us),
	         log_int("rate",
	                 took_us > 0 ? (int64_t)((double)p->sent * 1e6 / (double)took_us) : 0),
	         log_int("segment_rows", p->saved.checkpoint.rows), log_str("detail", detail));
}

void producer_close_rows(struct producer *p)
{
	if (p->rows_out && p->rows_out != stdout)
		fclose(p->rows_out);
}
