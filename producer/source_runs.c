/* A process per entry: settings, metrics and state are those of one input, and a crash of one run
 * cannot harm the next one. Each child has a process group of its own, so a signal to the group of
 * the parent (Ctrl-C, timeout) reaches the child once: the parent forwards it. If the parent is
 * killed, the kernel stops the child.
 *
 * The names of complete entries are in .producer-state/sources.<hash>, one per line. */
#include "source_runs.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fnv.h"
#include "service/log.h"
#include "service/monotime.h"
#include "source_list.h"

#define EXIT_USAGE     64
#define EXIT_BUG       70
#define EXIT_TRY_AGAIN 75
#define STATE_DIR      ".producer-state"
#define FLAG_MAX       64
#define SAME_US        200000 /* a signal that arrives twice within this time is one request */

/* ---- settings of this process, before config_load */

/* --sources VALUE or --sources=VALUE, else the environment. NULL: not set. */
static const char *setting(int argc, char **argv, const char *name)
{
	const char *value = getenv(name);
	char flag[FLAG_MAX] = "--";
	size_t len = 2;

	for (; name[len - 2] && len + 1 < sizeof(flag); len++)
		flag[len] =
			name[len - 2] == '_' ? '-' : (char)tolower((unsigned char)name[len - 2]);
	flag[len] = '\0';
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], flag) == 0 && i + 1 < argc)
			value = argv[i + 1];
		else if (strncmp(argv[i], flag, len) == 0 && argv[i][len] == '=')
			value = argv[i] + len + 1;
	}
	return value && *value ? value : NULL;
}

static bool setting_is(int argc, char **argv, const char *name, const char *expected)
{
	const char *value = setting(argc, argv, name);

	return value && strcmp(value, expected) == 0;
}

static bool has_flag(int argc, char **argv, const char *flag)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], flag) == 0)
			return true;
	return false;
}

/* A setting that is true or false; its flag needs no value. */
static bool is_on(int argc, char **argv, const char *name, const char *flag)
{
	return has_flag(argc, argv, flag) || setting_is(argc, argv, name, "true");
}

static bool apply(const struct source_list *list, const char *only, const char *path)
{
	const struct source_entry *entry = source_list_find(list, only);

	if (!entry) {
		fprintf(stderr,
		        "producer: SOURCES=%s has no entry with the name ONLY=%s; it has:", path,
		        only);
		for (size_t i = 0; i < list->count; i++)
			fprintf(stderr, " %s", list->entries[i].name);
		fputc('\n', stderr);
		return false;
	}
	for (size_t i = 0; i < entry->setting_count; i++) {
		const struct source_setting *one = &entry->settings[i];
		char from_file[FLAG_MAX];

		setenv(one->name, one->value, 1);
		snprintf(from_file, sizeof(from_file), "%s_FILE", one->name);
		unsetenv(from_file);
	}
	return true;
}

/* ---- the entries that are complete */

static bool is_done(const char *state, const char *name)
{
	FILE *file = state[0] ? fopen(state, "r") : NULL;
	char *line = NULL;
	size_t cap = 0;
	bool found = false;
	ssize_t len;

	while (file && !found && (len = getline(&line, &cap, file)) > 0) {
		line[len - 1] = '\0';
		found = strcmp(line, name) == 0;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static bool mark_done(const char *state, const char *name)
{
	FILE *file;
	bool good;

	if (!state[0])
		return true;
	mkdir(STATE_DIR, 0777); /* if it cannot be created, opening the file fails */
	file = fopen(state, "a");
	good = file && fprintf(file, "%s\n", name) > 0 && fflush(file) == 0 &&
	       fsync(fileno(file)) == 0;
	if (!good)
		log_error("state_file_not_saved", log_str("file", state),
		          log_str("error", strerror(errno)));
	if (file)
		fclose(file);
	return good;
}

/* By the path of the list, and by the settings of the command that select other rows or another
 * place. */
static uint64_t list_hash(int argc, char **argv, const char *path)
{
	static const char *const names[] = {
		"KAFKA_BROKERS", "TOPIC_PREFIX", "OUTPUT",       "INPUT", "MONTH",
		"FROM",          "TO",           "ROWS_PER_DAY", "LIMIT"};
	char *real = realpath(path, NULL);
	uint64_t hash = fnv1a(FNV1A_START, real ? real : path, strlen(real ? real : path));

	free(real);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = setting(argc, argv, names[i]);

		hash = fnv1a(hash, value ? value : "", value ? strlen(value) + 1 : 1);
	}
	return hash;
}

static bool starts_again(int argc, char **argv)
{
	return setting_is(argc, argv, "RESUME", "false") ||
	       is_on(argc, argv, "RESTART", "--restart");
}

/* Without a state, state is empty: a run that sends nothing completes no entry. */
static void name_state(int argc, char **argv, const char *path, char *state, size_t cap)
{
	state[0] = '\0';
	if (setting_is(argc, argv, "STATE_FILE", "none") ||
	    has_flag(argc, argv, "--check-config") || is_on(argc, argv, "DRY_RUN", "--dry-run"))
		return;
	snprintf(state, cap, STATE_DIR "/sources.%016llx",
	         (unsigned long long)list_hash(argc, argv, path));
	if (starts_again(argc, argv))
		unlink(state);
}

static bool all_done(const char *state, const struct source_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!is_done(state, list->entries[i].name))
			return false;
	return true;
}

