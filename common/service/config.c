/* One walk over the flags, then one over the table: flag, environment, file or default, parsed by type.
 *
 * An environment variable that is set but empty counts as not set, since deployment files pass empty ones along;
 * an empty flag is a value, and an error where the default is not empty. Defaults go through the same parser.
 * Rejected: getopt_long (its table would be a second one, and it stops at the first error).
 * Limits: a file of at most 64 KiB; a flag given twice, the last one counts. */
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

/* What came from files; kept for the life of the process, and reachable for leak checkers. */
static struct file_text {
	struct file_text *next;
	char text[];
} * file_texts;

__attribute__((format(printf, 2, 3))) static void complain(struct load *load, const char *format,
                                                           ...)
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

/* NULL: a complaint was made. */
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
		complain(load, "cannot read \"%s\" for %s_FILE: %s", path, option->name,
		         strerror(why));
	else if (len > FILE_BYTES_MAX || memchr(content, '\0', len))
		complain(
			load,
			"invalid file \"%s\" for %s_FILE: expected a text file of at most %d bytes",
			path, option->name, FILE_BYTES_MAX);
	else {
		if (len && content[len - 1] == '\n')
			len--;
		if (len && content[len - 1] == '\r')
			len--;
		text = keep_file_text(content, len);
		if (!text)
			complain(load, "%s_FILE: out of memory", option->name);
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
		complain(load, "%s and %s are both set; expected one of them", option->name,
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
		complain(load, "%s", why);
	else if (!value)
		complain(load, "%s is not set: expected %s (%s)", option->name,
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

/* Takes argv[i] and, where it is the flag's value, the one after; returns the last index taken. */
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
		complain(load, "unknown flag --%.*s; see --help", (int)len, flag);
	else if (equals)
		load->flags[index] = equals + 1;
	else if (option->type == CONFIG_BOOLEAN)
		load->flags[index] = "true";
	else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
		load->flags[index] = argv[++i];
	else
		complain(load, "flag --%s has no value", flag);
	return i;
}

static void read_flags(struct load *load, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2])
			i = read_flag(load, argc, argv, i);
		else
			complain(
				load,
				"unexpected argument \"%s\": settings are given as --name value; see --help",
				argv[i]);
	}
}

static enum config_verdict config_shown(const struct load *load, const char *summary,
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

enum config_verdict config_load(const struct config_option *const *tables, const char *program,
                                const char *summary, int argc, char **argv, void *config)
{
	struct load load = {.tables = tables, .program = program};
	const struct config_option *option;
	enum config_verdict verdict = CONFIG_BAD;
	size_t count = 0;

	while (config_option_at(tables, count))
		count++;
	load.flags = calloc(count + 1, sizeof(*load.flags));
	if (!load.flags) {
		complain(&load, "out of memory");
		return CONFIG_BAD;
	}
	read_flags(&load, argc, argv);
	if (load.help || load.markdown || load.version) {
		verdict = load.error_count ? CONFIG_BAD : config_shown(&load, summary, config);
		goto out;
	}
	for (size_t i = 0; (option = config_option_at(tables, i)); i++)
		load_option(&load, option, load.flags[i], config);
	if (load.error_count == 0)
		verdict = load.check ? config_shown(&load, summary, config) : CONFIG_OK;
out:
	free(load.flags);
	return verdict;
}
