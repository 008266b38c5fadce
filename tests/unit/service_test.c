/* The skeleton of a daemon, run in a process of its own: exit codes, signals, and the deadline. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "service/config.h"
#include "service/service.h"
#include "service/stop.h"

struct settings {
	struct service_config common;
	int64_t number;
	const char *secret;
};

static const struct config_option options[] = {{"A_NUMBER", CONFIG_INTEGER,
                                                offsetof(struct settings, number), "5", 0, 9,
                                                "a number", NULL, NULL},
                                               {"A_SECRET", CONFIG_SECRET,
                                                offsetof(struct settings, secret), "", 0, 0,
                                                "a secret", NULL, NULL},
                                               {0}};
static const struct config_option *const tables[] = {options, NULL};

/* Says what the service does, and counts what it did. Shared with the process that runs it. */
struct script {
	enum err_class open_fails, step_fails;
	int steps; /* then STEP_DONE */
	bool done_when_stopping, hang_when_stopping, hang_in_close;
	int terms; /* signals that the first step sends to its own process */
	bool stop_in_open;
	atomic_int steps_made, stopping_steps, closes, closed_with_state;
	int64_t number;
	char instance[64];
	bool has_given_input;
};
static struct script *script;
static FILE *log_lines; /* NULL: log lines are dropped */

static void hang(void)
{
	for (;;)
		pause();
}

static void send_stop(int number)
{
	kill(getpid(), number);
	while (!service_stopping())
		usleep(1000);
}

static bool test_open(void *config, void **state, struct err *err)
{
	struct settings *settings = config;

	script->number = settings->number;
	snprintf(script->instance, sizeof(script->instance), "%s", settings->common.instance_id);
	*state = script;
	if (script->stop_in_open)
		send_stop(SIGTERM);
	return script->open_fails == ERR_NONE || err_set(err, script->open_fails, "open");
}

static enum step test_step(void *state, bool stopping, struct err *err)
{
	int made = atomic_fetch_add(&script->steps_made, 1);

	cr_assert_eq(state, script);
	if (stopping)
		atomic_fetch_add(&script->stopping_steps, 1);
	if (stopping && script->hang_when_stopping)
		hang();
	if (stopping && script->done_when_stopping)
		return STEP_DONE;
	if (made == 0)
		for (int i = 0; i < script->terms; i++)
			send_stop(i % 2 ? SIGINT : SIGTERM);
	if (script->step_fails != ERR_NONE) {
		err_set(err, script->step_fails, "step");
		return STEP_FAILED;
	}
	return made + 1 >= script->steps ? STEP_DONE : STEP_MORE;
}

static void test_close(void *state)
{
	atomic_fetch_add(&script->closes, 1);
	atomic_fetch_add(&script->closed_with_state, state != NULL);
	if (script->hang_in_close)
		hang();
}

