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

#include "base/number.h"
#include "base/span.h"
#include "base/timetext.h"
#include "service/version.h"

#define COLUMNS 100
#define DEFAULT_COLUMN_MAX 20
#define FILE_BYTES_MAX 65536
#define SIZE_DIGITS_MAX    23 /* of a size without its unit; int64_t needs 19 */

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
} *file_texts;

static const struct config_option *option_at(const struct config_option *const *tables, size_t index)
{
	for (; *tables; tables++)
		for (const struct config_option *option = *tables; option->name; option++)
			if (index-- == 0)
				return option;
	return NULL;
}

__attribute__((format(printf, 2, 3))) static void complain(struct load *load, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", load->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	load->error_count++;
}

static void bytes_format(int64_t bytes, char out[32])
{
	static const char units[] = "kmg";
	char unit[2] = "";

	for (int i = 0; i < 3 && bytes && bytes % 1024 == 0; i++) {
		bytes /= 1024;
		unit[0] = units[i];
	}
	snprintf(out, 32, "%lld%s", (long long)bytes, unit);
}

static void number_format(const struct config_option *option, int64_t number, char out[32])
{
	if (option->type == CONFIG_DURATION)
		duration_format(number, out);
	else if (option->type == CONFIG_BYTES)
		bytes_format(number, out);
	else
		snprintf(out, 32, "%lld", (long long)number);
}

/* Ends of URLs in a list: a comma before a scheme. Any other comma may be part of a password. */
static size_t url_len(const char *text)
{
	size_t len = 0;

	while (text[len] && !(text[len] == ',' && strncasecmp(text + len + 1, "http", 4) == 0))
		len++;
	return len;
}

/* Puts three stars in place of what stands before the last @ of a URL, since a password may hold an @ by mistake. */
static void urls_mask(const char *text, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	while (*text && used < cap) {
		size_t len = url_len(text), scheme = 0, host;
		const char *slashes = strstr(text, "://");

		for (host = len; host > 0 && text[host - 1] != '@'; host--)
			;
		if (host > 0 && slashes && slashes < text + host)
			scheme = (size_t)(slashes + 3 - text);
		used += (size_t)snprintf(out + used, cap - used, "%.*s%s%.*s%s", (int)scheme, text, host ? "***@" : "", (int)(len - host),
		                         text + host, text[len] ? "," : "");
		text += len + (text[len] == ',');
	}
}

static bool is_number(const struct config_option *option)
{
	return option->type == CONFIG_INTEGER || option->type == CONFIG_DURATION || option->type == CONFIG_BYTES;
}

/* "1s to 10m", "at least 1", or "" where there is no limit. A max of 0 over a min above it is no limit. */
static void range_format(const struct config_option *option, char *out, size_t cap)
{
	char low[32], high[32];

	out[0] = '\0';
	if (!is_number(option) || (option->min == 0 && option->max == 0))
		return;
	number_format(option, option->min, low);
	number_format(option, option->max, high);
	if (option->max == INT64_MAX || option->max < option->min)
		snprintf(out, cap, "at least %s", low);
	else
		snprintf(out, cap, "%s to %s", low, high);
}

static const char *expected(const struct config_option *option)
{
	switch (option->type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_URLS: return "a text that is not empty";
	case CONFIG_INTEGER: return "a whole number";
	case CONFIG_BOOLEAN: return "true or false";
	case CONFIG_DURATION: return "a duration such as 250ms, 5s, 10m, 1h or 7d";
	case CONFIG_BYTES: return "a size such as 1048576, 64k, 16m or 2g";
	case CONFIG_CHOICE: return "one of";
	}
	return "";
}

/* A value without what must not be shown. */
static void text_show(const struct config_option *option, const char *value, char *out, size_t cap)
{
	if (option->type == CONFIG_URLS)
		urls_mask(value, out, cap);
	else
		snprintf(out, cap, "%s", option->type == CONFIG_SECRET && *value ? "***" : value);
}

