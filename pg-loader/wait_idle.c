/* One check reads the log ends, then the committed offsets, then the log ends again. If a committed
 * offset equals a log end that is the same before and after, the partition was completely
 * processed.
 *
 * One consumer per group asks for the committed offsets; it never joins the group. It uses
 * read_uncommitted, so that the log end is the high watermark (see the header). A partition
 * without records (none were written, or retention has removed all) is drained without a
 * committed offset. */
#include "wait_idle.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "loader_offsets.h"
#include "postgres/postgres.h"
#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/record_mark.h"
#include "stream/start_offset.h"

#define CALL_TIMEOUT_MS 5000
#define CHECK_PAUSE_MS  100
#define REPORT_PAUSE_MS 500
#define LOG_EVERY_US    INT64_C(10000000)
#define REFRESH_HINT                                                                        \
	". All of it is in PostgreSQL. pg-loader refreshes the reports; it must run, with " \
	"REPORTING_INTERVAL above 0s, and its log says why a refresh has failed"

enum reader { READER_BRONZE_SINK, READER_AGGREGATOR, READER_LOADER, READER_COUNT };
static const char *const reader_names[READER_COUNT] = {"bronze-sink", "funnel-aggregator",
                                                       "pg-loader"};

static const struct {
	enum reader reader;
	const char *suffix;
} inputs[] = {
	{READER_BRONZE_SINK, "raw_events"},
	{READER_AGGREGATOR, "bronze_events"},
	{READER_AGGREGATOR, "funnel_partials"},
	{READER_LOADER, "bronze_events"},
	{READER_LOADER, "aggregated_events"},
	{READER_LOADER, "session_funnels"},
	{READER_LOADER, "dead_letter"},
	{READER_LOADER, "late_events"},
	{READER_LOADER, "counts"},
};
#define INPUT_COUNT (sizeof(inputs) / sizeof(*inputs))

struct watched {
	enum reader reader;
	char topic[256];
	int32_t partition;
	int64_t low, end, committed; /* offsets; end is exclusive */
};

struct wait_idle {
	const struct loader_config *config;
	struct postgres *pg;
	rd_kafka_t *clients[READER_LOADER]; /* by group; the loader's offsets are in PostgreSQL */
	struct watched *at;
	size_t count, capacity;
	struct stored_offset *offsets;
	int64_t deadline_us, logged_us;
	int drained_checks; /* in a row */
	bool with_reports, drained;
	bool terminal; /* stderr is a terminal: progress is one line that is rewritten */
};

struct wait_idle *wait_idle_new(const struct loader_config *config)
{
	struct wait_idle *wait = xrealloc(NULL, sizeof(*wait));

	*wait = (struct wait_idle){.config = config, .terminal = isatty(STDERR_FILENO)};
	wait->pg = postgres_new(&config->postgres, "pg-loader --wait-idle");
	wait->deadline_us = monotonic_us() + config->wait_timeout_us;
	wait->logged_us = monotonic_us();
	wait->with_reports = config->wait_reports && config->reporting_interval_us > 0;
	return wait;
}

void wait_idle_free(struct wait_idle *wait)
{
	if (!wait)
		return;
	for (int i = 0; i < READER_LOADER; i++)
		if (wait->clients[i])
			rd_kafka_destroy(wait->clients[i]);
	postgres_free(wait->pg);
	free(wait->at);
	free(wait->offsets);
	free(wait);
}

/* ---- what to watch */

static bool make_client(struct wait_idle *wait, enum reader reader, struct err *err)
{
	char group[256];
	const char *const extra[] = {"group.id", group, "isolation.level", "read_uncommitted",
	                             NULL};
	rd_kafka_conf_t *conf;

	if (wait->clients[reader])
		return true;
	snprintf(group, sizeof(group), "%s%s", wait->config->kafka.topic_prefix,
	         reader_names[reader]);
	conf = kafka_conf_new(&wait->config->kafka, KAFKA_CONSUMER, "pg-loader-wait-idle", extra,
	                      err);
	if (conf)
		wait->clients[reader] = kafka_client_new(conf, KAFKA_CONSUMER, err);
	return wait->clients[reader] != NULL;
}

static rd_kafka_t *client_of(const struct wait_idle *wait, const struct watched *watched)
{
	enum reader reader =
		watched->reader == READER_LOADER ? READER_BRONZE_SINK : watched->reader;

	return wait->clients[reader];
}

