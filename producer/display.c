/* The rate is measured since the last display; the time left is estimated from the complete run. */
#include "display.h"

#include <stdio.h>
#include <unistd.h>

#include "base/timetext.h"
#include "service/log.h"

#define TERMINAL_EVERY_US INT64_C(200000)
#define LOG_EVERY_US      INT64_C(5000000)

void display_init(struct display *display, int64_t now_us, int64_t done)
{
	*display = (struct display){.terminal = isatty(STDERR_FILENO) == 1,
	                            .started_us = now_us,
	                            .shown_us = now_us,
	                            .started_done = done};
}

/* Estimated seconds left; -1: not known yet. */
static int64_t seconds_left(const struct display *display, const struct display_numbers *numbers,
                            int64_t now_us)
{
	int64_t done = numbers->done - display->started_done, left = numbers->total - numbers->done;
	int64_t elapsed_ms = (now_us - display->started_us) / 1000;

	if (done <= 0 || left < 0 || elapsed_ms < 1000)
		return -1;
	return (int64_t)((double)elapsed_ms * (double)left / (double)done / 1000);
}

void display_show(struct display *display, const struct display_numbers *numbers, int64_t now_us)
{
	int64_t since_us = now_us - display->shown_us, rate, left;
	int percent = numbers->total > 0
	                      ? (int)((double)numbers->done * 100 / (double)numbers->total)
	                      : 0;
	char time[32] = "-", eta[32] = "-";

	if (since_us < (display->terminal ? TERMINAL_EVERY_US : LOG_EVERY_US))
		return;
	rate = (int64_t)((double)(numbers->rows - display->shown_rows) * 1e6 / (double)since_us);
	left = seconds_left(display, numbers, now_us);
	if (numbers->event_time_us != INT64_MIN)
		time_format_iso(numbers->event_time_us, time);
	if (left >= 0)
		snprintf(eta, sizeof(eta), "%lld:%02d:%02d", (long long)(left / 3600),
		         (int)(left / 60 % 60), (int)(left % 60));
	if (display->terminal)
		fprintf(stderr,
		        "\r\033[K%s%s%s%lld rows  %lld rows/s  event time %s  %d%%  time left %s",
		        display->run, display->run[0] ? "  " : "",
		        numbers->sorting ? "sorting: " : "", (long long)numbers->rows,
		        (long long)rate, time, percent, eta);
	else
		log_info(numbers->sorting ? "sorting" : "progress",
		         log_str("run", display->run[0] ? display->run : NULL),
		         log_int("rows", numbers->rows), log_int("rate", rate),
		         log_str("event_time", numbers->event_time_us == INT64_MIN ? NULL : time),
		         log_int("percent", percent), log_str("left", left < 0 ? NULL : eta));
	display->drawn = true;
	display->shown_us = now_us;
	display->shown_rows = numbers->rows;
}

void display_end(struct display *display)
{
	if (display->terminal && display->drawn)
		fputs("\r\033[K", stderr);
	display->drawn = false;
}
