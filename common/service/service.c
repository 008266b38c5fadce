/* The main thread runs open, step and close. There are two more threads, both detached:
 *
 * - The signal thread waits in sigwait() for TERM and INT. All other threads block these: they
 *   inherit the mask, which is set before any thread exists. So no code runs in a signal handler.
 * - The watchdog ends the process at the deadline, because a library's destroy may hang forever.
 *
 * The deadline is set once: at the first signal, so that it includes draining, or else when close
 * begins.
 * Limits: one service per process. */
#include "service/service.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "service/config_value.h"
#include "service/health.h"
#include "service/healthcheck.h"
#include "service/http.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/restart.h"
#include "service/stop.h"
#include "service/version.h"

enum exit_code {
	EXIT_CLEAN = 0,
	EXIT_NOT_READY = 1,
	EXIT_USAGE = 64,
	EXIT_REFUSED = 65,
	EXIT_BUG = 70,
	EXIT_TRY_AGAIN = 75,
	EXIT_OPERATOR = 78
};

#define TABLE_COUNT      16
#define START_FIELDS_MAX 96
#define SETTING_TEXT_CAP 1024

static const struct config_option common_options[] = {
	{
		.name = "INSTANCE_ID",
		.type = CONFIG_TEXT,
		.offset = offsetof(struct service_config, instance_id),
		.default_value = "",
		.help = "name of this instance; empty: the host name",
	},
	{
		.name = "HTTP_ADDRESS",
		.type = CONFIG_TEXT,
		.offset = offsetof(struct service_config, http_address),
		.default_value = "127.0.0.1",
		.help = "address to serve /metrics, /livez and /readyz on",
	},
	{
		.name = "HTTP_PORT",
		.type = CONFIG_INTEGER,
		.offset = offsetof(struct service_config, http_port),
		.default_value = "0",
		.max = 65535,
		.help = "port to serve /metrics, /livez and /readyz on; 0: do not serve them",
	},
	{
		.name = "LOG_LEVEL",
		.type = CONFIG_CHOICE,
		.offset = offsetof(struct service_config, log_level),
		.default_value = "info",
		.help = "least severe level to log",
		.choices = "error|warn|info|debug",
	},
	{
		.name = "LOG_FORMAT",
		.type = CONFIG_CHOICE,
		.offset = offsetof(struct service_config, log_format),
		.default_value = "kv",
		.help = "format of log lines: key=value or JSON",
		.choices = "kv|json",
	},
	{
		.name = "SHUTDOWN_TIMEOUT",
		.type = CONFIG_DURATION,
		.offset = offsetof(struct service_config, shutdown_timeout_us),
		.default_value = "20s",
		.min = 100000,
		.max = INT64_C(3600000000),
		.help = "longest time from a stop signal to the end; then the process exits",
	},
	{
		.name = "RESTART_IN_PLACE",
		.type = CONFIG_BOOLEAN,
		.offset = offsetof(struct service_config, restart),
		.default_value = "false",
		.help = "restart in place instead of exiting with 75; for running without a "
			"supervisor",
	},
	{
		.name = "HEALTHCHECK",
		.type = CONFIG_BOOLEAN,
		.offset = offsetof(struct service_config, healthcheck),
		.default_value = "false",
		.help = "do not start; request /readyz of the running service at HTTP_ADDRESS and "
			"HTTP_PORT, print the answer, and exit with 0 if it is ready, else with 1",
	},
	{0},
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int64_t timeout_us, deadline_us; /* deadline 0: not set */
	int exit_code;
} watchdog = {.lock = PTHREAD_MUTEX_INITIALIZER, .exit_code = EXIT_TRY_AGAIN};

/* A log line must not block a process that exits: stderr may be a full pipe. */
static bool log_is_writable(void)
{
	struct pollfd err_fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&err_fd, 1, 0) == 1 && (err_fd.revents & POLLOUT);
}

static void watchdog_arm(void)
{
	pthread_mutex_lock(&watchdog.lock);
	if (!watchdog.deadline_us)
		watchdog.deadline_us = monotonic_us() + watchdog.timeout_us;
	pthread_cond_signal(&watchdog.wake);
	pthread_mutex_unlock(&watchdog.lock);
}

static void watchdog_exit_code(int exit_code)
{
	pthread_mutex_lock(&watchdog.lock);
	watchdog.exit_code = exit_code;
	pthread_mutex_unlock(&watchdog.lock);
}

