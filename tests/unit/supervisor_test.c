/* What systemd receives about the readiness of a service, on a socket like its own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/health.h"
#include "service/supervisor.h"

/* A bound socket; `shown` is its name as NOTIFY_SOCKET has it. */
static int listening(const char *shown)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(shown);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(address.sun_path, shown, len);
	if (shown[0] == '@')
		address.sun_path[0] = '\0';
	cr_assert(fd >= 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address,
	                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	             0);
	cr_assert_eq(setenv("NOTIFY_SOCKET", shown, 1), 0);
	return fd;
}

static void receives(int fd, const char *want)
{
	char text[1024];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	cr_assert(len > 0, "nothing was sent; expected %s", want);
	text[len] = '\0';
	cr_assert_str_eq(text, want);
}

static void receives_nothing(int fd)
{
	char text[16];

	cr_assert_eq(recv(fd, text, sizeof(text), MSG_DONTWAIT), -1);
}

static void abstract_name(char *out, size_t cap)
{
	snprintf(out, cap, "@funnel-supervisor-test-%ld", (long)getpid());
}

Test(supervisor, each_change_of_readiness_is_reported_once)
{
	char name[64];
	int fd;

	abstract_name(name, sizeof(name));
	fd = listening(name);
	health_opened();
	receives(fd, "READY=1\nSTATUS=ready");
	health_opened();
	health_ready(NULL);
	receives_nothing(fd);
	health_ready("partition 1 is held back\npartition 2 is held back");
	receives(fd, "STATUS=partition 1 is held back partition 2 is held back");
	health_ready(NULL);
	receives(fd, "READY=1\nSTATUS=ready");
	receives_nothing(fd);
	close(fd);
}

Test(supervisor, a_service_that_reported_a_reason_is_not_ready_when_it_has_opened)
{
	char name[64];
	int fd;

	abstract_name(name, sizeof(name));
	fd = listening(name);
	health_ready("restoring");
	receives(fd, "STATUS=restoring");
	health_opened();
	receives_nothing(fd);
	close(fd);
}

Test(supervisor, a_socket_may_be_a_path)
{
	char folder[] = "/tmp/supervisor-test-XXXXXX", name[64];
	int fd;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/notify", folder);
	fd = listening(name);
	supervisor_report(NULL);
	receives(fd, "READY=1\nSTATUS=ready");
	close(fd);
	unlink(name);
	rmdir(folder);
}

Test(supervisor, a_name_that_cannot_be_used_is_no_fault)
{
	char name[200];

	unsetenv("NOTIFY_SOCKET");
	supervisor_report(NULL);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	supervisor_report(NULL);
	setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
	supervisor_report("starting");
	setenv("NOTIFY_SOCKET", "", 1);
	supervisor_report("starting");
}
