/* The pairs are cut in a copy of the text and terminated in place. */
#include "mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_values.h"
#include "mapped_price.h"

#define TEXT_MAX  65536
#define TYPES_MAX 64

struct mapping {
	const char *columns[EVENT_FIELD_COUNT]; /* NULL: ours */
	size_t type_count, skip_count;
	struct {
		struct span theirs;
		enum event_type ours;
	} types[TYPES_MAX];
	struct {
		const char *type;
		int64_t rows;
	} skips[TYPES_MAX];
	struct time_form time;
	char decimal; /* sign before the decimals of prices; '\0': not set */
	uint64_t hash;
	char text[TEXT_MAX];
};

/* ---- pairs */

static bool is_separator(char c)
{
	return c == ',' || c == ';' || c == '\n';
}

static char *skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r')
		p++;
	return p;
}

static void end_before_blanks(const char *start, char *end)
{
	while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = '\0';
}

/* Goes to the next pair. False: there is none. */
static bool find_pair(char **at)
{
	char *p = *at;

	for (;;) {
		p = skip_blanks(p);
		if (*p == '#')
			p += strcspn(p, "\n");
		if (!is_separator(*p))
			break;
		p++;
	}
	*at = p;
	return *p != '\0';
}

/* Takes a value in quotes, after the first one. */
static bool take_quoted(char **at, struct err *err)
{
	char *value = *at, *end = value + strcspn(value, "\"\n");

	if (*end != '"')
		return err_set(err, ERR_INPUT, "the quote before %.20s is not closed", value);
	*end = '\0';
	*at = skip_blanks(end + 1);
	return !**at || is_separator(**at) ||
	       err_set(err, ERR_INPUT, "expected a comma after \"%s\"", value);
}

static void take_bare(char **at)
{
	char *value = *at, *end = value + strcspn(value, ",;\n");

	*at = *end ? end + 1 : end;
	end_before_blanks(value, end);
}

/* Takes a comma that is the last value of its line. False: it separates pairs. */
static bool take_last_comma(char **at)
{
	char *comma = *at, *end = skip_blanks(comma + (*comma == ','));

	if (*comma != ',' || (*end && *end != ';' && *end != '\n'))
		return false;
	*at = *end ? end + 1 : end;
	comma[1] = '\0';
	return true;
}

/* Takes OURS=THEIRS. Both are terminated. */
static bool take_pair(char **at, char **ours, char **theirs, struct err *err)
{
	char *equals = *at + strcspn(*at, "=,;\n"), *value = skip_blanks(equals + (*equals != 0));

	*ours = *at;
	*theirs = value + (*value == '"');
	if (*equals != '=')
		return err_set(err, ERR_INPUT,
		               "\"%.*s\" has no '='; expected OURS=THEIRS, such as user_id=UserID",
		               (int)(equals - *ours), *ours);
	end_before_blanks(*ours, equals);
	*at = *theirs;
	if (*value == '"')
		return take_quoted(at, err);
	if (strcmp(*ours, "decimal") != 0 || !take_last_comma(at))
		take_bare(at);
	return true;
}

static bool set_column(struct mapping *mapping, size_t field, const char *theirs, struct err *err)
{
	if (mapping->columns[field])
		return err_set(err, ERR_INPUT, "%s occurs twice", event_field_names[field]);
	mapping->columns[field] = theirs;
	return true;
}

/* A type of theirs can become one type of ours, or be left out. */
static bool check_unused(const struct mapping *mapping, const char *theirs, struct err *err)
{
	bool used = false;

	for (size_t i = 0; i < mapping->type_count; i++)
		used = used || span_is(mapping->types[i].theirs, theirs);
	for (size_t i = 0; i < mapping->skip_count; i++)
		used = used || strcmp(mapping->skips[i].type, theirs) == 0;
	return !used || err_set(err, ERR_INPUT,
	                        "the type \"%s\" occurs twice; expected one pair for each of "
	                        "their types",
	                        theirs);
}

