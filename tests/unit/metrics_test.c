/* Metrics in Prometheus' format, health, and the three paths over a loopback socket. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "service/health.h"
#include "service/http.h"
#include "service/metrics.h"

static bool shown(const char *line)
{
	size_t len;
	char *text = metrics_render(&len);
	bool found = text && strlen(text) == len && strstr(text, line);

	if (!found)
		fprintf(stderr, "not found: %s\nin:\n%s\n", line, text ? text : "(none)");
	free(text);
	return found;
}

Test(metrics, a_series_is_shown_under_its_family)
{
	struct metric *metric =
		metric_get(METRIC_COUNTER, "records_in_total", "partition=\"0\"", "records read");

	metric_add(metric, 2);
	metric_add(metric, 40);
	metric_add(metric_get(METRIC_COUNTER, "records_in_total", "partition=\"1\"", "ignored"), 7);
	metric_set(metric_get(METRIC_GAUGE, "lag", "", "records not read yet"), -3);
	cr_expect(shown("# HELP funnel_records_in_total records read\n"
	                "# TYPE funnel_records_in_total counter\n"
	                "funnel_records_in_total{partition=\"0\"} 42\n"
	                "funnel_records_in_total{partition=\"1\"} 7\n"));
	cr_expect(shown("# TYPE funnel_lag gauge\nfunnel_lag -3\n"));
}

Test(metrics, a_gauge_of_seconds_is_set_in_microseconds_and_shown_with_decimals)
{
	metric_set(metric_get(METRIC_GAUGE_SECONDS, "rtt_seconds", "broker=\"1\"", "round trip"),
	           1500);
	metric_set(metric_get(METRIC_GAUGE_SECONDS, "lag_seconds", "", "lag"), 61000001);
	cr_expect(shown("# HELP funnel_rtt_seconds round trip\n# TYPE funnel_rtt_seconds gauge\n"
	                "funnel_rtt_seconds{broker=\"1\"} 0.001500\n"));
	cr_expect(shown("# TYPE funnel_lag_seconds gauge\nfunnel_lag_seconds 61.000001\n"));
}

Test(metrics, the_same_name_and_labels_give_the_same_series)
{
	struct metric *first = metric_get(METRIC_GAUGE, "x", "a=\"1\"", "");

	cr_expect_eq(metric_get(METRIC_GAUGE, "x", "a=\"1\"", ""), first);
	cr_expect_neq(metric_get(METRIC_GAUGE, "x", "a=\"2\"", ""), first);
	cr_expect_eq(histogram_get("h", "", ""), histogram_get("h", "", ""));
}

Test(metrics, a_name_used_for_another_kind_is_refused_and_counted)
{
	metric_set(metric_get(METRIC_GAUGE, "x", "", ""), 1);
	metric_set(metric_get(METRIC_COUNTER, "x", "", ""), 99);
	cr_expect(shown("funnel_x 1\n"));
	cr_expect(shown("funnel_metrics_refused_total 1\n"));
}

Test(metrics, series_are_bounded)
{
	char labels[32];
	size_t len;
	char *text;

	for (int i = 0; i < 9000; i++) {
		snprintf(labels, sizeof(labels), "n=\"%d\"", i);
		/* A family per thousand series keeps the linear look-up short. */
		metric_set(metric_get(METRIC_GAUGE,
		                      (const char *const[]){"a", "b", "c", "d", "e", "f", "g", "h",
		                                            "i"}[i / 1000],
		                      labels, ""),
		           i);
	}
	text = metrics_render(&len);
	cr_assert(text);
	cr_expect(strstr(text, "{n=\"8191\"} 8191\n"));
	cr_expect_not(strstr(text, "{n=\"8192\"}"));
	cr_expect(strstr(text, "funnel_metrics_refused_total 808\n"));
	free(text);
}

