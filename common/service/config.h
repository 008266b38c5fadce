/* Settings from the environment and from flags of the same name, by one table per service.
 *
 * KAFKA_BROKERS is also --kafka-brokers VALUE (or --kafka-brokers=VALUE); a flag wins over the environment; NAME_FILE
 * in the environment names a file whose content (one trailing line end cut) is the value. A variable that is
 * empty counts as not set. The table makes --help,
 * the README's table (--help-markdown) and the start-up log line; secrets, and the user and password of URLs, are shown as ***. All
 * errors are reported at once, each naming the setting and the value. */
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
	CONFIG_DURATION, /* int64_t in microseconds: 250ms, 5s, 10m, 1h, 7d; min and max in microseconds */
	CONFIG_BYTES,  /* int64_t: 1048576, 64k, 16m, 2g (powers of 1024) */
	CONFIG_CHOICE, /* const char *, one of choices ("a|b|c") */
};

struct config_option {
	const char *name; /* KAFKA_BROKERS */
	enum config_type type;
	size_t offset;             /* of the field in the service's config struct */
	const char *default_value; /* NULL: required; "": empty is allowed */
	int64_t min, max;          /* both 0: any */
	const char *help;          /* one line */
	const char *choices;       /* for CONFIG_CHOICE */
	/* For a text with a grammar of its own; may be NULL. Not called for an empty text. ERR_INPUT: the message says what is wrong and
	 * what was expected; it names neither the setting nor, for a secret, any part of the value. */
	bool (*check)(const char *text, struct err *err);
};

/* The end of a table: {0}. */
enum config_verdict {
	CONFIG_OK,
	CONFIG_HELP_SHOWN /* exit 0 */,
	CONFIG_BAD /* errors were printed to stderr: exit 64 */
};

/* tables: NULL-terminated array of tables, each ended by a zero row, all writing into `config`.
 * Texts live as long as the process. Unknown flags and left-over arguments are errors. */
enum config_verdict config_load(const struct config_option *const *tables, const char *program,
                                const char *summary, int argc, char **argv, void *config);

#endif