static bool sends_nothing(const struct source_entry *entry)
{
	const char *dry_run = source_entry_value(entry, "DRY_RUN");

	return dry_run && strcmp(dry_run, "true") == 0;
}

/* ---- running an entry */

struct signals {
	sigset_t blocked, before;
};

/* Blocks the signals that wait_for takes. SIGCHLD may be ignored since the start of the process;
 * then the kernel reports no end of a child. */
static void block_signals(struct signals *signals)
{
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals->blocked);
	sigaddset(&signals->blocked, SIGTERM);
	sigaddset(&signals->blocked, SIGINT);
	sigaddset(&signals->blocked, SIGTSTP);
	sigaddset(&signals->blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals->blocked, &signals->before);
}

/* The group of the child is in the background of a terminal: there it may write, and reading fails
 * instead of stopping the child. */
static void become(int argc, char **argv, const char *name, pid_t parent, const sigset_t *before)
{
	char **arguments = calloc((size_t)argc + 3, sizeof(*arguments));

	setpgid(0, 0);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, before, NULL);
	if (arguments && getppid() == parent) {
		memcpy(arguments, argv, (size_t)argc * sizeof(*arguments));
		arguments[argc] = strdup("--only");
		arguments[argc + 1] = strdup(name);
		execv("/proc/self/exe", arguments);
	}
	_exit(EXIT_BUG);
}

/* The second signal ends the child at once, so it must be another request of the user: timeout, for
 * example, sends its signal to the process and to its group. */
static void forward_stop(pid_t child, int number, int64_t *last_us)
{
	int64_t now_us = monotonic_us();

	if (*last_us == 0 || now_us - *last_us >= SAME_US)
		kill(child, number);
	*last_us = now_us;
}

/* Ctrl-Z. */
static void pause_both(pid_t child)
{
	kill(child, SIGSTOP);
	raise(SIGSTOP);
	kill(child, SIGCONT);
}

/* Waits for the child. *stopping: a signal to stop has arrived. It may end the child before the
 * child handles signals. */
static int wait_for(pid_t child, const sigset_t *set, bool *stopping)
{
	int64_t last_us = 0;
	int status;

	for (;;) {
		int number = sigwaitinfo(set, NULL);

		if (number == SIGTSTP)
			pause_both(child);
		if (number == SIGTERM || number == SIGINT) {
			*stopping = true;
			forward_stop(child, number, &last_us);
		}
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : *stopping ? 0 : EXIT_BUG;
	}
}

static int run_entry(int argc, char **argv, const char *name, const struct signals *signals,
                     bool *stopping)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0)
		become(argc, argv, name, parent, &signals->before);
	return child < 0 ? EXIT_BUG : wait_for(child, &signals->blocked, stopping);
}

/* ---- running the list */

static const char *how_to_continue(int argc, char **argv, const char *state)
{
	if (!state[0])
		return "the same command begins with the first source, because no progress is kept";
	if (starts_again(argc, argv))
		return "the same command without --resume=false continues with this source";
	return "the same command continues with this source";
}

