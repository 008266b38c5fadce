/* Simulated visitors: who views products, puts them into a cart and buys them, and when. Pure and
 * seeded. Events come in the order of their time.
 *
 * Sessions begin at random moments. Lengths and gaps were counted in the real sample; shape.h has
 * the rest. A few sessions pause for more than 30 minutes; a few are shared by two users. */
#ifndef FUNNEL_BEHAVIOUR_H
#define FUNNEL_BEHAVIOUR_H

#include "catalogue.h"
#include "event/event.h"
#include "shape.h"

struct behaviour_event {
	int64_t time_us; /* whole seconds */
	int64_t user_id;
	uint32_t product;
	enum event_type type;
	bool free;        /* price 0 */
	char session[36]; /* a UUID, not terminated */
};

struct behaviour;
/* events_per_1000s: approximate number of events per 1,000 s of event time. checkouts: put checkout
 * events before purchases. Borrows the catalogue and the shape. NULL: out of memory. */
struct behaviour *behaviour_new(const struct catalogue *catalogue, const struct shape *shape,
                                uint64_t seed, int64_t start_us, int64_t events_per_1000s,
                                bool checkouts);
void behaviour_free(struct behaviour *behaviour);

/* Never ends. False: out of memory. */
bool behaviour_next(struct behaviour *behaviour, struct behaviour_event *event);

#endif
