/* Schema registry client (Confluent's REST interface; Apicurio's ccompat v7 has it too).
 *
 * A call blocks for up to timeout_ms per URL. ERR_RETRY: not reachable, HTTP 408, 429 or 5xx, or
 * 404 on a path that exists only after the server has started. ERR_OPERATOR: schema incompatible
 * (409) or invalid (422), credentials refused (401, 403), or a certificate that is not trusted; the
 * message has the reason. Messages never contain the user or password of a URL. The client caches
 * nothing; frame_decoder.h does. */
#ifndef FUNNEL_REGISTRY_H
#define FUNNEL_REGISTRY_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "service/config.h"
#include "service/config_file.h"
#include "wire/schemas.h"

/* NULL is the same as "". */
struct registry_config {
	const char *urls;     /* SCHEMA_REGISTRY_URL */
	const char *ca;       /* SCHEMA_REGISTRY_SSL_CA_LOCATION */
	const char *username; /* SCHEMA_REGISTRY_USERNAME */
	const char *password; /* SCHEMA_REGISTRY_PASSWORD */
};
/* Whether the settings fit together, for the check of a table of settings. config: a struct
 * registry_config. ERR_INPUT. */
MUST_USE bool registry_config_check(const char *config, struct err *err);
#define REGISTRY_URL_DEFAULT "http://127.0.0.1:18081/apis/ccompat/v7"
#define REGISTRY_URL_HELP    "schema registry: one or more base URLs, comma-separated"
/* A table of settings for the member of type struct registry_config in the program's config
 * struct. */
/* clang-format off */
#define REGISTRY_OPTIONS(config, member, default_url, url_help)                         \
	{                                                                               \
		{                                                                       \
			.name = "SCHEMA_REGISTRY_URL",                                  \
			.type = CONFIG_URLS,                                            \
			.offset = offsetof(config, member.urls),                        \
			.default_value = default_url,                                   \
			.help = url_help,                                               \
			.check = registry_urls_check,                                   \
		},                                                                      \
		{                                                                       \
			.name = "SCHEMA_REGISTRY_SSL_CA_LOCATION",                      \
			.type = CONFIG_TEXT,                                            \
			.offset = offsetof(config, member.ca),                          \
			.default_value = "",                                            \
			.help = "file with the certificates of the CA of the registry " \
				"(PEM); empty: the CAs of the system",                  \
			.check = config_readable,                                       \
		},                                                                      \
		{                                                                       \
			.name = "SCHEMA_REGISTRY_USERNAME",                             \
			.type = CONFIG_TEXT,                                            \
			.offset = offsetof(config, member.username),                    \
			.default_value = "",                                            \
			.help = "user of the registry, for basic authentication",       \
		},                                                                      \
		{                                                                       \
			.name = "SCHEMA_REGISTRY_PASSWORD",                             \
			.type = CONFIG_SECRET,                                          \
			.offset = offsetof(config, member.password),                    \
			.default_value = "",                                            \
			.help = "password of this user",                                \
		},                                                                      \
		{                                                                       \
			.offset = offsetof(config, member),                             \
			.check = registry_config_check,                                 \
		},                                                                      \
	}
/* clang-format on */

struct registry;

/* Whether registry_new accepts these URLs. ERR_INPUT; the message does not quote them. */
MUST_USE bool registry_urls_check(const char *urls, struct err *err);
/* config: copied, except the texts of ca, username and password, which the caller keeps. Its URLs
 * are one to eight base URLs (http, https), comma-separated; the client tries them in turn. User
 * and password, of the settings or of a URL, are used for basic authentication. NULL: invalid URLs
 * (ERR_INPUT) or no memory (ERR_FATAL). */
struct registry *registry_new(const struct registry_config *config, long timeout_ms,
                              struct err *err);
void registry_free(struct registry *registry);

/* Registers our schema under the subject <topic_prefix><suffix>-value, sets the subject's
 * compatibility to BACKWARD unless it is stricter, and returns the schema's id. The same text
 * always gets the same id, even if several processes register it at once. */
MUST_USE bool registry_register(struct registry *registry, const char *topic_prefix,
                                enum schema_kind kind, int32_t *schema_id, struct err *err);

/* Registers a text unchanged under <topic_prefix><its topic_suffix>-value, and does not set the
 * subject's compatibility. */
MUST_USE bool registry_register_text(struct registry *registry, const char *topic_prefix,
                                     const struct schema_text *schema, int32_t *schema_id,
                                     struct err *err);
/* Sets the subject's compatibility to BACKWARD unless it is stricter. */
MUST_USE bool registry_guard(struct registry *registry, const char *topic_prefix,
                             enum schema_kind kind, struct err *err);
/* Soft delete: hides the subject. The ids of its schemas stay in use. */
MUST_USE bool registry_delete_subject(struct registry *registry, const char *topic_prefix,
                                      const char *topic_suffix, struct err *err);

enum registry_result {
	REGISTRY_FOUND,
	REGISTRY_UNKNOWN_ID,
	REGISTRY_FAILED /* err is set, class ERR_RETRY or ERR_OPERATOR */
};
/* The schema with this id. *text is owned by the client and valid until its next call. */
enum registry_result registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err);

/* The ids of the newest `cap` versions of the subject <topic_prefix><suffix>-value; none if there
 * is no such subject. */
MUST_USE bool registry_subject_ids(struct registry *registry, const char *topic_prefix,
                                   enum schema_kind kind, int32_t *ids, size_t cap, size_t *count,
                                   struct err *err);

#endif
