/* Popularity: the weight of the product of rank k is 1 / k^(3/4), computed with integer square
 * roots, so that the rounding of a machine cannot change a draw. The exponent gives the head of the
 * sample (1 to 2 % for the first product) and its number of distinct products (about 6,500 in
 * 17,434 rows). A draw is a binary search in the cumulative weights, narrowed by a table over the
 * leading bits.
 *
 * Attributes: a multiple of the golden ratio (of other irrational numbers for brand and price)
 * modulo 1 gives each rank a number between 0 and 1. Such sequences are evenly spread in every run
 * of ranks, so the shares hold by events as well as by products. Rejected: independent draws,
 * because the few most popular products would decide the shares. */
#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUIDE_BITS         12
#define GUIDE_COUNT        (1u << GUIDE_BITS)
#define PER_MILLION(share) ((uint32_t)((uint64_t)(share)*UINT32_MAX / 1000000))
#define CODELESS_COUNT     319 /* category ids without a code; those with a code come after them */

struct catalogue {
	uint32_t count, brands;
	struct product *products;
	uint64_t *cumulative; /* sum of the weights up to and including this product */
	/* the first product that a draw with these leading bits can give */
	uint32_t guide[GUIDE_COUNT + 1];
};

static const char *const category_codes[] = {
	"electronics.smartphone",
	"electronics.audio.headphone",
	"electronics.audio.subwoofer",
	"electronics.audio.acoustic",
	"electronics.audio.microphone",
	"electronics.audio.dictaphone",
	"electronics.audio.music_tools.piano",
	"electronics.camera.photo",
	"electronics.camera.video",
	"electronics.clocks",
	"electronics.tablet",
	"electronics.telephone",
	"electronics.video.tv",
	"electronics.video.projector",
	"computers.notebook",
	"computers.desktop",
	"computers.ebooks",
	"computers.components.cpu",
	"computers.components.cooler",
	"computers.components.hdd",
	"computers.components.memory",
	"computers.components.motherboard",
	"computers.components.power_supply",
	"computers.components.sound_card",
	"computers.components.videocards",
	"computers.components.cdrw",
	"computers.peripherals.camera",
	"computers.peripherals.keyboard",
	"computers.peripherals.monitor",
	"computers.peripherals.mouse",
	"computers.peripherals.printer",
	"computers.peripherals.joystick",
	"computers.network.router",
	"appliances.kitchen.refrigerators",
	"appliances.kitchen.washer",
	"appliances.kitchen.oven",
	"appliances.kitchen.hob",
	"appliances.kitchen.hood",
	"appliances.kitchen.kettle",
	"appliances.kitchen.microwave",
	"appliances.kitchen.mixer",
	"appliances.kitchen.blender",
	"appliances.kitchen.toster",
	"appliances.kitchen.juicer",
	"appliances.kitchen.grill",
	"appliances.kitchen.dishwasher",
	"appliances.kitchen.coffee_machine",
	"appliances.kitchen.coffee_grinder",
	"appliances.kitchen.meat_grinder",
	"appliances.kitchen.steam_cooker",
	"appliances.environment.vacuum",
	"appliances.environment.air_conditioner",
	"appliances.environment.air_heater",
	"appliances.environment.climate",
	"appliances.environment.fan",
	"appliances.environment.water_heater",
	"appliances.personal.hair_cutter",
	"appliances.personal.massager",
	"appliances.personal.scales",
	"appliances.iron",
	"appliances.ironing_board",
	"appliances.sewing_machine",
	"appliances.steam_cleaner",
	"furniture.bedroom.bed",
	"furniture.bedroom.blanket",
	"furniture.bedroom.pillow",
	"furniture.bathroom.bath",
	"furniture.bathroom.toilet",
	"furniture.kitchen.chair",
	"furniture.kitchen.table",
	"furniture.living_room.cabinet",
	"furniture.living_room.chair",
	"furniture.living_room.shelving",
	"furniture.living_room.sofa",
	"furniture.universal.light",
	"apparel.shoes",
	"apparel.shoes.ballet_shoes",
	"apparel.shoes.espadrilles",
	"apparel.shoes.keds",
	"apparel.shoes.moccasins",
	"apparel.shoes.sandals",
	"apparel.shoes.slipons",
	"apparel.shoes.step_ins",
	"apparel.costume",
	"apparel.dress",
	"apparel.glove",
	"apparel.jacket",
	"apparel.jeans",
	"apparel.jumper",
	"apparel.scarf",
	"apparel.shirt",
	"apparel.shorts",
	"apparel.skirt",
	"apparel.sock",
	"apparel.trousers",
	"apparel.tshirt",
	"apparel.underwear",
	"auto.accessories.alarm",
	"auto.accessories.compressor",
	"auto.accessories.player",
	"auto.accessories.radar",
	"auto.accessories.videoregister",
	"accessories.bag",
	"accessories.umbrella",
	"accessories.wallet",
	"construction.components.faucet",
	"construction.tools.drill",
	"construction.tools.generator",
	"construction.tools.light",
	"construction.tools.saw",
	"construction.tools.welding",
	"kids.carriage",
	"kids.toys",
	"sport.bicycle",
	"sport.ski",
};
#define CODE_COUNT (sizeof(category_codes) / sizeof(category_codes[0]))