static void *watchdog_thread(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&watchdog.lock);
	while (!watchdog.deadline_us)
		pthread_cond_wait(&watchdog.wake, &watchdog.lock);
	while (monotonic_us() < watchdog.deadline_us) {
		struct timespec until = {.tv_sec = watchdog.deadline_us / 1000000,
		                         .tv_nsec = watchdog.deadline_us % 1000000 * 1000};

		pthread_cond_timedwait(&watchdog.wake, &watchdog.lock, &until);
	}
	if (log_is_writable())
		log_error("shutdown_timeout", log_int("exit", watchdog.exit_code),
		          log_str("detail", "did not shut down within SHUTDOWN_TIMEOUT; exiting"));
	if (watchdog.exit_code == EXIT_TRY_AGAIN)
		restart_in_place();
	_exit(watchdog.exit_code);
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

static void *signal_thread(void *unused)
{
	sigset_t set;
	int number;

	(void)unused;
	stop_signals(&set);
	while (sigwait(&set, &number) == 0) {
		const char *name = number == SIGTERM ? "TERM" : "INT";

		if (stop_request() == 0) {
			watchdog_arm();
			log_info("shutdown_requested", log_str("signal", name));
			continue;
		}
		if (log_is_writable())
			log_warn("forced_exit", log_str("signal", name),
			         log_int("exit", EXIT_TRY_AGAIN));
		_exit(EXIT_TRY_AGAIN);
	}
	return NULL;
}

static bool thread_start(void *(*body)(void *), struct err *err)
{
	pthread_t thread;
	int why = pthread_create(&thread, NULL, body, NULL);

	if (why != 0)
		return err_set(err, ERR_FATAL, "cannot start a thread: %s", strerror(why));
	pthread_detach(thread);
	return true;
}

static bool threads_start(int64_t timeout_us, struct err *err)
{
	pthread_condattr_t attributes;

	watchdog.timeout_us = timeout_us;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watchdog.wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return thread_start(watchdog_thread, err) && thread_start(signal_thread, err);
}

int service_exit_code(enum err_class class, bool is_usage)
{
	switch (class) {
	case ERR_RETRY:
	case ERR_ABORT:
	case ERR_CONFLICT:
	case ERR_FENCED: return EXIT_TRY_AGAIN;
	case ERR_OPERATOR: return EXIT_OPERATOR;
	case ERR_REFUSED: return EXIT_REFUSED;
	case ERR_INPUT: return is_usage ? EXIT_USAGE : EXIT_BUG; /* should be a dead letter */
	case ERR_NONE:
	case ERR_FATAL: return EXIT_BUG;
	}
	return EXIT_BUG;
}

static enum step run_steps(const struct service *service, void *state, struct err *err)
{
	enum step step = STEP_MORE;
	bool reported = false;

	while (step == STEP_MORE) {
		bool stopping = service_stopping();

		if (stopping && !reported)
			health_ready("stopping");
		reported = stopping;
		health_alive();
		step = service->step(state, stopping, err);
	}
	return step;
}

static void log_failed(const struct err *err, int exit_code)
{
	log_error("failed", log_str("class", err_class_name(err->class)),
	          log_int("exit", exit_code), log_str("error", err->message));
}

/* open ... close; returns the exit code. A temporary failure of open during a stop is clean:
 * nothing is lost. */
static int run(const struct service *service, void *config)
{
	struct err err = {.class = ERR_NONE};
	int64_t began_us = monotonic_us();
	void *state = NULL;
	bool opened = service->open(config, &state, &err), failed = !opened;
	int exit_code = EXIT_CLEAN;

	if (opened) {
		health_opened();
		log_info("opened", log_int("took_ms", (monotonic_us() - began_us) / 1000));
		failed = run_steps(service, state, &err) == STEP_FAILED;
	}
	if (failed && (opened || !service_stopping() ||
	               service_exit_code(err.class, false) != EXIT_TRY_AGAIN)) {
		/* An unusable input is a wrong setting: usage. */
		exit_code = service_exit_code(err.class, !opened || service->has_given_input);
		log_failed(&err, exit_code);
	}
	health_ready("stopping");
	watchdog_exit_code(exit_code);
	watchdog_arm();
	service->close(state);
	return exit_code;
}

static void instance_default(struct service_config *common)
{
	static char host[256];

	if (*common->instance_id)
		return;
	if (gethostname(host, sizeof(host) - 1) != 0 || !host[0])
		snprintf(host, sizeof(host), "instance");
	common->instance_id = host;
}

static bool common_start(const struct service *service, const struct service_config *common,
                         struct err *err)
{
	char labels[256];

