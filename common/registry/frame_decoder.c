/* Framed values to bodies of our own schema. What an id means is asked once and kept in small tables, one place per
 * id: one for the ids whose bodies we read, one for those refused, so that no refused id can push out one that is
 * needed. Two of a kind that share a place push each other out, which costs requests and nothing else.
 *
 * Anybody who may write to the topic can invent ids, and each would cost a request. So beyond so many questions in a second
 * it is asked, once in a second, which ids the topic's subject has, and an id that is none of them counts as unknown without
 * a question. An id of the subject is always found, so a flood delays and loses no event of the topic's own writers.
 *
 * Limits: an id's meaning never changes in a registry that keeps its data, so it is kept as long as the opener; "unknown"
 * is kept for a second, because an id may be new. While a flood lasts, ids registered under other subjects are unknown. */
#include "registry/frame_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "wire/avro_resolver.h"
#include "wire/frame.h"
#include "wire/registry_messages.h"

#define VERDICTS           256
#define UNKNOWN_ID_KEPT_MS 1000
#define SECOND_MS          1000
#define FOR_EVER           INT64_MAX

struct verdict {
	int64_t kept_until_ms;            /* 0: an empty place */
	struct schema_resolver *resolver; /* NULL: the body is ours as it is */
	enum reason reason;               /* REASON_NONE: bodies of this id are read */
	int32_t id;
	char detail[200];
};

struct frame_decoder {
	struct registry *registry;
	const char *topic_prefix;
	enum schema_kind slot;
	struct buffer body;
	struct verdict read[VERDICTS], refused[VERDICTS];
	int64_t second_ms; /* start of the second in which questions are counted */
	int questions;
	int64_t subject_asked_ms; /* 0: never */
	int32_t subject_ids[REGISTRY_VERSIONS_MAX];
	size_t subject_id_count;
};

struct frame_decoder *frame_decoder_new(struct registry *registry, const char *topic_prefix,
                                        enum schema_kind slot)
{
	struct frame_decoder *opener = calloc(1, sizeof(*opener));

	if (!opener) {
		fputs("event=out_of_memory reason=frame_decoder\n", stderr);
		abort();
	}
	opener->registry = registry;
	opener->topic_prefix = topic_prefix;
	opener->slot = slot;
	return opener;
}

void frame_decoder_free(struct frame_decoder *opener)
{
	if (!opener)
		return;
	for (size_t i = 0; i < VERDICTS; i++)
		schema_resolver_free(opener->read[i].resolver);
	buffer_free(&opener->body);
	free(opener);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void judge_json_schema(struct verdict *verdict, struct span text, bool is_json_schema,
                              const char *title)
{
	if (is_json_schema && json_schema_title_is(text, title))
		return;
	verdict->reason = REASON_WRONG_SCHEMA;
	snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d is not the JSON Schema %s",
	         (int)verdict->id, title);
}

static void judge_avro(struct verdict *verdict, struct span text, bool is_json_schema,
                       enum schema_kind slot)
{
	struct err err = {ERR_NONE, "wrong schema: not Avro"};

	verdict->resolver = is_json_schema ? NULL : schema_resolver_new(text, slot, &err);
	if (!verdict->resolver) {
		verdict->reason = REASON_WRONG_SCHEMA;
		snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d: %.160s",
		         (int)verdict->id, err.message);
	} else if (schema_resolver_is_identity(verdict->resolver)) {
		schema_resolver_free(verdict->resolver);
		verdict->resolver = NULL;
	}
}

/* Asks the registry. False: it did not answer, and there is no verdict. */
static bool judge(struct frame_decoder *opener, struct verdict *verdict, int32_t id,
                  struct err *err)
{
	struct span text;
	bool is_json_schema;

	*verdict = (struct verdict){.id = id, .kept_until_ms = FOR_EVER};
	switch (registry_schema(opener->registry, id, &text, &is_json_schema, err)) {
	case REGISTRY_FAILED: return false;
	case REGISTRY_UNKNOWN_ID:
		verdict->reason = REASON_UNKNOWN_SCHEMA_ID;
		snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d", (int)id);
		verdict->kept_until_ms = now_ms() + UNKNOWN_ID_KEPT_MS;
		return true;
	case REGISTRY_FOUND: break;
	}
	if (schema_texts[opener->slot].is_json_schema)
		judge_json_schema(verdict, text, is_json_schema,
		                  schema_texts[opener->slot].record_name);
	else
		judge_avro(verdict, text, is_json_schema, opener->slot);
	return true;
}