Test(metrics, histogram_buckets_are_cumulative_and_their_bounds_inclusive)
{
	struct histogram *histogram =
		histogram_get("commit_seconds", "kind=\"a\"", "time of commits");

	histogram_observe_us(histogram, 1000);
	histogram_observe_us(histogram, 1001);
	histogram_observe_us(histogram, 1800000001);
	cr_expect(shown("# TYPE funnel_commit_seconds histogram\n"
	                "funnel_commit_seconds_bucket{kind=\"a\",le=\"0.001\"} 1\n"
	                "funnel_commit_seconds_bucket{kind=\"a\",le=\"0.0025\"} 2\n"));
	cr_expect(shown("funnel_commit_seconds_bucket{kind=\"a\",le=\"1800\"} 2\n"
	                "funnel_commit_seconds_bucket{kind=\"a\",le=\"+Inf\"} 3\n"
	                "funnel_commit_seconds_sum{kind=\"a\"} 1800.002002\n"
	                "funnel_commit_seconds_count{kind=\"a\"} 3\n"));
}

Test(metrics, a_histogram_of_numbers_has_limits_up_to_a_million)
{
	struct histogram *histogram = number_histogram_get("batch_records", "", "records");

	histogram_observe_number(histogram, 10);
	histogram_observe_number(histogram, 11);
	histogram_observe_number(histogram, 1000001);
	cr_expect(shown("# TYPE funnel_batch_records histogram\n"
	                "funnel_batch_records_bucket{le=\"1\"} 0\n"
	                "funnel_batch_records_bucket{le=\"10\"} 1\n"
	                "funnel_batch_records_bucket{le=\"100\"} 2\n"));
	cr_expect(shown("funnel_batch_records_bucket{le=\"1000000\"} 2\n"
	                "funnel_batch_records_bucket{le=\"+Inf\"} 3\n"
	                "funnel_batch_records_sum 1000022\nfunnel_batch_records_count 3\n"));
}

Test(metrics, a_name_of_another_exporter_has_no_prefix)
{
	metric_set(metric_get(METRIC_GAUGE_UNPREFIXED, "kafka_consumergroup_lag", "topic=\"t\"",
	                      "records"),
	           7);
	cr_expect(shown("# HELP kafka_consumergroup_lag records\n"
	                "# TYPE kafka_consumergroup_lag gauge\n"
	                "kafka_consumergroup_lag{topic=\"t\"} 7\n"));
}

Test(metrics, an_absent_value_is_not_shown)
{
	struct metric *metric = metric_get(METRIC_GAUGE, "gone", "a=\"1\"", "");

	metric_set(metric, METRIC_ABSENT);
	metric_set(metric_get(METRIC_GAUGE, "gone", "a=\"2\"", ""), 2);
	cr_expect(shown("# TYPE funnel_gone gauge\nfunnel_gone{a=\"2\"} 2\n"));
	metric_set(metric, 1);
	cr_expect(shown("funnel_gone{a=\"1\"} 1\n"));
}

static void *add_many(void *metric)
{
	for (int i = 0; i < 20000; i++) {
		metric_add(metric, 1);
		if (i % 1000 == 0) {
			size_t len;

			free(metrics_render(&len));
			metric_get(METRIC_COUNTER, "many", "", "");
		}
	}
	return NULL;
}

Test(metrics, threads_lose_no_update)
{
	struct metric *metric = metric_get(METRIC_COUNTER, "many", "", "");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, add_many, metric), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(metric_value(metric), 80000);
}

Test(metrics, the_process_describes_itself)
{
	size_t len;
	char *text = metrics_render(&len);
	double bytes = 0, fds = 0, start = 0;
	const char *at;

	cr_assert(text);
	at = strstr(text, "\nprocess_resident_memory_bytes ");
	cr_assert(at && sscanf(at, " process_resident_memory_bytes %lf", &bytes) == 1);
	at = strstr(text, "\nprocess_open_fds ");
	cr_assert(at && sscanf(at, " process_open_fds %lf", &fds) == 1);
	at = strstr(text, "\nprocess_start_time_seconds ");
	cr_assert(at && sscanf(at, " process_start_time_seconds %lf", &start) == 1);
	cr_expect(bytes > 100e3 && bytes < 10e9 && fds >= 3 && start > 1.6e9, "%.0f %.0f %.0f",
	          bytes, fds, start);
	free(text);
}

