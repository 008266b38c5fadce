/* The stages of a screen: sessions, bars, and shares. Pure. */
#ifndef FUNNEL_TAIL_STAGES_H
#define FUNNEL_TAIL_STAGES_H

#include "tail_page.h"
#include "tail_screen.h"

/* A line for the names, one for each stage, and one for the branches of the viewers where the total
 * counts them. */
void tail_stages(struct page *page, const struct tail_choice *choice);

#endif
