/* Encodings and decodings per CPU second of each record type, with framing. For bronze events also
 * conversions from another version of the schema, and encodings and decodings by the Avro library
 * (with generic values that are reused). Each figure is the best of three runs. */
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/reason.h"
#include "wire/avro_resolver.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"

#define ROUNDS 1000000

union record {
	struct bronze_event bronze;
	struct aggregate aggregate;
	struct partial partial;
	struct visit visit;
	struct counts_record counts;
};

#define DAY_US INT64_C(1569888000000000)
#define MEASURES                                                                    \
	{                                                                           \
		{120, 30, 4, 0, 12}, 1234567, 80, 78, 20, 11, 19, 0, 10, 11, 11, 10 \
	}

static void bronze_fill(union record *record)
{
	record->bronze = (struct bronze_event){
		.event_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		.event = {DAY_US, 1004856, 513351129, INT64_C(2053013555631882655), 13092,
	                  SPAN("electronics.smartphone"), SPAN("samsung"),
	                  SPAN("4b44ab3c-8f1d-4d80-b7c5-3a1d3e4a7f2c"), EVENT_VIEW},
		.lineage = {SPAN("2019-Oct.csv"), 1234567, 7654321, 1569888000123, CLOCK_NONE, 3},
	};
}

static void aggregate_fill(union record *record)
{
	record->aggregate = (struct aggregate){SPAN("1m:category1"),
	                                       SPAN("electronics"),
	                                       DAY_US,
	                                       DAY_US + 60000000,
	                                       MEASURES,
	                                       7654321,
	                                       false};
}

static void partial_fill(union record *record)
{
	record->partial = (struct partial){SPAN("1m:category1"),
	                                   SPAN("electronics"),
	                                   DAY_US,
	                                   DAY_US + 60000000,
	                                   MEASURES,
	                                   7654321,
	                                   DAY_US,
	                                   3,
	                                   false};
}

static void visit_fill(union record *record)
{
	record->visit = (struct visit){.user_session = SPAN("4b44ab3c-8f1d-4d80-b7c5-3a1d3e4a7f2c"),
	                               .start_us = DAY_US,
	                               .end_us = DAY_US + 300000000,
	                               .user_id = 513351129,
	                               .events = {7, 1, 0, 0, 0},
	                               .products = 5,
	                               .first_category = SPAN("electronics.smartphone"),
	                               .last_category = SPAN("electronics.smartphone"),
	                               .drop_off_stage = SPAN("cart"),
	                               .view_to_cart_ms = 93000,
	                               .view_to_purchase_ms = -1,
	                               .revision = 7654321,
	                               .furthest_stage = 2,
	                               .final = true};
}

static void counts_fill(union record *record)
{
	record->counts = (struct counts_record){.service = SPAN("bronze-sink"),
	                                        .topic = SPAN("ecommerce_raw_events"),
	                                        .partition = 3,
	                                        .counts = {.records_in = 7654321,
	                                                   .records_out = 7650000,
	                                                   .duplicates = 4000},
	                                        .revision = 7654321};
	record->counts.counts.dead[REASON_INVALID_PRICE] = 300;
	record->counts.counts.dead[REASON_MALFORMED_JSON] = 21;
}

static void bronze_write(struct buffer *out, const union record *record)
{
	bronze_encode(out, 1, &record->bronze);
}
static void aggregate_write(struct buffer *out, const union record *record)
{
	aggregate_encode(out, 1, &record->aggregate);
}
static void partial_write(struct buffer *out, const union record *record)
{
	partial_encode(out, 1, &record->partial);
}
static void visit_write(struct buffer *out, const union record *record)
{
	visit_encode(out, 1, &record->visit);
}
static void counts_write(struct buffer *out, const union record *record)
{
	counts_encode(out, 1, &record->counts);
}

static bool bronze_read(struct span body, union record *record)
{
	return bronze_decode(body, &record->bronze, NULL);
}
static bool aggregate_read(struct span body, union record *record)
{
	return aggregate_decode(body, &record->aggregate, NULL);
}
static bool partial_read(struct span body, union record *record)
{
	return partial_decode(body, &record->partial, NULL);
}
static bool visit_read(struct span body, union record *record)
{
	return visit_decode(body, &record->visit, NULL);
}
static bool counts_read(struct span body, union record *record)
{
	int64_t unknown;

	return counts_decode(body, &record->counts, &unknown, NULL);
}

static const struct codec {
	const char *label;
	void (*fill)(union record *record);
	void (*write)(struct buffer *out, const union record *record);
	bool (*read)(struct span body, union record *record);
} codecs[] = {
	{"bronze", bronze_fill, bronze_write, bronze_read},
	{"aggregate", aggregate_fill, aggregate_write, aggregate_read},
	{"partial", partial_fill, partial_write, partial_read},
	{"visit", visit_fill, visit_write, visit_read},
	{"counts", counts_fill, counts_write, counts_read},
};

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double encode_seconds(const struct codec *codec, union record *record, struct buffer *out)
{
	double start = cpu_seconds();

	for (int i = 0; i < ROUNDS; i++) {
		out->len = 0;
		codec->write(out, record);
	}
	return cpu_seconds() - start;
}

