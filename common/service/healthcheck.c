/* One request over a socket, with a deadline for all of it. The server closes the connection after
 * an answer to HTTP/1.0, so the end of the connection is the end of the answer.
 *
 * A service may listen on a wildcard address (0.0.0.0). Linux connects such an address to the
 * machine itself.
 * Limits: an answer of more than 2 KiB is cut. The deadline does not include name resolution. */
#include "service/healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/monotime.h"

#define ANSWER_CAP 2048
#define TIMEOUT_US INT64_C(4000000)

static const char request[] = "GET /readyz HTTP/1.0\r\n\r\n";

__attribute__((format(printf, 3, 4))) static bool no_answer(char *text, size_t cap,
                                                            const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, cap, format, args);
	va_end(args);
	return false;
}

static bool wait_for(int fd, short events, int64_t deadline_us)
{
	struct pollfd wanted = {.fd = fd, .events = events};
	int64_t left_us = deadline_us - monotonic_us();

	return left_us > 0 && poll(&wanted, 1, (int)(left_us / 1000) + 1) == 1;
}

/* A connected socket, or -1 with errno. */
static int connect_to(const struct addrinfo *address, int64_t deadline_us)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int why = 0;
	socklen_t len = sizeof(why);

	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	if (errno != EINPROGRESS)
		why = errno;
	else if (!wait_for(fd, POLLOUT, deadline_us))
		why = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
		why = errno;
	if (why == 0)
		return fd;
	close(fd);
	errno = why;
	return -1;
}

/* Fills answer with a terminated text. False with errno. */
static bool exchange(int fd, char answer[ANSWER_CAP], int64_t deadline_us)
{
	size_t len = 0;
	ssize_t got = 1;

	/* The request fits into the buffer of a new socket. */
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return false;
	while (got != 0 && len < ANSWER_CAP - 1) {
		if (!wait_for(fd, POLLIN, deadline_us)) {
			errno = ETIMEDOUT;
			return false;
		}
		got = recv(fd, answer + len, ANSWER_CAP - 1 - len, 0);
		if (got < 0)
			return false;
		len += (size_t)got;
	}
	answer[len] = '\0';
	return true;
}

/* HTTP/1.1 200 OK, headers, an empty line, the body. */
static bool read_answer(const char *answer, char *text, size_t cap)
{
	const char *body = strstr(answer, "\r\n\r\n");

	if (!body || strncmp(answer, "HTTP/1.", 7) != 0)
		return no_answer(text, cap, "the answer is not HTTP: %.40s\n", answer);
	snprintf(text, cap, "%s", body + 4);
	return strncmp(answer + 8, " 200 ", 5) == 0;
}

bool healthcheck(const char *address, int port, char *text, size_t cap)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
			*found = NULL;
	int64_t deadline_us = monotonic_us() + TIMEOUT_US;
	char service[16], answer[ANSWER_CAP];
	bool ready;
	int code, fd;

	snprintf(service, sizeof(service), "%d", port);
	code = getaddrinfo(address, service, &hints, &found);
	if (code != 0)
		return no_answer(text, cap, "cannot resolve \"%s\" of HTTP_ADDRESS: %s\n", address,
		                 gai_strerror(code));
	fd = connect_to(found, deadline_us);
	freeaddrinfo(found);
	if (fd < 0)
		return no_answer(text, cap, "cannot connect to %s port %d: %s\n", address, port,
		                 strerror(errno));
	if (exchange(fd, answer, deadline_us))
		ready = read_answer(answer, text, cap);
	else
		ready = no_answer(text, cap, "no answer from %s port %d: %s\n", address, port,
		                  strerror(errno));
	close(fd);
	return ready;
}
