/* The Avro library as the reference of our codecs: a generic value of a schema, which is filled
 * field by field by name, and its bytes. Also random values with a fixed seed. */
#ifndef FUNNEL_TEST_AVRO_REFERENCE_H
#define FUNNEL_TEST_AVRO_REFERENCE_H

#include <avro.h>
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/span.h"

struct reference {
	avro_schema_t schema;
	avro_value_iface_t *class;
	avro_value_t value;
	char bytes[65536];
};

static inline void reference_open(struct reference *reference, const char *schema_text)
{
	cr_assert_eq(avro_schema_from_json_length(schema_text, strlen(schema_text),
	                                          &reference->schema),
	             0, "%s", avro_strerror());
	reference->class = avro_generic_class_from_schema(reference->schema);
	cr_assert_not_null(reference->class);
	cr_assert_eq(avro_generic_value_new(reference->class, &reference->value), 0);
}

static inline void reference_close(struct reference *reference)
{
	avro_value_decref(&reference->value);
	avro_value_iface_decref(reference->class);
	avro_schema_decref(reference->schema);
}

static inline avro_value_t reference_field(struct reference *reference, const char *name)
{
	avro_value_t field;

	cr_assert_eq(avro_value_get_by_name(&reference->value, name, &field, NULL), 0,
	             "no field %s", name);
	return field;
}

/* The branch of an optional field; branch 0 is null. */
static inline avro_value_t reference_branch(struct reference *reference, const char *name,
                                            int branch)
{
	avro_value_t field = reference_field(reference, name), value;

	cr_assert_eq(avro_value_set_branch(&field, branch, &value), 0);
	return value;
}

/* In a union, the value is of branch 1. */
static inline void put_number(avro_value_t field, int64_t value)
{
	avro_value_t branch;

	if (avro_value_get_type(&field) == AVRO_UNION) {
		cr_assert_eq(avro_value_set_branch(&field, 1, &branch), 0);
		field = branch;
	}
	switch (avro_value_get_type(&field)) {
	case AVRO_INT32: cr_assert_eq(avro_value_set_int(&field, (int32_t)value), 0); break;
	case AVRO_ENUM: cr_assert_eq(avro_value_set_enum(&field, (int)value), 0); break;
	case AVRO_BOOLEAN: cr_assert_eq(avro_value_set_boolean(&field, (int)value), 0); break;
	default: cr_assert_eq(avro_value_set_long(&field, value), 0);
	}
}

static inline void put_span(avro_value_t field, struct span text)
{
	char *copy = calloc(1, text.len + 1);

	memcpy(copy, text.at, text.len);
	cr_assert_eq(avro_value_set_string_len(&field, copy, text.len + 1), 0);
	free(copy);
}

/* Writes all eight bytes and then cuts the redundant ones, unlike our encoder. */
static inline void put_money(avro_value_t field, int64_t cents)
{
	unsigned char bytes[8];
	int from = 0;

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)((uint64_t)cents >> (56 - 8 * i));
	while (from < 7 && ((bytes[from] == 0 && bytes[from + 1] < 0x80) ||
	                    (bytes[from] == 0xff && bytes[from + 1] >= 0x80)))
		from++;
	cr_assert_eq(avro_value_set_bytes(&field, bytes + from, (size_t)(8 - from)), 0);
}

static inline void reference_number(struct reference *reference, const char *name, int64_t value)
{
	put_number(reference_field(reference, name), value);
}

static inline void reference_text(struct reference *reference, const char *name, struct span text)
{
	put_span(reference_field(reference, name), text);
}

static inline void reference_money(struct reference *reference, const char *name, int64_t cents)
{
	put_money(reference_field(reference, name), cents);
}

static inline void reference_null(struct reference *reference, const char *name)
{
	avro_value_t null = reference_branch(reference, name, 0);

	cr_assert_eq(avro_value_set_null(&null), 0);
}

static inline void reference_optional_text(struct reference *reference, const char *name,
                                           struct span text)
{
	if (text.at)
		put_span(reference_branch(reference, name, 1), text);
	else
		reference_null(reference, name);
}

static inline void reference_optional_number(struct reference *reference, const char *name,
                                             bool present, int64_t value)
{
	if (present)
		put_number(reference_branch(reference, name, 1), value);
	else
		reference_null(reference, name);
}

/* flag: 0 or 1; -1: null */
static inline void reference_optional_flag(struct reference *reference, const char *name, int flag)
{
	if (flag >= 0)
		put_number(reference_branch(reference, name, 1), flag);
	else
		reference_null(reference, name);
}

static inline struct span reference_bytes(struct reference *reference)
{
	avro_writer_t writer = avro_writer_memory(reference->bytes, sizeof(reference->bytes));
	struct span bytes;

	cr_assert_eq(avro_value_write(writer, &reference->value), 0, "%s", avro_strerror());
	bytes = (struct span){reference->bytes, (size_t)avro_writer_tell(writer)};
	avro_writer_free(writer);
	return bytes;
}

/* ---- random values (xorshift64*) ---- */

#define TEST_SEED UINT64_C(0x9e3779b97f4a7c15)

static uint64_t random_state = TEST_SEED;

static inline uint64_t random_bits(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717);
}

static inline int64_t random_below(int64_t bound)
{
	return (int64_t)(random_bits() % (uint64_t)bound);
}

/* A value from min to max with a random number of bits, so that small and large values are as
 * likely. */
static inline int64_t random_number(int64_t min, int64_t max)
{
	uint64_t range = (uint64_t)max - (uint64_t)min, value = random_bits() >> random_below(64);

	if (random_below(50) == 0)
		return random_below(2) ? min : max;
	if (range != UINT64_MAX)
		value %= range + 1;
	return (int64_t)((uint64_t)min + value);
}

/* A text of any bytes except NUL. Borrows from static memory; valid for 16 calls. */
static inline struct span random_text(size_t min, size_t max)
{
	static char texts[16][1024];
	static size_t turn;
	char *at = texts[turn++ % 16];
	size_t len = min + (size_t)random_below((int64_t)(max - min + 1)) %
	                           (random_below(20) ? 24 : 1024);

	if (len < min || len > max)
		len = min;
	for (size_t i = 0; i < len; i++)
		at[i] = (char)(1 + random_below(255));
	return (struct span){at, len};
}

static inline struct span random_optional_text(size_t max)
{
	return random_below(3) == 0 ? SPAN_NULL : random_text(1, max);
}

static inline int64_t random_time_us(void)
{
	return INT64_C(946684800000000) + random_below(INT64_C(3000000000000000));
}

/* A copy in memory of exactly its size, so that a sanitizer finds a read past its end. */
static inline char *exact_copy(struct span bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);

	if (bytes.len > 0)
		memcpy(copy, bytes.at, bytes.len);
	return copy;
}

#endif
