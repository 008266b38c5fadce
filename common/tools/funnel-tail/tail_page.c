#include "tail_page.h"

#include <limits.h>

struct page page_begin(const struct tail_model *model, const struct tail_view *view,
                       struct buffer *out)
{
	int width = view->width < 1 ? 1 : view->width;

	out->len = 0;
	return (struct page){
		.model = model,
		.view = view,
		.line = {out, 0, width, view->colour, view->unicode},
		.height = view->height,
	};
}

int page_room(const struct page *page)
{
	return page->height ? page->height - page->reserved - page->used : INT_MAX;
}

bool page_next(struct page *page)
{
	return page_room(page) > 0;
}

void page_end(struct page *page)
{
	tail_line_end(&page->line);
	page->used++;
}

void page_fill(struct page *page)
{
	while (page->height && page_next(page))
		page_end(page);
}
