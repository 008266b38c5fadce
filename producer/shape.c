#include "shape.h"

static const struct shape shapes[] = {
	[SHAPE_SAMPLE] = {.events_per_1000s = 1709,
                          .events_per_1000_sessions = 3300, /* measured */
                          .returning_ppm = 110000,
                          .recent = 65536,
                          .user_ids = 50000000,
                          .sessions = 5066,
                          .only_view = 4813,
                          .buy = 135,
                          .cart_and_buy = 65,
                          .second_cart_ppm = 280000,
                          .second_purchase_ppm = 70000,
                          .products = 25000,
                          .brands = 860},
	[SHAPE_MONTH] = {.events_per_1000s = 15848,
                         .events_per_1000_sessions = 4592,
                         .returning_ppm = 673000,
                         .longer_ppm = 314000,
                         .recent = 1 << 20,
                         .regulars = 65536,
                         .again = true,
                         .user_ids = 1000000000,
                         .sessions = 10000,
                         .only_view = 8990,
                         .buy = 340,
                         .cart_and_buy = 340,
                         .second_cart_ppm = 495000,
                         .second_purchase_ppm = 180000,
                         .products = SHAPE_PRODUCTS_MAX,
                         .brands = 3444},
};

const struct shape *shape_of(enum shape_name name)
{
	return &shapes[name];
}