/* In cents: 33 quantiles of the product prices in the real sample. Half of the products cost less
 * than 110. */
static const int32_t price_quantiles[] = {99,    772,   1413,  2008,   2571,  3197,  3707,
                                          4119,  4633,  5146,  5738,   6389,  7076,  7722,
                                          8891,  9799,  10785, 12201,  13514, 15316, 16986,
                                          19177, 22415, 25680, 29003,  33205, 38534, 44091,
                                          51479, 64349, 84551, 117850, 257407};
#define PRICE_STEPS (sizeof(price_quantiles) / sizeof(price_quantiles[0]) - 1)

static uint64_t square_root(uint64_t value)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
		if ((root | bit) * (root | bit) <= value)
			root |= bit;
	return root;
}

/* 2^32 / rank^(3/4) */
static uint64_t weight_of(uint64_t rank)
{
	uint64_t root = square_root(rank << 32); /* times 2^16 */

	return (UINT64_C(1) << 48) / square_root((rank * root) << 16);
}

static size_t brand_name(uint32_t brand, char *out, size_t cap)
{
	static const char *const first[] = {"al",  "bo", "ce", "dor", "el", "fa",
	                                    "gri", "ha", "ix", "jun", "ko", "lu"};
	static const char *const second[] = {"ma", "ne", "ri", "so", "tu", "va", "wi", "xo", "ya"};
	static const char *const third[] = {"ck", "dex", "la", "nor", "ple", "que", "ro", "tek"};
	static const char *const fourth[] = {"", "an", "is", "um"};

	return (size_t)snprintf(out, cap, "%s%s%s%s", first[brand % 12], second[brand / 12 % 9],
	                        third[brand / 108 % 8], fourth[brand / 864 % 4]);
}

static uint32_t scaled(uint32_t fraction, uint32_t count)
{
	return (uint32_t)(((uint64_t)fraction * count) >> 32);
}

static uint32_t squared(uint32_t fraction)
{
	return (uint32_t)(((uint64_t)fraction * fraction) >> 32);
}

/* Returns the number of the category. *code: its code, or "" for the numbers below
 * CODELESS_COUNT. */
static uint32_t category_of(uint32_t rank, const char **code)
{
	uint32_t u = rank * UINT32_C(2654435769), codeless = PER_MILLION(330000),
		 smartphones = PER_MILLION(330000 + 270000), rest;

	*code = "";
	if (u < codeless)
		return scaled((uint32_t)(((uint64_t)u << 32) / codeless), CODELESS_COUNT);
	if (u < smartphones) {
		*code = category_codes[0];
		return CODELESS_COUNT;
	}
	rest = squared((uint32_t)(((uint64_t)(u - smartphones) << 32) /
	                          (UINT64_C(4294967296) - smartphones)));
	rest = 1 + scaled(rest, CODE_COUNT - 1);
	*code = category_codes[rest];
	return CODELESS_COUNT + rest;
}

