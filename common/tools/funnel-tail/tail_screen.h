/* Draws the model: lines of text for a screen of a given size. Pure.
 *
 *   title              rollup and group, and the time
 *   window             its bounds, open or final, and the age of the newest update
 *   flow               watermark, event-time lag, events per second
 *   stages             sessions, bar, share of the first stage and of the one before
 *   branches           viewers that bought without a cart, via the cart, or not at all
 *   sums               purchases, orders, revenue, average order; events by type
 *   history            sessions of the last windows
 *   top                categories and brands, from the rollups that group by them
 *   counts             rows in, events, duplicates, dead letters, late events
 *   trouble            what does not answer; alerts will stand here too
 *   keys
 *
 * A screen that is too low loses blank lines first, then history, events, rows of the top lists. A
 * narrow one loses columns from the right. */
#ifndef FUNNEL_TAIL_SCREEN_H
#define FUNNEL_TAIL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "tail_model.h"

#define TAIL_WIDTH_MIN  40 /* a narrower terminal cuts the lines */
#define TAIL_PANEL_ROWS 10 /* of the top lists, if the height has no limit */

struct tail_view {
	int width, height; /* height 0: no limit, and no keys */
	bool colour, unicode, help, paused;
	int64_t now_us;
	const char *prefix;  /* TOPIC_PREFIX */
	const char *rollup;  /* name; "": the default of tail_model_rollup */
	const char *group;   /* of the rollup; "": the first by sort */
	int back;            /* 0: the newest window */
	enum tail_sort sort; /* of groups, and of the top lists */
	const char *trouble; /* "": none */
	int read_percent;    /* of what was there at the start; 100: all */
};

/* What the view refers to. NULL: there is none yet. */
struct tail_choice {
	const struct tail_rollup *rollup;
	const struct tail_window *window;
	const struct tail_total *total;
	struct span group;
};
struct tail_choice tail_choose(const struct tail_model *model, const struct tail_view *view);

/* Replaces the contents of out by lines, each with its line end, at most `height` of them. */
void tail_screen(const struct tail_model *model, const struct tail_view *view, struct buffer *out);

#endif
