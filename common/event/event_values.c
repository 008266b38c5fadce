/* Times: the number of digits before the point gives the unit of an epoch, because each unit has a
 * number of its own for the years 2001 to 2286. Rejected: times without seconds, which lose the
 * order of a session's events, and dates whose day and month may be swapped.
 *
 * Integers: the digits of the mantissa, without the zeros after them, and the power of ten of the
 * last one. The number is an integer if that power is not negative. Two kinds of text have lost
 * digits: at 2^53 and beyond, neighbouring integers are the same double. And C's %g, spreadsheets
 * and R write at most six digits and an exponent with a sign, where the number has seven digits or
 * more. Java writes all digits, and no sign. */
#include "event/event_values.h"

#include "base/number.h"
#include "base/timetext.h"

#define TIME_MIN_US (INT64_C(946684800) * US_PER_SECOND)    /* 2000-01-01 00:00:00 */
#define TIME_END_US (INT64_C(253402300800) * US_PER_SECOND) /* 10000-01-01 00:00:00 */

#define EXACT_INTEGER_MAX INT64_C(9007199254740991) /* 2^53 - 1 */
#define FLOAT_TEXT_MAX    64
#define INTEGER_DIGITS    19
#define ROUNDED_DIGITS    6 /* most digits of a number that was rounded for reading */

/* ---- integers */

struct decimal {
	bool negative, has_exponent, has_exponent_sign;
	char digits[FLOAT_TEXT_MAX]; /* without zeros at both ends */
	size_t digit_count;
	int64_t power; /* of ten, of the last digit */
};

static size_t digits_at(struct span text, size_t from)
{
	size_t i = from;

	while (i < text.len && text.at[i] >= '0' && text.at[i] <= '9')
		i++;
	return i - from;
}

static void append_digits(struct decimal *decimal, const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (decimal->digit_count > 0 || at[i] != '0')
			decimal->digits[decimal->digit_count++] = at[i];
}

/* [eE] [+-]? [0-9]{1,3}, at the end of the text */
static bool exponent_read(struct span text, size_t from, struct decimal *decimal)
{
	size_t i = from + 1;
	bool negative = i < text.len && text.at[i] == '-';
	int64_t exponent;

	decimal->has_exponent = true;
	decimal->has_exponent_sign = negative || (i < text.len && text.at[i] == '+');
	i += decimal->has_exponent_sign;
	if (text.len - i > 3 ||
	    !number_parse_span((struct span){text.at + i, text.len - i}, 999, &exponent))
		return false;
	decimal->power += negative ? -exponent : exponent;
	return true;
}

/* -? [0-9]+ (. [0-9]+)? exponent? */
static bool decimal_read(struct span text, struct decimal *decimal)
{
	size_t i = text.len > 0 && text.at[0] == '-', part;

	*decimal = (struct decimal){.negative = i};
	if (text.len > FLOAT_TEXT_MAX || (part = digits_at(text, i)) == 0)
		return false;
	append_digits(decimal, text.at + i, part);
	i += part;
	if (i < text.len && text.at[i] == '.') {
		part = digits_at(text, i + 1);
		append_digits(decimal, text.at + i + 1, part);
		decimal->power = -(int64_t)part;
		i += 1 + part;
		if (part == 0)
			return false;
	}
	if (i < text.len && text.at[i] != 'e' && text.at[i] != 'E')
		return false;
	if (i < text.len && !exponent_read(text, i, decimal))
		return false;
	for (; decimal->digit_count > 0 && decimal->digits[decimal->digit_count - 1] == '0';
	     decimal->digit_count--)
		decimal->power++;
	return true;
}

static bool looks_rounded(const struct decimal *decimal)
{
	return decimal->has_exponent_sign && decimal->power > 0 &&
	       decimal->digit_count <= ROUNDED_DIGITS &&
	       (int64_t)decimal->digit_count + decimal->power > ROUNDED_DIGITS;
}

bool event_integer_read(struct span text, int64_t *value)
{
	char integer[1 + INTEGER_DIGITS];
	struct decimal decimal;
	size_t len = 0;
	int64_t read;

	if (number_parse_signed(text, value))
		return true;
	if (!decimal_read(text, &decimal) || looks_rounded(&decimal))
		return false;
	if (decimal.digit_count == 0) {
		*value = 0;
		return true;
	}
	if (decimal.power < 0 || (int64_t)decimal.digit_count + decimal.power > INTEGER_DIGITS)
		return false;
	if (decimal.negative)
		integer[len++] = '-';
	memcpy(integer + len, decimal.digits, decimal.digit_count);
	len += decimal.digit_count;
	memset(integer + len, '0', (size_t)decimal.power);
	len += (size_t)decimal.power;
	if (!number_parse_signed((struct span){integer, len}, &read) ||
	    (decimal.has_exponent && (read > EXACT_INTEGER_MAX || read < -EXACT_INTEGER_MAX)))
		return false;
	*value = read;
	return true;
}

bool event_integer_of_real(double number, int64_t *value)
{
	int64_t integer;

	if (!(number >= -(double)EXACT_INTEGER_MAX && number <= (double)EXACT_INTEGER_MAX))
		return false;
	integer = (int64_t)number;
	if ((double)integer != number)
		return false;
	*value = integer;
	return true;
}

/* ---- times */

/* By the digits before the point: the microseconds of one unit, or the units of one microsecond. */
static const struct epoch_unit {
	size_t digits;
	int64_t us, per_us;
} epoch_units[] = {
	{10, US_PER_SECOND, 1},
	{13, 1000, 1},
	{16, 1, 1},
	{19, 1, 1000},
};

static const struct epoch_unit *epoch_unit_of(size_t digits)
{
	for (size_t i = 0; i < sizeof(epoch_units) / sizeof(*epoch_units); i++)
		if (epoch_units[i].digits == digits)
			return &epoch_units[i];
	return NULL;
}

