#include "kafka/kafka_log.h"

#include <stdatomic.h>
#include <string.h>

#include "kafka/kafka_error.h"
#include "service/log.h"
#include "service/monotime.h"

#define UNREACHABLE_LOG_US INT64_C(10000000)

void kafka_on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	/* librdkafka logs a refused connection at level 3 (error), but keeps trying: a warning. */
	bool transport = strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0;
	bool other_role =
		strncmp(facility, "CONF", 4) == 0 && strstr(text, "will be ignored by this");
	enum log_level our_level = other_role || level > 6 || kafka_err_says_expired_id(text)
	                                   ? LOG_DEBUG
	                           : level > 4               ? LOG_INFO
	                           : level == 4 || transport ? LOG_WARN
	                                                     : LOG_ERROR;

	LOG_EVENT(our_level, "kafka_log", log_str("client", client ? rd_kafka_name(client) : NULL),
	          log_str("facility", facility), log_str("detail", text), LOG_END);
}

static void log_unreachable(const char *client, const char *why)
{
	static _Atomic int64_t last_us;
	int64_t now_us = monotonic_us(), then_us = atomic_load(&last_us);

	if ((then_us == 0 || now_us - then_us > UNREACHABLE_LOG_US) &&
	    atomic_compare_exchange_strong(&last_us, &then_us, now_us))
		log_warn("kafka_unreachable", log_str("client", client), log_str("error", why));
}

void kafka_on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
	char why[512];

	(void)opaque;
	switch (code) {
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE: log_unreachable(rd_kafka_name(client), reason); return;
	case RD_KAFKA_RESP_ERR__FATAL:
		code = rd_kafka_fatal_error(client, why, sizeof(why));
		log_error("kafka_fatal", log_str("client", rd_kafka_name(client)),
		          log_str("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
		          log_str("error", why));
		return;
	default:
		log_warn("kafka_error", log_str("client", rd_kafka_name(client)),
		         log_str("code", rd_kafka_err2name((rd_kafka_resp_err_t)code)),
		         log_str("error", reason));
		return;
	}
}
