/* How another schema becomes ours: names of columns, types of events, and the forms of times
 * and prices.
 *
 * A mapping is a text of pairs OURS=THEIRS, with commas, semicolons or line ends between them:
 *     user_id=UserID, event_time=Timestamp, view=product_view, cart=add_to_cart, skip=page_view
 * OURS is one of the nine fields, one of the five types, or
 *     skip          a type whose rows are left out
 *     time_format   form of the times, as for strptime(3): %Y %m %d %H %M %S %y %b %p %I %f %z
 *     time_zone     offset from UTC of times that do not say one, such as +02:00
 *     decimal       the sign before the decimals of prices: . or , (mapped_price.h)
 * A type or skip may have several pairs. THEIRS may be in double quotes, and must be if it has a
 * comma or a semicolon; but `decimal = ,` may end a line or the text. A line that begins with # is
 * a comment.
 *
 * Once a type is mapped, any other type that is not one of the five is unmapped. */
#ifndef FUNNEL_MAPPING_H
#define FUNNEL_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mapped_price.h"
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

/* The texts of a row that a mapping has changed. */
struct mapped_texts {
	char time[MAPPED_TIME_MAX];
	char price[MAPPED_PRICE_MAX];
};
/* Maps the type, the time and the price of a row that has no error. Writes the time and the price
 * into texts if they change; the row then borrows from it. False: the row is left out, and
 * counted. */
bool mapping_apply(struct mapping *mapping, struct row *row, struct mapped_texts *texts);

/* The types that skip names, and how many rows of each were left out. False: no type has this
 * index. */
bool mapping_skipped(const struct mapping *mapping, size_t index, const char **type, int64_t *rows);

/* Sets the counts to 0, after rows were read but not sent. */
void mapping_forget_skipped(struct mapping *mapping);

/* The same number for the same mapping. */
uint64_t mapping_hash(const struct mapping *mapping);

#endif
