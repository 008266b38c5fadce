#include "service/config_help.h"

#include <stdio.h>
#include <string.h>

#include "service/config_value.h"

#define COLUMNS            100
#define DEFAULT_COLUMN_MAX 20

/* The help text, followed by the choices, the range and the default. */
static void meaning(const struct config_option *option, bool with_default, char *out, size_t cap)
{
	char range[96];
	size_t len = (size_t)snprintf(out, cap, "%s", option->help);

	config_range(option, range, sizeof(range));
	if (len < cap && option->type == CONFIG_CHOICE)
		len += (size_t)snprintf(out + len, cap - len, "; one of %s", option->choices);
	if (len < cap && range[0])
		len += (size_t)snprintf(out + len, cap - len, "; %s", range);
	if (len < cap && with_default)
		snprintf(out + len, cap - len, "; default: %s", option->default_value);
}

static const char *default_shown(const struct config_option *option)
{
	return !option->default_value   ? "(required)"
	       : *option->default_value ? option->default_value
	                                : "-";
}

/* Wraps the text between the columns indent and COLUMNS. The cursor stands at indent. */
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
	printf("  %-*s  %-*s  ", name_width, option->name, default_width,
	       too_long ? "(long)" : shown);
	print_wrapped(text, 2 + name_width + 2 + default_width + 2);
}

void config_print_help(const struct config_option *const *tables, const char *program,
                       const char *summary)
{
	const struct config_option *option;
	int name_width = 0, default_width = 10;

	for (size_t i = 0; (option = config_option_at(tables, i)); i++) {
		int name_len = (int)strlen(option->name),
		    default_len = (int)strlen(default_shown(option));

		name_width = name_len > name_width ? name_len : name_width;
		if (default_len <= DEFAULT_COLUMN_MAX && default_len > default_width)
			default_width = default_len;
	}
	printf("%s: ", program);
	print_wrapped(summary, (int)strlen(program) + 2);
	printf("\nUsage: %s [--setting value]...\n\n"
	       "Each setting is an environment variable or a flag: SOME_NAME is also "
	       "--some-name VALUE.\n"
	       "A flag wins over the environment. The variable SOME_NAME_FILE names a file that\n"
	       "contains the value of SOME_NAME.\n"
	       "\nSettings:\n  %-*s  %-*s  %s\n",
	       program, name_width, "name", default_width, "default", "meaning");
	for (const struct config_option *const *table = tables; *table; table++) {
		putchar('\n');
		for (option = *table; option->name; option++)
			print_option(option, name_width, default_width);
	}
	printf("\nOther flags:\n"
	       "  --help           print this text\n"
	       "  --help-markdown  print the table of settings in Markdown\n"
	       "  --check-config   check the settings, print them and exit\n"
	       "  --version        print the version, the commit, and the version of librdkafka\n"
	       "\nExit codes:\n"
	       "  0   finished, or stopped by a signal\n"
	       "  64  invalid settings; the messages name all of them\n"
	       "  70  internal error of the program or a library\n"
	       "  75  temporary failure (a server is away, or another instance took over):\n"
	       "      start again\n"
	       "  78  needs an operator; the message says what to do\n");
}

static void print_cell(const char *text)
{
	for (; *text; text++)
		printf(*text == '|' ? "\\|" : "%c", *text);
}

void config_print_markdown(const struct config_option *const *tables)
{
	const struct config_option *option;
	char text[1024];

	printf("| Setting | Default | Meaning |\n|---|---|---|\n");
	for (size_t i = 0; (option = config_option_at(tables, i)); i++) {
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
