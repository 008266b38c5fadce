/* libmicrohttpd with one polling thread, at most 16 connections, and 16 KiB for each.
 *
 * We open the listening socket, because libmicrohttpd does not report why that failed.
 * Limits: no TLS and no passwords. The default address is the loopback address. */
#include "service/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/health.h"
#include "service/metrics.h"

#define CONNECTIONS        16
#define CONNECTION_BYTES   16384
#define CONNECTION_SECONDS 10
#define THREAD_STACK_BYTES 524288

static struct MHD_Daemon *server;

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              char *body, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, body, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
	char copy[600];
	int len = snprintf(copy, sizeof(copy), "%s", text);

	return answer(connection, status, "text/plain; charset=utf-8", copy,
	              len < (int)sizeof(copy) ? (size_t)len : sizeof(copy) - 1,
	              MHD_RESPMEM_MUST_COPY);
}

/* Both are what the other two paths answer, so that an alert needs no second kind of check. */
static void set_health_metrics(void)
{
	char body[600];

	metric_set(metric_get(METRIC_GAUGE, "ready", "", "1: /readyz answers 200; 0: 503"),
	           health_is_ready(body, sizeof(body)));
	metric_set(metric_get(METRIC_GAUGE, "live", "", "1: /livez answers 200; 0: 503"),
	           health_is_live(body, sizeof(body)));
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection)
{
	size_t len;
	char *text;

	set_health_metrics();
	text = metrics_render(&len);
	if (!text)
		return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text,
	              len, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result route(struct MHD_Connection *connection, const char *path)
{
	char body[600];
	bool good;

	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(connection);
	if (strcmp(path, "/livez") == 0)
		good = health_is_live(body, sizeof(body));
	else if (strcmp(path, "/readyz") == 0)
		good = health_is_ready(body, sizeof(body));
	else if (strcmp(path, "/") == 0)
		return answer_text(
			connection, MHD_HTTP_OK,
			"/metrics  metrics in Prometheus' text format\n"
			"/livez    200 if the main loop makes progress, else 503\n"
			"/readyz   200 if the service is ready, else 503 and the reason\n");
	else
		return answer_text(connection, MHD_HTTP_NOT_FOUND,
		                   "not found: expected /metrics, /livez or /readyz\n");
	return answer_text(connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, body);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_len, void **request)
{
	static char seen;

	(void)context;
	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		*upload_len = 0;
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
		                   "method not allowed: expected GET or HEAD\n");
	}
	/* The first call has the headers only. An answer in the second keeps the connection
	 * open. */
	if (*request != &seen) {
		*request = &seen;
		return MHD_YES;
	}
	*upload_len = 0;
	return route(connection, path);
}

static bool listen_on(const char *address, int port, int *out, struct err *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
	                         .ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
			*found = NULL;
	char service[16];
	int code, fd, yes = 1, why;

	snprintf(service, sizeof(service), "%d", port);
	code = getaddrinfo(*address ? address : NULL, service, &hints, &found);
	if (code != 0)
		return err_set(err, ERR_OPERATOR, "cannot resolve \"%s\" of HTTP_ADDRESS: %s",
		               address, gai_strerror(code));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, CONNECTIONS) == 0) {
		freeaddrinfo(found);
		*out = fd;
		return true;
	}
	why = errno;
	freeaddrinfo(found);
	if (fd >= 0)
		close(fd);
	return err_set(err, ERR_OPERATOR, "HTTP_PORT: cannot listen on %s port %d: %s", address,
	               port, strerror(why));
}

bool http_start(const char *address, int port, struct err *err)
{
	int fd = -1;

	if (port == 0)
		return true;
	if (!listen_on(address, port, &fd, err))
		return false;
	server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL,
	                          on_request, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	                          MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
	                          MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_SECONDS,
	                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	                          MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
	                          MHD_OPTION_END);
	if (server)
		return true;
	close(fd);
	return err_set(err, ERR_FATAL, "HTTP_PORT: cannot start the HTTP server on %s port %d",
	               address, port);
}

void http_stop(void)
{
	if (server)
		MHD_stop_daemon(server); /* closes the socket too */
	server = NULL;
}
