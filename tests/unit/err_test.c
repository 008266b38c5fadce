/* A real function returns each class of error. service_test and the scenarios test what the loop
 * does with a class. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "kafka/kafka_error.h"
#include "loader_offsets.h"
#include "rejects.h"
#include "stages.h"

static void nothing_fails(struct err *err)
{
	err->class = kafka_err_class(RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void a_setting_is_wrong(struct err *err)
{
	struct stages stages;

	cr_expect_not(stages_parse("view,stare", &stages, err));
}

static void no_broker_answers(struct err *err)
{
	err->class = kafka_err_class(RD_KAFKA_RESP_ERR__TRANSPORT);
}

static void the_assignment_is_lost(struct err *err)
{
	err->class = kafka_err_class(RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
}

static void another_loader_moved_an_offset(struct err *err)
{
	cr_expect(loader_offsets_unmoved(3, 3, err));
	cr_expect_not(loader_offsets_unmoved(2, 3, err));
}

static void another_instance_took_over(struct err *err)
{
	err->class = kafka_err_class(RD_KAFKA_RESP_ERR__FENCED);
}

static void records_are_gone(struct err *err)
{
	err->class = kafka_err_class(RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
}

static void nobody_knows_what_it_is(struct err *err)
{
	err->class = kafka_err_class((rd_kafka_resp_err_t)9999);
}

static void too_many_rows_are_refused(struct err *err)
{
	cr_assert_not(rejects_within(2, 2, 0, "0", err));
}

Test(err, every_class_is_reached)
{
	/* No default: the compiler reports a new class that has no case. */
	for (enum err_class class = ERR_NONE; class <= ERR_REFUSED; class ++) {
		struct err err = {.class = ERR_NONE};

		switch (class) {
		case ERR_NONE: nothing_fails(&err); break;
		case ERR_INPUT: a_setting_is_wrong(&err); break;
		case ERR_RETRY: no_broker_answers(&err); break;
		case ERR_ABORT: the_assignment_is_lost(&err); break;
		case ERR_CONFLICT: another_loader_moved_an_offset(&err); break;
		case ERR_FENCED: another_instance_took_over(&err); break;
		case ERR_OPERATOR: records_are_gone(&err); break;
		case ERR_FATAL: nobody_knows_what_it_is(&err); break;
		case ERR_REFUSED: too_many_rows_are_refused(&err); break;
		}
		cr_expect_eq(err.class, class, "%s", err_class_name(class));
	}
}

Test(err, an_answer_that_names_a_missing_right_says_what_to_grant)
{
	struct err err = {0};

	cr_expect_not(kafka_err_answer(&err, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	                               "cannot create topic", "t", "Authorization failed."));
	cr_expect_eq(err.class, ERR_OPERATOR);
	cr_expect_str_eq(err.message,
	                 "cannot create topic t: the user of this program lacks a right to this "
	                 "topic; deploy/kafka/acls grants what each program needs");
	cr_expect_not(kafka_err_answer(&err, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
	                               "cannot create topic", "t", "not the controller"));
	cr_expect_eq(err.class, ERR_RETRY);
	cr_expect_str_eq(err.message, "cannot create topic t: not the controller");
}

Test(err, every_class_has_a_name_of_its_own)
{
	for (int class = ERR_NONE; class <= ERR_REFUSED; class ++) {
		cr_expect_str_neq(err_class_name((enum err_class) class), "unknown");
		for (int other = ERR_NONE; other < class; other++)
			cr_expect_str_neq(err_class_name((enum err_class) class),
			                  err_class_name((enum err_class)other));
	}
	cr_expect_str_eq(err_class_name((enum err_class)(ERR_REFUSED + 1)), "unknown");
}

Test(err, long_message_is_cut_and_a_prefix_keeps_the_class)
{
	char *text = malloc(5000);
	struct err err;

	cr_assert(text);
	memset(text, 'x', 4999);
	text[4999] = '\0';
	cr_expect_not(err_set(&err, ERR_OPERATOR, "%s", text));
	cr_expect_eq(strlen(err.message), sizeof(err.message) - 1);
	cr_expect_not(err_prefix(&err, "context %d", 7));
	cr_expect_eq(err.class, ERR_OPERATOR);
	cr_expect_eq(strncmp(err.message, "context 7: xxx", 14), 0);
	cr_expect_lt(strlen(err.message), sizeof(err.message));
	cr_expect_not(err_prefix(&err, "%s", text));
	cr_expect_lt(strlen(err.message), sizeof(err.message));
	free(text);
}

Test(err, err_may_be_null)
{
	cr_expect_not(err_set(NULL, ERR_FATAL, "%s", "unheard"));
	cr_expect_not(err_prefix(NULL, "%s", "unheard"));
}