static void complain_value(struct load *load, const struct config_option *option, const char *value)
{
	char range[96], shown[1024];

	range_format(option, range, sizeof(range));
	text_show(option, value, shown, sizeof(shown));
	complain(load, "%s: \"%s\" is not good; expected %s%s%s%s%s%s", option->name, shown, expected(option), range[0] ? " (" : "", range,
	         range[0] ? ")" : "", option->type == CONFIG_CHOICE ? " " : "", option->type == CONFIG_CHOICE ? option->choices : "");
}

static void complain_check(struct load *load, const struct config_option *option, const char *value, const struct err *err)
{
	char shown[1024];

	text_show(option, value, shown, sizeof(shown));
	complain(load, "%s: \"%s\" is not good: %s", option->name, shown, err->message);
}

static bool bytes_parse(const char *text, int64_t *bytes)
{
	static const char units[] = "kmg";
	size_t len = strlen(text);
	const char *unit = len ? strchr(units, tolower((unsigned char)text[len - 1])) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;

	if (unit)
		len--;
	if (len > SIZE_DIGITS_MAX || !number_parse_signed((struct span){text, len}, bytes) ||
	    *bytes < 0 || *bytes > INT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

static bool boolean_parse(const char *text, bool *value)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return true;
		}
	return false;
}

static bool choice_matches(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = choices; len && at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
		if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0') && !strchr(value, '|'))
			return true;
	return false;
}

static bool number_value(const struct config_option *option, const char *value, int64_t *number)
{
	bool good = option->type == CONFIG_DURATION ? duration_parse(span_of(value), number)
	            : option->type == CONFIG_BYTES  ? bytes_parse(value, number)
	                                            : number_parse(value, number);

	if (good && (option->min || option->max))
		good = *number >= option->min && (*number <= option->max || option->max < option->min);
	return good;
}

static bool text_is_good(const struct config_option *option, const char *value)
{
	if (option->type == CONFIG_CHOICE)
		return choice_matches(option->choices, value);
	return *value || (option->default_value && !*option->default_value);
}

static void store(struct load *load, const struct config_option *option, const char *value, void *config)
{
	char *field = (char *)config + option->offset;
	int64_t number = 0;
	struct err err = {.class = ERR_NONE};
	bool truth = false, good;

	if (is_number(option)) {
		good = number_value(option, value, &number);
		memcpy(field, &number, sizeof(number));
	} else if (option->type == CONFIG_BOOLEAN) {
		good = boolean_parse(value, &truth);
		memcpy(field, &truth, sizeof(truth));
	} else {
		good = text_is_good(option, value);
		memcpy(field, &value, sizeof(value));
	}
	if (!good)
		complain_value(load, option, value);
	else if (option->check && *value && !option->check(value, &err))
		complain_check(load, option, value, &err);
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
static const char *read_value_file(struct load *load, const struct config_option *option, const char *path)
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
		complain(load, "%s_FILE: cannot read \"%s\": %s", option->name, path, strerror(why));
	else if (len > FILE_BYTES_MAX || memchr(content, '\0', len))
		complain(load, "%s_FILE: \"%s\" is not good; expected a text file of at most %d bytes", option->name, path, FILE_BYTES_MAX);
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

static void load_option(struct load *load, const struct config_option *option, const char *flag, void *config)
{
	char file_name[128];
	const char *value = flag, *path = NULL;

	snprintf(file_name, sizeof(file_name), "%s_FILE", option->name);
	if (!value) {
		value = environment(option->name);
		path = environment(file_name);
	}
	if (value && path) {
		complain(load, "%s and %s are both set; expected one of them", option->name, file_name);
		return;
	}
	if (path) {
		value = read_value_file(load, option, path);
		if (!value)
			return;
	}
	if (!value)
		value = option->default_value;
	if (value)
		store(load, option, value, config);
	else
		complain(load, "%s: not set; expected %s (%s)", option->name, expected(option), option->help);
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
	while ((option = option_at(load->tables, index)) && !flag_names(flag, len, option->name))
		index++;
	if (!option)
		complain(load, "--%.*s: no such flag; see --help", (int)len, flag);
	else if (equals)
		load->flags[index] = equals + 1;
	else if (option->type == CONFIG_BOOLEAN)
		load->flags[index] = "true";
	else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
		load->flags[index] = argv[++i];
	else
		complain(load, "--%s: expected a value", flag);
	return i;
}

static void read_flags(struct load *load, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2])
			i = read_flag(load, argc, argv, i);
		else
			complain(load, "\"%s\": not expected here; settings are given as --name value, see --help", argv[i]);
	}
}