static bool time_set(int64_t us, int64_t *time_us)
{
	if (us < TIME_MIN_US || us >= TIME_END_US)
		return false;
	*time_us = us;
	return true;
}

static size_t digit_count_of(int64_t number)
{
	size_t count = 1;

	while ((number /= 10) != 0)
		count++;
	return count;
}

bool event_time_of_integer(int64_t epoch, int64_t *time_us)
{
	const struct epoch_unit *unit = epoch > 0 ? epoch_unit_of(digit_count_of(epoch)) : NULL;

	return unit && time_set(epoch / unit->per_us * unit->us, time_us);
}

bool event_time_of_real(double epoch, int64_t *time_us)
{
	const struct epoch_unit *unit;
	int64_t whole;

	if (!(epoch >= 1 && epoch <= (double)EXACT_INTEGER_MAX))
		return false;
	whole = (int64_t)epoch;
	unit = epoch_unit_of(digit_count_of(whole));
	/* The sum of a large integer and 0.5 is not exact. */
	return unit && time_set(whole * unit->us +
	                                (int64_t)((epoch - (double)whole) * (double)unit->us + 0.5),
	                        time_us);
}

/* The fraction of an epoch in microseconds, cut. */
static int64_t fraction_us(struct span digits, int64_t unit_us)
{
	int64_t us = 0;

	for (size_t i = 0; i < digits.len && unit_us > 1; i++) {
		unit_us /= 10;
		us += (digits.at[i] - '0') * unit_us;
	}
	return us;
}

/* [0-9]+ (. [0-9]{1,9})?, or an integer that was written as a float */
static bool epoch_read(struct span text, int64_t *time_us)
{
	size_t digits = digits_at(text, 0);
	struct span fraction = SPAN_NULL;
	const struct epoch_unit *unit = epoch_unit_of(digits);
	int64_t epoch;

	if (memchr(text.at, 'e', text.len) || memchr(text.at, 'E', text.len))
		return event_integer_read(text, &epoch) && event_time_of_integer(epoch, time_us);
	if (!unit || (digits < text.len && text.at[digits] != '.'))
		return false;
	if (digits < text.len)
		fraction = (struct span){text.at + digits + 1, text.len - digits - 1};
	if (text.at[0] == '0' || digits_at(fraction, 0) != fraction.len || fraction.len > 9 ||
	    (digits < text.len && fraction.len == 0) ||
	    !number_parse_span((struct span){text.at, digits}, INT64_MAX, &epoch))
		return false;
	return time_set(epoch / unit->per_us * unit->us + fraction_us(fraction, unit->us), time_us);
}

bool event_time_read(struct span text, int64_t *time_us)
{
	int64_t us;

	if (text.len > 4 && text.at[4] == '-')
		return time_parse(text, &us) && time_set(us, time_us);
	return text.len > 0 && epoch_read(text, time_us);
}

static bool fits(char c, char form)
{
	switch (form) {
	case '0': return c >= '0' && c <= '9';
	case '/': return c == '/' || c == '-' || c == '.';
	case '?': return true;
	default: return c == form;
	}
}

/* Whether the text begins with this form: '0' is a digit, '/' separates parts of a date, '?' is any
 * byte. */
static bool begins(struct span text, const char *form)
{
	size_t i = 0;

	while (i < text.len && form[i] && fits(text.at[i], form[i]))
		i++;
	return !form[i];
}

static bool has_day_and_month(struct span text)
{
	return begins(text, "0/0/0000") || begins(text, "00/0/0000") || begins(text, "0/00/0000") ||
	       begins(text, "00/00/0000");
}

const char *event_time_refusal(struct span text)
{
	int64_t us;

	if (time_parse(text, &us) || begins(text, "00000-00-00 "))
		return "before 2000 or after 9999";
	if (begins(text, "0000-00-00?00:00:00,"))
		return "a comma before the fraction, expected a point";
	if (begins(text, "0000-00-00?00:00") && !begins(text, "0000-00-00?00:00:"))
		return "no seconds";
	if (begins(text, "0000-00-00") && text.len == 10)
		return "no time of day";
	if (digits_at(text, 0) == text.len && text.len > 0)
		return "expected an epoch of 10, 13, 16 or 19 digits";
	if (has_day_and_month(text))
		return "day and month are ambiguous";
	return "expected a time such as 2019-10-01 12:00:00 UTC";
}

/* ---- words that mean "no value" */

bool null_words_read(const char *list, struct null_words *words, struct err *err)
{
	*words = (struct null_words){0};
	for (const char *at = list, *end;; at = end + 1) {
		struct span word;

		end = at + strcspn(at, ",");
		word = span_trim((struct span){at, (size_t)(end - at)});
		if (word.len == 0 || word.len > NULL_WORD_BYTES_MAX ||
		    words->count == NULL_WORDS_MAX)
			return err_set(err, ERR_INPUT,
			               "expected 1 to %d words of at most %d bytes with commas "
			               "between them, such as nan,NULL",
			               NULL_WORDS_MAX, NULL_WORD_BYTES_MAX);
		words->at[words->count++] = word;
		words->has_integers |= number_parse_signed(word, &(int64_t){0});
		words->lengths |= UINT32_C(1) << word.len;
		words->starts[(unsigned char)word.at[0]] = 1;
		if (!*end)
			return true;
	}
}

bool null_words_check(const char *list, struct err *err)
{
	struct null_words words;

	return null_words_read(list, &words, err);
}

bool null_words_find(const struct null_words *words, struct span text)
{
	for (size_t i = 0; i < words->count; i++)
		if (span_equal(words->at[i], text))
			return true;
	return false;
}
