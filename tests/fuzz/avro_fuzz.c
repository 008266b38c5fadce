/* Avro bodies of every record type, frames, and bodies with a writer's schema that is not ours. A
 * body that the decoder accepts can be encoded; that result can be decoded, and encodes to the same
 * bytes. For a body that it refuses, the decoder gives a reason. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "wire/avro_resolver.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_alert.h"
#include "wire/records_bronze.h"
#include "wire/records_cart.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"

union any {
	struct bronze_event bronze;
	struct aggregate aggregate;
	struct partial partial;
	struct visit visit;
	struct counts_record counts;
	struct alert alert;
	struct abandoned_cart cart;
};

static bool decode(int kind, struct span body, union any *record, const char **why)
{
	int64_t unknown = 0;

	switch (kind) {
	case 0: return bronze_decode(body, &record->bronze, why);
	case 1: return aggregate_decode(body, &record->aggregate, why);
	case 2: return partial_decode(body, &record->partial, why);
	case 3: return visit_decode(body, &record->visit, why);
	case 6: return cart_decode(body, &record->cart, why);
	case 5: return alert_decode(body, &record->alert, why);
	default: break;
	}
	/* The decoder counts unknown reasons and does not keep them. */
	return counts_decode(body, &record->counts, &unknown, why) && (unknown >= 0);
}

static void encode(int kind, const union any *record, struct buffer *out)
{
	switch (kind) {
	case 0: bronze_encode(out, 1, &record->bronze); break;
	case 1: aggregate_encode(out, 1, &record->aggregate); break;
	case 2: partial_encode(out, 1, &record->partial); break;
	case 3: visit_encode(out, 1, &record->visit); break;
	case 6: cart_encode(out, 1, &record->cart); break;
	case 5: alert_encode(out, 1, &record->alert); break;
	default: counts_encode(out, 1, &record->counts); break;
	}
}

static void check_body(int kind, struct span body)
{
	struct buffer first = {0}, second = {0};
	const char *why = NULL;
	union any record;
	struct span again;

	if (!decode(kind, body, &record, &why)) {
		fuzz_check(why && *why);
		return;
	}
	encode(kind, &record, &first);
	again = (struct span){first.at + FRAME_BYTES, first.len - FRAME_BYTES};
	fuzz_check(decode(kind, again, &record, &why));
	encode(kind, &record, &second);
	fuzz_check(first.len == second.len && memcmp(first.at, second.at, first.len) == 0);
	buffer_free(&first);
	buffer_free(&second);
}

static void check_frame(struct span value)
{
	struct span body;
	int32_t id;

	if (frame_parse(value, &id, &body) == FRAME_ID)
		fuzz_check(body.at == value.at + FRAME_BYTES &&
		           body.len == value.len - FRAME_BYTES);
}

/* Our schema with an additional first field. */
static struct span other_writer(enum schema_kind kind, struct buffer *out)
{
	const char *text = schema_texts[kind].text, *fields = strstr(text, "\"fields\":["),
		   *type = "{\"name\":\"other\",\"type\":";
	static const char *const others[] = {"{\"type\":\"array\",\"items\":\"null\"}",
	                                     "{\"type\":\"map\",\"values\":\"string\"}",
	                                     "[\"null\",\"double\",\"bytes\"]"};

	fuzz_check(fields);
	fields += strlen("\"fields\":[");
	out->len = 0;
	buffer_append(out, text, (size_t)(fields - text));
	buffer_append(out, type, strlen(type));
	buffer_append(out, others[kind % 3], strlen(others[kind % 3]));
	buffer_append(out, "},", 2);
	buffer_append(out, fields, strlen(fields));
	return (struct span){out->at, out->len};
}

static void check_resolved(enum schema_kind kind, struct span writer, struct span body)
{
	static const int kinds[] = {
		[SCHEMA_BRONZE] = 0, [SCHEMA_LATE] = 0,    [SCHEMA_COUNTS] = 4,
		[SCHEMA_VISIT] = 3,  [SCHEMA_PARTIAL] = 2, [SCHEMA_AGGREGATE] = 1};
	struct err err = {ERR_NONE, ""};
	struct schema_resolver *resolver = schema_resolver_new(writer, kind, &err);
	struct buffer out = {0};

	if (!resolver) {
		fuzz_check(err.message[0]);
		return;
	}
	if (schema_resolver_convert(resolver, body, &out, &err))
		check_body(kinds[kind], (struct span){out.at, out.len});
	else
		fuzz_check(err.message[0]);
	buffer_free(&out);
	schema_resolver_free(resolver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader in = {(const char *)data, size};
	uint8_t kind = fuzz_byte(&in) % 20;
	struct buffer text = {0};
	struct span writer;

	if (kind >= 18) {
		check_body(kind - 13, (struct span){in.at, in.left});
	} else if (kind < 5) {
		check_body(kind, (struct span){in.at, in.left});
	} else if (kind == 5) {
		check_frame((struct span){in.at, in.left});
	} else if (kind < 12) {
		writer = other_writer((enum schema_kind)(kind - 6), &text);
		check_resolved((enum schema_kind)(kind - 6), writer, (struct span){in.at, in.left});
	} else { /* a writer's schema, a NUL, a body */
		const char *end = in.left ? memchr(in.at, '\0', in.left) : NULL;

		writer = fuzz_take(&in, end ? (size_t)(end - in.at) : in.left);
		fuzz_take(&in, 1);
		check_resolved((enum schema_kind)(kind - 12), writer,
		               (struct span){in.at, in.left});
	}
	buffer_free(&text);
	return 0;
}
