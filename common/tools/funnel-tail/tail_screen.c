/* The lines of the funnel and their order. tail_stages.c draws the stages, tail_panel.c
 * the top lists. */
#include "tail_screen.h"

#include <stdio.h>
#include <string.h>

#include "base/timetext.h"
#include "event/event.h"
#include "tail_line.h"
#include "tail_page.h"
#include "tail_panel.h"
#include "tail_stages.h"
#include "tail_text.h"

#define ROOMY_HEIGHT  22 /* from here on there are blank lines */
#define NORMAL_HEIGHT 18 /* from here on all lines of sums */
#define LAGGING_US    (2 * US_PER_MINUTE)
#define STALE_US      (30 * US_PER_SECOND)

struct tail_choice tail_choose(const struct tail_model *model, const struct tail_view *view)
{
	int at = tail_model_rollup(model, view->rollup);
	struct tail_choice choice = {.group = span_of(view->group)};
	const struct tail_total *first;

	if (at < 0)
		return choice;
	choice.rollup = &model->rollups[at];
	choice.window = tail_rollup_window(choice.rollup, view->back);
	if (!choice.window)
		return choice;
	if (!*view->group && tail_window_top(choice.window, view->sort, &first, 1))
		choice.group = first->group;
	choice.total = tail_window_total(choice.window, choice.group);
	return choice;
}

static bool is_roomy(const struct page *page)
{
	return page->height == 0 || page->height >= ROOMY_HEIGHT;
}

static void blank(struct page *page)
{
	if (is_roomy(page) && page_next(page))
		page_end(page);
}

/* ---- the head */

static void draw_title(struct page *page, const struct tail_choice *choice)
{
	const struct tail_view *view = page->view;
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];
	int end = line->limit - (view->height ? 13 : 0);

	if (!page_next(page))
		return;
	tail_line_put(line, TAIL_BOLD, "funnel");
	tail_line_put(line, TAIL_DIM, "  ");
	tail_line_put(line, TAIL_DIM, view->prefix);
	if (choice->rollup) {
		tail_line_put(line, TAIL_NORMAL, "  ");
		tail_line_put(line, TAIL_BOLD, choice->rollup->name);
	}
	if (choice->rollup && choice->rollup->group != GROUP_ALL) {
		tail_line_put(line, TAIL_NORMAL, "  ");
		tail_line_name(line, TAIL_BOLD, choice->group, end - line->column);
	}
	if (view->height && line->column + 10 <= line->limit)
		tail_line_right(line, TAIL_DIM, tail_clock(view->now_us, 0, text), line->limit);
	page_end(page);
}

/* "2019-10-01 23:00 - 2019-10-02 00:00", or with the time only where the day is the same. */
static void put_window(struct tail_line *line, const struct tail_window *window)
{
	char from[TAIL_TEXT_MAX], to[TAIL_TEXT_MAX];
	bool same_day;

	tail_clock(window->start_us, 1, from);
	tail_clock(window->end_us, 1, to);
	same_day = strncmp(from, to, 10) == 0;
	if (window->start_us % US_PER_MINUTE == 0 && window->end_us % US_PER_MINUTE == 0)
		from[16] = to[16] = '\0';
	tail_line_put(line, TAIL_NORMAL, from);
	tail_line_put(line, TAIL_NORMAL, line->unicode ? " – " : " - ");
	tail_line_put(line, TAIL_NORMAL, same_day ? to + 11 : to);
}

/* Nothing, if there is no room. */
static void put_updated(struct page *page)
{
	int64_t age_us = page->view->now_us - page->model->updated_ms * 1000;
	struct tail_line *line = &page->line;
	char age[TAIL_TEXT_MAX], text[TAIL_TEXT_MAX + 16];

	if (!page->model->updated_ms)
		return;
	snprintf(text, sizeof(text), "updated %s ago", tail_age(age_us, age));
	if (line->column + (int)strlen(text) + 2 <= line->limit)
		tail_line_right(line, age_us > STALE_US ? TAIL_WATCH : TAIL_DIM, text, line->limit);
}

