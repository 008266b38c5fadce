/* The stages of a screen: sessions, bars, and shares. Pure. */
#ifndef FUNNEL_TAIL_STAGES_H
#define FUNNEL_TAIL_STAGES_H

#include "tail_page.h"
#include "tail_screen.h"

/* A line for the names, and one for each stage. The place for a line of those who bought without a
 * cart is after them, when the totals count them. */
void tail_stages(struct page *page, const struct tail_choice *choice);

#endif
