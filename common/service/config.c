/* One pass over the flags, then one over the tables: flag, environment, file or default, parsed
 * by type.
 *
 * An empty environment variable counts as not set, because deployment files pass empty ones on.
 * An empty flag is a value; it is an error if the default is not empty. Defaults go through the
 * same parser.
 * Rejected: getopt_long (needs a second table, and stops at the first error).
 * Limits: a file has at most 64 KiB; if a flag is given twice, the last one counts. */
#include "service/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/config_help.h"
#include "service/config_value.h"
#include "service/version.h"

#define FILE_BYTES_MAX 65536

struct load {
	const struct config_option *const *tables;
	const char *program;
	const char **flags; /* by the option's index; NULL: not given */
	size_t error_count;
	bool help, markdown, version, check;
};

/* Values read from files. Kept for the life of the process, and reachable for leak checkers. */
static struct file_text {
	struct file_text *next;
	char text[];
} * file_texts;

__attribute__((format(printf, 2, 3))) static void report(struct load *load, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", load->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	load->error_count++;
}

static const char *keep_file_text(const char *text, size_t len)
{
	struct file_text *kept = malloc(sizeof(*kept) + len + 1);

	if (!kept)
		return NULL;
	memcpy(kept->text, text, len);
	kept->text[len] = '\0';
	kept->next = file_texts;
	file_texts = kept;
	return kept->text;
}

/* NULL: an error was reported. */
static const char *read_value_file(struct load *load, const struct config_option *option,
                                   const char *path)
{
	static char content[FILE_BYTES_MAX + 1];
	FILE *file = fopen(path, "rb");
	size_t len = file ? fread(content, 1, sizeof(content), file) : 0;
	bool failed = !file || ferror(file);
	int why = errno;
	const char *text = NULL;

	if (file)
		fclose(file);
	if (failed)
		report(load, "cannot read \"%s\" for %s_FILE: %s", path, option->name,
		       strerror(why));
	else if (len > FILE_BYTES_MAX || memchr(content, '\0', len))
		report(load,
		       "invalid file \"%s\" for %s_FILE: expected a text file of at most %d "
		       "bytes without NUL bytes",
		       path, option->name, FILE_BYTES_MAX);
	else {
		if (len && content[len - 1] == '\n')
			len--;
		if (len && content[len - 1] == '\r')
			len--;
		text = keep_file_text(content, len);
		if (!text)
			report(load, "%s_FILE: out of memory", option->name);
	}
	explicit_bzero(content, sizeof(content));
	return text;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void load_option(struct load *load, const struct config_option *option, const char *flag,
                        void *config)
{
	char file_name[128], why[1536];
	const char *value = flag, *path = NULL;

	snprintf(file_name, sizeof(file_name), "%s_FILE", option->name);
	if (!value) {
		value = environment(option->name);
		path = environment(file_name);
	}
	if (value && path) {
		report(load, "%s and %s are both set: expected only one of them", option->name,
		       file_name);
		return;
	}
	if (path) {
		value = read_value_file(load, option, path);
		if (!value)
			return;
	}
	if (!value)
		value = option->default_value;
	if (value && !config_value_set(option, value, config, why, sizeof(why)))
		report(load, "%s", why);
	else if (!value)
		report(load, "%s is not set: expected %s (%s)", option->name,
		       config_expected(option), option->help);
}

/* --kafka-brokers names KAFKA_BROKERS. */
static bool flag_names(const char *flag, size_t len, const char *name)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (flag[i] != (name[i] == '_' ? '-' : tolower((unsigned char)name[i])))
			return false;
	return true;
}

static bool plain_flag(struct load *load, const char *flag)
{
	if (strcmp(flag, "help") == 0)
		load->help = true;
	else if (strcmp(flag, "help-markdown") == 0)
		load->markdown = true;
	else if (strcmp(flag, "version") == 0)
		load->version = true;
	else if (strcmp(flag, "check-config") == 0)
		load->check = true;
	else
		return false;
	return true;
}

/* Reads the flag argv[i], and its value argv[i + 1] if it has one. Returns the last index read. */
static int read_flag(struct load *load, int argc, char **argv, int i)
{
	const char *flag = argv[i] + 2, *equals = strchr(flag, '=');
	size_t len = equals ? (size_t)(equals - flag) : strlen(flag), index = 0;
	const struct config_option *option;

	if (plain_flag(load, flag))
		return i;
	while ((option = config_option_at(load->tables, index)) &&
	       !flag_names(flag, len, option->name))
		index++;
	if (!option)
		report(load, "unknown flag --%.*s: see --help", (int)len, flag);
	else if (equals)
		load->flags[index] = equals + 1;
	else if (option->type == CONFIG_BOOLEAN)
		load->flags[index] = "true";
	else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
		load->flags[index] = argv[++i];
	else
		report(load, "flag --%s has no value: expected --%s VALUE", flag, flag);
	return i;
}

static void read_flags(struct load *load, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2])
			i = read_flag(load, argc, argv, i);
		else
			report(load,
			       "unexpected argument \"%s\": expected --name VALUE; see --help",
			       argv[i]);
	}
}

/* The last row of a table checks whether its settings fit together. */
static void check_tables(struct load *load, const void *config)
{
	struct err err;

	for (const struct config_option *const *table = load->tables; *table; table++) {
		const struct config_option *last = *table;

		while (last->name)
			last++;
		if (last->check && !last->check((const char *)config + last->offset, &err))
			report(load, "%s", err.message);
	}
}

static enum config_result print_wanted(const struct load *load, const char *summary,
                                       const void *config)
{
	const struct config_option *option;
	char value[1024];

	if (load->help)
		config_print_help(load->tables, load->program, summary);
	else if (load->markdown)
		config_print_markdown(load->tables);
	else if (load->version)
		version_print(load->program);
	else
		for (size_t i = 0; (option = config_option_at(load->tables, i)); i++) {
			config_show(option, config, value, sizeof(value));
			printf("%s=%s\n", option->name, value);
		}
	fflush(stdout);
	return CONFIG_HELP_SHOWN;
}

enum config_result config_load(const struct config_option *const *tables, const char *program,
                               const char *summary, int argc, char **argv, void *config)
{
	struct load load = {.tables = tables, .program = program};
	const struct config_option *option;
	enum config_result result = CONFIG_BAD;
	size_t count = 0;

	while (config_option_at(tables, count))
		count++;
	load.flags = calloc(count + 1, sizeof(*load.flags));
	if (!load.flags) {
		report(&load, "out of memory");
		return CONFIG_BAD;
	}
	read_flags(&load, argc, argv);
	if (load.help || load.markdown || load.version) {
		result = load.error_count ? CONFIG_BAD : print_wanted(&load, summary, config);
		goto out;
	}
	for (size_t i = 0; (option = config_option_at(tables, i)); i++)
		load_option(&load, option, load.flags[i], config);
	if (load.error_count == 0)
		check_tables(&load, config);
	if (load.error_count == 0)
		result = load.check ? print_wanted(&load, summary, config) : CONFIG_OK;
out:
	free(load.flags);
	return result;
}
