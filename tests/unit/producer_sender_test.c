/* Whether a producer without acknowledgements waits, or has to be started again. The brokers are
 * librdkafka's mock cluster. */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <string.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "sender.h"

#define NOBODY "127.0.0.1:1" /* nothing listens there */

static rd_kafka_t *mock_owner;

static rd_kafka_mock_cluster_t *mock_new(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	cr_assert_eq(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof(why)),
	             RD_KAFKA_CONF_OK);
	mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	cr_assert_not_null(mock_owner, "%s", why);
	cr_assert_eq(rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(mock_owner),
	                                        "t_raw_events", 2, 1),
	             RD_KAFKA_RESP_ERR_NO_ERROR);
	return rd_kafka_handle_mock_cluster(mock_owner);
}

/* The client of the sender keeps the brokers of `own`; a new client gets those of `others`. */
static bool verified(const char *own, const char *others, struct err *err)
{
	struct kafka_config config = {.brokers = own, .properties = "", .topic_prefix = "t_"};
	struct sender *sender = sender_new(&config, "producer", 0, 0, err);
	bool ok;

	cr_assert_not_null(sender, "%s", err->message);
	config.brokers = others;
	ok = sender_verify_client(sender, err);
	sender_free(sender);
	return ok;
}

Test(sender, a_client_that_gets_answers_stays)
{
	const char *brokers = rd_kafka_mock_cluster_bootstraps(mock_new());
	struct err err = {ERR_NONE, ""};

	cr_expect(verified(brokers, brokers, &err), "%s", err.message);
	rd_kafka_destroy(mock_owner);
}

Test(sender, while_the_brokers_are_away_it_waits)
{
	struct err err = {ERR_NONE, ""};

	cr_expect(verified(NOBODY, NOBODY, &err), "%s", err.message);
}

Test(sender, a_client_without_answers_is_given_up_if_a_new_client_gets_them)
{
	const char *brokers = rd_kafka_mock_cluster_bootstraps(mock_new());
	struct err err = {ERR_NONE, ""};

	cr_assert_not(verified(NOBODY, brokers, &err));
	cr_expect_eq(err.class, ERR_RETRY);
	cr_expect(strstr(err.message, "does not connect again"), "%s", err.message);
	rd_kafka_destroy(mock_owner);
}
