/* Uses from several threads at once what the threads of a service share: metrics, health, log,
 * HTTP.
 *
 * For the thread sanitizer (make tsan). It reports races, whatever the results are. Unit tests
 * cannot run with it: Criterion's shared memory is at addresses that the sanitizer needs. Prints `N
 * passed, N failed`, like every part of the tests. */
#include <arpa/inet.h>
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
#include "service/log.h"
#include "service/metrics.h"

#define WRITERS  3
#define ROUNDS   3000
#define REQUESTS 40

static int port;

/* Registers metrics again, adds, observes and logs, as the task loop, librdkafka's callbacks and
 * pg-loader do. */
static void *write_all(void *argument)
{
	const int *number = argument;
	char labels[32];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(labels, sizeof(labels), "partition=\"%d\"", i % 16);
		metric_add(metric_get(METRIC_COUNTER, "stress_total", labels, "for the sanitizer"),
		           1);
		metric_set(metric_get(METRIC_GAUGE, "stress_lag", labels, "for the sanitizer"), i);
		histogram_observe_us(histogram_get("stress_seconds", labels, "for the sanitizer"),
		                     i);
		log_info("stress", log_int("writer", *number), log_int("round", i),
		         log_str("detail", labels));
		health_alive();
		health_ready(i % 3 ? "restoring" : NULL);
	}
	return NULL;
}

/* Returns a port that is free now. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		exit(70);
	close(fd);
	return ntohs(address.sin_port);
}

/* Whether a GET of the path returns any bytes. */
static bool get(const char *path)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                              .sin_port = htons((uint16_t)port)};
	char request[64], answer[4096];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path),
	    fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t got = -1, all = 0;

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    write(fd, request, (size_t)len) == len)
		while ((got = read(fd, answer, sizeof(answer))) > 0)
			all += got;
	if (fd >= 0)
		close(fd);
	return got == 0 && all > 0;
}

int main(void)
{
	static const char *const paths[] = {"/metrics", "/livez", "/readyz", "/"};
	pthread_t writers[WRITERS];
	int numbers[WRITERS], failed = 0, passed = 0;
	struct err err = {.class = ERR_NONE};
	int64_t total = 0;

	log_init("stress", "1", LOG_INFO, false);
	port = free_port();
	if (!http_start("127.0.0.1", port, &err)) {
		fprintf(stderr, "stress: %s\n", err.message);
		return 70;
	}
	for (int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		if (pthread_create(&writers[i], NULL, write_all, &numbers[i]) != 0)
			return 70;
	}
	for (int i = 0; i < REQUESTS; i++)
		*(get(paths[i % 4]) ? &passed : &failed) += 1;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	http_stop();
	for (int i = 0; i < 16; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "partition=\"%d\"", i);
		total += metric_value(metric_get(METRIC_COUNTER, "stress_total", labels, ""));
	}
	*(total == WRITERS * ROUNDS ? &passed : &failed) += 1;
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
