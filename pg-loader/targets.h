/* Where rows go: one target per table and kind of change, with the statements that load it.
 *
 * Column lists here and the writers in load_rows.c stand in the same order. Pure. */
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
	TARGET_REDRIVEN, /* marks of dead letters that were sent again */
	TARGET_CONTROLS,
	TARGET_COUNT
};

struct target_statements {
	const char *table;  /* for metrics and logs */
	const char *create; /* makes the staging table of a session */
	const char *copy;   /* fills it, binary */
	const char *apply;  /* moves it into the table; leaves the staging table as it is */
	/* NULL, or the statement after apply: notes and selects how many of these rows were in the table
	 * already, although they are read for the first time. */
	const char *doubles;
};
extern const struct target_statements targets[TARGET_COUNT];

#endif