static void draw_window(struct page *page, const struct tail_choice *choice)
{
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];

	if (!page_next(page))
		return;
	if (choice->window) {
		put_window(line, choice->window);
		tail_line_put(line, TAIL_NORMAL, "  ");
		if (choice->total && choice->total->final)
			tail_line_put(line, TAIL_GOOD, "final");
		else
			tail_line_put(line, TAIL_WATCH, "open");
		if (page->view->back > 0) {
			snprintf(text, sizeof(text), "  (%d back)", page->view->back);
			tail_line_put(line, TAIL_DIM, text);
		}
	} else {
		tail_line_put(line, TAIL_WATCH, "no totals yet");
	}
	put_updated(page);
	page_end(page);
}

static void put_watermark(struct page *page)
{
	const struct tail_flow *flow = &page->model->flow;
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX], sources[TAIL_TEXT_MAX];
	int seen;
	int64_t watermark_us = tail_flow_watermark(flow, &seen);
	int64_t lag_us;

	if (watermark_us == INT64_MIN) {
		tail_line_label(line, "watermark", "none yet");
		return;
	}
	lag_us = page->view->now_us - watermark_us;
	tail_line_label(line, "watermark", tail_clock(watermark_us, 1, text));
	if (seen < flow->source_count) {
		snprintf(sources, sizeof(sources), " (%d of %d partitions)", seen,
		         flow->source_count);
		tail_line_put(line, TAIL_WATCH, sources);
	}
	tail_line_put(line, TAIL_DIM, "   event-time lag ");
	tail_line_put(line, lag_us > LAGGING_US ? TAIL_WATCH : TAIL_GOOD, tail_age(lag_us, text));
}

static void draw_flow(struct page *page)
{
	int64_t rate = tail_flow_rate(&page->model->flow);
	char text[TAIL_TEXT_MAX];

	if (!page_next(page))
		return;
	put_watermark(page);
	if (rate >= 0)
		tail_line_label(&page->line, "events/s", tail_count(rate, text));
	page_end(page);
}

/* ---- sums and history */

static void draw_money(struct page *page, const struct measures *measures)
{
	struct tail_line *line = &page->line;
	int64_t orders = measures->purchase_sessions;
	char text[TAIL_TEXT_MAX];

	if (!page_next(page))
		return;
	tail_line_label(line, "purchases", tail_count(measures->events[EVENT_PURCHASE], text));
	tail_line_label(line, "orders", tail_count(orders, text));
	tail_line_label(line, "revenue", tail_money(measures->revenue_cents, text));
	if (orders > 0)
		tail_line_label(line, "average order",
		                tail_money(measures->revenue_cents / orders, text));
	page_end(page);
}

static void draw_events(struct page *page, const struct measures *measures)
{
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];

	if ((page->height && page->height < NORMAL_HEIGHT) || !page_next(page))
		return;
	tail_line_label(line, "views", tail_count(measures->events[EVENT_VIEW], text));
	tail_line_label(line, "carts", tail_count(measures->events[EVENT_CART], text));
	tail_line_label(line, "removed",
	                tail_count(measures->events[EVENT_REMOVE_FROM_CART], text));
	tail_line_label(line, "checkouts", tail_count(measures->events[EVENT_CHECKOUT], text));
	page_end(page);
}

/* Sessions of the group in the windows up to the chosen one. */
static int list_history(const struct tail_choice *choice, int back, int64_t *values, int max)
{
	int end = choice->rollup->window_count - back, first = end > max ? end - max : 0;

	for (int i = first; i < end; i++) {
		const struct tail_total *total =
			tail_window_total(choice->rollup->windows[i], choice->group);

		values[i - first] = total ? total->measures.sessions : 0;
	}
	return end - first;
}

static void draw_history(struct page *page, const struct tail_choice *choice)
{
	int64_t values[TAIL_WINDOWS_MAX];
	struct tail_line *line = &page->line;
	char label[TAIL_TEXT_MAX];
	int count;

	if (!line->unicode || !is_roomy(page) || !choice->window ||
	    choice->rollup->window_count < 3)
		return;
	count = list_history(choice, page->view->back, values, TAIL_WINDOWS_MAX);
	if (count > line->limit - 28)
		count = list_history(choice, page->view->back, values, line->limit - 28);
	if (count < 3 || !page_next(page))
		return;
	snprintf(label, sizeof(label), "sessions in %d windows ", count);
	tail_line_put(line, TAIL_DIM, label);
	tail_line_spark(line, values, count);
	page_end(page);
}