static bool add_skip(struct mapping *mapping, const char *theirs, struct err *err)
{
	if (!check_unused(mapping, theirs, err))
		return false;
	if (mapping->skip_count == TYPES_MAX)
		return err_set(err, ERR_INPUT, "more than %d types to skip", TYPES_MAX);
	mapping->skips[mapping->skip_count++].type = theirs;
	return true;
}

static bool add_type(struct mapping *mapping, enum event_type ours, const char *theirs,
                     struct err *err)
{
	if (!check_unused(mapping, theirs, err))
		return false;
	if (mapping->type_count == TYPES_MAX)
		return err_set(err, ERR_INPUT, "more than %d types", TYPES_MAX);
	mapping->types[mapping->type_count].theirs = span_of(theirs);
	mapping->types[mapping->type_count++].ours = ours;
	return true;
}

static bool set_zone(struct mapping *mapping, const char *text, struct err *err)
{
	if (mapping->time.has_zone)
		return err_set(err, ERR_INPUT, "time_zone occurs twice");
	mapping->time.has_zone = time_zone_read(span_of(text), &mapping->time.offset_us);
	return mapping->time.has_zone ||
	       err_set(err, ERR_INPUT,
	               "invalid value \"%s\" for time_zone: expected an offset from UTC such as "
	               "+02:00",
	               text);
}

static bool set_format(struct mapping *mapping, const char *format, struct err *err)
{
	if (mapping->time.format)
		return err_set(err, ERR_INPUT, "time_format occurs twice");
	mapping->time.format = format;
	return time_format_check(format, err);
}

static bool set_decimal(struct mapping *mapping, const char *sign, struct err *err)
{
	if (mapping->decimal)
		return err_set(err, ERR_INPUT, "decimal occurs twice");
	if (strcmp(sign, ",") != 0 && strcmp(sign, ".") != 0)
		return err_set(
			err, ERR_INPUT,
			"invalid value \"%s\" for decimal: expected . or , (the comma stands "
			"in double quotes if another pair follows on its line)",
			sign);
	mapping->decimal = sign[0];
	return true;
}

static bool set_pair(struct mapping *mapping, const char *ours, const char *theirs, struct err *err)
{
	enum event_type type;

	if (strcmp(ours, "decimal") == 0)
		return set_decimal(mapping, theirs, err);
	if (!theirs[0])
		return err_set(err, ERR_INPUT, "%s= has no value", ours);
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		if (strcmp(ours, event_field_names[i]) == 0)
			return set_column(mapping, i, theirs, err);
	if (event_type_parse(span_of(ours), &type))
		return add_type(mapping, type, theirs, err);
	if (strcmp(ours, "skip") == 0)
		return add_skip(mapping, theirs, err);
	if (strcmp(ours, "time_zone") == 0)
		return set_zone(mapping, theirs, err);
	if (strcmp(ours, "time_format") == 0)
		return set_format(mapping, theirs, err);
	return err_set(err, ERR_INPUT,
	               "\"%s\" is not known; expected a field (event_time, user_id, ...), a type "
	               "(view, cart, remove_from_cart, checkout, purchase), skip, time_format, "
	               "time_zone or decimal",
	               ours);
}

static bool read_pairs(struct mapping *mapping, struct err *err)
{
	char *at = mapping->text, *ours, *theirs;

	if (!find_pair(&at))
		return err_set(err, ERR_INPUT,
		               "it has no pair; expected OURS=THEIRS, such as user_id=UserID");
	while (find_pair(&at))
		if (!take_pair(&at, &ours, &theirs, err) || !set_pair(mapping, ours, theirs, err))
			return false;
	return true;
}

/* ---- the mapping */

static bool read_file(struct mapping *mapping, const char *path, struct err *err)
{
	FILE *file = fopen(path, "r");
	char *text = mapping->text;
	size_t len;

	if (!file)
		return err_set(err, ERR_INPUT,
		               "cannot read the file %s: %s; expected a file or pairs such as "
		               "user_id=UserID",
		               path, strerror(errno));
	len = fread(text, 1, TEXT_MAX, file);
	if (ferror(file)) {
		err_set(err, ERR_INPUT, "cannot read the file %s: %s", path, strerror(errno));
		fclose(file);
		return false;
	}
	fclose(file);
	if (len == TEXT_MAX)
		return err_set(err, ERR_INPUT, "the file %s has more than %d bytes", path,
		               TEXT_MAX - 1);
	text[len] = '\0';
	if (strlen(text) < len)
		return err_set(err, ERR_INPUT,
		               "the file %s has a NUL byte; expected a text in UTF-8", path);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		memmove(text, text + 3, len - 2);
	return true;
}

