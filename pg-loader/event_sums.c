/* The columns of a row are arrays, and those with the same prefix are one part of it: runs, hours,
 * products, sessions, steps. All entries of a part are in one table. The entries of a day are a
 * list through this table, so that a row is written without a search.
 *
 * An entry is found by a 64-bit hash of its key. Entries with the same hash are a chain, and each
 * has its full key.
 *
 * Rejected: a table per day and part, because a batch may have hundreds of days with few events. */
#include "event_sums.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "base/u64_map.h"
#include "copy_binary.h"
#include "event/session_id.h"

#define NONE      UINT32_MAX
#define TIME_NONE INT64_MIN
#define HOURS     24

enum part { RUN, HOUR, PRODUCT, SESSION, STEP, PART_COUNT };

/* Numbers of entries of the same part; NONE: the last one. */
struct links {
	uint32_t next;      /* of the same day */
	uint32_t same_hash; /* an older one */
};

struct run {
	struct links links;
	int32_t partition, events;
	int64_t offset; /* the first */
};

struct hour {
	struct links links;
	int16_t hour;
	int32_t counts[EVENT_TYPE_COUNT];
	int32_t without_category, without_brand, without_price, without_session, zero_price;
	int64_t revenue_cents, newest_us;
};

struct product {
	struct links links;
	uint32_t day;
	int16_t hour;
	int32_t counts[EVENT_TYPE_COUNT];
	int64_t id, price_cents; /* -1: none */
	struct span category, brand;
	int64_t first_us, last_us;
};

struct session {
	struct links links;
	uint32_t day;
	int32_t counts[EVENT_TYPE_COUNT];
	uint8_t id[SESSION_ID_BYTES];
	int64_t user_id, revenue_cents;
	int64_t first_us, last_us;
	int64_t first_view_us, last_view_us, last_purchase_us; /* TIME_NONE: none */
};

struct step {
	struct links links;
	uint8_t session_id[SESSION_ID_BYTES], event_id[EVENT_ID_BYTES];
	int64_t time_us, product_id, price_cents; /* -1: none */
	struct span type;
};

static const size_t entry_sizes[PART_COUNT] = {
	[RUN] = sizeof(struct run),         [HOUR] = sizeof(struct hour),
	[PRODUCT] = sizeof(struct product), [SESSION] = sizeof(struct session),
	[STEP] = sizeof(struct step),
};

struct table {
	char *at; /* entries of entry_sizes bytes */
	uint32_t count, capacity;
	struct u64_map by_hash; /* the first entry with a hash */
};

struct sums_day {
	int64_t day, events;
	struct list {
		uint32_t first, last, count;
	} parts[PART_COUNT];
	uint32_t hours[HOURS]; /* the entry of an hour, or NONE */
};

struct event_sums {
	struct sums_day *days;
	uint32_t day_count, day_capacity;
	uint32_t last_day; /* that of the event before */
	struct u64_map day_numbers;
	struct table parts[PART_COUNT];
	uint32_t *open_runs; /* the last run of a day and raw partition */
	uint32_t open_run_count, open_run_capacity;
	struct u64_map open_run_numbers;
};

struct event_sums *event_sums_new(void)
{
	return xzalloc(1, sizeof(struct event_sums));
}

void event_sums_free(struct event_sums *sums)
{
	if (!sums)
		return;
	for (int i = 0; i < PART_COUNT; i++) {
		free(sums->parts[i].at);
		u64_map_free(&sums->parts[i].by_hash);
	}
	u64_map_free(&sums->day_numbers);
	u64_map_free(&sums->open_run_numbers);
	free(sums->days);
	free(sums->open_runs);
	free(sums);
}

void event_sums_clear(struct event_sums *sums)
{
	for (int i = 0; i < PART_COUNT; i++) {
		sums->parts[i].count = 0;
		u64_map_clear(&sums->parts[i].by_hash);
	}
	u64_map_clear(&sums->day_numbers);
	u64_map_clear(&sums->open_run_numbers);
	sums->day_count = sums->open_run_count = 0;
}

/* ---- entries */

static void *entry(const struct event_sums *sums, enum part part, uint32_t number)
{
	return sums->parts[part].at + number * entry_sizes[part];
}

static struct links *links_of(const struct event_sums *sums, enum part part, uint32_t number)
{
	return entry(sums, part, number);
}

