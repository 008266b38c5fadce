/* The ids of a batch's labels and sources (event_entries.h): asks the database for them, and sets
 * them in the rows. The database adds missing entries.
 *
 * This happens before the batch's transaction, in transactions of its own. So a batch that is
 * rolled back leaves no id that the database does not have, and two loaders that add the same
 * entries cannot deadlock. An entry that no event uses is harmless.
 *
 * No foreign key checks the ids, because it would cost a look-up for each row. The loader must not
 * use an id of another database: it forgets all ids with each new connection, and after each batch
 * that failed. A database may be restored from a backup under an open connection. If its offsets
 * have gone back, the next batch fails. If they have not, the backup has all these entries. The
 * database itself refuses to change or remove entries (raw.keep_entries). */
#ifndef FUNNEL_LOAD_ENTRIES_H
#define FUNNEL_LOAD_ENTRIES_H

#include "base/err.h"
#include "load_batch.h"
#include "postgres/postgres.h"

/* Sets the ids in all live rows of TARGET_EVENTS and TARGET_VISITS. If the database rejects an
 * entry, the rows that have it are rejected: each becomes a dead letter. */
MUST_USE bool load_entries(struct postgres *pg, struct load_batch *batch, struct err *err);
void load_entries_forget(struct load_batch *batch);

#endif
