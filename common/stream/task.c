/* The restore index is sparse: one block per few thousand records, with the newest time that
 * matters in it and the fold's header (clock, watermarks) at its start. restore_from is the start of
 * the oldest block that still matters, so a rebuild reads at most one block too much.
 *
 *   metadata   v1 r=<restore_from> p=<partitions> m=<fingerprint> n=<counts> l=<last row>
 *              u=<unreadable> f=<record_mark> t=<terms> h=<header> x=<xxh32 of all before>
 *
 * f is the newest record folded, by which the log is recognised. It is missing before the first
 * record, and in metadata of older versions.
 * The metadata is text because the broker keeps it as a string, and because people look at it. The
 * counts are those at the commit, not at restore_from: a replayed verdict may differ for what lies
 * beyond the horizon, and the counts must not.
 *
 * The registry decides whether a record can be read, and it may lose its data. So the metadata has
 * the number of records that were refused for their schema, up to restore_from (u) and up to the
 * commit (in n). A rebuild between the two must not meet more than the difference. u is a number
 * and not a list of offsets, since a client with the right to write can make any number of such
 * records. The check finds every loss as long as the same stray records are refused again. Limits:
 * a stray record whose schema was registered in the meantime hides one loss. So does every stray
 * record before restore_from in metadata of a version that had no u, which counts as 0.
 *
 * Limit: the header has to fit, which bounds the merge half to 128 source partitions and fewer rollups (merge_fold_fits). */
#include "stream/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/number.h"
#include "event/reason.h"

struct task_block {
	int64_t first_offset;
	int64_t newest_us; /* newest time that matters */
	int64_t records;
	int64_t unreadable; /* before first_offset */
	char *header;       /* at first_offset; owned */
};

static void blocks_drop(struct task *task, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(task->blocks[i].header);
	task->block_count -= count;
	if (count)
		memmove(task->blocks, task->blocks + count,
		        task->block_count * sizeof(*task->blocks));
}

static char *header_copy(const struct task *task)
{
	char header[FOLD_SNAPSHOT_MAX];
	size_t len = task->terms.ops->snapshot(task->fold, header);
	char *copy = xrealloc(NULL, len + 1);

	memcpy(copy, header, len);
	copy[len] = '\0';
	return copy;
}

/* Records refused for their schema, of those that a task has counted. */
static int64_t unreadable_of(const struct counts *counts)
{
	return sum_capped(sum_capped(counts->dead[REASON_UNKNOWN_SCHEMA_ID],
	                             counts->dead[REASON_WRONG_SCHEMA]),
	                  counts->dead[REASON_MALFORMED_AVRO]);
}

/* Records refused for their schema since the partition's beginning. */
static int64_t unreadable_so_far(const struct task *task)
{
	return sum_capped(task->unreadable_before, unreadable_of(&task->counts));
}

bool task_lost_records(const struct task *task)
{
	return task->restoring && unreadable_so_far(task) > unreadable_of(&task->committed_counts);
}

/* The block that the record at offset belongs to; called before it is folded. */
static struct task_block *block_for(struct task *task, int64_t offset)
{
	struct task_block *last;

	if (task->block_count == 0 ||
	    task->blocks[task->block_count - 1].records >= task->terms.block_records) {
		GROW(task->blocks, task->block_count, task->block_capacity);
		task->blocks[task->block_count++] =
			(struct task_block){offset, FOLD_NOTHING, 0, unreadable_so_far(task),
		                            header_copy(task)};
	}
	last = &task->blocks[task->block_count - 1];
	last->records++;
	return last;
}

void task_start(struct task *task, const struct task_params *terms, int64_t offset)
{
	*task = (struct task){.terms = *terms,
	                      .committed = offset,
	                      .position = offset,
	                      .restore_to = offset,
	                      .last_row = -1,
	                      .last = RECORD_MARK_NONE};
	task->fold = terms->ops->new (terms->fold_config, terms->partition);
	terms->ops->restored(task->fold);
}

void task_free(struct task *task)
{
	blocks_drop(task, task->block_count);
	free(task->blocks);
	if (task->fold)
		task->terms.ops->free(task->fold);
	*task = (struct task){0};
}

