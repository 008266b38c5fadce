/* Framed values to bodies of our own schema. What an id means is asked once and kept in a
 * small table, one place per id; two ids that share a place push each other out, which costs
 * requests and nothing else.
 *
 * Limits: an id's meaning never changes in a registry that keeps its data, so it is kept as
 * long as the opener; "unknown" is kept for a second, because an id may be new. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "avro_resolver.h"
#include "registry.h"
#include "registry_answers.h"

#define VERDICTS 256
#define UNKNOWN_ID_KEPT_MS 1000
#define FOR_EVER INT64_MAX

struct verdict {
	int64_t kept_until_ms;            /* 0: an empty place */
	struct schema_resolver *resolver; /* NULL: the body is ours as it is */
	enum reason reason;               /* REASON_NONE: bodies of this id are read */
	int32_t id;
	char detail[200];
};

struct frame_opener {
	struct registry *registry;
	enum schema_id_slot slot;
	struct buffer body;
	struct verdict verdicts[VERDICTS];
};

struct frame_opener *frame_opener_new(struct registry *registry, enum schema_id_slot slot)
{
	struct frame_opener *opener = calloc(1, sizeof(*opener));

	if (!opener) {
		fputs("event=out_of_memory reason=frame_opener\n", stderr);
		abort();
	}
	opener->registry = registry;
	opener->slot = slot;
	return opener;
}

void frame_opener_free(struct frame_opener *opener)
{
	if (!opener)
		return;
	for (size_t i = 0; i < VERDICTS; i++)
		schema_resolver_free(opener->verdicts[i].resolver);
	buffer_free(&opener->body);
	free(opener);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void judge_json_schema(struct verdict *verdict, struct span text, bool is_json_schema, const char *title)
{
	if (is_json_schema && json_schema_title_is(text, title))
		return;
	verdict->reason = REASON_WRONG_SCHEMA;
	snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d is not the JSON Schema %s", (int)verdict->id, title);
}

static void judge_avro(struct verdict *verdict, struct span text, bool is_json_schema, enum schema_id_slot slot)
{
	struct err err = {ERR_NONE, "wrong schema: not Avro"};

	verdict->resolver = is_json_schema ? NULL : schema_resolver_new(text, slot, &err);
	if (!verdict->resolver) {
		verdict->reason = REASON_WRONG_SCHEMA;
		snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d: %.160s", (int)verdict->id, err.message);
	} else if (schema_resolver_is_identity(verdict->resolver)) {
		schema_resolver_free(verdict->resolver);
		verdict->resolver = NULL;
	}
}

/* Asks the registry; on failure the place stays empty. */
static bool judge(struct frame_opener *opener, struct verdict *verdict, int32_t id, struct err *err)
{
	struct span text;
	bool is_json_schema;
	enum registry_answer answer = registry_schema(opener->registry, id, &text, &is_json_schema, err);

	schema_resolver_free(verdict->resolver);
	*verdict = (struct verdict){.id = id};
	switch (answer) {
	case REGISTRY_FAILED: return false;
	case REGISTRY_UNKNOWN_ID:
		verdict->reason = REASON_UNKNOWN_SCHEMA_ID;
		snprintf(verdict->detail, sizeof(verdict->detail), "schema id %d", (int)id);
		verdict->kept_until_ms = now_ms() + UNKNOWN_ID_KEPT_MS;
		return true;
	case REGISTRY_FOUND: break;
	}
	if (schema_texts[opener->slot].is_json_schema)
		judge_json_schema(verdict, text, is_json_schema, schema_texts[opener->slot].record_name);
	else
		judge_avro(verdict, text, is_json_schema, opener->slot);
	verdict->kept_until_ms = FOR_EVER;
	return true;
}

static bool refuse(enum reason *reason, enum reason why, char *detail, size_t detail_cap, const char *text)
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

bool frame_opener_open(struct frame_opener *opener, struct span value, struct span *body, enum reason *reason, char *detail,
                       size_t detail_cap, struct err *err)
{
	struct err why = {ERR_NONE, ""};
	struct verdict *verdict;
	int32_t id;

	if (!value.at)
		return refuse(reason, REASON_NULL_VALUE, detail, detail_cap, "no value");
	switch (frame_open(value, &id, body)) {
	case FRAME_UNKNOWN_MAGIC: return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap, "the first byte is not 0");
	case FRAME_TOO_SHORT: return refuse(reason, REASON_UNKNOWN_MAGIC_BYTE, detail, detail_cap, "shorter than the framing's 5 bytes");
	case FRAME_ID: break;
	}
	verdict = &opener->verdicts[(uint32_t)id % VERDICTS];
	if (!verdict_holds(verdict, id) && !judge(opener, verdict, id, err))
		return false;
	if (verdict->reason != REASON_NONE)
		return refuse(reason, verdict->reason, detail, detail_cap, verdict->detail);
	if (verdict->resolver) {
		if (!schema_resolver_convert(verdict->resolver, *body, &opener->body, &why))
			return refuse(reason, REASON_MALFORMED_AVRO, detail, detail_cap, why.message);
		*body = (struct span){opener->body.at, opener->body.len};
	}
	*reason = REASON_NONE;
	return true;
}
