/* The made-up shop: products with a fixed category, brand and price, some far more popular than
 * others. The same for every seed, as a shop is the same for all its visitors. Pure.
 *
 * Shares by events follow the real sample: a third without category code, 14 % without brand,
 * two fifths of the coded ones in one category; 115 codes of depth 2 to 4, 860 brands. */
#ifndef FUNNEL_CATALOGUE_H
#define FUNNEL_CATALOGUE_H

#include <stdint.h>

#include "random.h"

#define CATALOGUE_TEXT_MAX 150

/* The five product columns as they stand in a row: product_id,category_id,category_code,brand,price */
struct product {
	char text[CATALOGUE_TEXT_MAX];
	uint8_t length;
	uint8_t starts[5];
};

struct catalogue;
struct catalogue *catalogue_new(void);
void catalogue_free(struct catalogue *catalogue);

/* A product by popularity. */
uint32_t catalogue_draw(const struct catalogue *catalogue, struct random *random);
const struct product *catalogue_product(const struct catalogue *catalogue, uint32_t product);

#endif
