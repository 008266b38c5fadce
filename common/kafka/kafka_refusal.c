/* The error callback of the client itself would need calls of rd_kafka_poll, which a consumer must
 * not make once it has partitions. So a client of its own asks.
 *
 * librdkafka reports each failed check of a certificate with the same text. Its callback for
 * certificates has OpenSSL's code, which says whether the name, the time or the CA is wrong. The
 * callback accepts nothing that OpenSSL refuses.
 * Limits: if only some of the brokers refuse the client, one of these may end the program. */
#include "kafka/kafka_refusal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "service/health.h"
#include "service/monotime.h"
#include "service/stop.h"

#define WAIT_US    INT64_C(5000000)
#define CALL_MS    200
#define DESTROY_MS 5000

struct refusal {
	bool refused;
	rd_kafka_resp_err_t code;
	char reason[512];
	atomic_int x509_error; /* a thread of librdkafka sets it */
};

/* X509_V_ERR_* of OpenSSL's x509_vfy.h. They are a part of its interface. */
enum {
	NOT_YET_VALID = 9,
	HAS_EXPIRED = 10,
	HOSTNAME_MISMATCH = 62,
	IP_ADDRESS_MISMATCH = 64,
};

const char *kafka_certificate_advice(int x509_error)
{
	switch (x509_error) {
	case NOT_YET_VALID:
		return "the broker's certificate is not valid yet: compare the clocks of the two "
		       "machines";
	case HAS_EXPIRED: return "the broker's certificate has expired: renew it";
	case HOSTNAME_MISMATCH:
	case IP_ADDRESS_MISMATCH:
		return "the broker's certificate is for another host name: KAFKA_BROKERS and the "
		       "broker's advertised.listeners must have a name that is in the certificate";
	default:
		return "the broker's certificate is not of a known CA: KAFKA_SSL_CA_LOCATION must "
		       "name the certificate of the CA of the brokers";
	}
}

bool kafka_is_refusal(rd_kafka_resp_err_t code, const char *reason)
{
	/* Alerts of a broker, such as "unknown ca", can come with the code of a lost connection. */
	static const char *const texts[] = {"certificate", "alert", "wrong version number"};

	if (kafka_err_missing_right(code))
		return true;
	if (code != RD_KAFKA_RESP_ERR__SSL && code != RD_KAFKA_RESP_ERR__TRANSPORT)
		return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (strstr(reason, texts[i]))
			return true;
	return false;
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
	struct refusal *refusal = opaque;

	(void)client;
	if (refusal->refused || !kafka_is_refusal((rd_kafka_resp_err_t)code, reason))
		return;
	refusal->refused = true;
	refusal->code = (rd_kafka_resp_err_t)code;
	snprintf(refusal->reason, sizeof(refusal->reason), "%s", reason);
}

static int on_certificate(rd_kafka_t *client, const char *broker, int32_t broker_id,
                          int *x509_error, int depth, const char *bytes, size_t size, char *errstr,
                          size_t errstr_size, void *opaque)
{
	struct refusal *refusal = opaque;

	(void)client, (void)broker, (void)broker_id, (void)depth, (void)bytes, (void)size;
	if (*x509_error == 0)
		return 1;
	atomic_store(&refusal->x509_error, *x509_error);
	snprintf(errstr, errstr_size, "%s", kafka_certificate_advice(*x509_error));
	return 0;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
	(void)client, (void)level, (void)facility, (void)text;
}

static void value_of(const rd_kafka_conf_t *conf, const char *name, char out[256])
{
	size_t len = 256;

	if (rd_kafka_conf_get(conf, name, out, &len) != RD_KAFKA_CONF_OK)
		out[0] = '\0';
}

static rd_kafka_t *asking_client(rd_kafka_t *client, struct refusal *refusal)
{
	static const char *const left_out[][2] = {
		{"transactional.id", ""},
		{"enable.idempotence", "false"},
		{"statistics.interval.ms", "0"},
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(client)); /* a copy */
	rd_kafka_t *asking = NULL;
	char why[512];

	rd_kafka_conf_set_opaque(conf, refusal);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_stats_cb(conf, NULL);
	rd_kafka_conf_set_dr_msg_cb(conf, NULL);
	rd_kafka_conf_set_rebalance_cb(conf, NULL);
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		rd_kafka_conf_set(conf, left_out[i][0], left_out[i][1], why, sizeof(why));
	if (rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate) == RD_KAFKA_CONF_OK)
		asking = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!asking)
		rd_kafka_conf_destroy(conf); /* not taken on failure */
	return asking;
}

static void ask(rd_kafka_t *client, struct refusal *refusal)
{
	int64_t until_us = monotonic_us() + WAIT_US;
	const struct rd_kafka_metadata *metadata;

	while (!refusal->refused && !service_stopping() && monotonic_us() < until_us) {
		if (rd_kafka_metadata(client, 0, NULL, &metadata, CALL_MS) ==
		    RD_KAFKA_RESP_ERR_NO_ERROR) {
			rd_kafka_metadata_destroy(metadata);
			return;
		}
		rd_kafka_poll(client, 0);
		health_alive();
	}
}

static bool explain(const rd_kafka_conf_t *conf, struct refusal *refusal, struct err *err)
{
	int x509_error = atomic_load(&refusal->x509_error);
	char user[256], mechanism[256];

	if (refusal->code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
		value_of(conf, "sasl.username", user);
		value_of(conf, "sasl.mechanisms", mechanism);
		err_set(err, ERR_OPERATOR,
		        "Kafka refuses the user \"%s\": %.400s; check KAFKA_SASL_USERNAME, "
		        "KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM=%s",
		        user, refusal->reason, mechanism);
	} else if (x509_error) {
		err_set(err, ERR_OPERATOR, "%s (%.400s)", kafka_certificate_advice(x509_error),
		        refusal->reason);
	} else {
		err_set(err, ERR_OPERATOR,
		        "Kafka refuses the encrypted connection: %.400s; check "
		        "KAFKA_SECURITY_PROTOCOL, which must be that of the listener; for mutual "
		        "TLS, KAFKA_SSL_CERTIFICATE_LOCATION, whose CA the brokers must trust",
		        refusal->reason);
	}
	return true;
}

bool kafka_refused(rd_kafka_t *client, struct err *err)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(client);
	struct refusal *refusal;
	struct err ignored;
	rd_kafka_t *asking;
	char protocol[256];
	bool refused;

	value_of(conf, "security.protocol", protocol);
	if (strcasecmp(protocol, "plaintext") == 0)
		return false;
	refusal = xzalloc(1, sizeof(*refusal));
	asking = asking_client(client, refusal);
	if (asking)
		ask(asking, refusal);
	refused = refusal->refused && explain(conf, refusal, err);
	if (!asking || kafka_destroy_within(asking, DESTROY_MS, &ignored))
		free(refusal); /* otherwise the client still uses it */
	return refused;
}
