/* What a shop may answer, and the products that are read from it. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "base/span.h"
#include "product_list.h"

static const struct {
	const char *body, *id, *category, *price, *title; /* of the first product */
	size_t count;
} must_read[] = {
	{"[{\"id\":1,\"title\":\"Bag\",\"price\":109.95,\"category\":\"men's clothing\","
         "\"image\":\"https:\\/\\/x\",\"rating\":{\"rate\":3.9,\"count\":120}}]",
         "1", "men's clothing", "109.95", "Bag", 1},
	{"[{\"id\":1,\"price\":695,\"category\":\"jewelery\"},{\"id\":2}]", "1", "jewelery", "695",
         "", 2},
	{"[{\"id\":\"17\",\"price\":\"9.90\",\"category\":\"  home  \"}]", "17", "home", "9.90", "",
         1},
	{"[{\"id\":1,\"price\":22.3,\"category\":\"caf\\u00e9\"}]", "1", "caf\xc3\xa9", "22.3", "",
         1},
	{"[{\"id\":9223372036854775807,\"price\":0.1,\"category\":null}]", "9223372036854775807",
         "", "0.1", "", 1},
	{"[{\"id\":1,\"price\":1e2,\"category\":\"a.b\"}]", "1", "a.b", "100", "", 1},
	/* bronze-sink refuses these values with a reason */
	{"[{\"id\":null,\"price\":-1,\"category\":\"\"}]", "", "", "-1", "", 1},
	{"[{\"id\":[1],\"price\":{\"eur\":2},\"category\":true}]", "[1]", "true", "{\"eur\":2}", "",
         1},
};

static bool equal(struct span found, const char *expected)
{
	return found.len == strlen(expected) && memcmp(found.at, expected, found.len) == 0;
}

Test(fakestore, products_have_the_values_of_the_answer)
{
	for (size_t i = 0; i < sizeof(must_read) / sizeof(must_read[0]); i++) {
		struct product_list list = {0};
		struct err err = {ERR_NONE, ""};
		const char *body = must_read[i].body;

		cr_assert(product_list_read(&list, span_of(body), &err), "%s: %s", body,
		          err.message);
		cr_assert_eq(list.count, must_read[i].count, "%s", body);
		cr_assert(equal(list.products[0].id, must_read[i].id), "%s", body);
		cr_assert(equal(list.products[0].category, must_read[i].category), "%s", body);
		cr_assert(equal(list.products[0].price, must_read[i].price), "%s: %.*s", body,
		          (int)list.products[0].price.len, list.products[0].price.at);
		cr_assert(equal(list.products[0].title, must_read[i].title), "%s", body);
		product_list_fini(&list);
	}
}

static const struct {
	const char *body, *part;
} must_not_read[] = {
	{"", "not JSON"},
	{"<html>busy</html>", "not JSON"},
	{"[{\"id\":1", "not JSON"},
	{"[{\"id\":1}] x", "not JSON"},
	{"[{\"id\":1,\"title\":\"\xff\"}]", "not JSON"},
	{"null", "not JSON"},
	{"{\"products\":[{\"id\":1}]}", "expected a JSON array"},
	{"{\"error\":\"limit\"}", "expected a JSON array"},
	{"[]", "no product"},
	{"[1,2]", "element 1"},
	{"[{\"id\":1},\"x\"]", "element 2"},
	{"[{\"id\":1},{\"name\":\"x\"}]", "element 2"},
};

Test(fakestore, an_answer_of_another_shape_is_refused_as_a_whole)
{
	for (size_t i = 0; i < sizeof(must_not_read) / sizeof(must_not_read[0]); i++) {
		struct product_list list = {0};
		struct err err = {ERR_NONE, ""};

		cr_assert_not(product_list_read(&list, span_of(must_not_read[i].body), &err), "%s",
		              must_not_read[i].body);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert(strstr(err.message, must_not_read[i].part), "%s: %s",
		          must_not_read[i].body, err.message);
		product_list_fini(&list);
	}
}
