/* The frame decoder with a fake registry: which ids it accepts and refuses, and how many requests
 * it makes. The fake defines the two functions of registry.h that the decoder calls. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "wire/frame.h"
#include "wire/schemas.h"

#define GOOD_ID         7
#define OTHER_RECORD_ID 8
#define NEW_ID          700 /* in the subject, and not looked up before the flood */

static int lookups, subject_lookups;
static bool away;

enum registry_result registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err)
{
	(void)registry;
	lookups++;
	*is_json_schema = false;
	if (away) {
		err_set(err, ERR_RETRY, "away");
		return REGISTRY_FAILED;
	}
	*text = span_of(
		schema_texts[schema_id == OTHER_RECORD_ID ? SCHEMA_COUNTS : SCHEMA_BRONZE].text);
	return schema_id == GOOD_ID || schema_id == NEW_ID || schema_id == OTHER_RECORD_ID
	               ? REGISTRY_FOUND
	               : REGISTRY_UNKNOWN_ID;
}

bool registry_subject_ids(struct registry *registry, const char *topic_prefix,
                          enum schema_kind kind, int32_t *ids, size_t cap, size_t *count,
                          struct err *err)
{
	(void)registry;
	subject_lookups++;
	cr_assert_str_eq(topic_prefix, "set_");
	cr_assert_eq(kind, SCHEMA_BRONZE);
	cr_assert_geq(cap, 2);
	ids[0] = GOOD_ID;
	ids[1] = NEW_ID;
	*count = 2;
	return !away || err_set(err, ERR_RETRY, "away");
}

static enum reason decode_id(struct frame_decoder *decoder, int32_t id)
{
	char bytes[FRAME_BYTES + 3] =
		{0, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id, 'a', 'b', 'c'},
				 detail[256];
	struct span body = SPAN_NULL;
	enum reason reason = REASON_COUNT;
	struct err err = {ERR_NONE, ""};

	cr_assert(frame_decode(decoder, (struct span){bytes, sizeof(bytes)}, &body, &reason, detail,
	                       sizeof(detail), &err),
	          "%s", err.message);
	if (reason == REASON_NONE)
		cr_assert(body.at == bytes + FRAME_BYTES && body.len == 3);
	return reason;
}

static int64_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

Test(frame_decoder, an_id_is_looked_up_once)
{
	struct frame_decoder *decoder = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	for (int i = 0; i < 100; i++) {
		cr_assert_eq(decode_id(decoder, GOOD_ID), REASON_NONE);
		cr_assert_eq(decode_id(decoder, OTHER_RECORD_ID), REASON_WRONG_SCHEMA);
	}
	cr_assert_eq(lookups, 2);
	frame_decoder_free(decoder);
}

Test(frame_decoder, a_flood_of_unknown_ids_does_not_flood_the_registry)
{
	struct frame_decoder *decoder = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);
	int64_t began = seconds_now(), seconds;

	for (int32_t id = 1000; id < 201000; id++)
		cr_assert_eq(decode_id(decoder, id), REASON_UNKNOWN_SCHEMA_ID);
	/* The run touches at most two more of the decoder's seconds than have passed. */
	seconds = seconds_now() - began + 2;
	cr_assert_leq(lookups, seconds * FRAME_LOOKUPS_PER_SECOND);
	cr_assert(subject_lookups >= 1 && subject_lookups <= seconds, "%d", subject_lookups);
	frame_decoder_free(decoder);
}

Test(frame_decoder, an_id_of_the_topics_subject_is_accepted_during_a_flood)
{
	struct frame_decoder *decoder = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	for (int32_t id = 1000; id < 21000; id++) {
		decode_id(decoder, id);
		if (id > 11000)
			cr_assert_eq(decode_id(decoder, NEW_ID), REASON_NONE, "after %d", (int)id);
	}
	frame_decoder_free(decoder);
}

Test(frame_decoder, refused_ids_do_not_evict_an_accepted_one)
{
	struct frame_decoder *decoder = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	cr_assert_eq(decode_id(decoder, GOOD_ID), REASON_NONE);
	/* Ids of the same bucket, and fewer than the limit per second. */
	for (int i = 1; i <= 50; i++) {
		decode_id(decoder, GOOD_ID + 256 * i);
		cr_assert_eq(decode_id(decoder, GOOD_ID), REASON_NONE);
	}
	cr_assert_eq(lookups, 51);
	frame_decoder_free(decoder);
}

Test(frame_decoder, no_id_is_refused_while_the_registry_is_away)
{
	struct frame_decoder *decoder = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);
	char bytes[FRAME_BYTES] = {0, 0, 1, 0, 0};
	enum reason reason;
	struct span body;

	away = true;
	for (int i = 0; i < 3 * FRAME_LOOKUPS_PER_SECOND; i++) {
		struct err err = {ERR_NONE, ""};

		cr_assert_not(frame_decode(decoder, (struct span){bytes, sizeof(bytes)}, &body,
		                           &reason, NULL, 0, &err));
		cr_assert_eq(err.class, ERR_RETRY);
	}
	away = false;
	cr_assert_eq(decode_id(decoder, GOOD_ID), REASON_NONE);
	frame_decoder_free(decoder);
}
