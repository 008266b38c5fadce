/* Prometheus metrics (text format 0.0.4).
 *
 * Metrics are registered at start and never freed; values are atomics, so the loop writes without
 * a lock. Names carry the prefix funnel_. */
#ifndef FUNNEL_METRICS_H
#define FUNNEL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };
struct metric; /* one series */

/* labels: text inside the braces, already escaped (partition="0"), or "". The same name and labels give
 * the same series again. name without prefix: "records_in_total". help is taken from the first registration. */
struct metric *metric_get(enum metric_kind kind, const char *name, const char *labels,
                          const char *help);
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_value(const struct metric *metric);

/* A histogram of durations with fixed buckets from 1 ms to 60 s; exposes _bucket, _sum, _count in seconds. */
struct histogram;
struct histogram *histogram_get(const char *name, const char *labels, const char *help);
void histogram_observe_us(struct histogram *histogram, int64_t duration_us);

/* All metrics in Prometheus' text format; the caller frees. NULL: out of memory. */
char *metrics_render(size_t *len);

#endif
