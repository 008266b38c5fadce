/* The statements that the simulated PostgreSQL understands, by their text. A statement that is not
 * listed ends the schedule as an error, so that the simulation cannot go stale silently.
 *
 * A part in [brackets] may be missing: the bit of its number, from 0 on, is then set in `missing`,
 * and the simulation does what PostgreSQL does without that part. That is for mutations. */
#ifndef SIM_PG_STATEMENTS_H
#define SIM_PG_STATEMENTS_H

#include <stdbool.h>

#include "targets.h"

enum pg_statement {
	PG_UNKNOWN,
	PG_BEGIN,
	PG_COMMIT,
	PG_ROLLBACK,
	PG_BACKEND,      /* the process id of the server process, and the server's start */
	PG_SET_UP,       /* the settings of a session */
	PG_PLANNER,      /* the settings of the planner: no effect */
	PG_CREATE_STAGE, /* of `target` */
	PG_COPY_STAGE,
	PG_APPLY,
	PG_COUNT_DUPLICATES,
	PG_COPY_EVENTS,   /* straight into raw.event_rows */
	PG_COPY_SUMS,     /* of these events */
	PG_NOTE_PROGRESS, /* how far bronze is loaded */
	PG_ENSURE_DAY,
	PG_LABEL_IDS, /* adds missing entries */
	PG_SOURCE_IDS,
	PG_FORGOTTEN, /* nobody is */
	PG_OFFSETS_READ,
	PG_OFFSETS_INSERT,
	PG_OFFSETS_LOCK,
	PG_OFFSETS_MOVE,
};
/* The optional parts of the statements that have some. */
#define PG_INSERT_ON_CONFLICT 1u /* of an apply statement */
#define PG_APPLY_IF_NEWER     1u
#define PG_LOCK_ORDER         1u
#define PG_LOCK_FOR_UPDATE    2u
#define PG_MOVE_IF_UNMOVED    1u
#define PG_INSERT_ORDER       1u

struct pg_matched {
	enum pg_statement statement;
	enum target target;
	unsigned missing;
};
struct pg_matched pg_statement_of(const char *sql);
const char *pg_statement_name(const struct pg_matched *matched);

#endif
