/* A shadow is a real task (stream/task.c) that starts once and is never restored. It folds the
 * committed log up to the offset that a transaction commits, and is flushed there. So its outputs
 * since the offset before are exactly what the transaction must have.
 *
 * Announcements of idle and active partitions depend on the time, not on the input. They show the
 * state before the batch, their transaction commits an offset of the partition, and they need
 * evidence: what the brokers have answered to the same process since the partition's last commit.
 *
 *   idle    the source ended there, the writer's committed offset had reached it, this topic ended
 *           there, all of it is processed, and the last record is older than IDLE_TIMEOUT
 *   active  one of these offsets was not reached */
#include "sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "base/memory.h"
#include "bronze_fold.h"
#include "event/event_json_library.h"
#include "registry/frame_decoder.h"
#include "sim/arena.h"
#include "sim/cluster.h"
#include "sim/flushes.h"
#include "sim/groups.h"
#include "sim/process.h"
#include "sim/replicas.h"
#include "sim/services.h"
#include "sim/story.h"
#include "stream/task.h"

#define SHADOWS_MAX 64
#define BLOCK       4096
#define SIM_SOURCE  SIM_PREFIX "raw_events" /* of the topic that has announcements */

struct shadow {
	const struct sim_service_inputs *service;
	const struct task_loop_input *input;
	struct task task;
	struct frame_decoder *decoder;
	char topic[64];
	int32_t partition;
	int64_t begin; /* the first offset of the log when the schedule began */
	int64_t committed;
	int64_t restore_from;       /* in the metadata of the last commit */
	int64_t folded;             /* the next offset to fold */
	struct partition_log *kept; /* of the deleted topic; NULL: the topic was not deleted */
	int64_t committed_us;       /* virtual time of the last commit */
	struct evidence *evidence;
	size_t evidence_count, evidence_capacity;
};

/* What the brokers have answered to a process about the partition of a shadow. */
struct evidence {
	uint32_t life;
	int64_t source_end, written; /* of the check that has begun; -1: not asked */
	int64_t idle_us, active_us;  /* virtual times of the last checks that show it */
	/* Where this topic ended then, and in the first such check since the last commit. */
	int64_t idle_end, first_idle_end;
};

/* A record of a transaction, or one that the shadows expect. */
struct item {
	uint64_t hash;
	const char *topic;
	int32_t partition;
	struct span key, value;
};
struct items {
	struct item *at;
	size_t count, capacity;
};

static struct {
	struct sim_service_inputs services[SIM_TASK_LOOPS];
	struct shadow shadows[SHADOWS_MAX];
	size_t shadow_count;
	struct outbox expected, allowed, dropped;
	struct event_parser *parsers[SETTINGS_RULES]; /* with the rules of these settings */
	enum sim_settings rules; /* of the process whose transaction is checked */
	char failure[2048];
	size_t transactions, records;
	bool offsets_moved;
} oracle;

void oracle_fail(const char *format, ...)
{
	va_list args;

	if (*oracle.failure)
		return;
	va_start(args, format);
	vsnprintf(oracle.failure, sizeof(oracle.failure), format, args);
	va_end(args);
	story("ORACLE: %s", oracle.failure);
	sim_stop();
}

const char *oracle_failure(void)
{
	return *oracle.failure ? oracle.failure : NULL;
}

size_t oracle_transactions(void)
{
	return oracle.transactions;
}

size_t oracle_records(void)
{
	return oracle.records;
}

/* ---- shadows */

static void shadow_start(struct shadow *shadow)
{
	struct task_params params = {.ops = shadow->input->ops,
	                             .fold_config = shadow->input->fold_config,
	                             .partition = shadow->partition,
	                             .partition_count =
	                                     cluster_topic(shadow->topic)->partition_count,
	                             .fingerprint = shadow->input->fingerprint,
	                             .block_records = BLOCK,
	                             .rules = shadow->input->rules};

	shadow->begin = cluster_log(shadow->topic, shadow->partition)->start;
	shadow->committed = shadow->folded = shadow->begin;
	task_start(&shadow->task, &params, shadow->begin);
	shadow->decoder = frame_decoder_new(NULL, SIM_PREFIX, shadow->input->kind);
}