/* Adds a copy of `content` to the day. Other entries of the part may move. */
static void *append(struct event_sums *sums, enum part part, uint32_t day, const void *content)
{
	struct table *table = &sums->parts[part];
	struct list *list = &sums->days[day].parts[part];
	uint32_t number = table->count;
	void *added;

	if (number == table->capacity) {
		table->capacity = table->capacity ? table->capacity * 2 : 64;
		table->at = xrealloc(table->at, table->capacity * entry_sizes[part]);
	}
	table->count++;
	added = memcpy(entry(sums, part, number), content, entry_sizes[part]);
	*(struct links *)added = (struct links){NONE, NONE};
	if (list->count++ == 0)
		list->first = number;
	else
		links_of(sums, part, list->last)->next = number;
	list->last = number;
	return added;
}

/* The entry with the key of `wanted`; if there is none, a copy of `wanted`. */
static void *find(struct event_sums *sums, enum part part, uint32_t day, uint64_t hash,
                  bool (*same_key)(const void *a, const void *b), const void *wanted)
{
	struct table *table = &sums->parts[part];
	uint32_t fresh = table->count, number;
	bool added;
	void *found;

	number = u64_map_put(&table->by_hash, hash, fresh, &added);
	if (added)
		return append(sums, part, day, wanted);
	while (!same_key(entry(sums, part, number), wanted)) {
		uint32_t next = links_of(sums, part, number)->same_hash;

		if (next == NONE) {
			found = append(sums, part, day, wanted);
			links_of(sums, part, number)->same_hash = fresh;
			return found;
		}
		number = next;
	}
	return entry(sums, part, number);
}

static uint32_t day_of(struct event_sums *sums, int64_t time_us)
{
	int64_t day = time_floor(time_us, US_PER_DAY) / US_PER_DAY;
	bool added;

	if (sums->day_count > 0 && sums->days[sums->last_day].day == day)
		return sums->last_day;
	sums->last_day = u64_map_put(&sums->day_numbers, (uint64_t)day, sums->day_count, &added);
	if (added) {
		GROW(sums->days, sums->day_count, sums->day_capacity);
		sums->days[sums->day_count] = (struct sums_day){.day = day};
		for (int i = 0; i < PART_COUNT; i++)
			sums->days[sums->day_count].parts[i].first = NONE;
		for (int i = 0; i < HOURS; i++)
			sums->days[sums->day_count].hours[i] = NONE;
		sums->day_count++;
	}
	return sums->last_day;
}

static bool sum_overflows(int64_t sum_cents, int64_t cents)
{
	return sum_cents > INT64_MAX - cents;
}

static int64_t revenue_of(const struct event *event)
{
	return event->type == EVENT_PURCHASE && event->price_cents > 0 ? event->price_cents : 0;
}

/* ---- one event */

static void add_to_run(struct event_sums *sums, uint32_t day, const struct lineage *lineage)
{
	uint64_t key = (uint64_t)day << 32 | (uint32_t)lineage->raw_partition;
	bool added;
	uint32_t number = u64_map_put(&sums->open_run_numbers, key, sums->open_run_count, &added);
	struct run *run;

	if (added) {
		GROW(sums->open_runs, sums->open_run_count, sums->open_run_capacity);
		sums->open_run_count++;
	} else {
		run = entry(sums, RUN, sums->open_runs[number]);
		if (lineage->raw_offset - run->offset == run->events) {
			run->events++;
			return;
		}
	}
	sums->open_runs[number] = sums->parts[RUN].count;
	append(sums, RUN, day,
	       &(struct run){.partition = lineage->raw_partition,
	                     .events = 1,
	                     .offset = lineage->raw_offset});
}

static int16_t hour_in(const struct event_sums *sums, uint32_t day, int64_t time_us)
{
	return (int16_t)((time_us - sums->days[day].day * US_PER_DAY) / US_PER_HOUR);
}

static struct hour *hour_of(struct event_sums *sums, uint32_t day, int64_t time_us)
{
	int16_t hour = hour_in(sums, day, time_us);
	uint32_t *number = &sums->days[day].hours[hour];

	if (*number != NONE)
		return entry(sums, HOUR, *number);
	*number = sums->parts[HOUR].count;
	return append(sums, HOUR, day, &(struct hour){.hour = hour, .newest_us = time_us});
}