/* Only a stop and a cause that can pass (75) leave something to continue. */
static void log_end(int exit_code, const char *name, const char *how)
{
	if (exit_code == 0 || exit_code == EXIT_TRY_AGAIN)
		log_warn("sources_interrupted", log_str("source", name), log_int("exit", exit_code),
		         log_str("detail", how));
	else
		log_error("source_failed", log_str("source", name), log_int("exit", exit_code),
		          log_str("detail", "the list ends here; the cause is in the log of this "
		                            "source"));
}

static int log_complete(const struct source_list *list, const char *state)
{
	log_info("sources_complete", log_uint("sources", list->count),
	         log_str("detail", state[0] ? "every source is complete; --resume=false begins "
	                                      "with the first source again"
	                                    : "no progress is kept; the same command begins "
	                                      "with the first source again"));
	return 0;
}

static void log_skipped(const char *name)
{
	log_info("source_skipped", log_str("source", name),
	         log_str("detail", "complete; --resume=false replays it again"));
}

static int run_list(int argc, char **argv, const struct source_list *list, const char *state)
{
	struct signals signals;
	bool stopping = false;

	block_signals(&signals);
	for (size_t i = 0; i < list->count; i++) {
		const struct source_entry *entry = &list->entries[i];
		int exit_code;

		if (is_done(state, entry->name)) {
			log_skipped(entry->name);
			continue;
		}
		log_info("source_started", log_str("source", entry->name),
		         log_uint("number", i + 1), log_uint("of", list->count));
		exit_code = run_entry(argc, argv, entry->name, &signals, &stopping);
		if (exit_code != 0 || stopping) {
			log_end(exit_code, entry->name, how_to_continue(argc, argv, state));
			return exit_code;
		}
		if (!sends_nothing(entry) && !mark_done(state, entry->name))
			return EXIT_BUG;
	}
	return log_complete(list, state);
}

static int run_all(int argc, char **argv, const struct source_list *list, const char *path)
{
	const char *instance = setting(argc, argv, "INSTANCE_ID");
	char state[128];

	log_init("producer", instance ? instance : "sources", LOG_INFO,
	         setting_is(argc, argv, "LOG_FORMAT", "json"));
	name_state(argc, argv, path, state, sizeof(state));
	return all_done(state, list) ? log_complete(list, state)
	                             : run_list(argc, argv, list, state);
}

/* LOOP and EVERY repeat or divide one input. For a list, each entry may have them. */
static bool fits_a_list(int argc, char **argv, const char *path)
{
	static const char *const names[][2] = {{"LOOP", "1"}, {"EVERY", "0s"}};

	for (size_t i = 0; i < 2; i++) {
		const char *name = names[i][0], *value = setting(argc, argv, name);

		if (!value || strcmp(value, names[i][1]) == 0)
			continue;
		fprintf(stderr,
		        "producer: %s=%s and SOURCES=%s are both set: expected %s in the entries "
		        "of the list, or ONLY with the name of one entry\n",
		        name, value, path, name);
		return false;
	}
	return true;
}

static bool prints_only(int argc, char **argv)
{
	return has_flag(argc, argv, "--help") || has_flag(argc, argv, "--help-markdown") ||
	       has_flag(argc, argv, "--version");
}

bool source_runs(int argc, char **argv, const struct config_option *const *tables, int *exit_code)
{
	const char *path = setting(argc, argv, "SOURCES"), *only = setting(argc, argv, "ONLY");
	struct source_list list = {0};
	struct err err;
	bool done = true;

	*exit_code = EXIT_USAGE;
	if ((!path && !only) || prints_only(argc, argv))
		return false;
	if (!path)
		fprintf(stderr, "producer: ONLY=%s needs SOURCES, which is not set\n", only);
	else if (!source_list_read(&list, path, tables, &err))
		fprintf(stderr, "producer: %s\n", err.message);
	else if (only)
		done = !apply(&list, only, path);
	else if (fits_a_list(argc, argv, path))
		*exit_code = run_all(argc, argv, &list, path);
	source_list_fini(&list);
	return done;
}
