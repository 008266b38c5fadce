/* A page of lines with a height, for the parts of a screen. Pure. */
#ifndef FUNNEL_TAIL_PAGE_H
#define FUNNEL_TAIL_PAGE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "tail_line.h"
#include "tail_model.h"
#include "tail_screen.h"

struct page {
	const struct tail_model *model;
	const struct tail_view *view;
	struct tail_line line;
	int height, used; /* in lines; height 0: no limit */
	int reserved;     /* lines at the end that belong to the foot */
};

struct page page_begin(const struct tail_model *model, const struct tail_view *view,
                       struct buffer *out);
/* Lines left for the body; a large number if there is no limit. */
int page_room(const struct page *page);
/* False: the page is full. Otherwise the caller writes to page->line and calls page_end. */
bool page_next(struct page *page);
void page_end(struct page *page);
/* Blank lines up to the foot, if the page has a height. */
void page_fill(struct page *page);

#endif
