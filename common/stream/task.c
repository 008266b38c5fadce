/* The restore index is sparse: one block per few thousand records. A block has the newest time in
 * it that a restore needs, and the fold's snapshot (clock, watermarks) at its start. restore_from
 * is the start of the oldest block that a restore needs. So a restore reads at most one block too
 * much.
 *
 *   metadata   v1 r=<restore_from> p=<partitions> m=<fingerprint> n=<counts> l=<last counted>
 *              u=<unreadable> f=<record mark> v=<xxh64 of the rules>@<since>,<dead letters>
 *              t=<start times> h=<snapshot> x=<xxh32 of all before>
 *
 * f is the mark of the newest record folded, which recognises the log. After an error in the middle
 * of a poll, it is the mark of an earlier record. It is missing before the first record, and in
 * metadata of older versions. The metadata is text because the broker keeps it
 * as a string, and because people look at it. The counts are those at the commit, not at
 * restore_from: a restore may classify records beyond the horizon differently, and the counts must
 * not change by that.
 *
 * Rules may change, but ids that were seen stay seen, and a record that was refused does not count
 * as seen. So v has the rules of the commit, the offset `since` from which they have applied
 * without a break, and the number of dead letters before restore_from. If `since` is past
 * restore_from, today's rules do not decide about the records of the restore: a record was refused
 * if a dead letter names it. Otherwise it was accepted. The same holds if the range has unreadable
 * records: their schema may be registered by now. v is missing in metadata of older versions, whose
 * rules count as other rules. Older versions ignore v, and write metadata without it.
 *
 * The registry decides whether a record can be read, and it may lose its data. So the metadata has
 * the number of unreadable records, up to restore_from (u) and up to the commit (in n). A restore
 * between the two must not find more than the difference. u is a number and not a list of offsets,
 * since a client with the right to write can make any number of such records. The check finds every
 * loss as long as the same stray records are refused again.
 *
 * Limits: a stray record whose schema was registered in the meantime hides one loss. So does every
 * stray record before restore_from in metadata of a version without u, which counts as 0. The
 * snapshot has to fit, which bounds the merge half to 128 source partitions, and to fewer rollups
 * for more than 64 (merge_fold_fits). */
#include "stream/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/number.h"
#include "event/event.h"
#include "event/reason.h"

#define RULES_HASH_DIGITS 16
#define RULES_TEXT_MAX    64

struct task_block {
	int64_t first_offset;
	int64_t newest_us; /* newest time that a restore needs */
	int64_t records;
	int64_t unreadable; /* number of unreadable records before first_offset */
	int64_t dead;       /* number of dead letters of records before first_offset */
	char *snapshot;     /* at first_offset; owned */
};

static void blocks_drop(struct task *task, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(task->blocks[i].snapshot);
	task->block_count -= count;
	if (count)
		memmove(task->blocks, task->blocks + count,
		        task->block_count * sizeof(*task->blocks));
}

static char *snapshot_copy(const struct task *task)
{
	char snapshot[FOLD_SNAPSHOT_MAX];
	size_t len = task->params.ops->snapshot(task->fold, snapshot);
	char *copy = xrealloc(NULL, len + 1);

	memcpy(copy, snapshot, len);
	copy[len] = '\0';
	return copy;
}

/* Number of unreadable records in the counts. */
static int64_t unreadable_of(const struct counts *counts)
{
	return sum_capped(sum_capped(counts->dead[REASON_UNKNOWN_SCHEMA_ID],
	                             counts->dead[REASON_WRONG_SCHEMA]),
	                  counts->dead[REASON_MALFORMED_AVRO]);
}

/* Number of unreadable records since the partition's beginning. */
static int64_t unreadable_so_far(const struct task *task)
{
	return sum_capped(task->unreadable_before, unreadable_of(&task->counts));
}

static int64_t dead_of(const struct counts *counts)
{
	int64_t dead = 0;

	for (int i = 0; i < REASON_COUNT; i++)
		dead = sum_capped(dead, counts->dead[i]);
	return dead;
}

