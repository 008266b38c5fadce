/* A list of inputs in a JSON file: an array of objects. Each has a name, and settings of the
 * producer by their names, in any case and with - for _:
 *
 *   [{"name": "october", "input": "https://host/2019-Oct.csv.gz", "sha256": "9f86…"},
 *    {"name": "shop", "source": "fakestore", "url": "https://host/products", "polls": 10}]
 *
 * sha256 is the checksum of an input that is a URL. An object as a value (a mapping) is passed as
 * its JSON text. */
#ifndef FUNNEL_SOURCE_LIST_H
#define FUNNEL_SOURCE_LIST_H

#include <stddef.h>

#include "base/err.h"
#include "service/config.h"

struct source_setting {
	char *name, *value; /* name as in the environment */
};

struct source_entry {
	char *name;
	struct source_setting *settings;
	size_t setting_count;
};

struct source_list {
	struct source_entry *entries;
	size_t count;
};

/* tables: the settings that an entry may have. list: zeroed. ERR_INPUT: the message names the file,
 * and the entry. */
MUST_USE bool source_list_read(struct source_list *list, const char *path,
                               const struct config_option *const *tables, struct err *err);
void source_list_fini(struct source_list *list);

/* NULL: there is none. */
const struct source_entry *source_list_find(const struct source_list *list, const char *name);
/* NULL: the entry does not have it. */
const char *source_entry_value(const struct source_entry *entry, const char *name);

#endif
