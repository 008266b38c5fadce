/* The skeleton of every daemon: settings, signals, loop, shutdown deadline and exit codes.
 *
 * main.c declares a struct service and returns service_main(), which does this:
 *
 *   load settings -> block TERM and INT (before a library creates a thread) -> log_init ->
 *   http_start (not ready) -> open -> step ... -> close
 *
 * First TERM or INT: the next step gets stopping = true. It should drain, commit and return
 * STEP_DONE. The second signal ends the process immediately (exit 75).
 *
 * SHUTDOWN_TIMEOUT (default 20 s) runs from the first signal, or else from the start of close.
 * When it expires, the process logs shutdown_timeout and exits, because a library's destroy may
 * hang: during close with the exit code it would have had, before that with 75.
 *
 * /readyz becomes ready when open returns, unless the service has called health_ready itself.
 *
 * --healthcheck opens nothing: it requests /readyz of the running service that has the same
 * HTTP_ADDRESS and HTTP_PORT, prints the answer and exits with 0 (ready) or 1.
 *
 * Exit codes: 0 clean; 64 usage, and ERR_INPUT from open or of a given input; 65 ERR_REFUSED; 70
 * ERR_FATAL and bugs; 75 ERR_RETRY, ERR_ABORT, ERR_CONFLICT and ERR_FENCED; 78 ERR_OPERATOR. If
 * open fails with a class of 75 after a stop request, the exit code is 0. */
#ifndef FUNNEL_SERVICE_H
#define FUNNEL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "service/config.h"

/* First member of every service's config struct. */
struct service_config {
	const char *instance_id;     /* INSTANCE_ID; default: the host name */
	const char *http_address;    /* HTTP_ADDRESS, default 127.0.0.1 */
	int64_t http_port;           /* HTTP_PORT, default 0: off */
	const char *log_level;       /* LOG_LEVEL: error|warn|info|debug */
	const char *log_format;      /* LOG_FORMAT: kv|json */
	int64_t shutdown_timeout_us; /* SHUTDOWN_TIMEOUT */
	bool restart;                /* RESTART_IN_PLACE: see restart.h */
	bool healthcheck;            /* HEALTHCHECK: see below */
};

enum step {
	STEP_MORE,   /* call again */
	STEP_DONE,   /* finished: exit 0 */
	STEP_FAILED, /* err is set; its class gives the exit code */
};

struct service {
	const char *name;    /* "bronze-sink" */
	const char *summary; /* one sentence for --help */
	/* The service's own tables, NULL-terminated; service_main adds the common one. */
	const struct config_option *const *tables;
	size_t config_size; /* of a struct that begins with struct service_config */
	/* May set *state also on failure; close gets it. */
	bool (*open)(void *config, void **state, struct err *err);
	/* Waits at most about 100 ms if there is nothing to do. */
	enum step (*step)(void *state, bool stopping, struct err *err);
	void (*close)(void *state); /* takes NULL */
	/* An operator gives the input, such as a file: ERR_INPUT from step is usage too. */
	bool has_given_input;
};

int service_main(const struct service *service, int argc, char **argv);

/* The exit code of an error, for programs without this skeleton. is_usage: ERR_INPUT is the fault
 * of a setting or of a given input. */
int service_exit_code(enum err_class class, bool is_usage);

#endif
