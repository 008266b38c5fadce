/* Which settings for encryption and passwords fit together, what they set in librdkafka, and which
 * errors of a client mean that the brokers refuse it. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_refusal.h"
#include "kafka/kafka_security.h"
#include "registry/registry.h"

Test(kafka_security, combinations_that_cannot_work_are_refused_with_the_names_of_the_settings)
{
	static const struct {
		struct kafka_security security;
		const char *refused; /* two words of the message; NULL: accepted */
	} table[] = {
		{{.protocol = NULL}, NULL},
		{{.protocol = "PLAINTEXT"}, NULL},
		{{.protocol = "SSL"}, NULL},
		{{.protocol = "SSL", .ca = "ca", .certificate = "c", .key = "k"}, NULL},
		{{.protocol = "SSL", .certificate = "c", .key = "k", .key_password = "p"}, NULL},
		{{.protocol = "SASL_SSL", .mechanism = "PLAIN", .username = "u", .password = "p"},
	         NULL},
		{{.protocol = "SASL_PLAINTEXT",
	          .mechanism = "SCRAM-SHA-512",
	          .username = "u",
	          .password = "p"},
	         NULL},
		{{.protocol = "PLAINTEXT", .password = "hunter2"}, "KAFKA_SASL_PASSWORD is set"},
		{{.protocol = "PLAINTEXT", .username = "u"}, "KAFKA_SASL_USERNAME is set"},
		{{.protocol = "PLAINTEXT", .ca = "ca"}, "KAFKA_SSL_CA_LOCATION is set"},
		{{.protocol = "SSL", .username = "u"}, "KAFKA_SASL_USERNAME is set"},
		{{.protocol = "SASL_PLAINTEXT", .ca = "ca"}, "KAFKA_SSL_CA_LOCATION is set"},
		{{.protocol = "SSL", .certificate = "c"}, "KAFKA_SSL_KEY_LOCATION is not"},
		{{.protocol = "SSL", .key = "k"}, "KAFKA_SSL_CERTIFICATE_LOCATION is not"},
		{{.protocol = "SSL", .key_password = "hunter2"}, "KAFKA_SSL_KEY_LOCATION is not"},
		{{.protocol = "SASL_SSL", .mechanism = "PLAIN", .username = "u"},
	         "KAFKA_SASL_PASSWORD_FILE) is not set"},
		{{.protocol = "SASL_SSL", .mechanism = "PLAIN", .password = "hunter2"},
	         "KAFKA_SASL_USERNAME is not set"},
		{{.protocol = "SASL_PLAINTEXT",
	          .mechanism = "PLAIN",
	          .username = "u",
	          .password = "hunter2"},
	         "readable on the network"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {.class = ERR_NONE};
		bool good = kafka_security_check(&table[i].security, &err);

		cr_expect_eq(good, !table[i].refused, "row %zu: %s", i, err.message);
		if (!table[i].refused)
			continue;
		cr_expect_eq(err.class, ERR_INPUT, "row %zu", i);
		cr_expect(strstr(err.message, table[i].refused), "row %zu: %s", i, err.message);
		cr_expect_null(strstr(err.message, "hunter2"), "row %zu: %s", i, err.message);
	}
}

static const char *value_of(const rd_kafka_conf_t *conf, const char *name)
{
	static char value[256];
	size_t len = sizeof(value);

	return rd_kafka_conf_get(conf, name, value, &len) == RD_KAFKA_CONF_OK ? value : "(unknown)";
}

static rd_kafka_conf_t *conf_of(const char *properties, struct err *err)
{
	const struct kafka_config config = {.brokers = "127.0.0.1:1",
	                                    .properties = properties,
	                                    .topic_prefix = "",
	                                    .security = {.protocol = "SASL_SSL",
	                                                 .mechanism = "SCRAM-SHA-256",
	                                                 .username = "u",
	                                                 .password = "p,q=r"}};

	return kafka_conf_new(&config, KAFKA_ADMIN, "client", NULL, err);
}