static bool list_partitions(struct wait_idle *wait, struct err *err)
{
	for (size_t i = 0; i < INPUT_COUNT; i++) {
		struct watched watched = {.reader = inputs[i].reader};
		int32_t partition_count = 0;

		snprintf(watched.topic, sizeof(watched.topic), "%s%s",
		         wait->config->kafka.topic_prefix, inputs[i].suffix);
		if (!kafka_partition_count(client_of(wait, &watched), watched.topic,
		                           CALL_TIMEOUT_MS, &partition_count, err)) {
			wait->count = 0;
			return false;
		}
		for (watched.partition = 0; watched.partition < partition_count;
		     watched.partition++) {
			GROW(wait->at, wait->count, wait->capacity);
			wait->at[wait->count++] = watched;
		}
	}
	wait->offsets = xrealloc(wait->offsets, wait->count * sizeof(*wait->offsets));
	return true;
}

/* ---- one check */

/* The partitions that one client reads, each once. */
static rd_kafka_topic_partition_list_t *partitions_of(const struct wait_idle *wait,
                                                      const rd_kafka_t *client)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)wait->count);

	for (size_t i = 0; i < wait->count; i++)
		if (client_of(wait, &wait->at[i]) == client &&
		    !rd_kafka_topic_partition_list_find(list, wait->at[i].topic,
		                                        wait->at[i].partition))
			rd_kafka_topic_partition_list_add(list, wait->at[i].topic,
			                                  wait->at[i].partition);
	return list;
}

static void set_bounds(struct wait_idle *wait, rd_kafka_t *client,
                       const rd_kafka_topic_partition_list_t *lows,
                       const rd_kafka_topic_partition_list_t *ends, bool *same)
{
	for (size_t i = 0; i < wait->count; i++) {
		struct watched *watched = &wait->at[i];
		int64_t end;

		if (client_of(wait, watched) != client)
			continue;
		end = rd_kafka_topic_partition_list_find(ends, watched->topic, watched->partition)
		              ->offset;
		*same &= watched->end == end;
		watched->end = end;
		watched->low =
			rd_kafka_topic_partition_list_find(lows, watched->topic, watched->partition)
				->offset;
	}
}

/* *same: no log end has changed since the last call. */
static bool read_ends(struct wait_idle *wait, bool *same, struct err *err)
{
	bool ok = true;

	*same = true;
	for (int r = 0; ok && r < READER_LOADER; r++) {
		rd_kafka_t *client = wait->clients[r];
		rd_kafka_topic_partition_list_t *lows = partitions_of(wait, client),
						*ends = partitions_of(wait, client);

		ok = kafka_offsets_at(client, lows, RD_KAFKA_OFFSET_BEGINNING, CALL_TIMEOUT_MS,
		                      err) &&
		     kafka_offsets_at(client, ends, RD_KAFKA_OFFSET_END, CALL_TIMEOUT_MS, err);
		if (ok)
			set_bounds(wait, client, lows, ends, same);
		rd_kafka_topic_partition_list_destroy(lows);
		rd_kafka_topic_partition_list_destroy(ends);
	}
	return ok;
}

static bool read_group(struct wait_idle *wait, enum reader reader, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)wait->count);
	rd_kafka_resp_err_t code;
	int n = 0;

	for (size_t i = 0; i < wait->count; i++)
		if (wait->at[i].reader == reader)
			rd_kafka_topic_partition_list_add(list, wait->at[i].topic,
			                                  wait->at[i].partition);
	code = rd_kafka_committed(wait->clients[reader], list, CALL_TIMEOUT_MS);
	for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		code = list->elems[i].err;
	for (size_t i = 0; i < wait->count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		if (wait->at[i].reader == reader) {
			int64_t offset = list->elems[n++].offset;

			wait->at[i].committed = offset >= 0 ? offset : OFFSET_NONE;
		}
	rd_kafka_topic_partition_list_destroy(list);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY, "cannot read the committed offsets of %s: %s",
	               reader_names[reader], kafka_err_text(code));
}

static bool read_loader(struct wait_idle *wait, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < wait->count; i++)
		if (wait->at[i].reader == READER_LOADER)
			wait->offsets[n++] =
				(struct stored_offset){wait->at[i].topic, wait->at[i].partition,
			                               OFFSET_NONE, OFFSET_NONE, RECORD_MARK_NONE};
	if (!postgres_connect(wait->pg, NULL, err) ||
	    !loader_offsets_read(wait->pg, wait->offsets, n, err))
		return false;
	n = 0;
	for (size_t i = 0; i < wait->count; i++)
		if (wait->at[i].reader == READER_LOADER)
			wait->at[i].committed = wait->offsets[n++].committed;
	return true;
}

static int64_t lag_of(const struct watched *watched)
{
	if (watched->committed == OFFSET_NONE)
		return watched->end - watched->low;
	return watched->end > watched->committed ? watched->end - watched->committed
	                                         : watched->committed - watched->end;
}