/* Number of dead letters since the partition's beginning. */
static int64_t dead_so_far(const struct task *task)
{
	if (!task->restoring)
		return dead_of(&task->counts);
	return sum_capped(task->dead_before,
	                  task->refused.reasons ? task->refused_seen : dead_of(&task->counts));
}

bool task_lost_records(const struct task *task)
{
	return task->restoring && unreadable_so_far(task) > unreadable_of(&task->committed_counts);
}

/* The block of the record at offset. Call before the record is folded. */
static struct task_block *block_for(struct task *task, int64_t offset)
{
	struct task_block *last;

	if (task->block_count == 0 ||
	    task->blocks[task->block_count - 1].records >= task->params.block_records) {
		GROW(task->blocks, task->block_count, task->block_capacity);
		task->blocks[task->block_count++] =
			(struct task_block){.first_offset = offset,
		                            .newest_us = FOLD_NOTHING,
		                            .unreadable = unreadable_so_far(task),
		                            .dead = dead_so_far(task),
		                            .snapshot = snapshot_copy(task)};
	}
	last = &task->blocks[task->block_count - 1];
	last->records++;
	return last;
}

void task_start(struct task *task, const struct task_params *params, int64_t offset)
{
	*task = (struct task){.params = *params,
	                      .committed = offset,
	                      .position = offset,
	                      .restore_to = offset,
	                      .last_counted = -1,
	                      .last = RECORD_MARK_NONE,
	                      .rules_since = offset};
	task->fold = params->ops->new (params->fold_config, params->partition);
	params->ops->restored(task->fold);
}

void task_free(struct task *task)
{
	blocks_drop(task, task->block_count);
	free(task->blocks);
	refused_offsets_free(&task->refused);
	if (task->fold)
		task->params.ops->free(task->fold);
	*task = (struct task){0};
}

static void restore_done(struct task *task)
{
	task->restoring = false;
	task->counts = task->committed_counts;
	task->unreadable_before = 0;
	task->dead_before = task->refused_seen = 0;
	refused_offsets_free(&task->refused);
	task->counts_changed = false;
	task->params.ops->restored(task->fold);
}

/* The fold gets the earlier result of a record, if it is known. */
static int64_t fold_record(struct task *task, const struct input_record *record, struct outbox *out)
{
	struct input_record known = *record;

	if (!task->restoring)
		return task->params.ops->apply(task->fold, record, &task->counts, out);
	if (task->refused.reasons) {
		known.earlier_reason = refused_offsets_reason(&task->refused, record->offset);
		known.earlier =
			known.earlier_reason == REASON_NONE ? EARLIER_ACCEPTED : EARLIER_REFUSED;
		task->refused_seen += known.earlier == EARLIER_REFUSED;
	}
	return task->params.ops->apply(task->fold, &known, &task->counts, NULL);
}

/* Only the last record before a commit needs a mark. A record that is followed gets none, because
 * its hash costs much. If an error comes between, the mark is that of an earlier record. */
static void mark(struct task *task, const struct input_record *record)
{
	if (record->offset <= task->last.offset || (record->followed && task->last.offset >= 0))
		return;
	task->last =
		record_mark_of(record->offset, record->timestamp_ms, record->key, record->value);
}

void task_apply(struct task *task, const struct input_record *record, struct outbox *out)
{
	struct task_block *block;
	int64_t newest_us;
	struct counts before;

	if (record->offset < task->position) {
		task->stale_count++;
		return;
	}
	if (task->restoring && record->offset >= task->restore_to)
		restore_done(task);
	block = block_for(task, record->offset);
	before.records_in = task->counts.records_in;
	newest_us = fold_record(task, record, out);
	if (newest_us > block->newest_us)
		block->newest_us = newest_us;
	if (task->counts.records_in != before.records_in && !task->restoring) {
		task->counts_changed = true;
		task->last_counted = record->offset;
	}
	mark(task, record);
	task->position = record->offset + 1;
}

