/* The health check of a container, against the HTTP server of a service and against other ends. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "service/health.h"
#include "service/healthcheck.h"
#include "service/http.h"

/* A listening socket on a free port of the loopback address. */
static int listening(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* Another process may take the port before we do. */
static int serve(void)
{
	struct err err = {0};

	for (int i = 0; i < 20; i++) {
		int port;

		close(listening(&port));
		if (http_start("0.0.0.0", port, &err))
			return port;
	}
	cr_assert_fail("%s", err.message);
	return 0;
}

Test(healthcheck, the_answer_of_a_service_decides)
{
	static const struct {
		const char *reason;
		bool ready;
		const char *text;
	} table[] = {
		{"starting", false, "starting\n"},
		{NULL, true, "ready\n"},
		{"no database\nno registry", false, "no database\nno registry\n"},
	};
	/* The image sets 0.0.0.0. */
	static const char *const addresses[] = {"127.0.0.1", "0.0.0.0"};
	int port = serve();

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		health_ready(table[i].reason);
		for (size_t a = 0; a < sizeof(addresses) / sizeof(*addresses); a++) {
			char text[1024];

			cr_expect_eq(healthcheck(addresses[a], port, text, sizeof(text)),
			             table[i].ready, "\"%s\"", addresses[a]);
			cr_expect_str_eq(text, table[i].text);
		}
	}
	http_stop();
}

Test(healthcheck, no_service_is_not_ready_and_the_text_names_the_port)
{
	char text[1024], number[16];
	int port;

	close(listening(&port));
	snprintf(number, sizeof(number), "%d", port);
	cr_expect_not(healthcheck("127.0.0.1", port, text, sizeof(text)));
	cr_expect(strstr(text, number) && strstr(text, "refused"), "%s", text);
}

Test(healthcheck, an_address_that_does_not_exist_is_named)
{
	char text[1024];

	cr_expect_not(healthcheck("no such host", 1, text, sizeof(text)));
	cr_expect(strstr(text, "HTTP_ADDRESS") && strstr(text, "no such host"), "%s", text);
}

/* A process that accepts one connection and sends the answer. */
static pid_t answer_once(int listener, const char *answer)
{
	pid_t child = fork();

	if (child == 0) {
		int fd = accept(listener, NULL, NULL);
		char request[256];

		alarm(20);
		_exit(read(fd, request, sizeof(request)) > 0 &&
		                      write(fd, answer, strlen(answer)) == (ssize_t)strlen(answer)
		              ? 0
		              : 1);
	}
	return child;
}

Test(healthcheck, other_answers_are_not_ready)
{
	static const char *const answers[] = {
		"",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/2 200\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		int port, fd = listening(&port), status = 0;
		pid_t child = answer_once(fd, answers[i]);
		char text[1024];

		cr_expect_not(healthcheck("127.0.0.1", port, text, sizeof(text)), "%s", answers[i]);
		cr_assert(waitpid(child, &status, 0) == child && status == 0);
		close(fd);
	}
}