static void add_shadows(const struct sim_service_inputs *service,
                        const struct task_loop_input *input)
{
	char topic[64];

	snprintf(topic, sizeof(topic), SIM_PREFIX "%s", input->topic_suffix);
	for (int32_t p = 0; p < cluster_topic(topic)->partition_count; p++) {
		struct shadow *shadow = &oracle.shadows[oracle.shadow_count++];

		*shadow = (struct shadow){.service = service, .input = input, .partition = p};
		memcpy(shadow->topic, topic, sizeof(topic));
		shadow_start(shadow);
	}
}

/* The rules of a process apply to the records that it commits. */
enum reason __wrap_event_parse_json(struct event_parser *parser, struct span value,
                                    struct event *event, char *detail, size_t detail_cap);
enum reason __real_event_parse_json(struct event_parser *parser, struct span value,
                                    struct event *event, char *detail, size_t detail_cap);

enum reason __wrap_event_parse_json(struct event_parser *parser, struct span value,
                                    struct event *event, char *detail, size_t detail_cap)
{
	if (arena_current() == ARENA_WORLD && oracle.parsers[oracle.rules])
		parser = oracle.parsers[oracle.rules];
	return __real_event_parse_json(parser, value, event, detail, detail_cap);
}

static void rules_begin(void)
{
	struct sim_service_inputs sink;

	for (int i = 0; i < SETTINGS_RULES; i++) {
		services_capture(SIM_BRONZE_SINK, (enum sim_settings)i, &sink);
		oracle.parsers[i] = event_parser_new(
			((const struct bronze_fold_config *)sink.inputs[0].fold_config)->rules);
	}
}

void oracle_begin(void)
{
	memset(&oracle, 0, sizeof(oracle));
	flushes_begin();
	rules_begin();
	for (int s = 0; s < SIM_TASK_LOOPS; s++) {
		services_capture((enum sim_service)s, SETTINGS_ORDINARY, &oracle.services[s]);
		for (size_t i = 0; i < oracle.services[s].input_count; i++)
			add_shadows(&oracle.services[s], &oracle.services[s].inputs[i]);
	}
}

static struct shadow *find(const char *group, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < oracle.shadow_count; i++) {
		struct shadow *shadow = &oracle.shadows[i];

		if (shadow->partition == partition && strcmp(shadow->topic, topic) == 0 &&
		    strcmp(shadow->service->name, group + strlen(SIM_PREFIX)) == 0)
			return shadow;
	}
	return NULL;
}

static void decode(struct shadow *shadow, struct input_record *record)
{
	static char detail[256];
	bool raw = shadow->input->kind == SCHEMA_RAW;
	unsigned char first =
		record->value.at && record->value.len ? (unsigned char)*record->value.at : ' ';
	struct err err;

	detail[0] = '\0';
	record->detail = detail;
	if (!record->value.at || (raw && first >= ' '))
		return;
	if (raw && first != 0) {
		record->refused = REASON_UNKNOWN_MAGIC_BYTE;
		snprintf(detail, sizeof(detail),
		         "the first byte is 0x%02x: expected JSON, or a magic byte 0 and a schema "
		         "id",
		         first);
		return;
	}
	if (!frame_decode(shadow->decoder, record->value, &record->body, &record->refused, detail,
	                  sizeof(detail), &err))
		oracle_fail("the registry does not answer the oracle");
}

static void shadow_apply(struct shadow *shadow, const struct sim_record *from, int64_t offset,
                         struct outbox *out)
{
	struct input_record record =
		sim_record_input(from, shadow->topic, shadow->partition, offset);

	decode(shadow, &record);
	task_apply(&shadow->task, &record, out);
}

static void shadow_flush(struct shadow *shadow, struct outbox *out)
{
	task_flush(&shadow->task, out);
	if (shadow->input->rows && shadow->task.counts_changed)
		output_counts(out, shadow->service->context, span_of(shadow->topic),
		              shadow->partition, &shadow->task.counts, shadow->task.last_counted);
}

static bool is_delivered(const struct sim_record *record)
{
	return record->fate == FATE_PLAIN || record->fate == FATE_COMMITTED;
}