static bool read_text(struct mapping *mapping, const char *text, struct err *err)
{
	if (!strchr(text, '='))
		return read_file(mapping, text, err);
	if (strlen(text) >= TEXT_MAX)
		return err_set(err, ERR_INPUT, "longer than %d bytes", TEXT_MAX - 1);
	memcpy(mapping->text, text, strlen(text) + 1);
	return true;
}

struct mapping *mapping_new(const char *text, struct err *err)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));

	if (!mapping) {
		err_set(err, ERR_FATAL, "out of memory");
		return NULL;
	}
	if (read_text(mapping, text, err)) {
		mapping->hash = fnv1a(FNV1A_START, mapping->text, strlen(mapping->text));
		if (read_pairs(mapping, err))
			return mapping;
	}
	err_prefix(err, "MAPPING");
	mapping_free(mapping);
	return NULL;
}

void mapping_free(struct mapping *mapping)
{
	free(mapping);
}

bool mapping_check(const char *text, struct err *err)
{
	struct mapping *mapping = text[0] ? mapping_new(text, err) : NULL;
	bool ok = !text[0] || mapping;

	mapping_free(mapping);
	return ok;
}

const char *mapping_column(const struct mapping *mapping, size_t field)
{
	return mapping && mapping->columns[field] ? mapping->columns[field]
	                                          : event_field_names[field];
}

/* False: the mapping leaves out rows of this type. */
static bool map_type(struct mapping *mapping, struct row *row)
{
	struct span *type = &row->fields[FIELD_EVENT_TYPE];
	enum event_type ours;

	for (size_t i = 0; i < mapping->skip_count; i++)
		if (span_is(*type, mapping->skips[i].type)) {
			mapping->skips[i].rows++;
			return false;
		}
	for (size_t i = 0; i < mapping->type_count; i++)
		if (span_equal(*type, mapping->types[i].theirs)) {
			*type = span_of(event_type_name(mapping->types[i].ours));
			return true;
		}
	row->unmapped_type =
		mapping->type_count > 0 && type->len > 0 && !event_type_parse(*type, &ours);
	return true;
}

static void map_time(const struct mapping *mapping, struct row *row,
                     char time_text[MAPPED_TIME_MAX])
{
	struct span *time = &row->fields[FIELD_EVENT_TIME];
	size_t len;

	row->event_time_us = ROW_TIME_NONE;
	if (!mapped_time_read(&mapping->time, *time, time_text, &len))
		return;
	*time = (struct span){time_text, len};
	if (!event_time_read(*time, &row->event_time_us)) /* a zone moves it out of range */
		row->event_time_us = ROW_TIME_NONE;
}

static void map_price(struct row *row, char price_text[MAPPED_PRICE_MAX])
{
	struct span *price = &row->fields[FIELD_PRICE];
	size_t len;

	if (!row->price_is_number && mapped_price_read(*price, price_text, &len))
		*price = (struct span){price_text, len};
}

bool mapping_apply(struct mapping *mapping, struct row *row, struct mapped_texts *texts)
{
	if (!map_type(mapping, row))
		return false;
	if (mapping->time.format || mapping->time.has_zone)
		map_time(mapping, row, texts->time);
	if (mapping->decimal == ',')
		map_price(row, texts->price);
	return true;
}

bool mapping_skipped(const struct mapping *mapping, size_t index, const char **type, int64_t *rows)
{
	if (index >= mapping->skip_count)
		return false;
	*type = mapping->skips[index].type;
	*rows = mapping->skips[index].rows;
	return true;
}

void mapping_forget_skipped(struct mapping *mapping)
{
	for (size_t i = 0; i < mapping->skip_count; i++)
		mapping->skips[i].rows = 0;
}

uint64_t mapping_hash(const struct mapping *mapping)
{
	return mapping->hash;
}
