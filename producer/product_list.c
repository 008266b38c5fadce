/* A number becomes the shortest text with the same value. A member of another type than text or
 * number becomes its JSON, so that bronze-sink refuses it with a reason. */
#include "product_list.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "catalogue.h"

#define REAL_TEXT_MAX 32

void product_list_fini(struct product_list *list)
{
	free(list->products);
	free(list->texts);
	*list = (struct product_list){0};
}

/* ---- texts: at is NULL until all of them are there, because the buffer moves */

static struct span put(struct buffer *texts, const char *at, size_t len)
{
	buffer_append(texts, at, len);
	return (struct span){NULL, len};
}

static struct span put_real(struct buffer *texts, double value)
{
	char text[REAL_TEXT_MAX];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return put(texts, text, strlen(text));
}

static struct span put_value(struct buffer *texts, const json_t *value)
{
	struct span span;
	char *text;

	if (!value || json_is_null(value))
		return put(texts, "", 0);
	if (json_is_string(value))
		return put(texts, json_string_value(value), json_string_length(value));
	if (json_is_real(value))
		return put_real(texts, json_real_value(value));
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	span = put(texts, text ? text : "", text ? strlen(text) : 0);
	free(text);
	return span;
}

static void point(struct span *span, const char **at)
{
	span->at = *at;
	*at += span->len;
	*span = span_trim(*span);
}

/* ---- the list */

static bool is_list(const json_t *array, struct err *err)
{
	if (!json_is_array(array))
		return err_set(err, ERR_INPUT, "expected a JSON array of products");
	if (json_array_size(array) == 0)
		return err_set(err, ERR_INPUT, "the list has no product");
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *element = json_array_get(array, i);

		if (!json_is_object(element) || !json_object_get(element, "id"))
			return err_set(err, ERR_INPUT,
			               "element %zu of the list is not a product: expected an "
			               "object with an id",
			               i + 1);
	}
	return true;
}

static bool take_products(struct product_list *list, const json_t *array, struct err *err)
{
	struct buffer texts = {0};
	const char *at;

	list->products = calloc(json_array_size(array), sizeof(*list->products));
	if (!list->products)
		return err_set(err, ERR_FATAL, "out of memory");
	list->count = json_array_size(array);
	for (size_t i = 0; i < list->count; i++) {
		const json_t *object = json_array_get(array, i);
		struct shop_product *product = &list->products[i];

		product->id = put_value(&texts, json_object_get(object, "id"));
		product->category = put_value(&texts, json_object_get(object, "category"));
		product->price = put_value(&texts, json_object_get(object, "price"));
		product->title = put_value(&texts, json_object_get(object, "title"));
	}
	at = list->texts = texts.at;
	for (size_t i = 0; i < list->count; i++) {
		struct shop_product *product = &list->products[i];

		point(&product->id, &at);
		point(&product->category, &at);
		point(&product->price, &at);
		point(&product->title, &at);
	}
	return true;
}

bool product_list_read(struct product_list *list, struct span body, struct err *err)
{
	json_error_t why;
	json_t *array = json_loadb(body.at ? body.at : "", body.len, JSON_ALLOW_NUL, &why);
	bool good;

	if (!array)
		return err_set(err, ERR_INPUT, "the answer is not JSON: %s", why.text);
	good = is_list(array, err) && take_products(list, array, err);
	json_decref(array);
	return good;
}
