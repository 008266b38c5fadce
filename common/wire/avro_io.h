/* Avro's binary primitives, for the hand-written codecs (records_*.c) and the resolver.
 *
 *   int, long   zig-zag, then 7 bits a byte, lowest first; bit 7: more bytes follow
 *   string      length as long, bytes          union    branch as long, value
 *   decimal     length as long, big-endian two's complement of the cents in the fewest bytes
 *
 * Writers write to reserved memory and return its new end. Readers keep the first failure and
 * return zeros after it. So a decoder is straight-line code with one check at its end. */
#ifndef FUNNEL_AVRO_IO_H
#define FUNNEL_AVRO_IO_H

#include <stdint.h>

#include "base/span.h"

#define AVRO_LONG_MAX_BYTES    10 /* 64 bits, 7 a byte */
#define AVRO_DECIMAL_MAX_BYTES 9  /* length, 64 bits */
#define AVRO_TEXT_MAX          1024
/* 18 digits: the precision of an event's price. */
#define AVRO_MONEY_MAX INT64_C(999999999999999999)
/* The times that timetext.h can write: years 1 to 9999. */
#define AVRO_TIME_MIN_US INT64_C(-62135596800000000)
#define AVRO_TIME_MAX_US INT64_C(253402300799999999)
/* 31 days: an event's windows begin and end at most this far from the event. */
#define AVRO_WINDOW_MAX_US INT64_C(2678400000000)

static inline char *avro_put_long(char *at, int64_t value)
{
	uint64_t rest = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);

	for (; rest >= 0x80; rest >>= 7)
		*at++ = (char)(rest | 0x80);
	*at++ = (char)rest;
	return at;
}

static inline char *avro_put_bool(char *at, bool value)
{
	*at++ = value ? 1 : 0;
	return at;
}

static inline char *avro_put_text(char *at, struct span text)
{
	at = avro_put_long(at, (int64_t)text.len);
	if (text.len > 0)
		memcpy(at, text.at, text.len);
	return at + text.len;
}

/* ["null", "string"] */
static inline char *avro_put_optional_text(char *at, struct span text)
{
	at = avro_put_long(at, text.at != NULL);
	return text.at ? avro_put_text(at, text) : at;
}

/* ["null", "long"] */
static inline char *avro_put_optional_long(char *at, bool present, int64_t value)
{
	at = avro_put_long(at, present);
	return present ? avro_put_long(at, value) : at;
}

static inline char *avro_put_decimal(char *at, int64_t cents)
{
	int size = 1;

	/* The sign needs one bit more than the value. */
	while (size < 8 && (cents >> (8 * size - 1)) != 0 && (cents >> (8 * size - 1)) != -1)
		size++;
	at = avro_put_long(at, size);
	while (size-- > 0)
		*at++ = (char)((uint64_t)cents >> (8 * size));
	return at;
}

static inline char *avro_put_frame(char *at, int32_t schema_id)
{
	*at++ = 0;
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (char)((uint32_t)schema_id >> shift);
	return at;
}

struct avro_in {
	const char *at, *end;
	const char *why; /* first failure: a field, or what is wrong; NULL: none */
};

static inline struct avro_in avro_in_of(struct span body)
{
	const char *at = body.at ? body.at : "";

	return (struct avro_in){at, at + body.len, NULL};
}

static inline int64_t avro_fail(struct avro_in *in, const char *field)
{
	if (!in->why)
		in->why = field;
	in->at = in->end;
	return 0;
}

/* The bytes of a long, or false if it does not end within the bytes, or is above 64 bits. */
static inline bool avro_take_raw(struct avro_in *in, uint64_t *raw)
{
	unsigned byte;
	int shift = 0;

	*raw = 0;
	do {
		if (in->at == in->end || shift > 63)
			return false;
		byte = (unsigned char)*in->at++;
		if (shift == 63 && byte > 1)
			return false;
		*raw |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return true;
}

/* Takes a value from min to max. */
static inline int64_t avro_take_long(struct avro_in *in, int64_t min, int64_t max,
                                     const char *field)
{
	uint64_t raw;
	int64_t value;

	if (in->at < in->end && (unsigned char)*in->at < 0x80)
		raw = (unsigned char)*in->at++; /* most are of one byte */
	else if (!avro_take_raw(in, &raw))
		return avro_fail(in, field);
	value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
	return value < min || value > max ? avro_fail(in, field) : value;
}

/* A user id is above 0. Below 0 it is the pseudonym of a forgotten user: the lake has these, and
 * `lake rebuild` writes them. */
static inline int64_t avro_take_user_id(struct avro_in *in)
{
	int64_t value = avro_take_long(in, INT64_MIN, INT64_MAX, "user_id");

	return value ? value : avro_fail(in, "user_id");
}

static inline int64_t avro_take_count(struct avro_in *in, const char *field)
{
	return avro_take_long(in, 0, INT64_MAX, field);
}

static inline int64_t avro_take_time_us(struct avro_in *in, const char *field)
{
	return avro_take_long(in, AVRO_TIME_MIN_US, AVRO_TIME_MAX_US, field);
}

static inline bool avro_take_bool(struct avro_in *in, const char *field)
{
	if (in->at == in->end || (unsigned char)*in->at > 1)
		return avro_fail(in, field);
	return *in->at++ == 1;
}

static inline struct span avro_take_text(struct avro_in *in, size_t max, const char *field)
{
	size_t len = (size_t)avro_take_long(in, 0, (int64_t)max, field);
	struct span text = {in->at, len};

	if (len > (size_t)(in->end - in->at)) {
		avro_fail(in, field);
		return (struct span){in->at, 0};
	}
	in->at += len;
	return text;
}

/* Branch 0 is null everywhere in our schemas; an optional text is never empty. */
static inline bool avro_take_present(struct avro_in *in, const char *field)
{
	return avro_take_long(in, 0, 1, field) == 1;
}

static inline struct span avro_take_optional_text(struct avro_in *in, size_t max, const char *field)
{
	struct span text;

	if (!avro_take_present(in, field))
		return SPAN_NULL;
	text = avro_take_text(in, max, field);
	if (text.len == 0)
		avro_fail(in, field);
	return text;
}

/* Takes every form of a value up to 8 bytes, also longer ones than avro_put_decimal writes. */
static inline int64_t avro_take_decimal(struct avro_in *in, int64_t max, const char *field)
{
	struct span bytes = avro_take_text(in, 8, field);
	uint64_t value;

	if (bytes.len == 0)
		return avro_fail(in, field);
	value = (signed char)*bytes.at < 0 ? UINT64_MAX : 0;
	for (size_t i = 0; i < bytes.len; i++)
		value = value << 8 | (unsigned char)bytes.at[i];
	return (int64_t)value < 0 || (int64_t)value > max ? avro_fail(in, field) : (int64_t)value;
}

/* True if all fields were read, and no bytes are left. */
static inline bool avro_in_finish(struct avro_in *in, const char **why)
{
	if (!in->why && in->at != in->end)
		in->why = "bytes after the last field";
	if (in->why && why)
		*why = in->why;
	return !in->why;
}

#endif
