/* Alert: an alert was opened or closed. The topic of alerts has it.
 *
 * The codec is written by hand, as those of the other records, for exactly the schema in
 * schemas/. A test compares it byte by byte with the Avro library. */
#ifndef FUNNEL_RECORDS_ALERT_H
#define FUNNEL_RECORDS_ALERT_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

struct alert {
	struct span alert_id, state, rule, metric;
	struct span subject; /* at == NULL: none, as for all optional texts */
	struct span compared_with, direction, bound, limit_value, value;
	struct span value_before, volume; /* optional */
	int64_t met_since_us, opened_at_us;
	bool is_closed; /* closed_at_us has a value */
	int64_t closed_at_us;
	struct span closed_value, closed_by; /* optional */
};

/* Appends one record with its frame. schema_id: the registry's. */
void alert_encode(struct buffer *out, int32_t schema_id, const struct alert *alert);
/* Decodes one body (without its frame). Texts borrow from body; they have at most 1 KiB. False:
 * malformed bytes, or bytes after the last field; *why (may be NULL) then names the field. */
MUST_USE bool alert_decode(struct span body, struct alert *alert, const char **why);

#endif