/* "...", then what a valid value is where the help text alone would not say. */
static void meaning(const struct config_option *option, bool with_default, char *out, size_t cap)
{
	char range[96];
	size_t len = (size_t)snprintf(out, cap, "%s", option->help);

	range_format(option, range, sizeof(range));
	if (len < cap && option->type == CONFIG_CHOICE)
		len += (size_t)snprintf(out + len, cap - len, "; one of %s", option->choices);
	if (len < cap && range[0])
		len += (size_t)snprintf(out + len, cap - len, "; %s", range);
	if (len < cap && with_default)
		snprintf(out + len, cap - len, "; default: %s", option->default_value);
}

static const char *default_shown(const struct config_option *option)
{
	return !option->default_value ? "(required)" : *option->default_value ? option->default_value : "-";
}

/* Words of text in the columns from indent to COLUMNS; the cursor stands at indent. */
static void print_wrapped(const char *text, int indent)
{
	int column = indent;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column > indent && column + 1 + len > COLUMNS) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", len, text);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_option(const struct config_option *option, int name_width, int default_width)
{
	char text[1024];
	const char *shown = default_shown(option);
	bool too_long = strlen(shown) > (size_t)default_width;

	meaning(option, too_long, text, sizeof(text));
	printf("  %-*s  %-*s  ", name_width, option->name, default_width, too_long ? "(long)" : shown);
	print_wrapped(text, 2 + name_width + 2 + default_width + 2);
}

static void print_help(const struct load *load, const char *summary)
{
	const struct config_option *option;
	int name_width = 0, default_width = 10;

	for (size_t i = 0; (option = option_at(load->tables, i)); i++) {
		int name_len = (int)strlen(option->name), default_len = (int)strlen(default_shown(option));

		name_width = name_len > name_width ? name_len : name_width;
		if (default_len <= DEFAULT_COLUMN_MAX && default_len > default_width)
			default_width = default_len;
	}
	printf("%s: ", load->program);
	print_wrapped(summary, (int)strlen(load->program) + 2);
	printf("\nUsage: %s [--setting value]...\n\n"
	       "Each setting is an environment variable or a flag: SOME_NAME is also --some-name VALUE. A flag wins.\n"
	       "SOME_NAME_FILE names a file that holds the value of SOME_NAME.\n\nSettings:\n  %-*s  %-*s  %s\n",
	       load->program, name_width, "name", default_width, "default", "meaning");
	for (const struct config_option *const *table = load->tables; *table; table++) {
		putchar('\n');
		for (option = *table; option->name; option++)
			print_option(option, name_width, default_width);
	}
	printf("\nOther flags:\n"
	       "  --help           this text\n"
	       "  --help-markdown  the table of settings in Markdown\n"
	       "  --check-config   read and check the settings, then leave\n"
	       "  --version        the version, the commit, and the version of librdkafka\n"
	       "\nExit codes:\n"
	       "  0   finished, or stopped when asked to\n"
	       "  64  wrong settings; all are named\n"
	       "  70  a fault in the program or its libraries\n"
	       "  75  try again: something it needs is away, or another instance took over\n"
	       "  78  refuses to go on until an operator acts; the message says how\n");
}

static void print_cell(const char *text)
{
	for (; *text; text++)
		printf(*text == '|' ? "\\|" : "%c", *text);
}