/* Folds the log up to the offset. False: it has a record there that nobody may read yet. */
static bool shadow_fold(struct shadow *shadow, int64_t to, struct outbox *out)
{
	const struct partition_log *log =
		shadow->kept ? shadow->kept : cluster_log(shadow->topic, shadow->partition);

	if (to > (int64_t)log->end) {
		oracle_fail("%s commits offset %d of %s/%d, which is past the log end %d",
		            shadow->service->name, (int)to, shadow->topic, shadow->partition,
		            (int)log->end);
		return false;
	}
	for (; shadow->folded < to; shadow->folded++) {
		const struct sim_record *record = &log->records[shadow->folded];

		if (record->fate == FATE_OPEN) {
			oracle_fail("%s commits offset %d of %s/%d, but the transaction of offset "
			            "%d is open",
			            shadow->service->name, (int)to, shadow->topic,
			            shadow->partition, (int)shadow->folded);
			return false;
		}
		if (is_delivered(record))
			shadow_apply(shadow, record, shadow->folded, out);
	}
	task_at_end(&shadow->task, to);
	return true;
}

/* Flushes at the points at which the process `life` has flushed. The last one is at the offset. */
static bool shadow_advance(struct shadow *shadow, int64_t to, uint32_t life, struct outbox *out)
{
	int64_t point;

	while ((point = flushes_take(life, shadow->input->ops, shadow->partition, to)) >= 0) {
		if (point <= shadow->committed)
			continue;
		if (!shadow_fold(shadow, point, out))
			return false;
		shadow_flush(shadow, out);
	}
	if (shadow->folded < to) {
		if (!shadow_fold(shadow, to, out))
			return false;
		shadow_flush(shadow, out);
	}
	task_committed(&shadow->task);
	shadow->committed = to;
	shadow->committed_us = sim_now_us();
	return true;
}

/* ---- evidence for announcements */

static struct evidence *evidence_of(struct shadow *shadow, uint32_t life)
{
	for (size_t i = 0; i < shadow->evidence_count; i++)
		if (shadow->evidence[i].life == life)
			return &shadow->evidence[i];
	GROW(shadow->evidence, shadow->evidence_count, shadow->evidence_capacity);
	shadow->evidence[shadow->evidence_count] = (struct evidence){life, -1, -1, -1, -1, -1, -1};
	return &shadow->evidence[shadow->evidence_count++];
}

static bool has_source(const struct shadow *shadow, const char *topic, int32_t partition)
{
	return shadow->input->ops->idle && shadow->partition == partition &&
	       strcmp(topic, SIM_SOURCE) == 0;
}

/* A writer without an offset has written all of an empty partition. */
static bool all_is_written(const struct shadow *shadow, const struct evidence *evidence)
{
	const struct partition_log *source = cluster_log(SIM_SOURCE, shadow->partition);

	if (evidence->source_end < 0)
		return false;
	return evidence->written >= evidence->source_end || evidence->source_end == 0 ||
	       (evidence->written < 0 && source && source->start >= evidence->source_end);
}

/* The last answer of a check. If the writer has no offset, the process asks once more whether the
 * source is empty, and a record may have come meanwhile. */
static void conclude(struct shadow *shadow, uint32_t life, int64_t end)
{
	struct evidence *evidence = evidence_of(shadow, life);
	bool written = all_is_written(shadow, evidence),
	     asked_again = evidence->written < 0 && evidence->source_end > 0;

	if (written) {
		/* What the first check since the last commit has shown may be sent after the
		 * second one, with the outputs of a lost transaction. */
		if (evidence->idle_us <= shadow->committed_us)
			evidence->first_idle_end = end;
		evidence->idle_us = sim_now_us();
		evidence->idle_end = end;
	}
	if (!written || asked_again || end > shadow->committed)
		evidence->active_us = sim_now_us();
	evidence->source_end = evidence->written = -1;
}

void oracle_saw_end(uint32_t life, const char *topic, int32_t partition, int64_t end)
{
	for (size_t i = 0; i < oracle.shadow_count; i++) {
		struct shadow *shadow = &oracle.shadows[i];

		if (has_source(shadow, topic, partition))
			evidence_of(shadow, life)->source_end = end;
		else if (shadow->input->ops->idle && shadow->partition == partition &&
		         strcmp(shadow->topic, topic) == 0)
			conclude(shadow, life, end);
	}
}

void oracle_saw_committed(uint32_t life, const char *group, const char *topic, int32_t partition,
                          int64_t offset)
{
	for (size_t i = 0; i < oracle.shadow_count; i++) {
		struct shadow *shadow = &oracle.shadows[i];

		if (has_source(shadow, topic, partition) &&
		    strcmp(group + strlen(SIM_PREFIX), shadow->input->writer) == 0 &&
		    evidence_of(shadow, life)->source_end >= 0)
			evidence_of(shadow, life)->written = offset;
	}
}