static int32_t price_of(uint32_t rank)
{
	uint64_t u = (uint64_t)(rank * UINT32_C(3144134277)) * PRICE_STEPS;
	size_t i = (size_t)(u >> 32);

	return price_quantiles[i] + (int32_t)(((price_quantiles[i + 1] - price_quantiles[i]) *
	                                       (int64_t)(u & UINT32_MAX)) >>
	                                      32);
}

static void product_init(struct product *product, uint32_t rank, uint32_t brands)
{
	uint32_t u = rank * UINT32_C(1779033703), none = PER_MILLION(142000), category;
	int32_t price = price_of(rank);
	char brand[16] = "";
	const char *code;
	size_t column = 0;
	int length;

	category = category_of(rank, &code);
	if (u >= none) {
		uint32_t fraction =
			(uint32_t)(((uint64_t)(u - none) << 32) / (UINT64_C(4294967296) - none));

		brand_name(scaled(squared(squared(fraction)), brands), brand, sizeof(brand));
	}
	length = snprintf(product->text, sizeof(product->text), "%u,%llu,%s,%s,%d.%02d",
	                  1000365 + rank * 1013,
	                  (unsigned long long)(UINT64_C(2053013551932506308) +
	                                       category * UINT64_C(264301137)),
	                  code, brand, (int)price / 100, (int)price % 100);
	product->length = (uint8_t)length;
	product->starts[column++] = 0;
	for (uint8_t i = 0; i < product->length; i++)
		if (product->text[i] == ',' && column < 5)
			product->starts[column++] = (uint8_t)(i + 1);
}

static void guide_init(struct catalogue *catalogue)
{
	uint64_t total = catalogue->cumulative[catalogue->count - 1];
	uint32_t product = 0;

	for (uint64_t i = 0; i < GUIDE_COUNT; i++) {
		while (catalogue->cumulative[product] <= (total * i) >> GUIDE_BITS)
			product++;
		catalogue->guide[i] = product;
	}
	catalogue->guide[GUIDE_COUNT] = catalogue->count - 1;
}

struct catalogue *catalogue_new(const struct shape *shape)
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));
	uint64_t total = 0;

	if (!catalogue)
		return NULL;
	catalogue->count = shape->products;
	catalogue->products = calloc(shape->products, sizeof(*catalogue->products));
	catalogue->cumulative = calloc(shape->products, sizeof(*catalogue->cumulative));
	if (!catalogue->products || !catalogue->cumulative) {
		catalogue_free(catalogue);
		return NULL;
	}
	for (uint32_t i = 0; i < shape->products; i++) {
		total += weight_of(i + 1);
		catalogue->cumulative[i] = total;
		product_init(&catalogue->products[i], i + 1, shape->brands);
	}
	guide_init(catalogue);
	return catalogue;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	free(catalogue->products);
	free(catalogue->cumulative);
	free(catalogue);
}

uint32_t catalogue_draw(const struct catalogue *catalogue, struct random *random)
{
	/* total * u / 2^26 in two parts, because the product may have 65 bits */
	uint64_t u = random_next(random) >> 38, total = catalogue->cumulative[catalogue->count - 1],
		 target = (total >> 26) * u + (((total & ((1 << 26) - 1)) * u) >> 26);
	uint32_t low = catalogue->guide[u >> (26 - GUIDE_BITS)],
		 high = catalogue->guide[(u >> (26 - GUIDE_BITS)) + 1];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (catalogue->cumulative[middle] <= target)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct product *catalogue_product(const struct catalogue *catalogue, uint32_t product)
{
	return &catalogue->products[product];
}
