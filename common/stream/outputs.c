#include "stream/outputs.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "wire/partitioner.h"
#include "wire/record_keys.h"

void output_keyed(struct outbox *out, const struct output_context *context, enum topic_id topic,
                  struct span partition_key, struct span key, struct span value)
{
	outbox_add(out, topic, partition_of(partition_key, context->partition_count[topic]), key,
	           value, NULL, 0);
}

void output_counts(struct outbox *out, const struct output_context *context, struct span topic,
                   int32_t partition, const struct counts *counts, int64_t revision)
{
	struct counts_record record = {span_of(context->service),
	                               topic,
	                               partition,
	                               *counts,
	                               revision,
	                               context->stages ? span_of(context->stages) : SPAN_NULL};
	struct buffer value = {0};
	char key[RECORD_KEY_MAX];
	int len = snprintf(key, sizeof(key), "%s|%.*s|%" PRId32, context->service, (int)topic.len,
	                   topic.at, partition);

	counts_encode(&value, context->schema_id[SCHEMA_COUNTS], &record);
	output_keyed(out, context, TOPIC_COUNTS, (struct span){key, (size_t)len},
	             (struct span){key, (size_t)len}, (struct span){value.at, value.len});
	buffer_free(&value);
}
