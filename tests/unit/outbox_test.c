/* The outbox keeps its records, at the same address, until it is cleared. */
#include "base/hash.h"
#include "base/span.h"
#include "fold_kit.h"
#include "stream/outbox.h"
#include "unit/fold_kit.h"

static void fill(char *text, size_t len, uint64_t salt)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)mix64(salt + i);
}

Test(outbox, records_keep_their_bytes_and_their_address)
{
	static char big[3 * 1024 * 1024], want[3 * 1024 * 1024];
	struct outbox box = {0};
	struct rng rng = {9};
	size_t bytes = 0, lens[3000];
	const char *places[3000];

	for (int round = 0; round < 3; round++) {
		bytes = 0;
		for (size_t i = 0; i < 3000; i++) {
			struct header headers[2] = {{SPAN("name"), SPAN("value")},
			                            {SPAN("none"), SPAN_NULL}};
			char key[24];
			size_t key_len = (size_t)snprintf(key, sizeof(key), "key-%zu", i);

			lens[i] = rng_chance(&rng, 500)
			                  ? (size_t)rng_below(&rng, (int64_t)sizeof(big))
			                  : (size_t)rng_below(&rng, 3000);
			fill(big, lens[i], i);
			outbox_add(&box, 3, (int32_t)i, (struct span){key, key_len},
			           (struct span){big, lens[i]}, headers, i % 3);
			places[i] = box.at[i].value.at;
			bytes += key_len + lens[i] + (i % 3 ? 9 : 0) + (i % 3 == 2 ? 4 : 0);
			memset(key, 0, sizeof(key));
		}
		cr_assert_eq(box.count, 3000);
		cr_assert_eq(box.bytes, bytes);
		for (size_t i = 0; i < 3000; i++) {
			const struct output *output = &box.at[i];
			char key[24];

			snprintf(key, sizeof(key), "key-%zu", i);
			fill(want, lens[i], i);
			cr_assert_eq(output->value.at, places[i]);
			cr_assert(output->value.len == lens[i] &&
			                  memcmp(output->value.at, want, lens[i]) == 0,
			          "record %zu", i);
			cr_assert(span_is(output->key, key));
			cr_assert(output->topic == 3 && output->partition == (int32_t)i &&
			          output->header_count == i % 3);
			if (i % 3) {
				cr_assert_str_eq(output->headers[0].name.at, "name");
				cr_assert(span_is(output->headers[0].value, "value"));
			}
			if (i % 3 == 2)
				cr_assert_null(output->headers[1].value.at);
		}
		outbox_clear(&box);
		cr_assert(box.count == 0 && box.bytes == 0 && box.sent == 0);
	}
	outbox_free(&box);
}

Test(outbox, null_and_empty_stay_different)
{
	struct outbox box = {0};

	outbox_add(&box, 0, 0, SPAN_NULL, SPAN(""), NULL, 0);
	outbox_add(&box, 0, 0, SPAN(""), SPAN_NULL, NULL, 0);
	cr_assert_null(box.at[0].key.at);
	cr_assert_not_null(box.at[0].value.at);
	cr_assert_not_null(box.at[1].key.at);
	cr_assert_null(box.at[1].value.at);
	outbox_free(&box);
}
