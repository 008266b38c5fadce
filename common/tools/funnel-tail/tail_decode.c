#include "tail_decode.h"

#include <stdlib.h>

#include "base/memory.h"
#include "registry/frame_decoder.h"
#include "wire/schemas.h"

#define REGISTRY_MS 3000

struct tail_decode {
	struct registry *registry;
	const char *topic_prefix;
	struct frame_decoder *decoders[SCHEMA_COUNT]; /* made when needed */
	char detail[256];
};

struct tail_decode *tail_decode_new(const struct registry_config *config, const char *topic_prefix,
                                    struct err *err)
{
	struct registry *registry = registry_new(config, REGISTRY_MS, err);
	struct tail_decode *decode;

	if (!registry)
		return NULL;
	decode = xzalloc(1, sizeof(*decode));
	decode->registry = registry;
	decode->topic_prefix = topic_prefix;
	return decode;
}

void tail_decode_free(struct tail_decode *decode)
{
	if (!decode)
		return;
	for (int i = 0; i < SCHEMA_COUNT; i++)
		frame_decoder_free(decode->decoders[i]);
	registry_free(decode->registry);
	free(decode);
}

/* False: values of the topic have no frame. */
static bool schema_of(enum topic_id topic, struct span value, enum schema_kind *kind)
{
	switch (topic) {
	case TOPIC_RAW_EVENTS: *kind = SCHEMA_RAW; return value.len > 0 && value.at[0] == '\0';
	case TOPIC_BRONZE_EVENTS: *kind = SCHEMA_BRONZE; return true;
	case TOPIC_LATE_EVENTS: *kind = SCHEMA_LATE; return true;
	case TOPIC_COUNTS: *kind = SCHEMA_COUNTS; return true;
	case TOPIC_SESSION_FUNNELS: *kind = SCHEMA_VISIT; return true;
	case TOPIC_FUNNEL_PARTIALS: *kind = SCHEMA_PARTIAL; return true;
	case TOPIC_AGGREGATED_EVENTS: *kind = SCHEMA_AGGREGATE; return true;
	case TOPIC_ABANDONED_CARTS: *kind = SCHEMA_CART; return true;
	case TOPIC_ALERTS: *kind = SCHEMA_ALERT; return true;
	case TOPIC_DEAD_LETTER:
	case TOPIC_PRODUCER_STATE:
	case TOPIC_COUNT: break;
	}
	return false;
}

bool tail_decode_record(struct tail_decode *decode, enum topic_id topic,
                        struct input_record *record, struct err *err)
{
	enum schema_kind kind;

	decode->detail[0] = '\0';
	record->detail = decode->detail;
	if (!record->value.at || !schema_of(topic, record->value, &kind))
		return true;
	if (!decode->decoders[kind])
		decode->decoders[kind] =
			frame_decoder_new(decode->registry, decode->topic_prefix, kind);
	return frame_decode(decode->decoders[kind], record->value, &record->body, &record->refused,
	                    decode->detail, sizeof(decode->detail), err) ||
	       err_prefix(err, "SCHEMA_REGISTRY_URL");
}
