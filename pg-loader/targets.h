/* Where rows go: one target per table and kind of change, with the statements that load it. Pure.
 *
 * The column lists in targets.c and the writers in load_rows.c, event_row.c and dead_letter_rows.c
 * have the same order. */
#ifndef FUNNEL_TARGETS_H
#define FUNNEL_TARGETS_H

/* In the order in which a transaction writes them. */
enum target {
	TARGET_EVENTS,
	TARGET_AGGREGATES,
	TARGET_VISIT_REMOVALS,
	TARGET_VISITS,
	TARGET_LATE_EVENTS,
	TARGET_COUNTS,
	TARGET_DEAD_LETTERS,
	TARGET_REDRIVEN, /* markers of dead letters that were sent to raw again */
	TARGET_CONTROLS,
	TARGET_COUNT
};

struct target_statements {
	const char *table;  /* for metrics and logs */
	const char *create; /* creates the staging table of a session */
	const char *copy;   /* fills it, binary */
	/* Moves its rows into the table; does not change the staging table. Of TARGET_EVENTS, it
	 * selects how many rows were not in the table yet. */
	const char *apply;
	/* NULL, or the statement after apply: stores and selects the number of duplicates, that is,
	 * of rows that are read for the first time and were in the table already. */
	const char *count_duplicates;
};
extern const struct target_statements targets[TARGET_COUNT];

/* NULL, or the statements between copy and apply if any user is forgotten (load_forgotten.h): they
 * replace forgotten users in the staging table. */
extern const char *const forget_statements[TARGET_COUNT];

/* TARGET_EVENTS without a staging table, if none of the events is stored already. */
struct direct_statements {
	const char *copy;          /* fills raw.event_rows, binary */
	const char *note_progress; /* bronze partitions; one more than the last offset of each */
};
extern const struct direct_statements direct_events;

#endif
