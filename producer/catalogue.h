/* The simulated shop: products with a fixed category, brand and price; some are far more popular
 * than others. The same for every seed, because all visitors see the same shop. Pure.
 *
 * Shares by events follow the real sample: a third without category code; 14 % without brand; two
 * fifths of those with a code in one category; 115 codes of depth 2 to 4. The numbers of products
 * and brands are those of the shape. */
#ifndef FUNNEL_CATALOGUE_H
#define FUNNEL_CATALOGUE_H

#include <stdint.h>

#include "random.h"
#include "shape.h"

#define CATALOGUE_TEXT_MAX 150

/* The five product columns as they are in a row:
 * product_id,category_id,category_code,brand,price */
struct product {
	char text[CATALOGUE_TEXT_MAX];
	uint8_t length;
	uint8_t starts[5];
};

struct catalogue;
/* Borrows nothing of the shape. NULL: out of memory. */
struct catalogue *catalogue_new(const struct shape *shape);
void catalogue_free(struct catalogue *catalogue);

/* Draws a product; popular ones are more likely. */
uint32_t catalogue_draw(const struct catalogue *catalogue, struct random *random);
const struct product *catalogue_product(const struct catalogue *catalogue, uint32_t product);

#endif
