/* Plain stores in network byte order. Only numeric has an inner format (utils/adt/numeric.c,
 * numeric_send): digits in base 10,000, most significant first, without leading or trailing zeros:
 *
 *   digit count i16 | weight i16 | sign i16 (0x4000: minus) | scale i16 | digits i16 ...
 *
 * The first digit counts 10000^weight. Cents fit well: the digit of weight -1 is the two decimals
 * times 100. */
#include "copy_binary.h"

#include "base/timetext.h"
#include "base/utf8.h"

const char copy_header[COPY_HEADER_BYTES] = {'P',        'G',  'C',  'O', 'P', 'Y', '\n',
                                             (char)0xff, '\r', '\n', 0,   0,   0,   0,
                                             0,          0,    0,    0,   0};
const char copy_trailer[COPY_TRAILER_BYTES] = {(char)0xff, (char)0xff};

static char *put2(char *at, uint32_t value)
{
	at[0] = (char)(value >> 8);
	at[1] = (char)value;
	return at + 2;
}

static char *put4(char *at, uint32_t value)
{
	return put2(put2(at, value >> 16), value & 0xffff);
}

static char *put8(char *at, uint64_t value)
{
	return put4(put4(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

static char *put_bytes(char *at, struct span bytes)
{
	if (bytes.len > 0)
		memcpy(at, bytes.at, bytes.len);
	return at + bytes.len;
}

char *copy_row_begin(char *at, int field_count)
{
	return put2(at, (uint32_t)field_count);
}

char *copy_null(char *at)
{
	return put4(at, UINT32_MAX);
}

char *copy_bool(char *at, bool value)
{
	at = put4(at, 1);
	*at = value ? 1 : 0;
	return at + 1;
}

char *copy_char(char *at, char value)
{
	at = put4(at, 1);
	*at = value;
	return at + 1;
}

char *copy_int2(char *at, int16_t value)
{
	return put2(put4(at, 2), (uint16_t)value);
}

char *copy_int4(char *at, int32_t value)
{
	return put4(put4(at, 4), (uint32_t)value);
}

char *copy_int8(char *at, int64_t value)
{
	return put8(put4(at, 8), (uint64_t)value);
}

char *copy_uuid(char *at, const uint8_t id[16])
{
	at = put4(at, 16);
	memcpy(at, id, 16);
	return at + 16;
}

char *copy_timestamptz(char *at, int64_t time_us)
{
	return copy_int8(at,
	                 (int64_t)((uint64_t)time_us - (uint64_t)(COPY_EPOCH_DAYS * US_PER_DAY)));
}

char *copy_date(char *at, int64_t day)
{
	return copy_int4(at, (int32_t)(day - COPY_EPOCH_DAYS));
}

char *copy_cents(char *at, int64_t cents)
{
	uint64_t value = cents < 0 ? 0 - (uint64_t)cents : (uint64_t)cents;
	uint32_t digits[8]; /* least significant first; digits[0] has the decimals */
	int count = 0, first = 0;

	digits[count++] = (uint32_t)(value % 100) * 100;
	for (value /= 100; value > 0; value /= 10000)
		digits[count++] = (uint32_t)(value % 10000);
	while (first < count && digits[first] == 0)
		first++;
	if (count == 1 && first == 1)
		first = count = 0; /* zero has no digits, and weight 0 */
	at = put4(at, (uint32_t)(8 + 2 * (count - first)));
	at = put2(at, (uint32_t)(count - first));
	at = put2(at, count == 0 ? 0 : (uint16_t)(count - 2));
	at = put2(at, cents < 0 ? 0x4000 : 0);
	at = put2(at, 2);
	for (int i = count - 1; i >= first; i--)
		at = put2(at, digits[i]);
	return at;
}

char *copy_text(char *at, struct span text)
{
	return text.at ? put_bytes(put4(at, (uint32_t)text.len), text) : copy_null(at);
}

char *copy_bytea(char *at, struct span bytes)
{
	return copy_text(at, bytes);
}

char *copy_jsonb(char *at, struct span json)
{
	if (!json.at)
		return copy_null(at);
	at = put4(at, (uint32_t)json.len + 1);
	*at = 1;
	return put_bytes(at + 1, json);
}

/* length i32 | dimensions i32 | has nulls i32 | element type i32 | per dimension: size i32, lower
 * bound i32 | elements: length i32, bytes. An empty array has no dimension. */
char *copy_array_begin(char *at, enum copy_element type, uint32_t count)
{
	at = put4(at, 0); /* the length, see copy_array_end */
	at = put4(at, count > 0 ? 1 : 0);
	at = put4(at, 0);
	at = put4(at, (uint32_t)type);
	return count > 0 ? put4(put4(at, count), 1) : at;
}

char *copy_array_end(char *begin, char *end, bool has_null)
{
	put4(begin, (uint32_t)(end - begin - 4));
	put4(begin + 8, has_null ? 1 : 0);
	return end;
}

char *copy_text_array(char *at, const struct span *texts, int count)
{
	char *begin = at;

	at = copy_array_begin(at, COPY_TEXT, (uint32_t)count);
	for (int i = 0; i < count; i++)
		at = copy_text(at, texts[i]);
	return copy_array_end(begin, at, false);
}

enum reason copy_text_fault(struct span text)
{
	if (text.len == 0)
		return REASON_NONE;
	if (memchr(text.at, 0, text.len))
		return REASON_NUL_CHARACTER;
	return utf8_is_valid(text) ? REASON_NONE : REASON_INVALID_UTF8;
}