/* NULL: a check that found this log end has shown it. */
static const char *not_idle_at(const struct shadow *shadow, int64_t end)
{
	const struct partition_log *log = cluster_log(shadow->topic, shadow->partition);

	if (end < shadow->committed)
		return "the check is from before the last commit";
	for (int64_t i = end; i-- > log->start;) {
		if (!is_delivered(&log->records[i]))
			continue;
		if (i >= shadow->committed)
			return "a record is not processed";
		return sim_now_us() - log->records[i].appended_us < services_idle_us()
		               ? "IDLE_TIMEOUT has not passed"
		               : NULL;
	}
	return NULL;
}

/* NULL: the process may announce that the partition is idle. */
static const char *not_idle(struct shadow *shadow, uint32_t life)
{
	const struct evidence *evidence = evidence_of(shadow, life);
	const char *why;

	if (evidence->idle_us <= shadow->committed_us)
		return "no check has shown it since the last commit";
	why = not_idle_at(shadow, evidence->idle_end);
	return why ? not_idle_at(shadow, evidence->first_idle_end) : NULL;
}

/* Adds the announcements that the process may make of the partition. The fold makes both, because
 * its state depends on them. */
static void shadow_announce(struct shadow *shadow, uint32_t life)
{
	const struct fold_ops *ops = shadow->input->ops;
	const char *not_idle_why;
	bool active;

	if (!ops->idle)
		return;
	active = evidence_of(shadow, life)->active_us > shadow->committed_us;
	ops->active(shadow->task.fold, active ? &oracle.allowed : &oracle.dropped);
	not_idle_why = not_idle(shadow, life);
	ops->idle(shadow->task.fold, not_idle_why ? &oracle.dropped : &oracle.allowed);
	if (not_idle_why)
		story("%s/%d is not idle: %s", shadow->topic, shadow->partition, not_idle_why);
	if (!active)
		story("%s/%d is not active: no check has shown it since the last commit",
		      shadow->topic, shadow->partition);
}

/* ---- comparing */

static uint64_t hash_of(const char *topic, int32_t partition, struct span key, struct span value,
                        const struct header *headers, size_t header_count)
{
	uint64_t hash = XXH64(topic, strlen(topic), (uint64_t)partition);

	hash = XXH64(key.at ? key.at : "", key.len, hash + (key.at != NULL));
	hash = XXH64(value.at ? value.at : "", value.len, hash + (value.at != NULL));
	for (size_t i = 0; i < header_count; i++) {
		hash = XXH64(headers[i].name.at, headers[i].name.len, hash);
		hash = XXH64(headers[i].value.at ? headers[i].value.at : "", headers[i].value.len,
		             hash);
	}
	return hash;
}

static void items_add(struct items *items, const char *topic, int32_t partition, struct span key,
                      struct span value, const struct header *headers, size_t header_count)
{
	GROW(items->at, items->count, items->capacity);
	items->at[items->count++] =
		(struct item){hash_of(topic, partition, key, value, headers, header_count), topic,
	                      partition, key, value};
}

static const char *full_name(enum topic_id topic)
{
	static char names[TOPIC_COUNT][64];

	snprintf(names[topic], sizeof(names[topic]), SIM_PREFIX "%s", topic_of(topic)->suffix);
	return names[topic];
}

static void items_of_box(struct items *items, const struct outbox *box)
{
	for (size_t i = 0; i < box->count; i++) {
		const struct output *output = &box->at[i];

		items_add(items, full_name((enum topic_id)output->topic), output->partition,
		          output->key, output->value, output->headers, output->header_count);
	}
}

static void items_of_txn(struct items *items, const struct txn *txn)
{
	for (size_t p = 0; p < txn->partition_count; p++) {
		struct partition_log *log = txn->partitions[p];

		for (size_t i = 0; i < log->end; i++) {
			struct sim_record *record = &log->records[i];

			if (record->pid != txn->pid || record->fate != FATE_OPEN)
				continue;
			record->decided = true;
			if (strncmp(log->topic, SIM_PREFIX, strlen(SIM_PREFIX)) == 0)
				items_add(items, log->topic, log->partition, record->key,
				          record->value, record->headers, record->header_count);
		}
	}
}

