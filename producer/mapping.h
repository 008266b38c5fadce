/* How another schema becomes ours: names of columns, types of events, and the form of times.
 *
 * A mapping is a text of pairs OURS=THEIRS, with commas, semicolons or line ends between them:
 *     user_id=UserID, event_time=Timestamp, view=product_view, cart=add_to_cart, skip=page_view
 * OURS is one of the nine fields, one of the five types, or
 *     skip          a type whose rows are left out
 *     time_format   form of the times, as for strptime(3): %Y %m %d %H %M %S %y %b %p %I %f %z
 *     time_zone     offset from UTC of times that do not say one, such as +02:00
 * A type or skip may have several pairs. THEIRS may be in double quotes, and must be if it has a
 * comma or a semicolon. A line that begins with # is a comment.
 *
 * Once a type is mapped, any other type that is not one of the five is unmapped. */
#ifndef FUNNEL_MAPPING_H
#define FUNNEL_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mapped_time.h"
#include "row.h"

struct mapping;
/* text: a mapping, or the path of a file with one (if it has no '='). NULL and err (ERR_INPUT):
 * it cannot be read. */
struct mapping *mapping_new(const char *text, struct err *err);
void mapping_free(struct mapping *mapping);
/* For the check of a setting: "" is none. */
bool mapping_check(const char *text, struct err *err);

/* Their name of one of the nine fields: as mapped, else ours. mapping: may be NULL. */
const char *mapping_column(const struct mapping *mapping, size_t field);

/* Maps the type and the time of a row that has no error. Writes the time into time_text if its text
 * changes. False: the row is left out, and counted. */
bool mapping_apply(struct mapping *mapping, struct row *row, char time_text[MAPPED_TIME_MAX]);

/* The types that skip names, and how many rows of each were left out. False: no type has this
 * index. */
bool mapping_skipped(const struct mapping *mapping, size_t index, const char **type, int64_t *rows);

/* Sets the counts to 0, after rows were read but not sent. */
void mapping_forget_skipped(struct mapping *mapping);

/* The same number for the same mapping. */
uint64_t mapping_hash(const struct mapping *mapping);

#endif
