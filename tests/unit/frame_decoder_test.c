/* Frames against a registry of our own: what is read, what is refused, and how often the registry is asked. The two
 * functions by which it is asked stand here, so the real client is not linked in. */
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
#define NEW_ID          700 /* of the subject, and not asked for before the flood */

static int questions, subject_questions;
static bool away;

enum registry_answer registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err)
{
	(void)registry;
	questions++;
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
                          enum schema_kind slot, int32_t *ids, size_t cap, size_t *count,
                          struct err *err)
{
	(void)registry;
	subject_questions++;
	cr_assert_str_eq(topic_prefix, "set_");
	cr_assert_eq(slot, SCHEMA_BRONZE);
	cr_assert_geq(cap, 2);
	ids[0] = GOOD_ID;
	ids[1] = NEW_ID;
	*count = 2;
	return !away || err_set(err, ERR_RETRY, "away");
}

static enum reason open_id(struct frame_decoder *opener, int32_t id)
{
	char bytes[FRAME_BYTES + 3] =
		{0, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id, 'a', 'b', 'c'},
				 detail[256];
	struct span body = SPAN_NULL;
	enum reason reason = REASON_COUNT;
	struct err err = {ERR_NONE, ""};

	cr_assert(frame_decode(opener, (struct span){bytes, sizeof(bytes)}, &body, &reason, detail,
	                       sizeof(detail), &err),
	          "%s", err.message);
	if (reason == REASON_NONE)
		cr_assert(body.at == bytes + FRAME_BYTES && body.len == 3);
	return reason;
}

static int64_t whole_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

Test(frame_decoder, an_id_is_asked_for_once)
{
	struct frame_decoder *opener = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	for (int i = 0; i < 100; i++) {
		cr_assert_eq(open_id(opener, GOOD_ID), REASON_NONE);
		cr_assert_eq(open_id(opener, OTHER_RECORD_ID), REASON_WRONG_SCHEMA);
	}
	cr_assert_eq(questions, 2);
	frame_decoder_free(opener);
}

Test(frame_decoder, a_flood_of_unknown_ids_is_no_flood_of_questions)
{
	struct frame_decoder *opener = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);
	int64_t began = whole_seconds(), seconds;

	for (int32_t id = 1000; id < 201000; id++)
		cr_assert_eq(open_id(opener, id), REASON_UNKNOWN_SCHEMA_ID);
	seconds = whole_seconds() - began +
	          2; /* in however many it took, the first and the last may be parts of one */
	cr_assert_leq(questions, seconds * FRAME_QUESTIONS_PER_SECOND);
	cr_assert(subject_questions >= 1 && subject_questions <= seconds, "%d", subject_questions);
	frame_decoder_free(opener);
}

Test(frame_decoder, an_id_of_the_topics_subject_is_read_in_the_midst_of_a_flood)
{
	struct frame_decoder *opener = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	for (int32_t id = 1000; id < 21000; id++) {
		open_id(opener, id);
		if (id > 11000)
			cr_assert_eq(open_id(opener, NEW_ID), REASON_NONE, "after %d", (int)id);
	}
	frame_decoder_free(opener);
}

Test(frame_decoder, refused_ids_do_not_push_out_one_that_is_read)
{
	struct frame_decoder *opener = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);

	cr_assert_eq(open_id(opener, GOOD_ID), REASON_NONE);
	for (int i = 1; i <= 50;
	     i++) { /* ids of the same place, and fewer than are asked for without pause */
		open_id(opener, GOOD_ID + 256 * i);
		cr_assert_eq(open_id(opener, GOOD_ID), REASON_NONE);
	}
	cr_assert_eq(questions, 51);
	frame_decoder_free(opener);
}

Test(frame_decoder, a_registry_that_is_away_refuses_nothing)
{
	struct frame_decoder *opener = frame_decoder_new(NULL, "set_", SCHEMA_BRONZE);
	char bytes[FRAME_BYTES] = {0, 0, 1, 0, 0};
	enum reason reason;
	struct span body;

	away = true;
	for (int i = 0; i < 3 * FRAME_QUESTIONS_PER_SECOND; i++) {
		struct err err = {ERR_NONE, ""};

		cr_assert_not(frame_decode(opener, (struct span){bytes, sizeof(bytes)}, &body,
		                           &reason, NULL, 0, &err));
		cr_assert_eq(err.class, ERR_RETRY);
	}
	away = false;
	cr_assert_eq(open_id(opener, GOOD_ID), REASON_NONE);
	frame_decoder_free(opener);
}