static void draw_sums(struct page *page, const struct tail_choice *choice)
{
	static const struct measures none;
	const struct measures *measures = choice->total ? &choice->total->measures : &none;

	draw_money(page, measures);
	draw_events(page, measures);
	draw_history(page, choice);
}

/* ---- the foot */

static void draw_counts(struct page *page)
{
	struct tail_sums sums = tail_flow_sums(&page->model->flow);
	struct tail_line *line = &page->line;
	char text[TAIL_TEXT_MAX];

	if (!page_next(page))
		return;
	tail_line_label(line, "rows in", tail_count(sums.records_in, text));
	tail_line_label(line, "events", tail_count(sums.records_out, text));
	tail_line_label(line, line->limit < 72 ? "dead" : "dead letters",
	                tail_count(sums.dead, text));
	tail_line_label(line, "duplicates", tail_count(sums.duplicates, text));
	tail_line_label(line, "late", tail_count(sums.late, text));
	page_end(page);
}

/* What needs attention; the alerts of the pipeline will stand here too. */
static const char *trouble_of(const struct page *page, char text[160])
{
	const struct tail_model *model = page->model;
	char count[TAIL_TEXT_MAX];

	if (*page->view->trouble)
		snprintf(text, 160, "%.150s", page->view->trouble);
	else if (page->view->read_percent < 100)
		snprintf(text, 160, "reading what is there: %d %%", page->view->read_percent);
	else if (model->unreadable)
		snprintf(text, 160, "%s records cannot be decoded: funnel-tail --topic aggregates",
		         tail_count(model->unreadable, count));
	else if (model->refused_totals)
		snprintf(text, 160, "%s totals are not shown: too many rollups or groups",
		         tail_count(model->refused_totals, count));
	else
		return NULL;
	return text;
}

static void draw_trouble(struct page *page)
{
	char text[160];

	if (!trouble_of(page, text) || !page_next(page))
		return;
	tail_line_put(&page->line, page->view->read_percent < 100 ? TAIL_WATCH : TAIL_BAD, text);
	page_end(page);
}

static void draw_keys(struct page *page)
{
	struct tail_line *line = &page->line;

	if (!page->height || !page_next(page))
		return;
	if (page->view->paused)
		tail_line_put(line, TAIL_WATCH, "paused  ");
	tail_line_put(line, TAIL_DIM,
	              line->limit >= 72 ? "q quit  r rollup  g group  left/right window  s sort  "
	                                  "p pause  h help"
	                                : "q quit  r rollup  g group  s sort  h help");
	page_end(page);
}

static void draw_help(struct page *page)
{
	static const char *const texts[] = {
		"q          quit",
		"r R        next and previous rollup",
		"g G        next and previous group of the rollup, in the order of the sort",
		"left right an earlier and a later window; end: the newest",
		"s          sort groups by revenue, orders or views",
		"p, space   pause and continue the screen; reading continues",
		"h ?        show or hide this help",
		"",
		"of view: share of the sessions that viewed; of previous: of the stage before.",
		"fewer: than the stage before. Some of these bought without a cart.",
		"A stage counts sessions that reached the stages before it, in this order.",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts) && page_next(page); i++) {
		tail_line_put(&page->line, TAIL_NORMAL, texts[i]);
		page_end(page);
	}
}

/* The lines of the foot that this screen has. */
static int foot_lines(const struct page *page)
{
	char text[160];

	return 1 + (trouble_of(page, text) != NULL) + (page->height > 0) + is_roomy(page);
}

static void draw_body(struct page *page, const struct tail_choice *choice)
{
	tail_stages(page, choice);
	blank(page);
	draw_sums(page, choice);
	blank(page);
	tail_panels(page, choice);
}

void tail_screen(const struct tail_model *model, const struct tail_view *view, struct buffer *out)
{
	struct tail_choice choice = tail_choose(model, view);
	struct page page = page_begin(model, view, out);

	page.reserved = foot_lines(&page);
	draw_title(&page, &choice);
	draw_window(&page, &choice);
	draw_flow(&page);
	blank(&page);
	if (view->help)
		draw_help(&page);
	else
		draw_body(&page, &choice);
	page_fill(&page);
	page.reserved = 0;
	blank(&page);
	draw_counts(&page);
	draw_trouble(&page);
	draw_keys(&page);
}
