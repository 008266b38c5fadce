/* A list of families in order of registration; each has a list of series. None is ever removed,
 * so pointers stay valid.
 *
 * One lock protects registration and rendering; values are atomics and need none. Look-up is
 * linear: it happens at start, and per partition every few seconds. Rendering adds up a
 * histogram's buckets.
 * Limits: 8,192 series. A registration beyond that, or without memory, returns a spare series
 * that is not shown, so callers need no check. funnel_metrics_refused_total counts these. */
#include "service/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SERIES_MAX   8192
#define BUCKET_COUNT 17 /* the most limits of a histogram */

/* The first member of struct metric and struct histogram. */
struct series {
	struct series *next;
	char *labels;
};

struct metric {
	struct series series;
	_Atomic int64_t value;
};

struct histogram {
	struct series series;
	_Atomic int64_t sum;                       /* microseconds, or the sum of the numbers */
	_Atomic int64_t buckets[BUCKET_COUNT + 1]; /* one more than limits: above all of them */
};

enum family_kind {
	FAMILY_COUNTER,
	FAMILY_GAUGE,
	FAMILY_GAUGE_SECONDS,
	FAMILY_GAUGE_UNPREFIXED,
	FAMILY_HISTOGRAM,        /* of durations */
	FAMILY_NUMBER_HISTOGRAM, /* of numbers */
};

struct family {
	struct family *next;
	enum family_kind kind;
	char *name, *help;
	struct series *series, **series_tail;
};

struct bucket {
	int64_t limit; /* inclusive */
	const char *text;
};

