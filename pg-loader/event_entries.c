/* The key of an entry has all its bytes, so two entries are the same only if all of their values
 * are:
 *
 *   label:   category_id i64 | length of category_code i32 (-1: none) | of brand i32 | both texts
 *   source:  raw_partition i32 | length of file i32 (-1: none) | text
 *
 * Numbers have the byte order of this machine. The id is what the interner attaches to a key.
 *
 * Rejected: evicting the oldest entries. Real catalogues have about 10,000 labels, so only bad data
 * fills the cache. The database then still finds each entry by its index. */
#include "event_entries.h"

#include <string.h>

#include "event/event.h"
#include "wire/avro_io.h"

#define LABEL_HEAD  16
#define SOURCE_HEAD 8
#define KEY_MAX     (LABEL_HEAD + 2 * AVRO_TEXT_MAX)

void entries_free(struct entries *entries)
{
	interner_free(&entries->keys);
	*entries = (struct entries){0};
}

void entries_trim(struct entries *entries)
{
	if (entries->keys.count <= ENTRIES_MAX && entries->bytes <= ENTRIES_BYTES_MAX)
		return;
	interner_clear(&entries->keys);
	entries->bytes = 0;
}

static size_t put_text(char *key, size_t head, size_t len, struct span text)
{
	int32_t text_len = text.at ? (int32_t)text.len : -1;

	memcpy(key + head, &text_len, sizeof(text_len));
	if (text.len > 0)
		memcpy(key + len, text.at, text.len);
	return len + text.len;
}

static struct span take_text(const char *key, size_t head, const char **at)
{
	struct span text = SPAN_NULL;
	int32_t len;

	memcpy(&len, key + head, sizeof(len));
	if (len >= 0)
		text = (struct span){*at, (size_t)len};
	*at += text.len;
	return text;
}

static uint32_t put(struct entries *entries, const char *key, size_t len)
{
	uint32_t before = entries->keys.count;
	uint32_t number = interner_put(&entries->keys, (struct span){key, len}, 0, INT64_MIN);

	if (number == before)
		entries->bytes += len;
	return number;
}

uint32_t entries_put_label(struct entries *labels, const struct event_label *label)
{
	char key[KEY_MAX];
	size_t len;

	memcpy(key, &label->category_id, 8);
	len = put_text(key, 8, LABEL_HEAD, label->category_code);
	return put(labels, key, put_text(key, 12, len, label->brand));
}

uint32_t entries_put_source(struct entries *sources, const struct event_source *source)
{
	char key[KEY_MAX];

	memcpy(key, &source->raw_partition, 4);
	return put(sources, key, put_text(key, 4, SOURCE_HEAD, source->file));
}

struct event_label entries_label(const struct entries *labels, uint32_t number)
{
	const char *key = interner_text(&labels->keys, number).at, *at = key + LABEL_HEAD;
	struct event_label label;

	memcpy(&label.category_id, key, sizeof(label.category_id));
	label.category_code = take_text(key, 8, &at);
	label.brand = take_text(key, 12, &at);
	return label;
}

struct event_source entries_source(const struct entries *sources, uint32_t number)
{
	const char *key = interner_text(&sources->keys, number).at, *at = key + SOURCE_HEAD;
	struct event_source source;

	memcpy(&source.raw_partition, key, sizeof(source.raw_partition));
	source.file = take_text(key, 4, &at);
	return source;
}

bool entries_id(const struct entries *entries, uint32_t number, int32_t *id)
{
	uint32_t attached = entries->keys.at[number].attached;

	*id = (int32_t)attached;
	return attached != INTERNED_NONE;
}

void entries_set_id(struct entries *entries, uint32_t number, int32_t id)
{
	entries->keys.at[number].attached = (uint32_t)id;
}

void entries_forget_ids(struct entries *entries)
{
	for (uint32_t i = 0; i < entries->keys.count; i++)
		entries->keys.at[i].attached = INTERNED_NONE;
}
