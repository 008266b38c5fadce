/* One datagram per report, to the socket that NOTIFY_SOCKET names. A path that begins with @ is in
 * Linux's abstract namespace: its first byte is NUL.
 *
 * Rejected: sd_notify() of libsystemd, which would be one more shared library of every program.
 * Limits: a status has at most 511 bytes. */
#include "service/supervisor.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void send_text(const char *path, const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len == 0 || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
	             (const struct sockaddr *)&address,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void supervisor_report(const char *reason)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char text[544];
	size_t len = sizeof("STATUS=") - 1;

	if (!path)
		return;
	if (!reason) {
		send_text(path, "READY=1\nSTATUS=ready");
		return;
	}
	snprintf(text, sizeof(text), "STATUS=%s", reason);
	/* A line would be another assignment. */
	for (; text[len]; len++)
		if (text[len] == '\n')
			text[len] = ' ';
	send_text(path, text);
}