/* The exit code of a process that runs the script; -1 if a signal ended it. */
static int run_script(const struct script *wanted, const char *flag)
{
	struct service service = {"test-service", "Tests.",  tables,     sizeof(struct settings),
	                          test_open,      test_step, test_close, wanted->has_given_input};
	int status = 0;
	pid_t child;

	script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	cr_assert_neq(script, MAP_FAILED);
	memcpy(script, wanted, sizeof(*script));
	child = fork();
	if (child == 0) {
		char program[] = "test", timeout[] = "--shutdown-timeout=200ms", last[64],
		     *argv[] = {program, timeout, last, NULL};
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(log_lines ? fileno(log_lines) : null, 2);
		snprintf(last, sizeof(last), "%s", flag ? flag : "");
		alarm(20); /* ends a hanging test */
		_exit(service_main(&service, flag ? 3 : 2, argv));
	}
	cr_assert(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(service, finishes_with_0_and_closes_once)
{
	cr_expect_eq(run_script(&(struct script){.steps = 3}, "--a-number=7"), 0);
	cr_expect_eq(script->steps_made, 3);
	cr_expect_eq(script->stopping_steps, 0);
	cr_expect_eq(script->closes, 1);
	cr_expect_eq(script->closed_with_state, 1);
	cr_expect_eq(script->number, 7);
	cr_expect(script->instance[0], "the host's name is the default");
}

Test(service, wrong_settings_end_with_64_before_anything_is_opened)
{
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--a-number=10"), 64);
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--no-such-flag=1"), 64);
	cr_expect_eq(script->steps_made + script->closes, 0);
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--help"), 0);
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--check-config"), 0);
	cr_expect_eq(script->steps_made + script->closes, 0);
}

Test(service, a_health_check_opens_nothing_and_needs_the_port_of_the_service)
{
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--healthcheck"), 64);
	/* Nothing listens on port 1. */
	setenv("HTTP_PORT", "1", 1);
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--healthcheck"), 1);
	cr_expect_eq(script->steps_made + script->closes, 0);
}

Test(service, each_class_of_error_has_its_exit_code_and_close_is_called)
{
	static const struct {
		enum err_class class;
		int open_exit, step_exit;
	} table[] = {{ERR_RETRY, 75, 75},   {ERR_ABORT, 75, 75},    {ERR_CONFLICT, 75, 75},
	             {ERR_FENCED, 75, 75},  {ERR_OPERATOR, 78, 78}, {ERR_FATAL, 70, 70},
	             {ERR_REFUSED, 65, 65}, {ERR_INPUT, 64, 70} /* in open: a wrong setting */};

	cr_assert_eq(sizeof(table) / sizeof(*table), ERR_REFUSED,
	             "every class except ERR_NONE has a row");
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cr_expect_eq(run_script(&(struct script){.open_fails = table[i].class}, NULL),
		             table[i].open_exit, "open: %s", err_class_name(table[i].class));
		cr_expect_eq(script->closed_with_state, 1);
		cr_expect_eq(script->steps_made, 0);
		cr_expect_eq(run_script(&(struct script){.step_fails = table[i].class, .steps = 2},
		                        NULL),
		             table[i].step_exit, "step: %s", err_class_name(table[i].class));
		cr_expect_eq(script->closed_with_state, 1);
		cr_expect_eq(script->steps_made, 1);
	}
}

Test(service, a_bad_input_that_an_operator_has_given_is_usage_in_every_step)
{
	cr_expect_eq(run_script(&(struct script){.step_fails = ERR_INPUT,
	                                         .steps = 2,
	                                         .has_given_input = true},
	                        NULL),
	             64);
}

Test(service, the_first_signal_lets_the_loop_drain)
{
	cr_expect_eq(
		run_script(&(struct script){.steps = 1000, .terms = 1, .done_when_stopping = true},
	                   NULL),
		0);
	cr_expect_eq(script->stopping_steps, 1);
	cr_expect_eq(script->closes, 1);
}

Test(service, the_second_signal_ends_the_process_immediately_with_75)
{
	cr_expect_eq(run_script(&(struct script){.steps = 1,
	                                         .terms = 2,
	                                         .hang_when_stopping = true,
	                                         .hang_in_close = true},
	                        "--shutdown-timeout=1h"),
	             75);
}

Test(service, a_drain_past_the_deadline_ends_with_75)
{
	cr_expect_eq(
		run_script(&(struct script){.steps = 1000, .terms = 1, .hang_when_stopping = true},
	                   NULL),
		75);
	cr_expect_eq(script->closes, 0);
}

Test(service, a_close_past_the_deadline_keeps_the_exit_code)
{
	cr_expect_eq(run_script(&(struct script){.steps = 1, .hang_in_close = true}, NULL), 0);
	cr_expect_eq(run_script(&(struct script){.step_fails = ERR_OPERATOR, .hang_in_close = true},
	                        NULL),
	             78);
	cr_expect_eq(run_script(&(struct script){.steps = 1000,
	                                         .terms = 1,
	                                         .done_when_stopping = true,
	                                         .hang_in_close = true},
	                        NULL),
	             0);
}

Test(service, a_stop_during_open_is_clean_unless_the_failure_needs_an_operator)
{
	cr_expect_eq(run_script(&(struct script){.stop_in_open = true, .open_fails = ERR_RETRY},
	                        NULL),
	             0);
	cr_expect_eq(run_script(&(struct script){.stop_in_open = true, .open_fails = ERR_OPERATOR},
	                        NULL),
	             78);
}

Test(service, the_start_line_has_each_setting_with_the_type_of_its_option)
{
	char line[8192];
	json_t *root;

	setenv("LOG_FORMAT", "json", 1);
	setenv("INSTANCE_ID", "1", 1);
	setenv("HTTP_ADDRESS", "true", 1);
	setenv("A_SECRET", "hunter2", 1);
	log_lines = tmpfile();
	cr_assert(log_lines);
	cr_expect_eq(run_script(&(struct script){.steps = 1}, "--a-number=7"), 0);
	rewind(log_lines);
	cr_assert(fgets(line, sizeof(line), log_lines));
	root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(root, "%s", line);
	cr_expect_str_eq(json_string_value(json_object_get(root, "event")), "start");
	cr_expect_str_eq(json_string_value(json_object_get(root, "instance")), "1");
	cr_expect_str_eq(json_string_value(json_object_get(root, "INSTANCE_ID")), "1",
	                 "a text stays a string");
	cr_expect_str_eq(json_string_value(json_object_get(root, "HTTP_ADDRESS")), "true",
	                 "a text stays a string");
	cr_expect_str_eq(json_string_value(json_object_get(root, "A_SECRET")), "***");
	cr_expect_str_eq(json_string_value(json_object_get(root, "SHUTDOWN_TIMEOUT")), "200ms");
	cr_expect_eq(json_integer_value(json_object_get(root, "A_NUMBER")), 7);
	cr_expect(json_is_false(json_object_get(root, "RESTART_IN_PLACE")));
	cr_expect_not(strstr(line, "hunter2"));
	json_decref(root);
	fclose(log_lines);
	log_lines = NULL;
}