/* Counts a question of this second; false: there were enough. */
static bool may_ask(struct frame_decoder *opener)
{
	int64_t time_ms = now_ms();

	if (time_ms - opener->second_ms >= SECOND_MS) {
		opener->second_ms = time_ms;
		opener->questions = 0;
	}
	return opener->questions++ < FRAME_QUESTIONS_PER_SECOND;
}

/* Whether the topic's own subject has the id, as of a second ago at most. */
static bool is_of_subject(struct frame_decoder *opener, int32_t id, bool *is, struct err *err)
{
	int64_t time_ms = now_ms();

	if (!opener->subject_asked_ms || time_ms - opener->subject_asked_ms >= SECOND_MS) {
		if (!registry_subject_ids(opener->registry, opener->topic_prefix, opener->slot,
		                          opener->subject_ids, REGISTRY_VERSIONS_MAX,
		                          &opener->subject_id_count, err))
			return false;
		opener->subject_asked_ms = now_ms();
	}
	*is = false;
	for (size_t i = 0; i < opener->subject_id_count; i++)
		*is = *is || opener->subject_ids[i] == id;
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

static bool verdict_holds(const struct verdict *verdict, int32_t id)
{
	if (verdict->kept_until_ms == 0 || verdict->id != id)
		return false;
	return verdict->kept_until_ms == FOR_EVER || now_ms() < verdict->kept_until_ms;
}

/* What is known of an id, or can be learned. False with ERR_RETRY: nothing, as the registry does not answer. */
static bool find_verdict(struct frame_decoder *opener, int32_t id, struct verdict **found,
                         struct err *err)
{
	struct verdict *read = &opener->read[(uint32_t)id % VERDICTS],
		       *refused = &opener->refused[(uint32_t)id % VERDICTS], fresh;
	bool ask = true;

	*found = verdict_holds(read, id) ? read : refused;
	if (verdict_holds(*found, id))
		return true;
	if (!may_ask(opener) && !is_of_subject(opener, id, &ask, err))
		return false;
	if (!ask) {
		fresh = (struct verdict){.id = id,
		                         .reason = REASON_UNKNOWN_SCHEMA_ID,
		                         .kept_until_ms = now_ms() + UNKNOWN_ID_KEPT_MS};
		snprintf(
			fresh.detail, sizeof(fresh.detail),
			"schema id %d is none of the topic's subject; not asked for, among too many unknown ids",
			(int)id);
	} else if (!judge(opener, &fresh, id, err)) {
		return false;
	}
	*found = fresh.reason == REASON_NONE ? read : refused;
	schema_resolver_free((*found)->resolver);
	**found = fresh;
	return true;
}

bool frame_decode(struct frame_decoder *opener, struct span value, struct span *body,
                  enum reason *reason, char *detail, size_t detail_cap, struct err *err)
{
	struct err why = {ERR_NONE, ""};
	struct verdict *verdict;
	int32_t id;

	if (!value.at)
		return refuse(reason, REASON_NULL_VALUE, detail, detail_cap, "no value");
	switch (frame_parse(value, &id, body)) {
	case FRAME_UNKNOWN_MAGIC:
		return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap,
		              "the first byte is not 0");
	case FRAME_TOO_SHORT:
		return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap,
		              "shorter than the framing's 5 bytes");
	case FRAME_ID: break;
	}
	if (!find_verdict(opener, id, &verdict, err))
		return false;
	if (verdict->reason != REASON_NONE)
		return refuse(reason, verdict->reason, detail, detail_cap, verdict->detail);
	if (verdict->resolver) {
		if (!schema_resolver_convert(verdict->resolver, *body, &opener->body, &why))
			return refuse(reason, REASON_MALFORMED_AVRO, detail, detail_cap,
			              why.message);
		*body = (struct span){opener->body.at, opener->body.len};
	}
	*reason = REASON_NONE;
	return true;
}
