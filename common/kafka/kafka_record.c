#include "kafka/kafka_record.h"

#include "stream/record.h"

int64_t kafka_time_ms(const rd_kafka_message_t *message)
{
	return record_time_clamp_ms(rd_kafka_message_timestamp(message, NULL));
}

rd_kafka_headers_t *kafka_headers_new(const struct output *output)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count);

	for (uint16_t i = 0; i < output->header_count; i++)
		rd_kafka_header_add(headers, output->headers[i].name.at, (ssize_t)output->headers[i].name.len, output->headers[i].value.at,
		                    (ssize_t)output->headers[i].value.len);
	return headers;
}
