/* A record of an input topic, as the folds get it. */
#ifndef FUNNEL_RECORD_H
#define FUNNEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "event/reason.h"
#include "stream/outbox.h"

/* The result of a record when it was first folded. It is known in a restore after the rules have
 * changed. Then today's rules do not decide. */
enum earlier_result {
	EARLIER_NONE, /* not known: today's rules decide */
	EARLIER_REFUSED,
	EARLIER_ACCEPTED, /* or a duplicate */
};

struct header_list {
	const struct header *at;
	size_t count;
};

/* Reads the headers of a message of the client library, and returns their number. */
typedef size_t header_reader(const void *message, struct header *room);

struct input_record {
	struct span topic;
	int64_t offset;
	int64_t timestamp_ms; /* the record's own time, within the years 1970 to 9999 */
	int32_t partition;
	struct span key, value;       /* as they came */
	struct span body;             /* the value without its frame, converted to our schema */
	enum reason refused;          /* why the value has no body; REASON_NONE: it has one */
	const char *detail;           /* more about refused; may be NULL */
	const struct header *headers; /* of read records; record_headers reads the others */
	size_t header_count;
	/* If not NULL: reads the headers of the message into header_room. */
	header_reader *read_headers;
	const void *message;
	struct header *header_room;
	/* The reader already has the next record of this partition. So nothing is committed before
	 * that one, unless an error comes between. */
	bool followed;
	enum earlier_result earlier;
	enum reason earlier_reason; /* of EARLIER_REFUSED */
};

/* Clamps the time that a writer has set to the years 1970 to 9999. */
int64_t record_time_clamp_ms(int64_t timestamp_ms);
/* The headers. They may be read now: few records need theirs, and the client library allocates
 * memory to read them, also if there are none. The list is valid while the message lives, and until
 * the headers of another record of the same reader are read. */
struct header_list record_headers(const struct input_record *record);
/* The last value of a header; at == NULL: the record does not have the header. */
struct span record_header(const struct input_record *record, const char *name);

#endif
