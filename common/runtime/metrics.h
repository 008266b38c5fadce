/* Prometheus metrics and health, served over HTTP (libmicrohttpd, its own thread).
 *
 * /metrics: text format 0.0.4. /livez: 200 while the loop has made a step within its limit, else
 * 503. /readyz: 200 or 503 with a reason. Metrics are registered at start and never freed; values
 * are atomics, so the loop writes without a lock. Names carry the prefix funnel_. */
#ifndef FUNNEL_METRICS_H
#define FUNNEL_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };
struct metric; /* one series */

/* labels: text inside the braces, already escaped (partition="0"), or "". The same name and labels give
 * the same series again. name without prefix: "records_in_total". help is taken from the first registration. */
struct metric *metric_get(enum metric_kind kind, const char *name, const char *labels, const char *help);
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_value(const struct metric *metric);

/* A histogram of durations with fixed buckets from 1 ms to 60 s; exposes _bucket, _sum, _count in seconds. */
struct histogram;
struct histogram *histogram_get(const char *name, const char *labels, const char *help);
void histogram_observe_us(struct histogram *histogram, int64_t duration_us);

/* port 0: no server. Port in use: err names HTTP_PORT and the value. Process metrics (resident memory,
 * CPU seconds, open file descriptors, start time) are included. */
MUST_USE bool http_start(const char *address, int port, struct err *err);
void http_stop(void);

/* Ready with reason NULL; otherwise /readyz answers 503 and the reason, one line or several. */
void health_ready(const char *reason);
/* Called by the loop at each step; /livez turns 503 when it was not called for limit_ms (default 60,000). */
void health_alive(void);
void health_limit_ms(int64_t limit_ms);

#endif
