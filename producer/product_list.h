/* The products in an answer of the FakeStore API: a JSON array of objects with id, title, price and
 * category. Pure.
 *
 * Values are the texts of the answer; bronze-sink validates them. The category keeps its blanks and
 * apostrophes ("men's clothing" is one category), because reports compare the complete text; blanks
 * around it are removed. */
#ifndef FUNNEL_PRODUCT_LIST_H
#define FUNNEL_PRODUCT_LIST_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct shop_product {
	struct span id, category, price, title; /* len 0: the product has none */
};

struct product_list {
	struct shop_product *products;
	size_t count;
	char *texts; /* of all spans */
};

/* list: zeroed, or passed to product_list_fini before. ERR_INPUT: not JSON, not an array of
 * objects, or no product. Unknown members are ignored. */
MUST_USE bool product_list_read(struct product_list *list, struct span body, struct err *err);
void product_list_fini(struct product_list *list);

#endif
