/* Settings for encryption and authentication of Kafka clients, and their checks.
 *
 * A setting has the name of the librdkafka property that it sets: KAFKA_SASL_USERNAME sets
 * sasl.username. With TLS, the certificate of a broker must be of a known CA and have the host name
 * of KAFKA_BROKERS (or of the broker's advertised listener). No setting turns this off. */
#ifndef FUNNEL_KAFKA_SECURITY_H
#define FUNNEL_KAFKA_SECURITY_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "service/config.h"
#include "service/config_file.h"

/* NULL is the same as "". */
struct kafka_security {
	const char *protocol;     /* KAFKA_SECURITY_PROTOCOL */
	const char *ca;           /* KAFKA_SSL_CA_LOCATION */
	const char *certificate;  /* KAFKA_SSL_CERTIFICATE_LOCATION */
	const char *key;          /* KAFKA_SSL_KEY_LOCATION */
	const char *key_password; /* KAFKA_SSL_KEY_PASSWORD */
	const char *mechanism;    /* KAFKA_SASL_MECHANISM */
	const char *username;     /* KAFKA_SASL_USERNAME */
	const char *password;     /* KAFKA_SASL_PASSWORD */
};
/* Rows of a table of settings, for the member of type struct kafka_security. */
/* clang-format off */
#define KAFKA_SECURITY_ROWS(config, member)                                              \
	{                                                                                \
		.name = "KAFKA_SECURITY_PROTOCOL",                                       \
		.type = CONFIG_CHOICE,                                                   \
		.offset = offsetof(config, member.protocol),                             \
		.default_value = "PLAINTEXT",                                            \
		.help = "encryption (SSL) and passwords (SASL) of Kafka connections",    \
		.choices = "PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",                      \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SSL_CA_LOCATION",                                         \
		.type = CONFIG_TEXT,                                                     \
		.offset = offsetof(config, member.ca),                                   \
		.default_value = "",                                                     \
		.help = "file with the certificates of the CA of the brokers (PEM); "    \
			"empty: the CAs of the system",                                  \
		.check = config_readable,                                                \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SSL_CERTIFICATE_LOCATION",                                \
		.type = CONFIG_TEXT,                                                     \
		.offset = offsetof(config, member.certificate),                          \
		.default_value = "",                                                     \
		.help = "file with the certificate of this client (PEM), for mutual TLS",\
		.check = config_readable,                                                \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SSL_KEY_LOCATION",                                        \
		.type = CONFIG_TEXT,                                                     \
		.offset = offsetof(config, member.key),                                  \
		.default_value = "",                                                     \
		.help = "file with the key of this certificate (PEM)",                   \
		.check = config_readable,                                                \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SSL_KEY_PASSWORD",                                        \
		.type = CONFIG_SECRET,                                                   \
		.offset = offsetof(config, member.key_password),                         \
		.default_value = "",                                                     \
		.help = "password of this key, if it has one",                           \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SASL_MECHANISM",                                          \
		.type = CONFIG_CHOICE,                                                   \
		.offset = offsetof(config, member.mechanism),                            \
		.default_value = "SCRAM-SHA-512",                                        \
		.help = "how the password is proved, with SASL_SSL and SASL_PLAINTEXT",  \
		.choices = "SCRAM-SHA-512|SCRAM-SHA-256|PLAIN",                          \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SASL_USERNAME",                                           \
		.type = CONFIG_TEXT,                                                     \
		.offset = offsetof(config, member.username),                             \
		.default_value = "",                                                     \
		.help = "user of Kafka, with SASL_SSL and SASL_PLAINTEXT",               \
	},                                                                               \
	{                                                                                \
		.name = "KAFKA_SASL_PASSWORD",                                           \
		.type = CONFIG_SECRET,                                                   \
		.offset = offsetof(config, member.password),                             \
		.default_value = "",                                                     \
		.help = "password of this user",                                         \
	}
/* clang-format on */

/* Whether the settings fit together. ERR_INPUT: the message names the settings. */
MUST_USE bool kafka_security_check(const struct kafka_security *security, struct err *err);
/* Sets the properties. With PLAINTEXT it sets none, so that KAFKA_PROPERTIES alone can. */
MUST_USE bool kafka_security_set(rd_kafka_conf_t *conf, const struct kafka_security *security,
                                 struct err *err);
/* Whether KAFKA_PROPERTIES may have this property. ERR_INPUT: it would accept the certificate of
 * any server. */
MUST_USE bool kafka_security_check_property(const char *name, const char *value, struct err *err);

#endif
