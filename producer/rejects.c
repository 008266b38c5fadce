/* The dead-letter topic is read once, from its end at the beginning of the run. Limit: only the
 * rows of this process are counted, not those of a run that it continues. */
#include "rejects.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "kafka/topic_reader.h"
#include "stream/dead_letter.h"
#include "stream/record.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 5000
#define SILENCE_MS      20000

struct rejects_reader {
	const struct kafka_config *kafka;
	rd_kafka_t *client;
	char raw[TOPIC_NAME_MAX + 1], dead[TOPIC_NAME_MAX + 1];
	int32_t raw_partitions, dead_partitions;
	int64_t *raw_from, *dead_from, *dead_to;
	const struct checkpoint *sent; /* while rows are counted */
	struct rejects *rejects;
};

static bool make_client(struct rejects_reader *reader, struct err *err)
{
	char group[TOPIC_NAME_MAX + 1];
	const char *const extra[] = {"group.id", group, NULL};
	rd_kafka_conf_t *conf;

	if (reader->client)
		return true;
	snprintf(group, sizeof(group), "%sbronze-sink", reader->kafka->topic_prefix);
	conf = kafka_conf_new(reader->kafka, KAFKA_CONSUMER, "producer-fail-above", extra, err);
	if (conf)
		reader->client = kafka_client_new(conf, KAFKA_CONSUMER, err);
	return reader->client != NULL;
}

/* The log ends, with the records of open transactions. */
static bool read_ends(struct rejects_reader *reader, const char *topic, int32_t partition_count,
                      int64_t *ends, struct err *err)
{
	int64_t low;

	for (int32_t i = 0; i < partition_count; i++)
		if (!topic_range_with_open(reader->kafka, topic, i, CALL_TIMEOUT_MS, &low, &ends[i],
		                           err))
			return false;
	return true;
}

static int64_t *offsets_new(int32_t count)
{
	return xrealloc(NULL, (size_t)(count + 1) * sizeof(int64_t));
}

static struct rejects_reader *reader_new(const struct kafka_config *kafka, const char *raw_topic,
                                         int32_t partition_count)
{
	struct rejects_reader *reader = xrealloc(NULL, sizeof(*reader));

	*reader = (struct rejects_reader){.kafka = kafka, .raw_partitions = partition_count};
	snprintf(reader->raw, sizeof(reader->raw), "%s", raw_topic);
	reader->raw_from = offsets_new(partition_count);
	return reader;
}

bool rejects_begin(struct rejects *rejects, const struct kafka_config *kafka, const char *raw_topic,
                   int32_t partition_count, struct err *err)
{
	struct rejects_reader *reader = rejects->reader;

	if (!reader)
		reader = rejects->reader = reader_new(kafka, raw_topic, partition_count);
	reader->rejects = rejects;
	if (!topic_name(kafka->topic_prefix, TOPIC_DEAD_LETTER, reader->dead, sizeof(reader->dead)))
		return err_set(err, ERR_FATAL, "the topic prefix \"%.100s\" is too long",
		               kafka->topic_prefix);
	if (!make_client(reader, err) ||
	    !kafka_partition_count(reader->client, reader->dead, CALL_TIMEOUT_MS,
	                           &reader->dead_partitions, err))
		return false;
	free(reader->dead_from);
	free(reader->dead_to);
	reader->dead_from = offsets_new(reader->dead_partitions);
	reader->dead_to = offsets_new(reader->dead_partitions);
	return read_ends(reader, reader->raw, partition_count, reader->raw_from, err) &&
	       read_ends(reader, reader->dead, reader->dead_partitions, reader->dead_from, err);
}

static bool read_lag(const struct rejects_reader *reader, const struct checkpoint *sent,
                     int64_t *lag, struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(reader->raw_partitions);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add_range(list, reader->raw, 0, reader->raw_partitions - 1);
	code = rd_kafka_committed(reader->client, list, CALL_TIMEOUT_MS);
	*lag = 0;
	for (int i = 0; i < list->cnt && !code; i++) {
		int64_t last = sent->partitions[list->elems[i].partition].last_offset;
		int64_t next = list->elems[i].offset < 0 ? 0 : list->elems[i].offset;

		code = list->elems[i].err;
		if (last >= next)
			*lag += last - next + 1;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return !code ||
	       err_set(err, ERR_RETRY, "cannot read the committed offsets of bronze-sink: %s",
	               kafka_err_text(code));
}

static bool take_letter(void *context, const struct input_record *record, bool *done,
                        struct err *err)
{
	const struct rejects_reader *reader = context;
	struct rejects *rejects = reader->rejects;
	struct span detail = record_header(record, "__connect.errors.exception.message");
	struct dead_letter letter;
	enum reason reason;

	(void)done;
	(void)err;
	if (!dead_letter_read(record, &letter) || !span_is(letter.service, "bronze-sink") ||
	    !span_is(letter.source_topic, reader->raw) || letter.source_partition < 0 ||
	    letter.source_partition >= reader->raw_partitions ||
	    letter.source_offset < reader->raw_from[letter.source_partition] ||
	    letter.source_offset > reader->sent->partitions[letter.source_partition].last_offset)
		return true;
	reason = reason_from_name(letter.reason);
	if (reason == REASON_COUNT)
		reason = REASON_NONE;
	if (rejects->rows[reason]++ == 0 && detail.at)
		snprintf(rejects->examples[reason], REJECT_EXAMPLE_MAX, "%.*s", (int)detail.len,
		         detail.at);
	rejects->total++;
	return true;
}

bool rejects_count(struct rejects *rejects, const struct checkpoint *sent, int64_t *lag,
                   struct err *err)
{
	struct rejects_reader *reader = rejects->reader;
	struct topic_reading reading = {.topic = reader->dead,
	                                .partition_count = reader->dead_partitions,
	                                .from = reader->dead_from,
	                                .to = reader->dead_to,
	                                .silence_ms = SILENCE_MS,
	                                .take = take_letter,
	                                .context = reader};

	if (!read_lag(reader, sent, lag, err))
		return false;
	if (*lag > 0)
		return true;
	reader->sent = sent;
	rejects->total = 0;
	memset(rejects->rows, 0, sizeof(rejects->rows));
	return read_ends(reader, reader->dead, reader->dead_partitions, reader->dead_to, err) &&
	       topic_read(reader->kafka, &reading, err);
}

#define SEE_REASONS "the lines event=rejected have the reasons"

bool rejects_within(int64_t rows, int64_t refused, int64_t limit_ppm, const char *limit_text,
                    struct err *err)
{
	if (rows == 0)
		return err_set(err, ERR_REFUSED, "the input has no rows: expected at least one");
	if (refused >= rows)
		return err_set(err, ERR_REFUSED, "none of the %lld rows was accepted; " SEE_REASONS,
		               (long long)rows);
	return (double)refused * 1e6 <= (double)rows * (double)limit_ppm ||
	       err_set(err, ERR_REFUSED,
	               "%lld of %lld rows were refused, more than FAIL_ABOVE=%s; " SEE_REASONS,
	               (long long)refused, (long long)rows, limit_text);
}

void rejects_fini(struct rejects *rejects)
{
	struct rejects_reader *reader = rejects->reader;

	if (!reader)
		return;
	if (reader->client)
		rd_kafka_destroy(reader->client);
	free(reader->raw_from);
	free(reader->dead_from);
	free(reader->dead_to);
	free(reader);
	rejects->reader = NULL;
}
