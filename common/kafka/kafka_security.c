/* Every wrong combination is refused at the start. librdkafka ignores most of them: a password with
 * PLAINTEXT would be a connection that is not encrypted, without a word.
 *
 * Limits: Kerberos and OAuth have no settings of their own. KAFKA_PROPERTIES can set them. */
#include "kafka/kafka_security.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "service/config_pair.h"

static bool uses_tls(const struct kafka_security *security)
{
	return strcmp(security->protocol, "SSL") == 0 ||
	       strcmp(security->protocol, "SASL_SSL") == 0;
}

static bool uses_password(const struct kafka_security *security)
{
	return strncmp(security->protocol, "SASL_", 5) == 0;
}

/* A setting that has no effect with this protocol is a mistake. */
static bool check_unused(const char *name, const char *value, bool used, const char *needed,
                         const struct kafka_security *security, struct err *err)
{
	return used || !config_is_set(value) ||
	       err_set(err, ERR_INPUT,
	               "%s is set, but KAFKA_SECURITY_PROTOCOL is %s: expected %s as "
	               "KAFKA_SECURITY_PROTOCOL",
	               name, security->protocol, needed);
}

static bool check_used(const struct kafka_security *security, struct err *err)
{
	bool tls = uses_tls(security), sasl = uses_password(security);
	const char *any_tls = "SSL or SASL_SSL", *any_sasl = "SASL_SSL";

	return check_unused("KAFKA_SSL_CA_LOCATION", security->ca, tls, any_tls, security, err) &&
	       check_unused("KAFKA_SSL_CERTIFICATE_LOCATION", security->certificate, tls, any_tls,
	                    security, err) &&
	       check_unused("KAFKA_SSL_KEY_LOCATION", security->key, tls, any_tls, security, err) &&
	       check_unused("KAFKA_SASL_USERNAME", security->username, sasl, any_sasl, security,
	                    err) &&
	       check_unused("KAFKA_SASL_PASSWORD", security->password, sasl, any_sasl, security,
	                    err);
}

static bool check_password(const struct kafka_security *security, struct err *err)
{
	if (!uses_password(security))
		return true;
	if (!config_is_set(security->username) || !config_is_set(security->password))
		return err_set(err, ERR_INPUT,
		               "KAFKA_SECURITY_PROTOCOL is %s, but %s is not set: expected a user "
		               "and a password",
		               security->protocol,
		               config_is_set(security->username)
		                       ? "KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)"
		                       : "KAFKA_SASL_USERNAME");
	return uses_tls(security) || strcmp(security->mechanism, "PLAIN") != 0 ||
	       err_set(err, ERR_INPUT,
	               "KAFKA_SASL_MECHANISM is PLAIN and KAFKA_SECURITY_PROTOCOL is "
	               "SASL_PLAINTEXT, so the password would be readable on the network: "
	               "expected SASL_SSL, or a SCRAM mechanism");
}

bool kafka_security_check(const struct kafka_security *security, struct err *err)
{
	if (!security->protocol)
		return true;
	if (!check_used(security, err) ||
	    !config_pair_check("KAFKA_SSL_CERTIFICATE_LOCATION", security->certificate,
	                       "KAFKA_SSL_KEY_LOCATION", security->key, err))
		return false;
	if (config_is_set(security->key_password) && !config_is_set(security->key))
		return err_set(err, ERR_INPUT,
		               "KAFKA_SSL_KEY_PASSWORD is set, but KAFKA_SSL_KEY_LOCATION is not: "
		               "expected both, or no password");
	return check_password(security, err);
}

/* The error never has a value. */
static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char why[512];

	return !config_is_set(value) ||
	       rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK ||
	       err_set(err, ERR_INPUT, "Kafka property %s: %s", name, why);
}

bool kafka_security_set(rd_kafka_conf_t *conf, const struct kafka_security *security,
                        struct err *err)
{
	bool sasl;

	if (!config_is_set(security->protocol) || strcmp(security->protocol, "PLAINTEXT") == 0)
		return true;
	sasl = uses_password(security);
	return set(conf, "security.protocol", security->protocol, err) &&
	       set(conf, "ssl.endpoint.identification.algorithm", "https", err) &&
	       set(conf, "ssl.ca.location", security->ca, err) &&
	       set(conf, "ssl.certificate.location", security->certificate, err) &&
	       set(conf, "ssl.key.location", security->key, err) &&
	       set(conf, "ssl.key.password", security->key_password, err) &&
	       set(conf, "sasl.mechanism", sasl ? security->mechanism : NULL, err) &&
	       set(conf, "sasl.username", security->username, err) &&
	       set(conf, "sasl.password", security->password, err);
}

bool kafka_security_check_property(const char *name, const char *value, struct err *err)
{
	bool weak = (strcmp(name, "enable.ssl.certificate.verification") == 0 &&
	             strcasecmp(value, "true") != 0) ||
	            (strcmp(name, "ssl.endpoint.identification.algorithm") == 0 &&
	             strcasecmp(value, "https") != 0);

	return !weak ||
	       err_set(err, ERR_INPUT,
	               "%s cannot be set to \"%s\", because any server could then pass for a "
	               "broker: remove it, and set KAFKA_SSL_CA_LOCATION to the CA of the brokers",
	               name, value);
}
