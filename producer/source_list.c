/* Checks names and the shape only. The process of an entry checks the values when it reads them as
 * settings. An entry that does not end must be the last one: entries after it would never run. */
#include "source_list.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_stream.h"

void source_list_fini(struct source_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct source_entry *entry = &list->entries[i];

		for (size_t j = 0; j < entry->setting_count; j++) {
			free(entry->settings[j].name);
			free(entry->settings[j].value);
		}
		free(entry->settings);
		free(entry->name);
	}
	free(list->entries);
	*list = (struct source_list){0};
}

const struct source_entry *source_list_find(const struct source_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->entries[i].name, name) == 0)
			return &list->entries[i];
	return NULL;
}

const char *source_entry_value(const struct source_entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->setting_count; i++)
		if (strcmp(entry->settings[i].name, name) == 0)
			return entry->settings[i].value;
	return NULL;
}

/* ---- reading an entry */

static char *setting_name(const char *key)
{
	char *name = strdup(key);

	for (char *at = name; at && *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	return name;
}

static char *value_text(const json_t *value)
{
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_null(value) || json_is_array(value))
		return NULL;
	return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

static bool is_setting(const struct config_option *const *tables, const char *name)
{
	if (strcmp(name, "SOURCES") == 0 || strcmp(name, "ONLY") == 0)
		return false;
	for (; *tables; tables++)
		for (const struct config_option *option = *tables; option->name; option++)
			if (strcmp(option->name, name) == 0)
				return true;
	return false;
}

static bool take_setting(struct source_entry *entry, const char *key, const json_t *value,
                         const struct config_option *const *tables, struct err *err)
{
	struct source_setting *setting = &entry->settings[entry->setting_count];

	if (strcmp(key, "name") == 0 || strcmp(key, "sha256") == 0)
		return true;
	setting->name = setting_name(key);
	setting->value = value_text(value);
	entry->setting_count++;
	if (!setting->name || !is_setting(tables, setting->name))
		return err_set(err, ERR_INPUT,
		               "\"%.100s\" is not a setting of an input; producer --help lists "
		               "them",
		               key);
	return setting->value ||
	       err_set(err, ERR_INPUT,
	               "%.100s: expected a text, a number, true, false or an object", key);
}

/* The checksum becomes the fragment of the URL. */
static bool take_checksum(struct source_entry *entry, const char *sha256, struct err *err)
{
	for (size_t i = 0; i < entry->setting_count; i++) {
		struct source_setting *setting = &entry->settings[i];
		size_t cap = strlen(setting->value) + strlen(sha256) + 16;
		char *url;

		if (strcmp(setting->name, "INPUT") != 0 || !http_is_url(setting->value))
			continue;
		url = malloc(cap);
		if (!url)
			return err_set(err, ERR_FATAL, "out of memory");
		snprintf(url, cap, "%s#sha256=%s", setting->value, sha256);
		free(setting->value);
		setting->value = url;
		return true;
	}
	return err_set(err, ERR_INPUT, "sha256 needs an input that is an http or https URL");
}

static bool take_entry(struct source_list *list, json_t *object,
                       const struct config_option *const *tables, struct err *err)
{
	struct source_entry *entry = &list->entries[list->count];
	const char *name = json_string_value(json_object_get(object, "name")), *key;
	const json_t *sha256 = json_object_get(object, "sha256");
	json_t *value;

	if (!name || !*name)
		return err_set(err, ERR_INPUT, "expected an object with a name");
	if (source_list_find(list, name))
		return err_set(err, ERR_INPUT, "the name \"%.100s\" occurs twice", name);
	list->count++;
	entry->name = strdup(name);
	entry->settings = calloc(json_object_size(object), sizeof(*entry->settings));
	if (!entry->name || !entry->settings)
		return err_set(err, ERR_FATAL, "out of memory");
	json_object_foreach(object, key,
	                    value) if (!take_setting(entry, key, value, tables, err)) return false;
	if (sha256 && !json_is_string(sha256))
		return err_set(err, ERR_INPUT, "sha256: expected a text");
	return !sha256 || take_checksum(entry, json_string_value(sha256), err);
}

/* ---- reading the list */

static bool ends(const struct source_entry *entry)
{
	const char *source = source_entry_value(entry, "SOURCE"),
		   *polls = source_entry_value(entry, "POLLS"),
		   *loop = source_entry_value(entry, "LOOP");

	if (source && strcmp(source, "fakestore") == 0 && (!polls || strcmp(polls, "0") == 0))
		return false;
	return !loop || strcmp(loop, "forever") != 0;
}

static bool take_list(struct source_list *list, const json_t *array,
                      const struct config_option *const *tables, struct err *err)
{
	size_t count = json_array_size(array);

	if (count == 0)
		return err_set(err, ERR_INPUT, "expected a JSON array with at least one input");
	list->entries = calloc(count, sizeof(*list->entries));
	if (!list->entries)
		return err_set(err, ERR_FATAL, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (!take_entry(list, json_array_get(array, i), tables, err))
			return err_prefix(err, "entry %zu", i + 1);
	for (size_t i = 0; i + 1 < count; i++)
		if (!ends(&list->entries[i]))
			return err_set(
				err, ERR_INPUT,
				"entry %zu (%.100s) does not end, so the entries after it "
				"would never run; move it to the end of the list, or give it "
				"a number of polls",
				i + 1, list->entries[i].name);
	return true;
}

bool source_list_read(struct source_list *list, const char *path,
                      const struct config_option *const *tables, struct err *err)
{
	json_error_t why;
	json_t *array = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	bool good;

	if (!array)
		return err_set(err, ERR_INPUT, "SOURCES=%s: %s (line %d)", path, why.text,
		               why.line);
	good = take_list(list, array, tables, err) || err_prefix(err, "SOURCES=%s", path);
	json_decref(array);
	if (!good)
		source_list_fini(list);
	return good;
}