static bool check(struct wait_idle *wait, bool *drained, struct err *err)
{
	bool same;

	*drained = false;
	for (int r = 0; r < READER_LOADER; r++)
		if (!make_client(wait, (enum reader)r, err))
			return false;
	if ((wait->count == 0 && !list_partitions(wait, err)) || !read_ends(wait, &same, err))
		return false;
	for (int r = 0; r < READER_LOADER; r++)
		if (!read_group(wait, (enum reader)r, err))
			return false;
	if (!read_loader(wait, err) || !read_ends(wait, &same, err))
		return false;
	*drained = same;
	for (size_t i = 0; i < wait->count; i++)
		*drained &= lag_of(&wait->at[i]) == 0;
	return true;
}

/* ---- progress */

/* "bronze-sink lags by 120 on ecommerce_raw_events, ...": one item per reader and topic. */
static void describe(const struct wait_idle *wait, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < wait->count;) {
		const struct watched *first = &wait->at[i];
		int64_t lag = 0;

		for (; i < wait->count && wait->at[i].reader == first->reader &&
		       strcmp(wait->at[i].topic, first->topic) == 0;
		     i++)
			lag += lag_of(&wait->at[i]);
		if (lag > 0 && len < cap)
			len += (size_t)snprintf(out + len, cap - len,
			                        "%s%s lags by %" PRId64 " on %s", len ? ", " : "",
			                        reader_names[first->reader], lag, first->topic);
	}
	if (len == 0)
		snprintf(out, cap, "records still arrive");
}

static void show(struct wait_idle *wait, const char *text, bool failed)
{
	if (wait->terminal) {
		fprintf(stderr, "\r\033[K%.200s", text);
	} else if (monotonic_us() - wait->logged_us > LOG_EVERY_US) {
		wait->logged_us = monotonic_us();
		log_info("draining", log_str(failed ? "error" : "detail", text));
	}
}

/* The reports have all that is stored. Else text names what they lack. */
static bool reports_have_it(struct wait_idle *wait, char *text, size_t cap, struct err *err)
{
	PGresult *result = NULL;
	bool complete;

	if (!postgres_connect(wait->pg, NULL, err) ||
	    !postgres_query(wait->pg,
	                    "SELECT events, visits, late, segments, stages"
	                    " FROM reporting.waiting()",
	                    0, NULL, &result, err))
		return false;
	complete = true;
	for (int i = 0; i < PQnfields(result); i++)
		complete &= strcmp(PQgetvalue(result, 0, i), "0") == 0;
	snprintf(text, cap,
	         "the reports lack %s events, %s changes of visits, %s of late events, "
	         "%s segments, %s lists of stages",
	         PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2),
	         PQgetvalue(result, 0, 3), PQgetvalue(result, 0, 4));
	PQclear(result);
	return complete;
}

static enum step wait_idle_done(struct wait_idle *wait)
{
	if (wait->terminal)
		fputs("\r\033[K", stderr);
	log_info("drained", log_uint("partitions", wait->count),
	         log_str("reports", wait->with_reports ? "complete" : "not checked"));
	return STEP_DONE;
}

static bool check_pipeline(struct wait_idle *wait, char *text, size_t cap, struct err *why)
{
	bool drained = false;

	if (check(wait, &drained, why))
		describe(wait, text, cap);
	wait->drained_checks = drained ? wait->drained_checks + 1 : 0;
	wait->drained = wait->drained_checks >= 2;
	return wait->drained && !wait->with_reports;
}

static bool can_pass(const struct err *err)
{
	return err->class == ERR_NONE || err->class == ERR_RETRY || err->class == ERR_ABORT;
}

/* The pipeline is checked until it is drained, then the reports. */
enum step wait_idle_step(struct wait_idle *wait, bool stopping, struct err *err)
{
	struct err why = {ERR_NONE, ""};
	bool was_drained = wait->drained;
	char text[900] = "";

	if (was_drained ? reports_have_it(wait, text, sizeof(text), &why)
	                : check_pipeline(wait, text, sizeof(text), &why))
		return wait_idle_done(wait);
	if (!can_pass(&why)) {
		*err = why;
		return STEP_FAILED;
	}
	if (why.class != ERR_NONE)
		snprintf(text, sizeof(text), "%.800s", why.message);
	if (stopping) {
		err_set(err, ERR_RETRY, "stopped while waiting: %s", text);
		return STEP_FAILED;
	}
	if (!was_drained && wait->drained_checks > 0)
		return STEP_MORE; /* at once */
	if (monotonic_us() > wait->deadline_us) {
		err_set(err, ERR_RETRY, "%s within WAIT_TIMEOUT: %s%s",
		        was_drained ? "not in the reports" : "not drained", text,
		        was_drained ? REFRESH_HINT : "");
		return STEP_FAILED;
	}
	show(wait, text, why.class != ERR_NONE);
	poll(NULL, 0, was_drained ? REPORT_PAUSE_MS : CHECK_PAUSE_MS);
	return STEP_MORE;
}
