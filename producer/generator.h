/* Generated source rows in the form of the real data, as lines of CSV. Pure and seeded: the same
 * configuration gives the same bytes on every machine.
 *
 * Rows come in event-time order, unless the fault settings change that: copies, disorder, late
 * rows, invalid rows. */
#ifndef FUNNEL_GENERATOR_H
#define FUNNEL_GENERATOR_H

#include <stdint.h>

#include "base/span.h"
#include "event/event.h"
#include "shape.h"

struct generator_config {
	int64_t events; /* valid rows, without copies and invalid rows */
	uint64_t seed;
	int64_t start_us;
	enum shape_name shape;
	/* event time that they cover, approximately; 0: the events per second of the shape */
	int64_t duration_us;
	int64_t duplicates_ppm; /* of the valid rows, repeated within one minute of event time */
	int64_t malformed_ppm;  /* of the valid rows: invalid rows to add */
	int64_t late_ppm;       /* of the valid rows, delayed by 20 to 60 minutes of event time */
	int64_t missing_sessions_ppm; /* of the valid rows, with an empty user_session */
	int64_t disorder_us;          /* longest delay of a valid row, in event time */
	bool checkouts;               /* add checkout events */
};

struct generated_row {
	struct span line;                      /* without line end */
	struct span fields[EVENT_FIELD_COUNT]; /* if well_formed */
	int64_t event_time_us;                 /* if well_formed */
	bool well_formed;                      /* false: a corrupted row, only its line is set */
};

struct generator;
/* NULL: out of memory. */
struct generator *generator_new(const struct generator_config *config);
void generator_free(struct generator *generator);

enum generator_result { GENERATOR_ROW, GENERATOR_END, GENERATOR_NO_MEMORY };
/* The row borrows from the generator until the next call. */
enum generator_result generator_next(struct generator *generator, struct generated_row *row);
/* Valid rows generated so far. */
int64_t generator_made(const struct generator *generator);

#endif