static void add_to_hour(struct event_sums *sums, uint32_t day, const struct event *event)
{
	struct hour *hour = hour_of(sums, day, event->event_time_us);
	int64_t revenue = revenue_of(event);

	if (sum_overflows(hour->revenue_cents, revenue)) {
		struct hour full = *hour;
		uint32_t number = sums->days[day].hours[hour->hour];

		append(sums, HOUR, day, &full);
		hour = entry(sums, HOUR, number);
		*hour = (struct hour){hour->links, full.hour, .newest_us = event->event_time_us};
	}
	hour->counts[event->type]++;
	hour->without_category += !event->category_code.at;
	hour->without_brand += !event->brand.at;
	hour->without_price += event->price_cents < 0;
	hour->without_session += !event->user_session.at;
	hour->zero_price += event->price_cents == 0;
	hour->revenue_cents += revenue;
	if (event->event_time_us > hour->newest_us)
		hour->newest_us = event->event_time_us;
}

static bool same_product(const void *left, const void *right)
{
	const struct product *a = left, *b = right;

	return a->day == b->day && a->hour == b->hour && a->id == b->id &&
	       a->price_cents == b->price_cents && span_equal(a->category, b->category) &&
	       span_equal(a->brand, b->brand);
}

static void add_to_product(struct event_sums *sums, uint32_t day, const struct event *event)
{
	struct product wanted = {
		.day = day,
		.hour = hour_in(sums, day, event->event_time_us),
		.id = event->product_id,
		.price_cents = event->price_cents,
		.category = event->category_code.at ? event->category_code : SPAN("unknown"),
		.brand = event->brand.at ? event->brand : SPAN("unknown"),
		.first_us = event->event_time_us,
		.last_us = event->event_time_us,
	};
	uint64_t hours = (uint64_t)day * HOURS + (uint64_t)wanted.hour;
	uint64_t hash = hash_u64((uint64_t)wanted.id ^
	                         hash_u64((uint64_t)wanted.price_cents ^ hash_u64(hours))) ^
	                hash_text(wanted.category) ^ hash_u64(hash_text(wanted.brand));
	struct product *product = find(sums, PRODUCT, day, hash, same_product, &wanted);

	product->counts[event->type]++;
	if (event->event_time_us < product->first_us)
		product->first_us = event->event_time_us;
	if (event->event_time_us > product->last_us)
		product->last_us = event->event_time_us;
}

static bool same_session(const void *left, const void *right)
{
	const struct session *a = left, *b = right;

	return a->day == b->day && a->user_id == b->user_id &&
	       memcmp(a->id, b->id, SESSION_ID_BYTES) == 0;
}

static struct session *session_of(struct event_sums *sums, uint32_t day,
                                  const struct session *wanted, int64_t revenue)
{
	uint64_t half[2], hash;
	struct session *session, full;
	uint32_t number;

	memcpy(half, wanted->id, sizeof(half));
	hash = hash_u64(half[0] ^
	                hash_u64(half[1] ^ hash_u64((uint64_t)wanted->user_id ^ hash_u64(day))));
	session = find(sums, SESSION, day, hash, same_session, wanted);
	if (!sum_overflows(session->revenue_cents, revenue))
		return session;
	full = *session;
	number = (uint32_t)((size_t)((char *)session - sums->parts[SESSION].at) / sizeof(full));
	append(sums, SESSION, day, &full);
	session = entry(sums, SESSION, number);
	full.links = session->links; /* append may have changed them */
	*session = *wanted;
	session->links = full.links;
	return session;
}

static void add_to_session(struct event_sums *sums, uint32_t day,
                           const uint8_t id[SESSION_ID_BYTES], const struct event *event)
{
	int64_t time_us = event->event_time_us;
	struct session wanted = {.day = day,
	                         .user_id = event->user_id,
	                         .first_us = time_us,
	                         .last_us = time_us,
	                         .first_view_us = TIME_NONE,
	                         .last_view_us = TIME_NONE,
	                         .last_purchase_us = TIME_NONE},
		       *session;

	memcpy(wanted.id, id, sizeof(wanted.id));
	session = session_of(sums, day, &wanted, revenue_of(event));
	session->counts[event->type]++;
	session->revenue_cents += revenue_of(event);
	if (time_us < session->first_us)
		session->first_us = time_us;
	if (time_us > session->last_us)
		session->last_us = time_us;
	if (event->type == EVENT_VIEW) {
		if (session->first_view_us == TIME_NONE || time_us < session->first_view_us)
			session->first_view_us = time_us;
		if (time_us > session->last_view_us)
			session->last_view_us = time_us;
	}
	if (event->type == EVENT_PURCHASE && time_us > session->last_purchase_us)
		session->last_purchase_us = time_us;
}

