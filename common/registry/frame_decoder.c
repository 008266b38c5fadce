/* Two small direct-mapped caches hold the ids looked up before: one for accepted ids, one for
 * refused ids. So a refused id cannot evict an accepted one. Two ids of the same kind that share
 * a bucket evict each other; that costs requests, nothing else.
 *
 * Anybody who may write to the topic can invent ids, and each would cost a request. Above
 * FRAME_LOOKUPS_PER_SECOND the decoder asks the registry once a second for the ids of the topic's
 * subject. It refuses any other id as unknown without a request. Ids of the subject are always
 * found, so a flood neither delays nor loses events of the topic's own writers.
 *
 * Limits: the meaning of an id never changes in a registry that keeps its data, so it is cached
 * forever. "Unknown" is cached for a second, because an id may be new. During a flood, ids
 * registered only under other subjects are unknown. */
#include "registry/frame_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "wire/avro_resolver.h"
#include "wire/frame.h"
#include "wire/registry_messages.h"

#define BUCKETS            256
#define UNKNOWN_ID_KEPT_MS 1000
#define SECOND_MS          1000
#define FOREVER            INT64_MAX

struct cached_id {
	int64_t kept_until_ms;            /* 0: an empty bucket */
	struct schema_resolver *resolver; /* NULL: the body has our own schema already */
	enum reason reason;               /* REASON_NONE: accepted */
	int32_t id;
	char detail[200];
};

struct frame_decoder {
	struct registry *registry;
	const char *topic_prefix;
	enum schema_kind kind;
	struct buffer body;
	struct cached_id accepted[BUCKETS], refused[BUCKETS];
	int64_t second_ms;         /* start of the second that `lookups` counts */
	int lookups;               /* of new ids in that second */
	int64_t subject_loaded_ms; /* when subject_ids were loaded; 0: never */
	int32_t subject_ids[REGISTRY_VERSIONS_MAX];
	size_t subject_id_count;
};

struct frame_decoder *frame_decoder_new(struct registry *registry, const char *topic_prefix,
                                        enum schema_kind kind)
{
	struct frame_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder) {
		fputs("event=out_of_memory reason=frame_decoder\n", stderr);
		abort();
	}
	decoder->registry = registry;
	decoder->topic_prefix = topic_prefix;
	decoder->kind = kind;
	return decoder;
}

