/* Times in a form that a mapping describes. Pure. */
#ifndef FUNNEL_MAPPED_TIME_H
#define FUNNEL_MAPPED_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define MAPPED_TIME_MAX 48

struct time_form {
	const char *format; /* as for strptime(3); NULL: the forms of event_time_read */
	bool has_zone;      /* offset_us is set */
	int64_t offset_us;  /* of times that do not say their zone */
};

/* ERR_INPUT: a conversion of the format is not known, or the date is not complete. */
MUST_USE bool time_format_check(const char *format, struct err *err);
/* "+02:00", "-0530", "+02", "Z" or "UTC". */
bool time_zone_read(struct span text, int64_t *offset_us);

/* Reads the time, and writes it as "YYYY-MM-DD HH:MM:SS[.fraction] UTC". Its zone may move it to
 * 1999 or to the year 10000, which event_time_read refuses. False: it does not have this form. */
bool mapped_time_read(const struct time_form *form, struct span text, char out[MAPPED_TIME_MAX],
                      size_t *len);

#endif