Test(kafka_security, the_settings_set_the_properties_of_the_same_names)
{
	struct err err = {.class = ERR_NONE};
	rd_kafka_conf_t *conf = conf_of("", &err);

	cr_assert(conf, "%s", err.message);
	cr_expect_str_eq(value_of(conf, "security.protocol"), "sasl_ssl");
	cr_expect_str_eq(value_of(conf, "sasl.mechanisms"), "SCRAM-SHA-256");
	cr_expect_str_eq(value_of(conf, "sasl.username"), "u");
	cr_expect_str_eq(value_of(conf, "sasl.password"), "p,q=r");
	cr_expect_str_eq(value_of(conf, "ssl.endpoint.identification.algorithm"), "https");
	cr_expect_str_eq(value_of(conf, "enable.ssl.certificate.verification"), "true");
	rd_kafka_conf_destroy(conf);
}

Test(kafka_security, no_property_turns_the_check_of_certificates_off)
{
	static const char *const refused[] = {"enable.ssl.certificate.verification=false",
	                                      "enable.ssl.certificate.verification=0",
	                                      "ssl.endpoint.identification.algorithm=none",
	                                      "ssl.endpoint.identification.algorithm="};

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct err err = {.class = ERR_NONE};

		cr_expect_null(conf_of(refused[i], &err), "%s", refused[i]);
		cr_expect_eq(err.class, ERR_INPUT, "%s", refused[i]);
		cr_expect(strstr(err.message, "KAFKA_SSL_CA_LOCATION"), "%s", err.message);
	}
}

Test(kafka_security, a_refusal_differs_from_a_lost_connection)
{
	static const struct {
		rd_kafka_resp_err_t code;
		const char *reason;
		bool want;
	} table[] = {
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "invalid credentials", true},
		{RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed: certificate verify failed", true},
		{RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed: wrong version number", true},
		{RD_KAFKA_RESP_ERR__TRANSPORT, "tlsv13 alert certificate required", true},
		{RD_KAFKA_RESP_ERR__SSL, "SSL handshake failed: Disconnected", false},
		{RD_KAFKA_RESP_ERR__TRANSPORT, "Connect failed: Connection refused", false},
		{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down", false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(kafka_is_refusal(table[i].code, table[i].reason), table[i].want, "%s",
		             table[i].reason);
}

Test(kafka_security, the_advice_fits_what_is_wrong_with_a_certificate)
{
	cr_expect(strstr(kafka_certificate_advice(10), "expired"));
	cr_expect(strstr(kafka_certificate_advice(62), "host name"));
	cr_expect(strstr(kafka_certificate_advice(64), "host name"));
	cr_expect(strstr(kafka_certificate_advice(19), "KAFKA_SSL_CA_LOCATION"));
}

Test(kafka_security, settings_of_the_registry_that_cannot_work_are_refused)
{
	static const struct {
		struct registry_config config;
		const char *refused;
	} table[] = {
		{{.urls = "http://r"}, NULL},
		{{.urls = ""}, NULL},
		{{.urls = "https://r", .ca = "ca", .username = "u", .password = "p"}, NULL},
		{{.urls = "https://r", .username = "u"}, "SCHEMA_REGISTRY_PASSWORD is not"},
		{{.urls = "https://r", .password = "p"}, "SCHEMA_REGISTRY_USERNAME is not"},
		{{.urls = "https://v:w@r", .username = "u", .password = "p"}, "only one of them"},
		{{.urls = "https://r,http://s", .ca = "ca"}, "expected https"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {.class = ERR_NONE};
		bool good = registry_config_check((const char *)&table[i].config, &err);

		cr_expect_eq(good, !table[i].refused, "row %zu: %s", i, err.message);
		if (table[i].refused)
			cr_expect(strstr(err.message, table[i].refused), "row %zu: %s", i,
			          err.message);
	}
}
