/* Prometheus metrics (text format 0.0.4).
 *
 * Metrics are registered at start and never freed. Values are atomics, so updates take no lock.
 * All names get the prefix funnel_, except those of METRIC_GAUGE_UNPREFIXED. */
#ifndef FUNNEL_METRICS_H
#define FUNNEL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_GAUGE_SECONDS, /* set in microseconds, shown in seconds */
	/* A gauge without the prefix, under a name that dashboards for other exporters use. */
	METRIC_GAUGE_UNPREFIXED,
};
struct metric; /* one series */

/* name: without the prefix ("records_in_total"). labels: the text between the braces, already
 * escaped (partition="0"), or "". The same name and labels return the same series. help of the
 * first registration counts. Never NULL. */
struct metric *metric_get(enum metric_kind kind, const char *name, const char *labels,
                          const char *help);
/* A series with this value is not shown: what it measures does not exist now. */
#define METRIC_ABSENT INT64_MIN
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_value(const struct metric *metric);

/* A histogram of durations with fixed buckets from 1 ms to 30 minutes, shown in seconds. */
struct histogram;
struct histogram *histogram_get(const char *name, const char *labels, const char *help);
void histogram_observe_us(struct histogram *histogram, int64_t duration_us);
/* A histogram of numbers with fixed buckets from 1 to 1,000,000. */
struct histogram *number_histogram_get(const char *name, const char *labels, const char *help);
void histogram_observe_number(struct histogram *histogram, int64_t number);

/* All metrics in Prometheus' text format. The caller frees the text. NULL: out of memory. */
char *metrics_render(size_t *len);

#endif