void task_at_end(struct task *task, int64_t end_offset)
{
	if (end_offset > task->position)
		task->position = end_offset;
	if (task->restoring && task->position >= task->restore_to)
		restore_done(task);
}

void task_flush(struct task *task, struct outbox *out)
{
	task->params.ops->flush(task->fold, out);
}

static bool is_needed(const struct task_block *block, int64_t horizon_us)
{
	return block->newest_us != FOLD_NOTHING && block->newest_us >= horizon_us;
}

/* Drops the blocks before restore_from, also one that may still get records: restore_from must
 * never go back, because the input may be trimmed up to it. */
void task_committed(struct task *task)
{
	int64_t horizon_us = task->params.ops->horizon(task->fold);
	size_t drop = 0;

	task->committed = task->position;
	task->counts_changed = false;
	while (drop < task->block_count && !is_needed(&task->blocks[drop], horizon_us))
		drop++;
	blocks_drop(task, drop);
}

static const struct task_block *oldest_needed_block(const struct task *task)
{
	int64_t horizon_us = task->params.ops->horizon(task->fold);

	for (size_t i = 0; i < task->block_count; i++)
		if (is_needed(&task->blocks[i], horizon_us))
			return &task->blocks[i];
	return NULL;
}

int64_t task_restore_from(const struct task *task)
{
	const struct task_block *block = oldest_needed_block(task);

	return block ? block->first_offset : task->position;
}

#define OTHER_PRICE "duplicates_other_price"

/* "in,out,duplicates,late", then ",name:count" for each count that is not 0. The name is a reason,
 * OTHER_PRICE, or '?' and a field that could not be read. */
static size_t counts_format(const struct counts *counts, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
	                              counts->records_in, counts->records_out, counts->duplicates,
	                              counts->late);

	for (int i = 0; i < REASON_COUNT && len < cap; i++)
		if (counts->dead[i])
			len += (size_t)snprintf(out + len, cap - len, ",%s:%" PRId64,
			                        reason_name((enum reason)i), counts->dead[i]);
	for (int i = 0; i < EVENT_FIELD_COUNT && len < cap; i++)
		if (counts->unreadable[i])
			len += (size_t)snprintf(out + len, cap - len, ",?%s:%" PRId64,
			                        event_field_names[i], counts->unreadable[i]);
	if (counts->duplicates_other_price && len < cap)
		len += (size_t)snprintf(out + len, cap - len, "," OTHER_PRICE ":%" PRId64,
		                        counts->duplicates_other_price);
	return len;
}

/* At most half of the range, so that later additions never overflow. */
static bool is_count(int64_t value)
{
	return value >= 0 && value <= INT64_MAX / 2;
}

/* The count with this name in the text; NULL: none has it. */
static int64_t *count_named(struct counts *counts, struct span name)
{
	enum reason reason;

	if (span_is(name, OTHER_PRICE))
		return &counts->duplicates_other_price;
	for (int i = 0; i < EVENT_FIELD_COUNT && name.len > 0 && name.at[0] == '?'; i++)
		if (span_is((struct span){name.at + 1, name.len - 1}, event_field_names[i]))
			return &counts->unreadable[i];
	reason = reason_from_name(name);
	return reason == REASON_COUNT ? NULL : &counts->dead[reason];
}

/* One "name:count". */
static bool named_count_parse(const char **text, struct counts *counts)
{
	struct span name = {*text, strcspn(*text, ":")};
	const char *at = name.at + name.len;
	int64_t value, *count;

	if (*at++ != ':' || !number_take(&at, &value) || !is_count(value))
		return false;
	count = count_named(counts, name);
	if (!count)
		return false;
	*count = value;
	*text = at;
	return true;
}

static bool counts_parse(const char *text, struct counts *counts)
{
	int64_t parts[4];

	if (!number_take_list(&text, parts, 4))
		return false;
	for (int i = 0; i < 4; i++)
		if (!is_count(parts[i]))
			return false;
	*counts = (struct counts){.records_in = parts[0],
	                          .records_out = parts[1],
	                          .duplicates = parts[2],
	                          .late = parts[3]};
	while (*text++ == ',')
		if (!named_count_parse(&text, counts))
			return false;
	return text[-1] == '\0';
}

