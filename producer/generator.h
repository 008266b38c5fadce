/* Made-up source rows, in the shape of the real data, as lines of CSV. Pure and seeded: the same
 * configuration gives the same bytes on every machine.
 *
 * Rows come in event-time order; then the switches spoil that: copies, disorder, lateness, bad rows. */
#ifndef FUNNEL_GENERATOR_H
#define FUNNEL_GENERATOR_H

#include <stdint.h>

#include "base/span.h"
#include "event/event.h"

struct generator_config {
	int64_t events; /* good rows, without copies and bad rows */
	uint64_t seed;
	int64_t start_us;
	int64_t duration_us; /* about how much event time they cover; 0: 1.7 events a second, as in the real sample */
	int64_t duplicates_ppm; /* of the good rows, sent again up to a minute of event time later */
	int64_t malformed_ppm;  /* of the good rows, as extra rows */
	int64_t late_ppm;       /* of the good rows, held back by 20 to 60 minutes of event time */
	int64_t missing_sessions_ppm; /* of the good rows, without user_session */
	int64_t disorder_us;          /* each good row is held back by up to this much event time */
	bool checkouts;               /* with checkout events */
};

struct generated_row {
	struct span line;                      /* without line end */
	struct span fields[EVENT_FIELD_COUNT]; /* set where whole */
	int64_t event_time_us;                 /* set where whole */
	bool whole; /* false: a bad row, of which only the line is given */
};

struct generator;
/* NULL: out of memory. */
struct generator *generator_new(const struct generator_config *config);
void generator_free(struct generator *generator);

enum generator_verdict { GENERATOR_ROW, GENERATOR_END, GENERATOR_NO_MEMORY };
/* The row borrows from the generator until the next call. */
enum generator_verdict generator_next(struct generator *generator, struct generated_row *row);
/* Good rows made so far. */
int64_t generator_made(const struct generator *generator);

#endif
