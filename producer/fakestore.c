/* Each try of a poll is a new download without resume: the answer may be another one by then. Only
 * failures of the server and of the network are tried again within a poll. A poll that was due
 * while an earlier one ran, or while the process did not run, is left out.
 *
 * Limits: the products of one poll are in memory; no pages; one URL. */
#include "fakestore.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event_json_write.h"
#include "http_stream.h"
#include "product_list.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "service/stop.h"

#define READ_BYTES 16384
#define SLICE_MS   20
#define CONNECT_US INT64_C(10000000)

struct fakestore {
	struct fakestore_config config;
	char name[HTTP_NAME_MAX];
	struct http_limits limits;
	struct http_stream *stream; /* NULL: no try runs */
	struct backoff backoff;
	bool polling;
	int64_t due_us, deadline_us; /* of the next poll, and of this one */
	int64_t asked_us;            /* wall clock at the start of this try */
	int64_t poll_time_s;         /* of the rows, since 1970 */
	struct buffer body;
	struct product_list list;
	size_t next; /* product of the list */
	int64_t polls, polls_failed, failures_in_row;
	char event_time[24], session[40], user_id[24];
	struct row_extra title;
	struct {
		struct metric *polls, *failed;
	} metrics;
};

struct fakestore *fakestore_new(const struct fakestore_config *config, struct err *err)
{
	struct fakestore *store = calloc(1, sizeof(*store));

	if (!store) {
		err_set(err, ERR_FATAL, "out of memory");
		return NULL;
	}
	store->config = *config;
	store->limits = (struct http_limits){.connect_us = config->timeout_us < CONNECT_US
	                                                           ? config->timeout_us
	                                                           : CONNECT_US,
	                                     .stall_us = config->timeout_us,
	                                     .any_end = true};
	store->due_us = monotonic_us();
	store->backoff.seed = (unsigned)store->due_us;
	snprintf(store->user_id, sizeof(store->user_id), "%lld", (long long)config->user_id);
	store->metrics.polls =
		metric_get(METRIC_COUNTER, "producer_polls_total", "", "polls of SOURCE=fakestore");
	store->metrics.failed = metric_get(METRIC_COUNTER, "producer_polls_failed_total", "",
	                                   "polls of SOURCE=fakestore that gave no rows");
	if (http_url_name(config->url, store->name, err))
		return store;
	fakestore_free(store);
	return NULL;
}

void fakestore_free(struct fakestore *store)
{
	if (!store)
		return;
	http_stream_free(store->stream);
	product_list_fini(&store->list);
	buffer_free(&store->body);
	free(store);
}

/* ---- the outcome of a poll */

static void end_try(struct fakestore *store)
{
	http_stream_free(store->stream);
	store->stream = NULL;
}

static void end_poll(struct fakestore *store)
{
	end_try(store);
	store->polling = false;
	store->polls++;
	metric_add(store->metrics.polls, 1);
}

static void poll_failed(struct fakestore *store, const char *why)
{
	char reason[600];

	end_poll(store);
	store->polls_failed++;
	store->failures_in_row++;
	metric_add(store->metrics.failed, 1);
	log_warn("poll_failed", log_str("url", store->name), log_str("error", why),
	         log_int("failures_in_a_row", store->failures_in_row),
	         log_str("detail", "this poll gives no rows"));
	if (store->failures_in_row < store->config.failures_max)
		return;
	snprintf(reason, sizeof(reason), "the last %lld polls failed: %.500s",
	         (long long)store->failures_in_row, why);
	health_ready(reason);
}

static void poll_succeeded(struct fakestore *store)
{
	int64_t time_s = store->asked_us / US_PER_SECOND;

	/* Events of two polls in one second would be duplicates. */
	store->poll_time_s = time_s + (time_s == store->poll_time_s);
	end_poll(store);
	store->next = 0;
	snprintf(store->event_time, sizeof(store->event_time), "%" PRId64, store->poll_time_s);
	snprintf(store->session, sizeof(store->session), "fakestore:%s", store->event_time);
	if (store->failures_in_row >= store->config.failures_max)
		health_ready(NULL);
	if (store->failures_in_row > 0)
		log_info("poll_succeeded", log_str("url", store->name),
		         log_int("failures_before", store->failures_in_row));
	store->failures_in_row = 0;
}

/* ---- a try */

static void try_failed(struct fakestore *store, const struct err *why)
{
	int64_t now_us = monotonic_us();

	end_try(store);
	if (why->class == ERR_RETRY) {
		backoff_grow(&store->backoff, now_us);
		if (store->backoff.next_us < store->deadline_us)
			return;
	}
	poll_failed(store, why->message);
}