static void restore_done(struct task *task)
{
	task->restoring = false;
	task->counts = task->committed_counts;
	task->unreadable_before = 0;
	task->counts_changed = false;
	task->terms.ops->restored(task->fold);
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
	newest_us = task->terms.ops->apply(task->fold, record, &task->counts,
	                                   task->restoring ? NULL : out);
	if (newest_us > block->newest_us)
		block->newest_us = newest_us;
	if (task->counts.records_in != before.records_in && !task->restoring) {
		task->counts_changed = true;
		task->last_row = record->offset;
	}
	if (record->offset > task->last.offset)
		task->last = record_mark_of(record->offset, record->timestamp_ms, record->key,
		                            record->value);
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
	task->terms.ops->flush(task->fold, out);
}

void task_committed(struct task *task)
{
	int64_t horizon_us = task->terms.ops->horizon(task->fold);
	size_t drop = 0;

	task->committed = task->position;
	task->counts_changed = false;
	while (drop < task->block_count && task->blocks[drop].newest_us < horizon_us)
		drop++;
	blocks_drop(task, drop);
}

static const struct task_block *oldest_that_matters(const struct task *task)
{
	int64_t horizon_us = task->terms.ops->horizon(task->fold);

	for (size_t i = 0; i < task->block_count; i++)
		if (task->blocks[i].newest_us != FOLD_NOTHING &&
		    task->blocks[i].newest_us >= horizon_us)
			return &task->blocks[i];
	return NULL;
}

int64_t task_restore_from(const struct task *task)
{
	const struct task_block *block = oldest_that_matters(task);

	return block ? block->first_offset : task->position;
}

/* in,out,duplicates,late and then reason:count for each that occurred. */
static size_t counts_format(const struct counts *counts, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
	                              counts->records_in, counts->records_out, counts->duplicates,
	                              counts->late);

	for (int i = 0; i < REASON_COUNT && len < cap; i++)
		if (counts->dead[i])
			len += (size_t)snprintf(out + len, cap - len, ",%s:%" PRId64,
			                        reason_name((enum reason)i), counts->dead[i]);
	return len;
}

/* Half of what fits: so that counting on never overflows. */
static bool is_count(int64_t value)
{
	return value >= 0 && value <= INT64_MAX / 2;
}

/* One "reason:count". */
static bool dead_parse(const char **text, struct counts *counts)
{
	char name[64];
	size_t len = strcspn(*text, ":");
	const char *at = *text + len;
	int64_t value;
	enum reason reason;

	if (len >= sizeof(name) || *at++ != ':' || !number_take(&at, &value) || !is_count(value))
		return false;
	memcpy(name, *text, len);
	name[len] = '\0';
	reason = reason_from_name(name);
	if (reason == REASON_COUNT)
		return false;
	counts->dead[reason] = value;
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
		if (!dead_parse(&text, counts))
			return false;
	return text[-1] == '\0';
}

bool task_metadata(struct task *task, char out[TASK_METADATA_MAX], struct err *err)
{
	const struct task_block *block = oldest_that_matters(task);
	char header[FOLD_SNAPSHOT_MAX], terms[FOLD_START_TIMES_MAX] = "", counts[2048],
					last[RECORD_MARK_TEXT_MAX];
	size_t len, header_len;

	header_len = block ? strlen(block->header) : task->terms.ops->snapshot(task->fold, header);
	counts_format(&task->counts, counts, sizeof(counts));
	if (task->terms.ops->start_times)
		task->terms.ops->start_times(task->fold, terms);
	record_mark_format(&task->last, last);
	len = (size_t)snprintf(out, TASK_METADATA_MAX,
	                       "v1 r=%" PRId64 " p=%" PRId32 " m=%s n=%s l=%" PRId64 " u=%" PRId64
	                       "%s%s t=%s h=%.*s",
	                       block ? block->first_offset : task->position,
	                       task->terms.partition_count, task->terms.fingerprint, counts,
	                       task->last_row, block ? block->unreadable : unreadable_so_far(task),
	                       task->last.offset < 0 ? "" : " f=",
	                       task->last.offset < 0 ? "" : last, terms, (int)header_len,
	                       block ? block->header : header);
	if (len + 16 > TASK_METADATA_MAX || header_len + 1 >= FOLD_SNAPSHOT_MAX)
		return err_set(
			err, ERR_OPERATOR,
			"%s partition %" PRId32
			": restore metadata of %zu bytes is over its limit of %d; name fewer ROLLUPS",
			task->terms.ops->name, task->terms.partition, len, TASK_METADATA_MAX);
	snprintf(out + len, TASK_METADATA_MAX - len, " x=%08" PRIx32, XXH32(out, len, 0));
	return true;
}

#define WAY_ON "; " ERR_ADVICE_FRESH_SET

