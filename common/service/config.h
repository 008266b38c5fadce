/* Settings from the environment and from flags of the same name. Each program declares them in
 * tables.
 *
 * KAFKA_BROKERS is also --kafka-brokers VALUE or --kafka-brokers=VALUE. A flag wins over the
 * environment. NAME_FILE in the environment names a file; its content without one trailing line
 * end is the value. An empty variable counts as not set.
 *
 * The tables also give --help, the README's table (--help-markdown) and the start line of the
 * log. These show secrets, and the user and password of URLs, as ***. All errors are printed at
 * once; each names the setting and the value. */
#ifndef FUNNEL_CONFIG_H
#define FUNNEL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum config_type {
	CONFIG_TEXT,    /* const char * */
	CONFIG_SECRET,  /* const char *, never shown */
	CONFIG_URLS,    /* const char *, comma-separated; user and password are never shown */
	CONFIG_INTEGER, /* int64_t, with min and max */
	CONFIG_BOOLEAN, /* bool: true/false, yes/no, on/off, 1/0; a bare flag means true */
	/* int64_t in microseconds, as are min and max: 250ms, 5s, 10m, 1h, 7d */
	CONFIG_DURATION,
	CONFIG_BYTES,  /* int64_t: 1048576, 64k, 16m, 2g (powers of 1024) */
	CONFIG_CHOICE, /* const char *, one of choices ("a|b|c") */
};

struct config_option {
	const char *name; /* KAFKA_BROKERS */
	enum config_type type;
	size_t offset;             /* of the field in the program's config struct */
	const char *default_value; /* NULL: required; "": empty is allowed */
	int64_t min, max;          /* inclusive; both 0: no limits; max below min: no upper limit */
	const char *help;          /* one line */
	const char *choices;       /* for CONFIG_CHOICE */
	/* Checks a text that has a grammar of its own; NULL: no check. Not called for an empty
	 * text. ERR_INPUT: the message says what is wrong and what was expected. It does not name
	 * the setting, nor any part of a secret. In the last row of a table, which has no name:
	 * checks whether settings fit together when each of them is valid. It gets the address of
	 * `offset` in the config struct, and its message names the settings. */
	bool (*check)(const char *text, struct err *err);
};

enum config_result {
	CONFIG_OK,
	CONFIG_HELP_SHOWN, /* --help and the like were printed to stdout: exit 0 */
	CONFIG_BAD,        /* errors were printed to stderr: exit 64 */
};

/* Fills `config`. tables: a NULL-terminated array of tables; a table ends with a row that has
 * no name.
 * Texts live as long as the process. Unknown flags and left-over arguments are errors. */
enum config_result config_load(const struct config_option *const *tables, const char *program,
                               const char *summary, int argc, char **argv, void *config);

#endif
