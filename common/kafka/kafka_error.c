#include "kafka/kafka_error.h"

#include <string.h>

/* A code that is not listed is fatal. */
static const struct {
	rd_kafka_resp_err_t code;
	enum err_class class;
} error_classes[] = {
	{RD_KAFKA_RESP_ERR_NO_ERROR, ERR_NONE},
	{RD_KAFKA_RESP_ERR__FENCED, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERR_FENCED},
	{RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_FENCED},
	{RD_KAFKA_RESP_ERR__FATAL, ERR_FENCED},
	/* The assignment or the transaction is gone, not the data. */
	{RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__PURGE_QUEUE, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, ERR_ABORT},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, ERR_ABORT},
	{RD_KAFKA_RESP_ERR__TRANSPORT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__RESOLVE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__WAIT_COORD, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__WAIT_CACHE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__QUEUE_FULL, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__RETRY, ERR_RETRY},
	{RD_KAFKA_RESP_ERR__INTR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_CONTROLLER, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE, ERR_RETRY},
	{RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, ERR_RETRY},
	/* A broker that has just started may not know its topics yet. */
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_RETRY},
	/* Records are gone, or an operator has to change something. */
	/* librdkafka has waited already: the topic does not exist. */
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_OPERATOR},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_OPERATOR},
	{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERR_OPERATOR},
	{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ERR_OPERATOR},
	{RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, ERR_OPERATOR},
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_OPERATOR},
};

#define GRANT "; deploy/kafka/acls grants what each program needs"

/* Rights that an operator has to grant. */
static const struct {
	rd_kafka_resp_err_t code;
	const char *text;
} missing_rights[] = {
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, "the broker refuses the user or the password"},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
         "the broker refuses the user or the password"},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
         "the user of this program lacks a right to this topic" GRANT},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
         "the user of this program lacks a right to its consumer group" GRANT},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
         "the user of this program lacks a right to the cluster" GRANT},
	{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
         "the user of this program lacks the right to its transactional id" GRANT},
};

static const char *missing_right_text(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(missing_rights) / sizeof(*missing_rights); i++)
		if (missing_rights[i].code == code)
			return missing_rights[i].text;
	return NULL;
}

bool kafka_err_missing_right(rd_kafka_resp_err_t code)
{
	return missing_right_text(code) != NULL;
}

const char *kafka_err_text(rd_kafka_resp_err_t code)
{
	const char *text = missing_right_text(code);

	return text ? text : rd_kafka_err2str(code);
}

enum err_class kafka_err_class(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(error_classes) / sizeof(*error_classes); i++)
		if (error_classes[i].code == code)
			return error_classes[i].class;
	return kafka_err_missing_right(code) ? ERR_OPERATOR : ERR_FATAL;
}

bool kafka_err_answer(struct err *err, rd_kafka_resp_err_t code, const char *what, const char *name,
                      const char *text)
{
	const char *right = missing_right_text(code);

	return err_set(err, right ? ERR_OPERATOR : ERR_RETRY, "%s %s: %s", what, name,
	               right ? right : text);
}

bool kafka_err_take(struct err *err, rd_kafka_error_t *error, const char *context)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	const char *right = missing_right_text(code);
	enum err_class class = ERR_FATAL;

	/* A client in a fatal state must be replaced (for example after a gap in its sequence
	 * numbers, caused by a long outage). If a right is missing, no client can continue, even
	 * if librdkafka calls the error fatal. */
	if (right)
		class = ERR_OPERATOR;
	else if (kafka_err_class(code) == ERR_FENCED || rd_kafka_error_is_fatal(error))
		class = ERR_FENCED;
	else if (rd_kafka_error_txn_requires_abort(error))
		class = ERR_ABORT;
	else if (rd_kafka_error_is_retriable(error))
		class = ERR_RETRY;
	err_set(err, class, "%s: %s (%s)%s%s", context, rd_kafka_error_string(error),
	        rd_kafka_error_name(error), right ? ": " : "", right ? right : "");
	rd_kafka_error_destroy(error);
	return false;
}

bool kafka_err_says_expired_id(const char *text)
{
	return strstr(text, rd_kafka_err2str(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING)) !=
	       NULL;
}

bool kafka_err_is_expired_id(const struct err *err)
{
	return kafka_err_says_expired_id(err->message);
}