void frame_decoder_free(struct frame_decoder *decoder)
{
	if (!decoder)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		schema_resolver_free(decoder->accepted[i].resolver);
	buffer_free(&decoder->body);
	free(decoder);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_json_schema(struct cached_id *entry, struct span text, bool is_json_schema,
                              const char *title)
{
	if (is_json_schema && json_schema_title_is(text, title))
		return;
	entry->reason = REASON_WRONG_SCHEMA;
	snprintf(entry->detail, sizeof(entry->detail), "schema id %d is not the JSON Schema %s",
	         (int)entry->id, title);
}

static void resolve_avro(struct cached_id *entry, struct span text, bool is_json_schema,
                         enum schema_kind kind)
{
	struct err err = {ERR_NONE, "wrong schema: not Avro"};

	entry->resolver = is_json_schema ? NULL : schema_resolver_new(text, kind, &err);
	if (!entry->resolver) {
		entry->reason = REASON_WRONG_SCHEMA;
		snprintf(entry->detail, sizeof(entry->detail), "schema id %d: %.160s",
		         (int)entry->id, err.message);
	} else if (schema_resolver_is_identity(entry->resolver)) {
		schema_resolver_free(entry->resolver);
		entry->resolver = NULL;
	}
}

/* Fills the entry from the registry. False: the registry did not answer. */
static bool look_up(struct frame_decoder *decoder, struct cached_id *entry, int32_t id,
                    struct err *err)
{
	struct span text;
	bool is_json_schema;

	*entry = (struct cached_id){.id = id, .kept_until_ms = FOREVER};
	switch (registry_schema(decoder->registry, id, &text, &is_json_schema, err)) {
	case REGISTRY_FAILED: return false;
	case REGISTRY_UNKNOWN_ID:
		entry->reason = REASON_UNKNOWN_SCHEMA_ID;
		snprintf(entry->detail, sizeof(entry->detail), "schema id %d", (int)id);
		entry->kept_until_ms = now_ms() + UNKNOWN_ID_KEPT_MS;
		return true;
	case REGISTRY_FOUND: break;
	}
	if (schema_texts[decoder->kind].is_json_schema)
		check_json_schema(entry, text, is_json_schema,
		                  schema_texts[decoder->kind].record_name);
	else
		resolve_avro(entry, text, is_json_schema, decoder->kind);
	return true;
}

/* Counts a look-up; false: the limit of this second is reached. */
static bool count_lookup(struct frame_decoder *decoder)
{
	int64_t time_ms = now_ms();

	if (time_ms - decoder->second_ms >= SECOND_MS) {
		decoder->second_ms = time_ms;
		decoder->lookups = 0;
	}
	return decoder->lookups++ < FRAME_LOOKUPS_PER_SECOND;
}

/* *is: the topic's own subject has the id. That information is at most a second old. */
static bool is_of_subject(struct frame_decoder *decoder, int32_t id, bool *is, struct err *err)
{
	int64_t time_ms = now_ms();

	if (!decoder->subject_loaded_ms || time_ms - decoder->subject_loaded_ms >= SECOND_MS) {
		if (!registry_subject_ids(decoder->registry, decoder->topic_prefix, decoder->kind,
		                          decoder->subject_ids, REGISTRY_VERSIONS_MAX,
		                          &decoder->subject_id_count, err))
			return false;
		decoder->subject_loaded_ms = now_ms();
	}
	*is = false;
	for (size_t i = 0; i < decoder->subject_id_count; i++)
		*is = *is || decoder->subject_ids[i] == id;
	return true;
}

static bool refuse(enum reason *reason, enum reason why, char *detail, size_t detail_cap,
                   const char *text)
{
	*reason = why;
	if (detail && detail_cap > 0)
		snprintf(detail, detail_cap, "%s", text);
	return true;
}

static bool entry_holds(const struct cached_id *entry, int32_t id)
{
	if (entry->kept_until_ms == 0 || entry->id != id)
		return false;
	return entry->kept_until_ms == FOREVER || now_ms() < entry->kept_until_ms;
}

/* Finds the id in a cache, or looks it up. False: the registry did not answer, ERR_RETRY. */
static bool find_id(struct frame_decoder *decoder, int32_t id, struct cached_id **found,
                    struct err *err)
{
	struct cached_id *accepted = &decoder->accepted[(uint32_t)id % BUCKETS],
			 *refused = &decoder->refused[(uint32_t)id % BUCKETS], fresh;
	bool wanted = true;

	*found = entry_holds(accepted, id) ? accepted : refused;
	if (entry_holds(*found, id))
		return true;
	if (!count_lookup(decoder) && !is_of_subject(decoder, id, &wanted, err))
		return false;
	if (!wanted) {
		fresh = (struct cached_id){.id = id,
		                           .reason = REASON_UNKNOWN_SCHEMA_ID,
		                           .kept_until_ms = now_ms() + UNKNOWN_ID_KEPT_MS};
		snprintf(fresh.detail, sizeof(fresh.detail),
		         "schema id %d is not in the topic's subject; not looked up elsewhere, "
		         "because there are too many unknown ids",
		         (int)id);
	} else if (!look_up(decoder, &fresh, id, err)) {
		return false;
	}
	*found = fresh.reason == REASON_NONE ? accepted : refused;
	schema_resolver_free((*found)->resolver);
	**found = fresh;
	return true;
}

bool frame_decode(struct frame_decoder *decoder, struct span value, struct span *body,
                  enum reason *reason, char *detail, size_t detail_cap, struct err *err)
{
	struct err why = {ERR_NONE, ""};
	struct cached_id *entry;
	int32_t id;

	if (!value.at)
		return refuse(reason, REASON_NULL_VALUE, detail, detail_cap, "no value");
	switch (frame_parse(value, &id, body)) {
	case FRAME_UNKNOWN_MAGIC:
		return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap,
		              "the first byte is not 0: expected a magic byte 0 and a schema id");
	case FRAME_TOO_SHORT:
		return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap,
		              "too short: expected a magic byte 0 and a schema id (5 bytes)");
	case FRAME_ID: break;
	}
	if (!find_id(decoder, id, &entry, err))
		return false;
	if (entry->reason != REASON_NONE)
		return refuse(reason, entry->reason, detail, detail_cap, entry->detail);
	if (entry->resolver) {
		if (!schema_resolver_convert(entry->resolver, *body, &decoder->body, &why))
			return refuse(reason, REASON_MALFORMED_AVRO, detail, detail_cap,
			              why.message);
		*body = (struct span){decoder->body.at, decoder->body.len};
	}
	*reason = REASON_NONE;
	return true;
}