/* 16 hexadecimal digits. rules: not NULL. */
static void rules_hash(const char *rules, char out[RULES_HASH_DIGITS + 1])
{
	snprintf(out, RULES_HASH_DIGITS + 1, "%016" PRIx64, XXH64(rules, strlen(rules), 0));
}

/* " v=<hash>@<since>,<dead letters>"; nothing if the fold has no rules. */
static void rules_format(const struct task *task, int64_t dead, char out[RULES_TEXT_MAX])
{
	char hash[RULES_HASH_DIGITS + 1];

	*out = '\0';
	if (!task->params.rules)
		return;
	rules_hash(task->params.rules, hash);
	snprintf(out, RULES_TEXT_MAX, " v=%s@%" PRId64 ",%" PRId64, hash, task->rules_since, dead);
}

bool task_metadata(struct task *task, char out[TASK_METADATA_MAX], struct err *err)
{
	const struct task_block *block = oldest_needed_block(task);
	char snapshot[FOLD_SNAPSHOT_MAX], start_times[FOLD_START_TIMES_MAX] = "";
	char counts[2048], last[RECORD_MARK_TEXT_MAX], rules[RULES_TEXT_MAX];
	size_t len, snapshot_len;

	snapshot_len =
		block ? strlen(block->snapshot) : task->params.ops->snapshot(task->fold, snapshot);
	counts_format(&task->counts, counts, sizeof(counts));
	if (task->params.ops->start_times)
		task->params.ops->start_times(task->fold, start_times);
	record_mark_format(&task->last, last);
	rules_format(task, block ? block->dead : dead_so_far(task), rules);
	len = (size_t)snprintf(out, TASK_METADATA_MAX,
	                       "v1 r=%" PRId64 " p=%" PRId32 " m=%s n=%s l=%" PRId64 " u=%" PRId64
	                       "%s%s%s t=%s h=%.*s",
	                       block ? block->first_offset : task->position,
	                       task->params.partition_count, task->params.fingerprint, counts,
	                       task->last_counted,
	                       block ? block->unreadable : unreadable_so_far(task),
	                       task->last.offset < 0 ? "" : " f=",
	                       task->last.offset < 0 ? "" : last, rules, start_times,
	                       (int)snapshot_len, block ? block->snapshot : snapshot);
	if (len + 16 > TASK_METADATA_MAX || snapshot_len + 1 >= FOLD_SNAPSHOT_MAX)
		return err_set(err, ERR_OPERATOR,
		               "%s partition %" PRId32
		               ": restore metadata has %zu bytes, expected at most %d: "
		               "configure fewer ROLLUPS",
		               task->params.ops->name, task->params.partition, len,
		               TASK_METADATA_MAX - 16);
	snprintf(out + len, TASK_METADATA_MAX - len, " x=%08" PRIx32, XXH32(out, len, 0));
	return true;
}

#define ADVICE "; " ERR_ADVICE_FRESH_SET

/* The value of one "key=value" of the metadata, up to the next space. */
static bool field(const char *text, const char *key, char *out, size_t cap)
{
	char pattern[8];
	const char *at;
	size_t len;

	snprintf(pattern, sizeof(pattern), " %s=", key);
	at = strstr(text, pattern);
	if (!at)
		return false;
	at += strlen(pattern);
	len = strcspn(at, " ");
	if (len >= cap)
		return false;
	memcpy(out, at, len);
	out[len] = '\0';
	return true;
}

static bool checksum_fits(const char *text)
{
	const char *checksum = strrchr(text, ' ');
	char want[16];

	if (strncmp(text, "v1 ", 3) != 0 || !checksum)
		return false;
	snprintf(want, sizeof(want), " x=%08" PRIx32, XXH32(text, (size_t)(checksum - text), 0));
	return strcmp(checksum, want) == 0;
}

