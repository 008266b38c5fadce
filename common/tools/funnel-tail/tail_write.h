/* Writes names and values, as JSON or as words for people. Pure.
 *
 *   json   {"event_type":"view","price":2.50,"brand":null}
 *   plain  event_type=view price=2.50
 *
 * In both forms a value contains no control character, so one record is one line, and it cannot
 * send commands to a terminal. In plain, a value without a text is left out, and a value with a
 * blank, a quote or an escaped character stands in quotes, as in JSON. */
#ifndef FUNNEL_TAIL_WRITE_H
#define FUNNEL_TAIL_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"

struct tail_write {
	struct buffer *out;
	bool plain;
	bool separate; /* the next value needs a separator before it */
};

/* name: a literal of letters, digits and _; NULL: the value has no name. */
void tail_write_open(struct tail_write *write, const char *name);
void tail_write_close(struct tail_write *write);
void tail_write_list_open(struct tail_write *write, const char *name);
void tail_write_list_close(struct tail_write *write);

/* A text that is not UTF-8 becomes null, and the member <name>_base64 has its bytes. */
void tail_write_text(struct tail_write *write, const char *name, struct span text);
/* The name is a text too, and may be any bytes; only for plain. */
void tail_write_plain_pair(struct tail_write *write, struct span name, struct span value);
void tail_write_base64(struct tail_write *write, const char *name, struct span bytes);
/* The text of a JSON value, unchanged except for line ends between its tokens. */
void tail_write_json(struct tail_write *write, const char *name, struct span json);
void tail_write_null(struct tail_write *write, const char *name);
void tail_write_number(struct tail_write *write, const char *name, int64_t number);
void tail_write_bool(struct tail_write *write, const char *name, bool truth);
/* A number with two decimals. */
void tail_write_money(struct tail_write *write, const char *name, int64_t cents);
/* "2019-10-01T00:00:00Z", of microseconds. */
void tail_write_time(struct tail_write *write, const char *name, int64_t time_us);
/* The same with three decimals, of milliseconds. */
void tail_write_time_ms(struct tail_write *write, const char *name, int64_t time_ms);

#endif