static int by_hash(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static bool is_allowed(const struct items *allowed, const struct item *item)
{
	return allowed->count && bsearch(item, allowed->at, allowed->count, sizeof(*item), by_hash);
}

static void fail_item(const struct txn *txn, const struct item *item, const char *what)
{
	char key[80];
	int len = (int)(item->key.len < 79 ? item->key.len : 79);

	char bytes[161] = "";

	snprintf(key, sizeof(key), "%.*s", len, item->key.at ? item->key.at : "");
	for (size_t i = 0; story_is_shown() && i < item->value.len && i < 80; i++)
		snprintf(bytes + i * 2, 3, "%02x", (unsigned char)item->value.at[i]);
	story("%s: %s/%d key '%s' value %s", what, item->topic, item->partition, key, bytes);
	oracle_fail("the transaction of %s %s: a record of %s/%d with the key '%s' (%zu bytes)",
	            txn->id, what, item->topic, item->partition, key, item->value.len);
}

static void compare(const struct txn *txn, struct items *actual, struct items *expected,
                    struct items *allowed)
{
	size_t a = 0, e = 0;

	qsort(actual->at, actual->count, sizeof(*actual->at), by_hash);
	qsort(expected->at, expected->count, sizeof(*expected->at), by_hash);
	if (allowed->count)
		qsort(allowed->at, allowed->count, sizeof(*allowed->at), by_hash);
	while (a < actual->count || e < expected->count) {
		int order = a == actual->count     ? 1
		            : e == expected->count ? -1
		                                   : by_hash(&actual->at[a], &expected->at[e]);

		if (order == 0)
			a++, e++;
		else if (order > 0)
			fail_item(txn, &expected->at[e++], "lacks what the input gives");
		else if (!is_allowed(allowed, &actual->at[a++]))
			fail_item(txn, &actual->at[a - 1], "has what the input does not give");
	}
}

/* ---- transactions */

static bool has_announcement(const struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
		if (items->at[i].key.len > 9 && memcmp(items->at[i].key.at, "progress|", 9) == 0)
			return true;
	return false;
}

static void announce_all(const struct sim_offset *offsets, size_t count, const char *group,
                         uint32_t life)
{
	for (size_t i = 0; i < count; i++) {
		struct shadow *shadow = find(group, offsets[i].topic, offsets[i].partition);

		if (shadow)
			shadow_announce(shadow, life);
	}
}

static int64_t restore_from(const struct sim_offset *offset)
{
	const char *at = offset->metadata.at ? strstr(offset->metadata.at, " r=") : NULL;

	return at ? strtoll(at + 3, NULL, 10) : 0;
}

static void advance_all(const struct sim_offset *offsets, size_t count, const char *group,
                        uint32_t life)
{
	for (size_t i = 0; i < count; i++) {
		struct shadow *shadow = find(group, offsets[i].topic, offsets[i].partition);

		if (!shadow) {
			oracle_fail("group %s commits an offset of %s/%d", group, offsets[i].topic,
			            offsets[i].partition);
			return;
		}
		if (offsets[i].offset < shadow->committed)
			oracle_fail("group %s: the committed offset of %s/%d goes back from %d to "
			            "%d",
			            group, shadow->topic, shadow->partition, (int)shadow->committed,
			            (int)offsets[i].offset);
		else if (!shadow_advance(shadow, offsets[i].offset, life, &oracle.expected))
			return;
		shadow->restore_from = restore_from(&offsets[i]);
	}
}

static void items_free(struct items *items)
{
	free(items->at);
}

void oracle_decided(const struct txn *txn)
{
	const struct sim_offset *offsets = NULL;
	const char *group = "";
	struct items actual = {0}, expected = {0}, allowed = {0};
	size_t count = groups_pending(txn->pid, &offsets, &group);

	if (oracle_failure() || strncmp(txn->id, SIM_PREFIX, strlen(SIM_PREFIX)) != 0)
		return;
	oracle.transactions++;
	oracle.rules = replicas_settings(txn->ended_by);
	if (oracle.rules == SETTINGS_OTHER_STATE && count)
		oracle_fail("%s commits with settings that change the meaning of its state",
		            txn->id);
	if (oracle_failure())
		return;
	items_of_txn(&actual, txn);
	if (has_announcement(&actual))
		announce_all(offsets, count, group, txn->ended_by);
	advance_all(offsets, count, group, txn->ended_by);
	items_of_box(&expected, &oracle.expected);
	items_of_box(&allowed, &oracle.allowed);
	if (!oracle_failure())
		compare(txn, &actual, &expected, &allowed);
	oracle.records += actual.count;
	outbox_clear(&oracle.expected);
	outbox_clear(&oracle.allowed);
	outbox_clear(&oracle.dropped);
	items_free(&actual);
	items_free(&expected);
	items_free(&allowed);
}

void oracle_trims(const char *group, const char *topic, int32_t partition, int64_t before)
{
	const struct shadow *shadow = find(group, topic, partition);

	if (!shadow || before > shadow->restore_from)
		oracle_fail("group %s deletes records of %s/%d before offset %d; a restore begins "
		            "at offset %d",
		            group, topic, partition, (int)before,
		            shadow ? (int)shadow->restore_from : 0);
}

void oracle_offsets_moved(void)
{
	oracle.offsets_moved = true;
}

static bool has_read(const struct shadow *shadow)
{
	const struct partition_log *log =
		shadow->kept ? shadow->kept : cluster_log(shadow->topic, shadow->partition);

	for (int64_t i = shadow->begin; i < shadow->committed; i++)
		if (log->records[i].fate == FATE_PLAIN || log->records[i].fate == FATE_COMMITTED)
			return true;
	return false;
}

bool oracle_has_read(const char *topic)
{
	for (size_t i = 0; i < oracle.shadow_count; i++)
		if (strcmp(oracle.shadows[i].topic, topic) == 0 && !has_read(&oracle.shadows[i]))
			return false;
	return true;
}

void oracle_keep_logs(const char *topic)
{
	for (size_t i = 0; i < oracle.shadow_count; i++) {
		struct shadow *shadow = &oracle.shadows[i];

		if (strcmp(shadow->topic, topic) != 0)
			continue;
		shadow->kept = xrealloc(NULL, sizeof(*shadow->kept));
		*shadow->kept = log_copy(cluster_log(topic, shadow->partition));
	}
}

/* ---- the end */

bool oracle_is_complete(bool aggregators, char *why, size_t cap)
{
	for (size_t i = 0; i < oracle.shadow_count; i++) {
		const struct shadow *shadow = &oracle.shadows[i];
		const struct partition_log *log = cluster_log(shadow->topic, shadow->partition);

		if (!aggregators && shadow->service == &oracle.services[SIM_AGGREGATOR])
			continue;
		if (log && shadow->committed == (int64_t)log->end &&
		    log_lso(log) == (int64_t)log->end)
			continue;
		snprintf(why, cap, "%s has committed offset %d of %s/%d, and the log ends at %d",
		         shadow->service->name, (int)shadow->committed, shadow->topic,
		         shadow->partition, log ? (int)log->end : -1);
		return false;
	}
	snprintf(why, cap, "a transaction is open");
	return transactions_are_quiet();
}

/* A committed record is visible, and nothing else of our producers is. */
static void check_fates(const struct partition_log *log)
{
	for (size_t i = 0; i < log->end; i++) {
		const struct sim_record *record = &log->records[i];

		if (record->decided && record->fate != FATE_COMMITTED)
			oracle_fail("%s/%d: the record at offset %d was committed, and is not "
			            "visible",
			            log->topic, log->partition, (int)i);
		if (!record->decided && record->fate == FATE_COMMITTED && record->pid >= 1000)
			oracle_fail("%s/%d: the record at offset %d was not committed, and is "
			            "visible",
			            log->topic, log->partition, (int)i);
	}
}

static void check_coordinator(const struct shadow *shadow)
{
	char group[64];
	int64_t logged;

	snprintf(group, sizeof(group), SIM_PREFIX "%s", shadow->service->name);
	logged = groups_logged_offset(group, shadow->topic, shadow->partition);
	if (!shadow->kept && !oracle.offsets_moved && logged != shadow->committed &&
	    (logged >= 0 || shadow->committed > shadow->begin))
		oracle_fail("group %s: the log has offset %d of %s/%d; %d was committed", group,
		            (int)logged, shadow->topic, shadow->partition, (int)shadow->committed);
}

void oracle_end(void)
{
	for (size_t t = 0; t < cluster.topic_count; t++)
		for (int32_t p = 0; p < cluster.topics[t].partition_count; p++)
			check_fates(&cluster.topics[t].logs[p]);
	for (size_t i = 0; i < oracle.shadow_count; i++)
		check_coordinator(&oracle.shadows[i]);
}
