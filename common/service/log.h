/* One line to stderr per event of a service's life: key=value, or JSON.
 *
 *   log_info("commit", "partition=%d offset=%lld", p, (long long)o);
 *   ts=2026-01-01T00:00:00.000Z level=info service=bronze-sink instance=a event=commit partition=0 offset=17
 *
 * The format holds space-separated key=value pairs; a value with spaces is written as
 * key="..." by using %s inside quotes in the format: detail=\"%s\" (quotes and control bytes inside are escaped).
 * In JSON what came by %s, %c, %x or %p is a string, whatever it holds, and what came by %d, %u or %f is a number. A value of several
 * conversions stands in quotes: partition=\"%s/%d\".
 * Never per record, never payloads or secrets. Each (event) is limited to 20 lines a second; what was held
 * back is said in the next line that passes as suppressed=N. Thread-safe. */
#ifndef FUNNEL_LOG_H
#define FUNNEL_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_init(const char *service, const char *instance, enum log_level level, bool json);
void log_event(enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)

#endif