static void add_step(struct event_sums *sums, uint32_t day, const uint8_t id[SESSION_ID_BYTES],
                     const struct bronze_event *bronze)
{
	const struct event *event = &bronze->event;
	struct step *step = append(sums, STEP, day,
	                           &(struct step){.time_us = event->event_time_us,
	                                          .product_id = event->product_id,
	                                          .price_cents = event->price_cents,
	                                          .type = span_of(event_type_name(event->type))});

	memcpy(step->session_id, id, sizeof(step->session_id));
	memcpy(step->event_id, bronze->event_id, sizeof(step->event_id));
}

void event_sums_add(struct event_sums *sums, const struct bronze_event *bronze,
                    const uint8_t session[SESSION_ID_BYTES])
{
	const struct event *event = &bronze->event;
	uint32_t day = day_of(sums, event->event_time_us);

	sums->days[day].events++;
	add_to_run(sums, day, &bronze->lineage);
	add_to_hour(sums, day, event);
	add_to_product(sums, day, event);
	add_to_session(sums, day, session, event);
	if (event->type != EVENT_VIEW)
		add_step(sums, day, session, bronze);
}

/* ---- rows */

/* X(column, part, type of its elements, struct, member) */
#define COLUMNS(X)                                                                 \
	X(run_partition, RUN, INT4, run, partition)                                \
	X(run_offset, RUN, INT8, run, offset)                                      \
	X(run_events, RUN, INT4, run, events)                                      \
	X(hour, HOUR, INT2, hour, hour)                                            \
	X(hour_views, HOUR, INT4, hour, counts[EVENT_VIEW])                        \
	X(hour_carts, HOUR, INT4, hour, counts[EVENT_CART])                        \
	X(hour_removes, HOUR, INT4, hour, counts[EVENT_REMOVE_FROM_CART])          \
	X(hour_checkouts, HOUR, INT4, hour, counts[EVENT_CHECKOUT])                \
	X(hour_purchases, HOUR, INT4, hour, counts[EVENT_PURCHASE])                \
	X(hour_revenue, HOUR, NUMERIC, hour, revenue_cents)                        \
	X(hour_without_category, HOUR, INT4, hour, without_category)               \
	X(hour_without_brand, HOUR, INT4, hour, without_brand)                     \
	X(hour_without_price, HOUR, INT4, hour, without_price)                     \
	X(hour_without_session, HOUR, INT4, hour, without_session)                 \
	X(hour_zero_price, HOUR, INT4, hour, zero_price)                           \
	X(hour_newest, HOUR, TIMESTAMPTZ, hour, newest_us)                         \
	X(product_id, PRODUCT, INT8, product, id)                                  \
	X(product_category, PRODUCT, TEXT, product, category)                      \
	X(product_brand, PRODUCT, TEXT, product, brand)                            \
	X(product_price, PRODUCT, NUMERIC, product, price_cents)                   \
	X(product_views, PRODUCT, INT4, product, counts[EVENT_VIEW])               \
	X(product_carts, PRODUCT, INT4, product, counts[EVENT_CART])               \
	X(product_removes, PRODUCT, INT4, product, counts[EVENT_REMOVE_FROM_CART]) \
	X(product_checkouts, PRODUCT, INT4, product, counts[EVENT_CHECKOUT])       \
	X(product_purchases, PRODUCT, INT4, product, counts[EVENT_PURCHASE])       \
	X(product_first, PRODUCT, TIMESTAMPTZ, product, first_us)                  \
	X(product_last, PRODUCT, TIMESTAMPTZ, product, last_us)                    \
	X(session_id, SESSION, UUID, session, id)                                  \
	X(session_user_id, SESSION, INT8, session, user_id)                        \
	X(session_views, SESSION, INT4, session, counts[EVENT_VIEW])               \
	X(session_carts, SESSION, INT4, session, counts[EVENT_CART])               \
	X(session_removes, SESSION, INT4, session, counts[EVENT_REMOVE_FROM_CART]) \
	X(session_checkouts, SESSION, INT4, session, counts[EVENT_CHECKOUT])       \
	X(session_purchases, SESSION, INT4, session, counts[EVENT_PURCHASE])       \
	X(session_revenue, SESSION, NUMERIC, session, revenue_cents)               \
	X(session_first, SESSION, TIMESTAMPTZ, session, first_us)                  \
	X(session_last, SESSION, TIMESTAMPTZ, session, last_us)                    \
	X(session_first_view, SESSION, TIMESTAMPTZ, session, first_view_us)        \
	X(session_last_view, SESSION, TIMESTAMPTZ, session, last_view_us)          \
	X(session_last_purchase, SESSION, TIMESTAMPTZ, session, last_purchase_us)  \
	X(step_session_id, STEP, UUID, step, session_id)                           \
	X(step_time, STEP, TIMESTAMPTZ, step, time_us)                             \
	X(step_event_id, STEP, UUID, step, event_id)                               \
	X(step_type, STEP, TEXT, step, type)                                       \
	X(step_product_id, STEP, INT8, step, product_id)                           \
	X(step_price, STEP, NUMERIC, step, price_cents)                            \
	X(product_hour, PRODUCT, INT2, product, hour)