static void body_complete(struct fakestore *store)
{
	struct err why;

	product_list_fini(&store->list);
	if (product_list_read(&store->list, (struct span){store->body.at, store->body.len}, &why))
		poll_succeeded(store);
	else
		poll_failed(store, why.message);
}

static void take_bytes(struct fakestore *store, const char *bytes, size_t len)
{
	char why[128];

	if ((int64_t)(store->body.len + len) <= store->config.max_bytes) {
		buffer_append(&store->body, bytes, len);
		return;
	}
	snprintf(why, sizeof(why), "the answer has more than %lld bytes (POLL_MAX_BYTES)",
	         (long long)store->config.max_bytes);
	poll_failed(store, why);
}

/* Reads what is there. */
static void read_answer(struct fakestore *store)
{
	int64_t until_us = monotonic_us() + SLICE_MS * INT64_C(1000);
	char bytes[READ_BYTES];
	struct err why;
	size_t len;

	while (store->stream && monotonic_us() < until_us) {
		switch (http_stream_poll(store->stream, bytes, sizeof(bytes), &len, SLICE_MS,
		                         &why)) {
		case HTTP_GIVEN: take_bytes(store, bytes, len); break;
		case HTTP_WAIT: return;
		case HTTP_END: body_complete(store); break;
		case HTTP_FAILED: try_failed(store, &why); break;
		}
	}
}

static void begin_try(struct fakestore *store)
{
	struct err why;

	store->body.len = 0;
	store->asked_us = wallclock_us();
	store->stream = http_stream_open_with(store->config.url, NULL, &store->limits, &why);
	if (!store->stream)
		poll_failed(store, why.message);
}

/* ---- the source */

static void begin_poll(struct fakestore *store, int64_t now_us)
{
	store->polling = true;
	store->deadline_us = now_us + store->config.timeout_us;
	backoff_reset(&store->backoff);
	do
		store->due_us += store->config.every_us;
	while (store->due_us <= now_us);
}

static void advance(struct fakestore *store)
{
	int64_t now_us = monotonic_us();
	char why[128];

	if (!store->polling && now_us >= store->due_us)
		begin_poll(store, now_us);
	if (!store->polling)
		return;
	if (now_us >= store->deadline_us) {
		snprintf(why, sizeof(why),
		         "the answer was not complete within %lld ms (POLL_TIMEOUT)",
		         (long long)(store->config.timeout_us / 1000));
		poll_failed(store, why);
		return;
	}
	if (!store->stream && backoff_is_due(&store->backoff, now_us))
		begin_try(store);
	if (store->stream)
		read_answer(store);
}

static bool at_end(const struct fakestore *store)
{
	return store->config.polls > 0 && store->polls >= store->config.polls;
}

static bool has_row(const struct fakestore *store)
{
	return store->next < store->list.count;
}

bool fakestore_waits(struct fakestore *store)
{
	if (!has_row(store) && !at_end(store))
		advance(store);
	return !has_row(store) && !at_end(store);
}

static void give(struct fakestore *store, struct row *row)
{
	const struct shop_product *product = &store->list.products[store->next++];

	*row = (struct row){.source_file = store->name,
	                    .event_time_us = store->poll_time_s * US_PER_SECOND};
	row->fields[0] = span_of(store->event_time);
	row->fields[1] = SPAN("view");
	row->fields[2] = product->id;
	row->fields[3] = SPAN("");
	row->fields[4] = product->category;
	row->fields[5] = SPAN("");
	row->fields[6] = product->price;
	row->fields[7] = span_of(store->user_id);
	row->fields[8] = span_of(store->session);
	row->raw = product->title;
	store->title = (struct row_extra){SPAN("title"), product->title, true};
	row->extras = &store->title;
	row->extra_count = product->title.len > 0;
}

enum fakestore_result fakestore_next(struct fakestore *store, struct row *row, struct err *err)
{
	while (fakestore_waits(store)) {
		health_alive();
		if (!store->stream)
			poll(NULL, 0, SLICE_MS);
		if (service_stopping()) {
			err_set(err, ERR_RETRY, "%s: stopped while waiting for the next poll",
			        store->name);
			return FAKESTORE_FAILED;
		}
	}
	if (has_row(store)) {
		give(store, row);
		return FAKESTORE_ROW;
	}
	if (store->polls_failed < store->polls)
		return FAKESTORE_END;
	err_set(err, ERR_RETRY, "%s: no poll has succeeded (%lld failed); the log has the reasons",
	        store->name, (long long)store->polls_failed);
	return FAKESTORE_FAILED;
}