static void print_markdown(const struct config_option *const *tables)
{
	const struct config_option *option;
	char text[1024];

	printf("| Setting | Default | Meaning |\n|---|---|---|\n");
	for (size_t i = 0; (option = option_at(tables, i)); i++) {
		printf("| `%s` | ", option->name);
		if (!option->default_value)
			printf("required");
		else if (*option->default_value) {
			putchar('`');
			print_cell(option->default_value);
			putchar('`');
		}
		printf(" | ");
		meaning(option, false, text, sizeof(text));
		print_cell(text);
		printf(" |\n");
	}
}

static void value_format(const struct config_option *option, const void *config, char *out, size_t cap)
{
	const char *field = (const char *)config + option->offset, *text = NULL;
	int64_t number = 0;
	bool truth = false;

	if (is_number(option)) {
		memcpy(&number, field, sizeof(number));
		number_format(option, number, out);
	} else if (option->type == CONFIG_BOOLEAN) {
		memcpy(&truth, field, sizeof(truth));
		snprintf(out, cap, "%s", truth ? "true" : "false");
	} else {
		memcpy(&text, field, sizeof(text));
		text_show(option, text ? text : "", out, cap);
	}
}

static bool looks_like_a_number(const char *value)
{
	const char *at = value + (*value == '-');

	at += strspn(at, "0123456789");
	at += *at == '.';
	at += strspn(at, "0123456789");
	return !*at || strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

/* Quoted where a reader of key=value could not tell where the value ends, or would take a text for a number. */
static void append_value(const struct config_option *option, const char *value, char *out, size_t cap, size_t *len)
{
	bool is_text = option->type != CONFIG_INTEGER && option->type != CONFIG_BOOLEAN;
	bool quote = strpbrk(value, " \"\\\t\r\n") || (is_text && looks_like_a_number(value));

	if (quote && *len + 1 < cap)
		out[(*len)++] = '"';
	for (; *value && *len + 3 < cap; value++) {
		if (*value == '"' || *value == '\\')
			out[(*len)++] = '\\';
		out[(*len)++] = iscntrl((unsigned char)*value) ? ' ' : *value;
	}
	if (quote && *len + 1 < cap)
		out[(*len)++] = '"';
}

void config_describe(const struct config_option *const *tables, const void *config, char *out, size_t cap)
{
	const struct config_option *option;
	size_t len = 0;

	if (cap == 0)
		return;
	for (size_t i = 0; (option = option_at(tables, i)); i++) {
		char value[1024];
		size_t need = strlen(option->name) + 2;

		if (len + need >= cap)
			break;
		len += (size_t)snprintf(out + len, cap - len, "%s%s=", i ? " " : "", option->name);
		value_format(option, config, value, sizeof(value));
		append_value(option, value, out, cap, &len);
	}
	out[len] = '\0';
}

static enum config_verdict config_shown(const struct load *load, const char *summary, const void *config)
{
	const struct config_option *option;
	char value[1024];

	if (load->help)
		print_help(load, summary);
	else if (load->markdown)
		print_markdown(load->tables);
	else if (load->version)
		version_print(load->program);
	else
		for (size_t i = 0; (option = option_at(load->tables, i)); i++) {
			value_format(option, config, value, sizeof(value));
			printf("%s=%s\n", option->name, value);
		}
	fflush(stdout);
	return CONFIG_HELP_SHOWN;
}

enum config_verdict config_load(const struct config_option *const *tables, const char *program, const char *summary, int argc, char **argv,
                                void *config)
{
	struct load load = {.tables = tables, .program = program};
	const struct config_option *option;
	enum config_verdict verdict = CONFIG_BAD;
	size_t count = 0;

	while (option_at(tables, count))
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
	for (size_t i = 0; (option = option_at(tables, i)); i++)
		load_option(&load, option, load.flags[i], config);
	if (load.error_count == 0)
		verdict = load.check ? config_shown(&load, summary, config) : CONFIG_OK;
out:
	free(load.flags);
	return verdict;
}
