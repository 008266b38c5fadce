#include "tail_stages.h"

#include <stdio.h>

#include "tail_line.h"
#include "tail_text.h"

struct stage {
	const char *name;
	int64_t sessions;
};

static int list_stages(const struct tail_choice *choice, struct stage stages[4])
{
	static const struct measures none;
	const struct measures *measures = choice->total ? &choice->total->measures : &none;
	int count = 0;

	stages[count++] = (struct stage){"view", measures->view_sessions};
	stages[count++] = (struct stage){"cart", measures->funnel_cart_sessions};
	if (choice->rollup && choice->rollup->has_checkout)
		stages[count++] = (struct stage){"checkout", measures->funnel_checkout_sessions};
	stages[count++] = (struct stage){"purchase", measures->funnel_purchase_sessions};
	return count;
}

/* First columns after the texts; 0: the line is too narrow for this one. */
struct stage_columns {
	int sessions, bar, of_view, of_previous, fewer;
};

static struct stage_columns stage_columns(int width)
{
	struct stage_columns at = {.sessions = 22, .bar = 23};
	int end = width;

	if (width >= 72) {
		at.fewer = end;
		end -= 12;
	}
	if (width >= 60) {
		at.of_previous = end;
		end -= 12;
	}
	if (width >= 40) {
		at.of_view = end;
		end -= 8;
	}
	at.bar = end;
	return at;
}

static void draw_stage_names(struct page *page)
{
	struct stage_columns at = stage_columns(page->line.limit);
	struct tail_line *line = &page->line;

	if (!page_next(page))
		return;
	tail_line_put(line, TAIL_DIM, "stage");
	tail_line_right(line, TAIL_DIM, "sessions", at.sessions);
	if (at.of_view)
		tail_line_right(line, TAIL_DIM, "of view", at.of_view);
	if (at.of_previous)
		tail_line_right(line, TAIL_DIM, "of previous", at.of_previous);
	if (at.fewer)
		tail_line_right(line, TAIL_DIM, "fewer", at.fewer);
	page_end(page);
}

static void draw_stage(struct page *page, const struct stage *stages, int i)
{
	struct stage_columns at = stage_columns(page->line.limit);
	const struct stage *stage = &stages[i];
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];

	if (!page_next(page))
		return;
	tail_line_put(line, TAIL_NORMAL, stage->name);
	tail_line_right(line, TAIL_BOLD, tail_count(stage->sessions, text), at.sessions);
	tail_line_put(line, TAIL_NORMAL, " ");
	tail_line_bar(line, TAIL_GOOD, stage->sessions, stages[0].sessions,
	              at.bar - at.sessions - 2);
	if (at.of_view)
		tail_line_right(line, TAIL_NORMAL,
		                tail_percent(stage->sessions, stages[0].sessions, text),
		                at.of_view);
	if (at.of_previous && i > 0)
		tail_line_right(line, TAIL_NORMAL,
		                tail_percent(stage->sessions, stages[i - 1].sessions, text),
		                at.of_previous);
	if (at.fewer && i > 0)
		tail_line_right(line, TAIL_WATCH,
		                tail_count(stages[i - 1].sessions - stage->sessions, text),
		                at.fewer);
	page_end(page);
}

/* What became of the viewers, under the names of reporting.funnel_by_day. */
static void draw_branches(struct page *page, const struct measures *measures)
{
	int64_t via_cart = measures->view_cart_purchase_sessions,
		bought = measures->view_purchase_sessions, buyers = measures->buying_view_sessions;
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];

	if (via_cart == NOT_COUNTED || bought == NOT_COUNTED || buyers == NOT_COUNTED ||
	    !page_next(page))
		return;
	tail_line_label(line, "bought without a cart", tail_count(bought - via_cart, text));
	tail_line_label(line, "left without purchase",
	                tail_count(measures->view_sessions - buyers, text));
	tail_line_label(line, "via cart", tail_count(via_cart, text));
	tail_line_label(line, "before view", tail_count(buyers - bought, text));
	page_end(page);
}

void tail_stages(struct page *page, const struct tail_choice *choice)
{
	struct stage stages[4];
	int count = list_stages(choice, stages);

	draw_stage_names(page);
	for (int i = 0; i < count; i++)
		draw_stage(page, stages, i);
	if (choice->total)
		draw_branches(page, &choice->total->measures);
}