static double decode_seconds(const struct codec *codec, struct span body, union record *record)
{
	double start = cpu_seconds();

	for (int i = 0; i < ROUNDS; i++)
		if (!codec->read(body, record))
			exit(70);
	return cpu_seconds() - start;
}

static double convert_seconds(struct span body)
{
	static const char from[] = "\"doc\":\"append time of the raw record\"}",
			  to[] = "\"doc\":\"\"},{\"name\":\"new\",\"type\":\"long\"}";
	const char *ours = schema_texts[SCHEMA_BRONZE].text, *hit = strstr(ours, from);
	struct buffer text = {0}, longer = {0}, out = {0};
	struct schema_resolver *resolver;
	struct err err = {ERR_NONE, "our schema has changed"};
	double start, spent;

	if (!hit)
		exit(70);
	buffer_append(&text, ours, (size_t)(hit - ours));
	buffer_append(&text, to, sizeof(to) - 1);
	buffer_append(&text, hit + sizeof(from) - 1, strlen(hit + sizeof(from) - 1));
	resolver = schema_resolver_new((struct span){text.at, text.len}, SCHEMA_BRONZE, &err);
	if (!resolver) {
		fprintf(stderr, "%s\n", err.message);
		exit(70);
	}
	buffer_append(&longer, body.at, body.len);
	buffer_append(&longer, "", 1);
	start = cpu_seconds();
	for (int i = 0; i < ROUNDS; i++)
		if (!schema_resolver_convert(resolver, (struct span){longer.at, longer.len}, &out,
		                             &err))
			exit(70);
	spent = cpu_seconds() - start;
	schema_resolver_free(resolver);
	buffer_free(&text);
	buffer_free(&longer);
	buffer_free(&out);
	return spent;
}

static void library_seconds(struct span body, double *encode, double *decode)
{
	static char bytes[4096];
	const char *text = schema_texts[SCHEMA_BRONZE].text;
	avro_writer_t writer = avro_writer_memory(bytes, sizeof(bytes));
	avro_reader_t reader = avro_reader_memory(body.at, (int64_t)body.len);
	avro_value_iface_t *class;
	avro_schema_t schema;
	avro_value_t value;
	double start;

	if (avro_schema_from_json_length(text, strlen(text), &schema) != 0)
		exit(70);
	class = avro_generic_class_from_schema(schema);
	avro_generic_value_new(class, &value);
	start = cpu_seconds();
	for (int i = 0; i < ROUNDS; i++) {
		avro_reader_memory_set_source(reader, body.at, (int64_t)body.len);
		if (avro_value_read(reader, &value) != 0)
			exit(70);
	}
	*decode = least(*decode, cpu_seconds() - start);
	start = cpu_seconds();
	for (int i = 0; i < ROUNDS; i++) {
		avro_writer_reset(writer);
		if (avro_value_write(writer, &value) != 0)
			exit(70);
	}
	*encode = least(*encode, cpu_seconds() - start);
	avro_value_decref(&value);
	avro_value_iface_decref(class);
	avro_schema_decref(schema);
	avro_reader_free(reader);
	avro_writer_free(writer);
}

static void measure_bronze_alternatives(struct span body)
{
	double convert = 1e9, encode = 1e9, decode = 1e9;

	for (int run = 0; run < 3; run++) {
		convert = least(convert, convert_seconds(body));
		library_seconds(body, &encode, &decode);
	}
	printf("record=bronze conversions_per_cpu_s=%.0f library_encodes_per_cpu_s=%.0f "
	       "library_decodes_per_cpu_s=%.0f\n",
	       ROUNDS / convert, ROUNDS / encode, ROUNDS / decode);
}

static void measure(const struct codec *codec)
{
	double encode = 1e9, decode = 1e9;
	union record record, decoded;
	struct buffer out = {0};
	struct span body;

	codec->fill(&record);
	for (int run = 0; run < 3; run++) {
		encode = least(encode, encode_seconds(codec, &record, &out));
		body = (struct span){out.at + FRAME_BYTES, out.len - FRAME_BYTES};
		decode = least(decode, decode_seconds(codec, body, &decoded));
	}
	printf("record=%s bytes=%zu encodes_per_cpu_s=%.0f decodes_per_cpu_s=%.0f\n", codec->label,
	       out.len, ROUNDS / encode, ROUNDS / decode);
	if (codec->write == bronze_write)
		measure_bronze_alternatives(body);
	buffer_free(&out);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		measure(&codecs[i]);
	return 0;
}