/* One "k=value" of the metadata, up to the next space. */
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
	const char *mark = strrchr(text, ' ');
	char want[16];

	if (strncmp(text, "v1 ", 3) != 0 || !mark)
		return false;
	snprintf(want, sizeof(want), " x=%08" PRIx32, XXH32(text, (size_t)(mark - text), 0));
	return strcmp(mark, want) == 0;
}

struct parsed_metadata {
	int64_t restore_from, last_row, unreadable;
	int32_t partition_count;
	struct counts counts;
	struct record_mark last;
	char fingerprint[TASK_FINGERPRINT_MAX], terms[FOLD_START_TIMES_MAX],
		header[FOLD_SNAPSHOT_MAX];
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
	    !number_field(text, "l", &parsed->last_row) ||
	    !unreadable_field(text, &parsed->unreadable) || !mark_field(text, &parsed->last))
		return false;
	parsed->partition_count = (int32_t)partitions;
	return field(text, "m", parsed->fingerprint, sizeof(parsed->fingerprint)) &&
	       field(text, "n", counts, sizeof(counts)) && counts_parse(counts, &parsed->counts) &&
	       field(text, "t", parsed->terms, sizeof(parsed->terms)) &&
	       field(text, "h", parsed->header, sizeof(parsed->header));
}

bool task_metadata_look(struct span metadata, char fingerprint[TASK_FINGERPRINT_MAX],
                        char header[FOLD_SNAPSHOT_MAX])
{
	struct parsed_metadata parsed;

	if (!metadata_parse(metadata, &parsed))
		return false;
	memcpy(fingerprint, parsed.fingerprint, sizeof(parsed.fingerprint));
	memcpy(header, parsed.header, sizeof(parsed.header));
	return true;
}

static bool metadata_fits(const struct task_params *terms, int64_t committed,
                          const struct parsed_metadata *parsed, struct err *err)
{
	if (parsed->partition_count != terms->partition_count)
		return err_set(
			err, ERR_OPERATOR,
			"%s: the input topic had %" PRId32 " partitions when partition %" PRId32
			" was committed and has %" PRId32
			" now: keys have moved, so state and de-duplication no longer hold" WAY_ON,
			terms->ops->name, parsed->partition_count, terms->partition,
			terms->partition_count);
	if (strcmp(parsed->fingerprint, terms->fingerprint) != 0)
		return err_set(
			err, ERR_OPERATOR,
			"%s: partition %" PRId32
			" was committed under the settings %s and they are %s now: set them back" WAY_ON,
			terms->ops->name, terms->partition, parsed->fingerprint,
			terms->fingerprint);
	if (parsed->restore_from > committed || parsed->restore_from < 0)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32 ": restore offset %" PRId64
		               " lies beyond the committed %" PRId64 WAY_ON,
		               terms->ops->name, terms->partition, parsed->restore_from, committed);
	if (parsed->last.offset >= committed)
		return err_set(err, ERR_OPERATOR,
		               "%s: partition %" PRId32 ": the last record read has offset %" PRId64
		               ", and only %" PRId64 " is committed" WAY_ON,
		               terms->ops->name, terms->partition, parsed->last.offset, committed);
	return true;
}

bool task_resume(struct task *task, const struct task_params *terms, int64_t committed,
                 struct span metadata, struct err *err)
{
	struct parsed_metadata parsed;

	*task = (struct task){.terms = *terms};
	if (!metadata_parse(metadata, &parsed))
		return err_set(err, ERR_OPERATOR,
		               "%s: the metadata of the offset committed for partition %" PRId32
		               " cannot be read ('%.*s')" WAY_ON,
		               terms->ops->name, terms->partition,
		               (int)(metadata.len < 80 ? metadata.len : 80),
		               metadata.at ? metadata.at : "");
	if (!metadata_fits(terms, committed, &parsed, err))
		return false;
	task->fold = terms->ops->new (terms->fold_config, terms->partition);
	if (terms->ops->restore_start_times &&
	    !terms->ops->restore_start_times(task->fold, span_of(parsed.terms), err))
		return false;
	if (!terms->ops->restore_snapshot(task->fold, span_of(parsed.header), err))
		return false;
	task->committed = task->restore_to = committed;
	task->position = parsed.restore_from;
	task->committed_counts = parsed.counts;
	task->unreadable_before = parsed.unreadable;
	task->last_row = parsed.last_row;
	task->last = parsed.last;
	task->restoring = true;
	if (task->position >= committed)
		restore_done(task);
	return true;
}
