/* librdkafka parses headers at the first request and keeps them with the message. It allocates
 * memory for that, also if the message has no headers. */
#include "kafka/kafka_record.h"

#include "base/span.h"
#include "event/reason.h"

size_t kafka_record_headers(const rd_kafka_message_t *message, struct header *headers, size_t max)
{
	rd_kafka_headers_t *list;
	const char *name;
	const void *value;
	size_t size, count = 0;

	if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (count < max && rd_kafka_header_get_all(list, count, &name, &value, &size) ==
	                              RD_KAFKA_RESP_ERR_NO_ERROR)
		headers[count++] = (struct header){span_of(name), {value, size}};
	return count;
}

static size_t read_headers(const void *message, struct header *room)
{
	return kafka_record_headers(message, room, KAFKA_HEADERS_MAX);
}

struct input_record kafka_record_unread(const rd_kafka_message_t *message,
                                        struct header headers[KAFKA_HEADERS_MAX])
{
	struct span value = {message->payload, message->len};

	return (struct input_record){
		.topic = span_of(rd_kafka_topic_name(message->rkt)),
		.offset = message->offset,
		.timestamp_ms = kafka_time_ms(message),
		.partition = message->partition,
		.key = {message->key, message->key_len},
		.value = value,
		.body = value,
		.refused = REASON_NONE,
		.detail = "",
		.read_headers = read_headers,
		.message = message,
		.header_room = headers,
	};
}

struct input_record kafka_record(const rd_kafka_message_t *message,
                                 struct header headers[KAFKA_HEADERS_MAX])
{
	struct input_record record = kafka_record_unread(message, headers);
	struct header_list list = record_headers(&record);

	record.headers = list.at;
	record.header_count = list.count;
	record.read_headers = NULL;
	return record;
}

int64_t kafka_time_ms(const rd_kafka_message_t *message)
{
	return record_time_clamp_ms(rd_kafka_message_timestamp(message, NULL));
}

rd_kafka_headers_t *kafka_headers_new(const struct output *output)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count);

	for (uint16_t i = 0; i < output->header_count; i++)
		rd_kafka_header_add(headers, output->headers[i].name.at,
		                    (ssize_t)output->headers[i].name.len,
		                    output->headers[i].value.at,
		                    (ssize_t)output->headers[i].value.len);
	return headers;
}