struct parsed_metadata {
	int64_t restore_from, last_counted, unreadable;
	/* Of v; "" and -1 if it is missing. */
	char rules_hash[RULES_HASH_DIGITS + 1];
	int64_t rules_since, dead;
	int32_t partition_count;
	struct counts counts;
	struct record_mark last;
	char fingerprint[TASK_FINGERPRINT_MAX], start_times[FOLD_START_TIMES_MAX],
		snapshot[FOLD_SNAPSHOT_MAX];
};

static bool number_field(const char *text, const char *key, int64_t *value)
{
	char number[32];

	return field(text, key, number, sizeof(number)) && number_parse(number, value);
}

/* The field is missing in metadata of older versions. */
static bool unreadable_field(const char *text, int64_t *value)
{
	*value = 0;
	return !strstr(text, " u=") || (number_field(text, "u", value) && is_count(*value));
}

/* The field is missing in metadata of older versions, and before the first record. */
static bool mark_field(const char *text, struct record_mark *mark)
{
	char value[RECORD_MARK_TEXT_MAX];

	*mark = RECORD_MARK_NONE;
	return !strstr(text, " f=") ||
	       (field(text, "f", value, sizeof(value)) && record_mark_parse(value, mark));
}

/* The field is missing in metadata of older versions, and of folds without rules. */
static bool rules_field(const char *text, struct parsed_metadata *parsed)
{
	char value[RULES_TEXT_MAX];
	const char *at = value + RULES_HASH_DIGITS + 1;
	int64_t numbers[2];

	*parsed->rules_hash = '\0';
	parsed->rules_since = parsed->dead = -1;
	if (!strstr(text, " v="))
		return true;
	if (!field(text, "v", value, sizeof(value)) ||
	    strspn(value, "0123456789abcdef") != RULES_HASH_DIGITS ||
	    value[RULES_HASH_DIGITS] != '@' || !number_take_list(&at, numbers, 2) || *at ||
	    numbers[0] < 0 || !is_count(numbers[1]))
		return false;
	value[RULES_HASH_DIGITS] = '\0';
	memcpy(parsed->rules_hash, value, RULES_HASH_DIGITS + 1);
	parsed->rules_since = numbers[0];
	parsed->dead = numbers[1];
	return true;
}

static bool metadata_parse(struct span metadata, struct parsed_metadata *parsed)
{
	char text[TASK_METADATA_MAX], counts[2048];
	int64_t partitions;

	if (!metadata.at || metadata.len >= sizeof(text))
		return false;
	memcpy(text, metadata.at, metadata.len);
	text[metadata.len] = '\0';
	if (!checksum_fits(text) || !number_field(text, "r", &parsed->restore_from) ||
	    !number_field(text, "p", &partitions) || partitions < 0 || partitions > INT32_MAX ||
	    !number_field(text, "l", &parsed->last_counted) ||
	    !unreadable_field(text, &parsed->unreadable) || !mark_field(text, &parsed->last) ||
	    !rules_field(text, parsed))
		return false;
	parsed->partition_count = (int32_t)partitions;
	return field(text, "m", parsed->fingerprint, sizeof(parsed->fingerprint)) &&
	       field(text, "n", counts, sizeof(counts)) && counts_parse(counts, &parsed->counts) &&
	       parsed->dead <= dead_of(&parsed->counts) &&
	       field(text, "t", parsed->start_times, sizeof(parsed->start_times)) &&
	       field(text, "h", parsed->snapshot, sizeof(parsed->snapshot));
}

bool task_metadata_read(struct span metadata, char fingerprint[TASK_FINGERPRINT_MAX],
                        char snapshot[FOLD_SNAPSHOT_MAX])
{
	struct parsed_metadata parsed;

	if (!metadata_parse(metadata, &parsed))
		return false;
	memcpy(fingerprint, parsed.fingerprint, sizeof(parsed.fingerprint));
	memcpy(snapshot, parsed.snapshot, sizeof(parsed.snapshot));
	return true;
}