	snprintf(labels, sizeof(labels), "service=\"%s\",version=\"%s\",commit=\"%s\"",
	         service->name, program_version, program_commit);
	metric_set(metric_get(METRIC_GAUGE, "build_info", labels,
	                      "always 1; the labels give service, version and commit"),
	           1);
	return threads_start(common->shutdown_timeout_us, err) &&
	       http_start(common->http_address, (int)common->http_port, err);
}

static struct log_field setting_field(const struct config_option *option, const void *config,
                                      char text[SETTING_TEXT_CAP])
{
	const char *field = (const char *)config + option->offset;
	int64_t number;
	bool truth;

	switch (option->type) {
	case CONFIG_INTEGER:
		memcpy(&number, field, sizeof(number));
		return log_int(option->name, number);
	case CONFIG_BOOLEAN:
		memcpy(&truth, field, sizeof(truth));
		return log_bool(option->name, truth);
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_URLS:
	case CONFIG_DURATION:
	case CONFIG_BYTES:
	case CONFIG_CHOICE: break;
	}
	config_show(option, config, text, SETTING_TEXT_CAP);
	return log_str(option->name, text);
}

static void log_start(const struct config_option *const *tables, const void *config)
{
	struct log_field fields[START_FIELDS_MAX] = {
		log_str("version", program_version),
		log_str("commit", program_commit[0] ? program_commit : NULL),
		log_str("librdkafka", rd_kafka_version_str()),
		log_int("pid", getpid()),
	};
	char texts[START_FIELDS_MAX][SETTING_TEXT_CAP];
	size_t count = 4;

	for (; *tables; tables++)
		for (const struct config_option *option = *tables; option->name; option++) {
			if (count + 1 == START_FIELDS_MAX)
				break;
			fields[count] = setting_field(option, config, texts[count]);
			count++;
		}
	log_event(LOG_INFO, "start", fields);
}

/* Without a random key, hash tables still work, but are open to chosen collisions. */
static void key_tables(void)
{
	if (getrandom(&hash_key, sizeof(hash_key), 0) != (ssize_t)sizeof(hash_key))
		log_warn("hash_tables_not_keyed", log_str("error", strerror(errno)),
		         log_str("detail", "input chosen to collide could make hash tables slow"));
}

static int run_configured(const struct service *service, const struct config_option *const *tables,
                          void *config)
{
	struct service_config *common = config;
	struct err err = {.class = ERR_NONE};
	int64_t started_us = monotonic_us();
	sigset_t set;
	int exit_code;

	stop_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	restart_enable(common->restart);
	instance_default(common);
	log_init(service->name, common->instance_id, log_level_of(common->log_level),
	         strcmp(common->log_format, "json") == 0);
	log_start(tables, config);
	key_tables();
	if (common_start(service, common, &err)) {
		exit_code = run(service, config);
	} else {
		exit_code = service_exit_code(err.class, false);
		log_failed(&err, exit_code);
	}
	http_stop();
	log_info("stopped", log_int("exit", exit_code),
	         log_int("ran_ms", (monotonic_us() - started_us) / 1000));
	if (exit_code == EXIT_TRY_AGAIN)
		restart_in_place();
	return exit_code;
}

static int check_health(const struct service *service, const struct service_config *common)
{
	char text[1024];
	bool ready;

	if (common->http_port == 0) {
		fprintf(stderr,
		        "%s: HEALTHCHECK needs HTTP_PORT: expected the port of the running "
		        "service, not 0\n",
		        service->name);
		return EXIT_USAGE;
	}
	ready = healthcheck(common->http_address, (int)common->http_port, text, sizeof(text));
	fputs(text, stdout);
	return ready ? EXIT_CLEAN : EXIT_NOT_READY;
}

int service_main(const struct service *service, int argc, char **argv)
{
	const struct config_option *tables[TABLE_COUNT + 2] = {0};
	void *config = calloc(1, service->config_size);
	int exit_code = EXIT_USAGE;
	size_t count = 0;

	restart_init(argv);
	while (service->tables && service->tables[count] && count < TABLE_COUNT) {
		tables[count] = service->tables[count];
		count++;
	}
	tables[count] = common_options;
	if (!config)
		return EXIT_BUG;
	switch (config_load(tables, service->name, service->summary, argc, argv, config)) {
	case CONFIG_OK:
		exit_code = ((struct service_config *)config)->healthcheck
		                    ? check_health(service, config)
		                    : run_configured(service, tables, config);
		break;
	case CONFIG_HELP_SHOWN: exit_code = EXIT_CLEAN; break;
	case CONFIG_BAD: exit_code = EXIT_USAGE; break;
	}
	free(config);
	return exit_code;
}