#define NAME(column, part, type, structure, member) ", " #column
const char event_sums_copy[] = "COPY processed.load_batches (event_date, events" COLUMNS(
	NAME) ") FROM STDIN (FORMAT binary)";
#undef NAME

#define COLUMN(column, part, type, structure, member) \
	{part, COPY_##type, offsetof(struct structure, member)},
static const struct column {
	enum part part;
	enum copy_element type;
	size_t offset; /* of the element in its entry */
} columns[] = {COLUMNS(COLUMN)};
#undef COLUMN
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

/* An element that is none: a negative amount, or TIME_NONE. */
static bool is_null(enum copy_element type, const void *element)
{
	return (type == COPY_NUMERIC && *(const int64_t *)element < 0) ||
	       (type == COPY_TIMESTAMPTZ && *(const int64_t *)element == TIME_NONE);
}

static char *put_element(char *at, enum copy_element type, const void *element)
{
	switch (type) {
	case COPY_INT2: return copy_int2(at, *(const int16_t *)element);
	case COPY_INT4: return copy_int4(at, *(const int32_t *)element);
	case COPY_INT8: return copy_int8(at, *(const int64_t *)element);
	case COPY_NUMERIC: return copy_cents(at, *(const int64_t *)element);
	case COPY_TIMESTAMPTZ: return copy_timestamptz(at, *(const int64_t *)element);
	case COPY_TEXT: return copy_text(at, *(const struct span *)element);
	case COPY_UUID: return copy_uuid(at, element);
	}
	return at;
}

static size_t room_for(enum copy_element type, const void *element)
{
	return COPY_FIELD_MAX + (type == COPY_TEXT ? ((const struct span *)element)->len : 0);
}

static void write_column(const struct event_sums *sums, const struct list *list,
                         const struct column *column, struct buffer *out)
{
	size_t begin = out->len;
	bool has_null = false;

	buffer_reserve(out, COPY_ARRAY_BYTES);
	out->len = (size_t)(copy_array_begin(out->at + begin, column->type, list->count) - out->at);
	for (uint32_t i = list->first; i != NONE; i = links_of(sums, column->part, i)->next) {
		const char *element = (const char *)entry(sums, column->part, i) + column->offset;
		bool null = is_null(column->type, element);
		char *at;

		buffer_reserve(out, room_for(column->type, element));
		at = out->at + out->len;
		at = null ? copy_null(at) : put_element(at, column->type, element);
		out->len = (size_t)(at - out->at);
		has_null |= null;
	}
	copy_array_end(out->at + begin, out->at + out->len, has_null);
}

void event_sums_write(const struct event_sums *sums, struct buffer *out)
{
	for (uint32_t i = 0; i < sums->day_count; i++) {
		const struct sums_day *day = &sums->days[i];
		char *at;

		buffer_reserve(out, 3 * COPY_FIELD_MAX);
		at = copy_row_begin(out->at + out->len, 2 + COLUMN_COUNT);
		at = copy_date(at, day->day);
		at = copy_int8(at, day->events);
		out->len = (size_t)(at - out->at);
		for (size_t c = 0; c < COLUMN_COUNT; c++)
			write_column(sums, &day->parts[columns[c].part], &columns[c], out);
	}
}
