/* The headers of a distributed trace (W3C Trace Context): traceparent and tracestate. A service
 * passes them on with the record, unchanged and unchecked: it takes part in no trace itself. */
#ifndef FUNNEL_TRACE_HEADERS_H
#define FUNNEL_TRACE_HEADERS_H

#include <stddef.h>

#include "stream/outbox.h"
#include "stream/record.h"

#define TRACE_HEADERS   2
#define TRACE_VALUE_MAX 512 /* bytes; the standard asks for at least that */

/* Copies the two headers to out, if the record has them, and returns their number. Values borrow
 * from the record. tracestate has no meaning without traceparent and is left out then. A value that
 * is empty or longer than TRACE_VALUE_MAX counts as absent, so that a record with a copy fits
 * wherever the original did. */
size_t trace_headers_read(const struct input_record *record, struct header out[TRACE_HEADERS]);

#endif
