/* Users that reporting.forget_user() has forgotten: their rows get pseudonyms before they are
 * written. sql/README.md has the rules.
 *
 * A user who is forgotten while files are being written may still be in them. The next lake compact
 * writes these files again (lake_forgotten_files.h). */
#ifndef FUNNEL_LAKE_FORGOTTEN_H
#define FUNNEL_LAKE_FORGOTTEN_H

#include "base/err.h"
#include "lake_sheet.h"
#include "postgres/postgres.h"
#include "stream/dead_letter.h"

/* Of DuckDB: the headers of a dead letter that say which record was refused and why, without the
 * text for people, which may quote the record. */
#define LAKE_FORGOTTEN_HEADERS                                                    \
	"list_filter(headers, lambda h: starts_with(h.name, '__connect.errors.')" \
	" AND h.name <> '" DEAD_LETTER_HEADER_DETAIL "')"

/* Replaces the users in events, and removes the bytes of dead letters that name one. Asks the
 * database only whether anybody is forgotten, if nobody is. ERR_RETRY: it does not answer. */
MUST_USE bool lake_forget(struct postgres *pg, struct lake_sheet sheets[LAKE_TABLE_COUNT],
                          struct err *err);

#endif