Test(health, not_ready_has_a_reason)
{
	char body[64];

	cr_expect_not(health_is_ready(body, sizeof(body)));
	cr_expect_str_eq(body, "starting\n");
	health_opened();
	cr_expect(health_is_ready(body, sizeof(body)));
	health_ready("no database");
	cr_expect_not(health_is_ready(body, sizeof(body)));
	cr_expect_str_eq(body, "no database\n");
	health_ready(NULL);
	cr_expect(health_is_ready(body, sizeof(body)));
}

Test(health, a_reason_given_during_open_is_kept_after_it)
{
	char body[64];

	health_ready("rebuilding");
	health_opened();
	cr_expect_not(health_is_ready(body, sizeof(body)));
	cr_expect_str_eq(body, "rebuilding\n");
}

Test(health, live_until_the_loop_makes_no_progress_for_longer_than_the_limit)
{
	char body[64];

	health_limit_ms(-1000);
	cr_expect(health_is_live(body, sizeof(body)), "the loop has not begun");
	health_alive();
	cr_expect_not(health_is_live(body, sizeof(body)));
	cr_expect_eq(strncmp(body, "main loop made no progress for ", 31), 0, "%s", body);
	health_limit_ms(60000);
	cr_expect(health_is_live(body, sizeof(body)));
}

/* The port of a listening socket. keep: set to the socket, which stays open; NULL: it is closed. */
static int loopback_port(int *keep)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	if (keep)
		*keep = fd;
	else
		close(fd);
	return ntohs(address.sin_port);
}

/* Returns the status of the response, and the response in out. */
static int request(int port, const char *method, const char *path, char *out, size_t cap)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t)port),
	                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
	size_t len = 0;
	ssize_t got;

	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	dprintf(fd, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	        method, path);
	while (len + 1 < cap && (got = read(fd, out + len, cap - 1 - len)) > 0)
		len += (size_t)got;
	out[len] = '\0';
	close(fd);
	sscanf(out, "HTTP/1.1 %d", &status);
	return status;
}

Test(http, paths_answer_with_their_status)
{
	static const struct {
		const char *method, *path;
		int status;
		const char *text;
	} table[] = {
		{"GET", "/metrics", 200, "funnel_seen 5\n"},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4"},
		{"GET", "/metrics", 200, "\nfunnel_ready 0\n"},
		{"GET", "/metrics", 200, "\nfunnel_live 1\n"},
		{"HEAD", "/metrics", 200, "Content-Length: "},
		{"GET", "/livez", 200, "ok\n"},
		{"GET", "/readyz", 503, "no database\nno registry\n"},
		{"GET", "/", 200, "/readyz"},
		{"GET", "/nothing", 404, ""},
		{"GET", "/metrics/", 404, ""},
		{"POST", "/metrics", 405, "Allow: GET, HEAD"},
		{"DELETE", "/", 405, ""},
	};
	struct err err = {0};
	bool started = false;
	int port = 0;

	metric_set(metric_get(METRIC_GAUGE, "seen", "", ""), 5);
	health_ready("no database\nno registry");
	/* Another process may take the port before we do. */
	for (int i = 0; i < 20 && !started; i++) {
		port = loopback_port(NULL);
		started = http_start("127.0.0.1", port, &err);
	}
	cr_assert(started, "%s", err.message);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		static char out[65536];

		cr_expect_eq(request(port, table[i].method, table[i].path, out, sizeof(out)),
		             table[i].status, "%s %s", table[i].method, table[i].path);
		cr_expect(strstr(out, table[i].text), "%s %s: %s", table[i].method, table[i].path,
		          out);
	}
	http_stop();
}

Test(http, a_port_in_use_is_named)
{
	struct err err = {0};
	int fd, port = loopback_port(&fd);
	char number[16];

	snprintf(number, sizeof(number), "%d", port);
	cr_expect_not(http_start("127.0.0.1", port, &err));
	cr_expect(strstr(err.message, "HTTP_PORT") && strstr(err.message, number), "%s",
	          err.message);
	close(fd);
}

Test(http, port_0_serves_nothing)
{
	struct err err = {0};

	cr_expect(http_start("127.0.0.1", 0, &err));
	http_stop();
}
