/* The top lists of a screen: categories and brands, from the rollups that group by them. Pure. */
#ifndef FUNNEL_TAIL_PANEL_H
#define FUNNEL_TAIL_PANEL_H

#include "tail_page.h"
#include "tail_screen.h"

/* Draws what fits on the page: two lists next to each other, or one after the other where the page
 * is narrow. Nothing if no rollup groups by category or brand. */
void tail_panels(struct page *page, const struct tail_choice *choice);

#endif