static bool metadata_fits(const struct task_params *params, int64_t committed,
                          const struct parsed_metadata *parsed, struct err *err)
{
	if (parsed->partition_count != params->partition_count)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32
		               " was committed when the input topic had %" PRId32
		               " partitions, and the topic has %" PRId32
		               " now: keys have moved to other partitions, so the state is not "
		               "valid" ADVICE,
		               params->ops->name, params->partition, parsed->partition_count,
		               params->partition_count);
	if (strcmp(parsed->fingerprint, params->fingerprint) != 0)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32
		               " was committed with the settings %s, and the settings are %s now: "
		               "restore the former settings; or, " ERR_ADVICE_FRESH_SET,
		               params->ops->name, params->partition, parsed->fingerprint,
		               params->fingerprint);
	if (parsed->restore_from > committed || parsed->restore_from < 0)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32 ": restore offset %" PRId64
		               " is past the committed offset %" PRId64 ADVICE,
		               params->ops->name, params->partition, parsed->restore_from,
		               committed);
	if (parsed->last.offset >= committed)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32 ": the last record read has offset %" PRId64
		               ", which is not before the committed offset %" PRId64 ADVICE,
		               params->ops->name, params->partition, parsed->last.offset,
		               committed);
	return true;
}

/* Other rules than those of the metadata apply from the committed offset on. */
static void resume_rules(struct task *task, const struct parsed_metadata *parsed)
{
	char hash[RULES_HASH_DIGITS + 1] = "";

	if (task->params.rules)
		rules_hash(task->params.rules, hash);
	task->rules_changed = strcmp(parsed->rules_hash, hash) != 0;
	task->rules_since = task->rules_changed ? task->committed : parsed->rules_since;
	task->dead_before = parsed->dead;
}

bool task_wants_refused(const struct task *task, int64_t *expected)
{
	int64_t unreadable = unreadable_of(&task->committed_counts) - task->unreadable_before;

	if (!task->restoring || !task->params.rules ||
	    (task->position >= task->rules_since && unreadable <= 0))
		return false;
	*expected =
		task->dead_before < 0 ? -1 : dead_of(&task->committed_counts) - task->dead_before;
	return true;
}

void task_set_refused(struct task *task, struct refused_offsets *refused)
{
	int64_t dead = dead_of(&task->committed_counts);

	/* If there are more dead letters than counted, another client has written some. */
	if (task->dead_before < 0)
		task->dead_before = dead > refused->count ? dead - refused->count : 0;
	task->refused = *refused;
	*refused = (struct refused_offsets){0};
}

bool task_resume(struct task *task, const struct task_params *params, int64_t committed,
                 struct span metadata, struct err *err)
{
	struct parsed_metadata parsed;

	*task = (struct task){.params = *params};
	if (!metadata_parse(metadata, &parsed))
		return err_set(err, ERR_OPERATOR,
		               "%s: the metadata of the offset committed for partition %" PRId32
		               " cannot be read ('%.*s')" ADVICE,
		               params->ops->name, params->partition,
		               (int)(metadata.len < 80 ? metadata.len : 80),
		               metadata.at ? metadata.at : "");
	if (!metadata_fits(params, committed, &parsed, err))
		return false;
	task->fold = params->ops->new (params->fold_config, params->partition);
	if (params->ops->restore_start_times &&
	    !params->ops->restore_start_times(task->fold, span_of(parsed.start_times), err))
		return false;
	if (!params->ops->restore_snapshot(task->fold, span_of(parsed.snapshot), err))
		return false;
	task->committed = task->restore_to = committed;
	task->position = parsed.restore_from;
	task->committed_counts = parsed.counts;
	task->unreadable_before = parsed.unreadable;
	task->last_counted = parsed.last_counted;
	task->last = parsed.last;
	resume_rules(task, &parsed);
	task->restoring = true;
	if (task->position >= committed)
		restore_done(task);
	return true;
}
