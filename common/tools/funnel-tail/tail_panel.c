#include "tail_panel.h"

#include "tail_line.h"
#include "tail_text.h"

#define NEXT_TO_EACH_OTHER 76 /* columns */
#define GAP                3
#define ORDERS_COLUMNS     7
#define REVENUE_COLUMNS    11 /* without cents */
#define BAR_MIN            8
#define TOP_MAX            64

struct panel {
	const struct tail_rollup *rollup;
	const struct tail_window *window;
	const struct tail_total *top[TOP_MAX];
	size_t count;
	int from, to; /* columns */
};

/* False: no rollup has this group. */
static bool panel_choose(struct panel *panel, const struct page *page,
                         const struct tail_choice *choice, enum group_kind group)
{
	int at = tail_model_panel(page->model, group, choice->rollup ? choice->rollup->size_us : 0);

	*panel = (struct panel){0};
	if (at < 0)
		return false;
	panel->rollup = &page->model->rollups[at];
	panel->window = choice->window ? tail_rollup_match(panel->rollup, choice->window->start_us,
	                                                   choice->window->end_us)
	                               : tail_rollup_window(panel->rollup, 0);
	return panel->window != NULL;
}

static int find_panels(const struct page *page, const struct tail_choice *choice,
                       struct panel panels[2])
{
	int count = 0;

	count += panel_choose(&panels[count], page, choice, GROUP_CATEGORY) ||
	         panel_choose(&panels[count], page, choice, GROUP_CATEGORY1);
	count += panel_choose(&panels[count], page, choice, GROUP_BRAND);
	return count;
}

/* The column where the numbers begin. */
static int numbers_at(const struct panel *panel)
{
	return panel->to - ORDERS_COLUMNS - REVENUE_COLUMNS;
}

static void draw_head(struct page *page, const struct panel *panel)
{
	struct tail_line *line = &page->line;
	struct span name = span_of(panel->rollup->name);

	tail_line_pad(line, panel->from);
	tail_line_put(line, TAIL_BOLD, "top ");
	tail_line_name(line, TAIL_BOLD, name, numbers_at(panel) - line->column - 1);
	tail_line_right(line, TAIL_DIM, "orders", panel->to - REVENUE_COLUMNS);
	tail_line_right(line, TAIL_DIM, "revenue", panel->to);
}

static void draw_row(struct page *page, const struct panel *panel, size_t i)
{
	const struct tail_total *total = panel->top[i];
	struct tail_line *line = &page->line;
	enum tail_sort sort = page->view->sort;
	int end = numbers_at(panel), bar = (end - panel->from) / 3;
	char text[TAIL_TEXT_MAX];

	if (bar < BAR_MIN)
		bar = 0;
	tail_line_pad(line, panel->from);
	tail_line_name(line, TAIL_NORMAL, total->group, end - panel->from - bar - !!bar);
	tail_line_pad(line, end - bar);
	if (bar)
		tail_line_bar(line, TAIL_GOOD, tail_sort_value(total, sort),
		              tail_sort_value(panel->top[0], sort), bar);
	tail_line_right(line, TAIL_NORMAL, tail_count(total->measures.purchase_sessions, text),
	                panel->to - REVENUE_COLUMNS);
	tail_line_right(line, TAIL_NORMAL,
	                tail_count((total->measures.revenue_cents + 50) / 100, text), panel->to);
}

/* Draws one line of each panel; i -1: the heads. */
static void draw_line(struct page *page, const struct panel *panels, int count, int i)
{
	int limit = page->line.limit;

	for (int p = 0; p < count; p++) {
		page->line.limit = panels[p].to;
		if (i < 0)
			draw_head(page, &panels[p]);
		else if ((size_t)i < panels[p].count)
			draw_row(page, &panels[p], (size_t)i);
	}
	page->line.limit = limit;
	page_end(page);
}

static void draw_panels(struct page *page, struct panel *panels, int count, int rows)
{
	size_t longest = 0;

	for (int p = 0; p < count; p++) {
		panels[p].count = tail_window_top(panels[p].window, page->view->sort, panels[p].top,
		                                  (size_t)(rows < TOP_MAX ? rows : TOP_MAX));
		longest = panels[p].count > longest ? panels[p].count : longest;
	}
	draw_line(page, panels, count, -1);
	for (size_t i = 0; i < longest && page_next(page); i++)
		draw_line(page, panels, count, (int)i);
}

static void place(struct panel *panel, int from, int to)
{
	panel->from = from;
	panel->to = to;
}

void tail_panels(struct page *page, const struct tail_choice *choice)
{
	struct panel panels[2];
	int count = find_panels(page, choice, panels), width = page->line.limit;
	int room = page->height ? page_room(page) : TAIL_PANEL_ROWS + 1;

	if (count == 2 && width >= NEXT_TO_EACH_OTHER && room >= 2) {
		place(&panels[0], 0, (width - GAP) / 2);
		place(&panels[1], (width - GAP) / 2 + GAP, width);
		draw_panels(page, panels, 2, room - 1);
		return;
	}
	for (int p = 0; p < count; p++) {
		int left = page->height ? page_room(page) / (count - p) : room;

		place(&panels[p], 0, width);
		if (left >= 2)
			draw_panels(page, &panels[p], 1, left - 1);
	}
}
