/* The skeleton of every daemon: options, signals, loop, shutdown deadline and exit codes exist once.
 *
 * main.c declares a struct service and returns service_main(). The order of life: load settings -> block
 * TERM, INT (before any library makes a thread) -> log_init -> http_start (not ready) -> open -> step ... -> close.
 * First TERM or INT: `stopping` turns true in the next step, which should drain, commit and return STEP_DONE;
 * the second leaves at once (exit 75). From the signal on (or from close, if there was none) the service has SHUTDOWN_TIMEOUT
 * (default 20 s); past that the process leaves with a message (a library's destroy may hang): in close with the exit code
 * it would have had, before that with 75. An open that fails only for now (75) after a stop was asked for ends with 0.
 * /readyz turns ready when open has returned, unless the service has called health_ready itself.
 * Exit: 0 clean; 64 usage (and ERR_INPUT from open); 70 ERR_FATAL and bugs; 75 ERR_RETRY, ERR_ABORT, ERR_CONFLICT, ERR_FENCED; 78 ERR_OPERATOR. */
#ifndef FUNNEL_SERVICE_H
#define FUNNEL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "service/config.h"

/* First member of every service's config struct. */
struct service_config {
	const char *instance_id;     /* INSTANCE_ID, default: host name */
	const char *http_address;    /* HTTP_ADDRESS, default 127.0.0.1 */
	int64_t http_port;           /* HTTP_PORT, default 0: off */
	const char *log_level;       /* LOG_LEVEL: error|warn|info|debug */
	const char *log_format;      /* LOG_FORMAT: kv|json */
	int64_t shutdown_timeout_us; /* SHUTDOWN_TIMEOUT */
	bool restart;                /* RESTART_IN_PLACE: see restart.h */
};

enum step {
	STEP_MORE /* call again */,
	STEP_DONE /* finished, exit 0 */,
	STEP_FAILED /* err says */
};

struct service {
	const char *name;    /* "bronze-sink" */
	const char *summary; /* one sentence for --help */
	const struct config_option *const
		*tables; /* the service's own tables, NULL-terminated; the common one is added */
	size_t config_size;
	/* On failure *state may be set; close is called with it all the same. */
	bool (*open)(void *config, void **state, struct err *err);
	/* Waits at most about 100 ms when there is nothing to do. */
	enum step (*step)(void *state, bool stopping, struct err *err);
	void (*close)(void *state); /* takes NULL */
};

int service_main(const struct service *service, int argc, char **argv);

#endif
