/* Which rows of a source are sent, and with which time. Pure.
 *
 * A row is selected by its own time. A row without a readable time is sent or left out like the row
 * before it, so that each month of a source has its share of such rows. Before the first readable
 * time it is sent only if nothing is selected by time. A file whose name has a month belongs to
 * that month with all its rows; other files are selected row by row. */
#ifndef FUNNEL_SELECTION_H
#define FUNNEL_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "file_list.h"
#include "months.h"
#include "row.h"

#define SELECTION_OPEN    INT64_MIN /* no limit of time */
#define SELECTION_FOREVER INT64_MAX

enum shift_kind {
	SHIFT_NONE,
	SHIFT_NEWEST, /* by whole days, so that the newest row lies before now */
	SHIFT_FIRST   /* by whole seconds, so that the first row is due now */
};

struct selection_config {
	struct months months;   /* empty: all */
	int64_t from_us, to_us; /* to is exclusive */
	int64_t rows_per_day;   /* 0: all */
	int64_t passes;         /* 1, or LOOP */
	enum shift_kind shift;
	bool by_name;      /* names of files count; false: the generator */
	bool may_be_empty; /* a selection without rows is not an error: a month of a schedule */
};

/* The range of times of an input. A time more than 12 h after the newest one counts only if the
 * next time is as far ahead. So one wrong clock does not count. */
struct time_range {
	int64_t first_us;   /* the earlier of the first two times */
	int64_t newest_us;  /* ROW_TIME_NONE: none yet */
	int64_t pending_us; /* waits for the next time */
	int64_t times;
};

enum selection_result { SELECTED, LEFT_OUT_BY_TIME, LEFT_OUT_BY_DAY };

struct selection {
	struct selection_config config;
	int64_t shift_us; /* of the first pass */
	int64_t pass;     /* from 0 */
	bool scanning;    /* the first pass is read to choose the shift; no other follows */
	struct time_range range;
	/* rows that MONTH, FROM and TO, and rows that ROWS_PER_DAY has left out */
	int64_t out_by_time, out_by_day;
	enum selection_result before; /* on the row before */
	const char *named;            /* the file of the row before */
	bool is_named;                /* its name has a month */
	uint32_t *of_day;             /* rows selected per day since year 1; NULL: not counted */
	char time_text[40];
	char line[1024]; /* a generated row with its shifted time */
};

/* Everything is selected, once, without a shift. */
struct selection_config selection_all(void);
/* Whether the configuration changes anything. */
bool selection_is_all(const struct selection_config *config);
void selection_init(struct selection *selection, const struct selection_config *config);
void selection_fini(struct selection *selection);
/* Begins with the first row of the first pass again. Keeps the shift. scanning: the rows are read
 * to choose the shift. */
void selection_restart(struct selection *selection, bool scanning);

/* False: the row is left out. True: it is selected; its time and the text of its time are shifted.
 * The text borrows from the selection until the next call. */
bool selection_take(struct selection *selection, struct row *row);
/* Call at the end of the input. True: read the input again, as the next pass. now_us: the pass does
 * not begin if its rows would lie after this time; SELECTION_FOREVER: no limit. */
bool selection_next_pass(struct selection *selection, int64_t now_us);

/* Whether rows have to be read before the first one is sent: up to the second time, or all. */
bool selection_needs_scan(const struct selection *selection);
/* Whether the rows read by now are enough for selection_set_shift. */
bool selection_has_scanned(const struct selection *selection);
/* Chooses the shift from the rows read. False and err (ERR_OPERATOR): the passes of LOOP would
 * begin before the first year of events. */
bool selection_set_shift(struct selection *selection, int64_t now_us, struct err *err);

/* Removes the files whose name has another month. */
void selection_keep_files(const struct selection_config *config, struct file_list *list);
/* A hash of the settings that decide the rows, except the months and the files. */
uint64_t selection_hash(const struct selection_config *config);
/* Writes the name of a segment: name, months, hash. */
void selection_segment(const struct selection_config *config, const char *name, uint64_t hash,
                       char *out, size_t cap);

#endif