/* In microseconds. */
static const struct bucket durations[] = {
	{1000, "0.001"},      {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
	{25000, "0.025"},     {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"},
	{500000, "0.5"},      {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},
	{10000000, "10"},     {30000000, "30"}, {60000000, "60"}, {300000000, "300"},
	{1800000000, "1800"},
};
static const struct bucket numbers[] = {
	{1, "1"},         {10, "10"},         {100, "100"},         {1000, "1000"},
	{10000, "10000"}, {100000, "100000"}, {1000000, "1000000"},
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT_OF(durations) <= BUCKET_COUNT && COUNT_OF(numbers) <= BUCKET_COUNT,
               "BUCKET_COUNT is too small");

static struct {
	pthread_mutex_t lock;
	struct family *families, **tail;
	size_t series_count;
	_Atomic int64_t refused;
	struct metric spare_metric;
	struct histogram spare_histogram;
} metrics = {.lock = PTHREAD_MUTEX_INITIALIZER, .tail = &metrics.families};

static void family_free(struct family *family)
{
	if (family) {
		free(family->name);
		free(family->help);
	}
	free(family);
}

static struct family *family_get(enum family_kind kind, const char *name, const char *help)
{
	struct family *family = metrics.families;

	while (family && strcmp(family->name, name) != 0)
		family = family->next;
	if (family)
		return family->kind == kind ? family : NULL;
	family = calloc(1, sizeof(*family));
	if (family) {
		family->name = strdup(name);
		family->help = strdup(help);
	}
	if (!family || !family->name || !family->help) {
		family_free(family);
		return NULL;
	}
	family->kind = kind;
	family->series_tail = &family->series;
	*metrics.tail = family;
	metrics.tail = &family->next;
	return family;
}

static struct series *series_get(struct family *family, const char *labels, size_t size)
{
	struct series *series = family->series;

	while (series && strcmp(series->labels, labels) != 0)
		series = series->next;
	if (series || metrics.series_count >= SERIES_MAX)
		return series;
	series = calloc(1, size);
	if (series && !(series->labels = strdup(labels))) {
		free(series);
		series = NULL;
	}
	if (series) {
		*family->series_tail = series;
		family->series_tail = &series->next;
		metrics.series_count++;
	}
	return series;
}

/* NULL: refused, and counted. size: that of the metric or histogram. */
static struct series *register_series(enum family_kind kind, const char *name, const char *labels,
                                      const char *help, size_t size)
{
	struct series *series = NULL;
	struct family *family;

	pthread_mutex_lock(&metrics.lock);
	family = family_get(kind, name, help);
	if (family)
		series = series_get(family, labels, size);
	pthread_mutex_unlock(&metrics.lock);
	if (!series)
		atomic_fetch_add(&metrics.refused, 1);
	return series;
}

struct metric *metric_get(enum metric_kind kind, const char *name, const char *labels,
                          const char *help)
{
	static const enum family_kind kinds[] = {
		[METRIC_COUNTER] = FAMILY_COUNTER,
		[METRIC_GAUGE] = FAMILY_GAUGE,
		[METRIC_GAUGE_SECONDS] = FAMILY_GAUGE_SECONDS,
		[METRIC_GAUGE_UNPREFIXED] = FAMILY_GAUGE_UNPREFIXED,
	};
	struct series *series =
		register_series(kinds[kind], name, labels, help, sizeof(struct metric));

	return series ? (struct metric *)series : &metrics.spare_metric;
}

void metric_add(struct metric *metric, int64_t amount)
{
	atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static struct histogram *histogram_of(enum family_kind kind, const char *name, const char *labels,
                                      const char *help)
{
	struct series *series = register_series(kind, name, labels, help, sizeof(struct histogram));

	return series ? (struct histogram *)series : &metrics.spare_histogram;
}

struct histogram *histogram_get(const char *name, const char *labels, const char *help)
{
	return histogram_of(FAMILY_HISTOGRAM, name, labels, help);
}

struct histogram *number_histogram_get(const char *name, const char *labels, const char *help)
{
	return histogram_of(FAMILY_NUMBER_HISTOGRAM, name, labels, help);
}

static void observe(struct histogram *histogram, const struct bucket *limits, size_t count,
                    int64_t value)
{
	size_t i = 0;

	while (i < count && value > limits[i].limit)
		i++;
	atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}

void histogram_observe_us(struct histogram *histogram, int64_t duration_us)
{
	observe(histogram, durations, COUNT_OF(durations), duration_us);
}

void histogram_observe_number(struct histogram *histogram, int64_t number)
{
	observe(histogram, numbers, COUNT_OF(numbers), number);
}

static const char *prefix_of(const struct family *family)
{
	return family->kind == FAMILY_GAUGE_UNPREFIXED ? "" : "funnel_";
}

static void render_metric(FILE *out, const struct family *family, const struct metric *metric)
{
	const char *labels = metric->series.labels;
	int64_t value = metric_value(metric);

	if (value == METRIC_ABSENT)
		return;
	fprintf(out, *labels ? "%s%s{%s} " : "%s%s%s ", prefix_of(family), family->name, labels);
	if (family->kind == FAMILY_GAUGE_SECONDS)
		fprintf(out, "%.6f\n", (double)value / 1e6);
	else
		fprintf(out, "%lld\n", (long long)value);
}

static void render_histogram(FILE *out, const struct family *family,
                             const struct histogram *histogram)
{
	const char *name = family->name, *labels = histogram->series.labels,
		   *comma = *labels ? "," : "", *open = *labels ? "{" : "",
		   *close = *labels ? "}" : "";
	bool of_numbers = family->kind == FAMILY_NUMBER_HISTOGRAM;
	const struct bucket *limits = of_numbers ? numbers : durations;
	size_t limit_count = of_numbers ? COUNT_OF(numbers) : COUNT_OF(durations);
	long long count = 0, sum;

	for (size_t i = 0; i <= limit_count; i++) {
		count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
		fprintf(out, "funnel_%s_bucket{%s%sle=\"%s\"} %lld\n", name, labels, comma,
		        i < limit_count ? limits[i].text : "+Inf", count);
	}
	sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
	if (of_numbers)
		fprintf(out, "funnel_%s_sum%s%s%s %lld\n", name, open, labels, close, sum);
	else
		fprintf(out, "funnel_%s_sum%s%s%s %.6f\n", name, open, labels, close,
		        (double)sum / 1e6);
	fprintf(out, "funnel_%s_count%s%s%s %lld\n", name, open, labels, close, count);
}

static void render_family(FILE *out, const struct family *family)
{
	static const char *const types[] = {
		[FAMILY_COUNTER] = "counter",     [FAMILY_GAUGE] = "gauge",
		[FAMILY_GAUGE_SECONDS] = "gauge", [FAMILY_GAUGE_UNPREFIXED] = "gauge",
		[FAMILY_HISTOGRAM] = "histogram", [FAMILY_NUMBER_HISTOGRAM] = "histogram",
	};
	const char *prefix = prefix_of(family);

	fprintf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, family->name, family->help, prefix,
	        family->name, types[family->kind]);
	for (const struct series *series = family->series; series; series = series->next) {
		if (family->kind == FAMILY_HISTOGRAM || family->kind == FAMILY_NUMBER_HISTOGRAM)
			render_histogram(out, family, (const struct histogram *)series);
		else
			render_metric(out, family, (const struct metric *)series);
	}
}

/* Field `index` (from 0) after the command's name in /proc/self/stat; 0 if it cannot be read. */
static long long stat_field(int index)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	char *at;

	if (file)
		fclose(file);
	text[len] = '\0';
	at = strrchr(text, ')'); /* the name may contain spaces */
	for (int i = 0; at && i <= index; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoll(at + 1, NULL, 10) : 0;
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -3; /* "." and "..", and the directory itself */

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static double start_time(void)
{
	struct timespec now, up;
	double boot;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	boot = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
	return boot + (double)stat_field(19) / (double)sysconf(_SC_CLK_TCK);
}

/* The standard names of Prometheus' client libraries, so without our prefix. */
static void render_process(FILE *out)
{
	struct rusage usage = {0};
	double cpu;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	fprintf(out,
	        "# HELP process_cpu_seconds_total user and system time\n"
	        "# TYPE process_cpu_seconds_total counter\n"
	        "process_cpu_seconds_total %.6f\n",
	        cpu);
	fprintf(out,
	        "# HELP process_resident_memory_bytes resident memory\n"
	        "# TYPE process_resident_memory_bytes gauge\n"
	        "process_resident_memory_bytes %lld\n",
	        stat_field(21) * sysconf(_SC_PAGESIZE));
	fprintf(out,
	        "# HELP process_open_fds open file descriptors\n"
	        "# TYPE process_open_fds gauge\n"
	        "process_open_fds %d\n",
	        open_files());
	fprintf(out,
	        "# HELP process_start_time_seconds start of the process, in seconds since 1970\n"
	        "# TYPE process_start_time_seconds gauge\n"
	        "process_start_time_seconds %.2f\n",
	        start_time());
}

char *metrics_render(size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	long long refused = atomic_load(&metrics.refused);
	bool failed;

	if (!out)
		return NULL;
	pthread_mutex_lock(&metrics.lock);
	for (const struct family *family = metrics.families; family; family = family->next)
		render_family(out, family);
	pthread_mutex_unlock(&metrics.lock);
	if (refused)
		fprintf(out,
		        "# HELP funnel_metrics_refused_total registrations refused: too many "
		        "series, no memory, or a name of another kind\n"
		        "# TYPE funnel_metrics_refused_total counter\n"
		        "funnel_metrics_refused_total %lld\n",
		        refused);
	render_process(out);
	failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}
