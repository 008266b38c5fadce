/* One curl handle, kept because it keeps the connection, and one call at a time.
 *
 * Registering sets the subject's compatibility before and after. Before, so that the registry
 * checks our schema even if the subject has lost its level. After, because for a subject that
 * does not exist yet some registries refuse the level and others forget it. A 409 counts only if
 * the subject does not contain our text: two services that create a subject at the same moment
 * may get one too.
 *
 * Limits: responses of at most 1 MiB; no redirects; no bearer tokens. */
#include "registry/registry.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "service/config_pair.h"
#include "wire/registry_messages.h"

#define URLS_MAX           8
#define RESPONSE_MAX_BYTES (1024 * 1024)
#define REASON_MAX         512
#define PATH_MAX_BYTES     1024

struct endpoint {
	char *url;  /* without a trailing slash */
	char *name; /* the URL without user and password, for messages */
};

struct endpoints {
	struct endpoint at[URLS_MAX];
	size_t count;
};

struct registry {
	CURL *curl;
	struct curl_slist *headers;
	struct endpoints endpoints;
	struct registry_config config; /* without urls */
	size_t current;                /* index of the endpoint that answered last */
	long timeout_ms;
	struct buffer request, response, text;
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- set-up ---- */

/* False: invalid. That includes an @ after the host: the password has an unescaped / or ?, and a
 * message would show the rest of it as part of the path. */
static bool endpoint_read(struct endpoint *endpoint, const char *text)
{
	CURLU *url = curl_url();
	char *full = NULL, *bare = NULL, *scheme = NULL;
	bool ok = false;

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    curl_url_get(url, CURLUPART_URL, &full, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &bare, 0) == CURLUE_OK && !strchr(bare, '@')) {
		for (size_t len = strlen(full); len > 0 && full[len - 1] == '/'; len--)
			full[len - 1] = '\0';
		for (size_t len = strlen(bare); len > 0 && bare[len - 1] == '/'; len--)
			bare[len - 1] = '\0';
		endpoint->url = strdup(full);
		endpoint->name = strdup(bare);
		ok = endpoint->url && endpoint->name;
	}
	curl_free(full);
	curl_free(bare);
	curl_free(scheme);
	curl_url_cleanup(url);
	return ok;
}

static void endpoints_free(struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		free(endpoints->at[i].url);
		free(endpoints->at[i].name);
	}
	endpoints->count = 0;
}

static bool endpoints_read(struct endpoints *endpoints, const char *urls, struct err *err)
{
	char one[1024];

	while (*urls) {
		size_t len = strcspn(urls, ",");

		if (endpoints->count == URLS_MAX)
			return err_set(err, ERR_INPUT, "expected at most %d URLs", URLS_MAX);
		if (len >= sizeof(one))
			return err_set(err, ERR_INPUT, "expected at most %zu bytes in a URL",
			               sizeof(one) - 1);
		memcpy(one, urls, len);
		one[len] = '\0';
		if (!endpoint_read(&endpoints->at[endpoints->count++], one))
			return err_set(
				err, ERR_INPUT,
				"expected http://host:port/path or https://host:port/path as URL "
				"%zu; in a user or password, write %%40 for @, %%2C for a comma, "
				"%%2F for / and %%3F for ?",
				endpoints->count);
		urls += len + (urls[len] == ',');
	}
	return endpoints->count > 0 || err_set(err, ERR_INPUT, "expected at least one URL");
}

bool registry_urls_check(const char *urls, struct err *err)
{
	struct endpoints endpoints = {.count = 0};
	bool good = endpoints_read(&endpoints, urls, err);

	endpoints_free(&endpoints);
	return good;
}

bool registry_config_check(const char *config, struct err *err)
{
	const struct registry_config *registry = (const void *)config;
	struct endpoints endpoints = {.count = 0};
	bool good = true;

	if (!config_pair_check("SCHEMA_REGISTRY_USERNAME", registry->username,
	                       "SCHEMA_REGISTRY_PASSWORD", registry->password, err))
		return false;
	/* registry_urls_check reports an invalid URL. */
	if (config_is_set(registry->urls) && !endpoints_read(&endpoints, registry->urls, NULL))
		endpoints_free(&endpoints);
	for (size_t i = 0; good && i < endpoints.count; i++) {
		const struct endpoint *endpoint = &endpoints.at[i];

		if (config_is_set(registry->username) && strcmp(endpoint->url, endpoint->name) != 0)
			good = err_set(err, ERR_INPUT,
			               "SCHEMA_REGISTRY_USERNAME is set, and SCHEMA_REGISTRY_URL "
			               "has a user too: expected only one of them");
		else if (config_is_set(registry->ca) && strncmp(endpoint->name, "https:", 6) != 0)
			good = err_set(err, ERR_INPUT,
			               "SCHEMA_REGISTRY_SSL_CA_LOCATION is set, but "
			               "SCHEMA_REGISTRY_URL has %.200s: expected https",
			               endpoint->name);
	}
	endpoints_free(&endpoints);
	return good;
}

static bool headers_make(struct registry *registry)
{
	static const char *const lines[] = {
		"Content-Type: application/vnd.schemaregistry.v1+json",
		"Accept: application/vnd.schemaregistry.v1+json, application/json", "Expect:"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *longer = curl_slist_append(registry->headers, lines[i]);
		if (!longer)
			return false;
		registry->headers = longer;
	}
	return true;
}

struct registry *registry_new(const struct registry_config *config, long timeout_ms,
                              struct err *err)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_FATAL, "out of memory for curl");
		free(registry);
		return NULL;
	}
	registry->timeout_ms = timeout_ms;
	registry->config = *config;
	registry->config.urls = NULL;
	registry->curl = curl_easy_init();
	if (!registry->curl || !headers_make(registry))
		err_set(err, ERR_FATAL, "out of memory for curl");
	else if (endpoints_read(&registry->endpoints, config->urls ? config->urls : "", err))
		return registry;
	registry_free(registry);
	return NULL;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	endpoints_free(&registry->endpoints);
	curl_slist_free_all(registry->headers);
	curl_easy_cleanup(registry->curl);
	buffer_free(&registry->request);
	buffer_free(&registry->response);
	buffer_free(&registry->text);
	free(registry);
	curl_global_cleanup();
}

/* ---- one call ---- */

static size_t take_response(char *bytes, size_t size, size_t count, void *user)
{
	struct registry *registry = user;
	size_t len = size * count;

	if (len > RESPONSE_MAX_BYTES - registry->response.len)
		return 0; /* curl then ends the transfer with an error */
	buffer_append(&registry->response, bytes, len);
	return len;
}

static struct span response_body(const struct registry *registry)
{
	return (struct span){registry->response.at, registry->response.len};
}

static CURLcode perform(struct registry *registry, const char *method, const char *url,
                        const struct buffer *body)
{
	CURL *curl = registry->curl;

	curl_easy_reset(curl); /* keeps the connection */
	registry->response.len = 0;
	registry->curl_error[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, registry->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, registry->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_response);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, registry);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, registry->curl_error);
	if (config_is_set(registry->config.ca))
		curl_easy_setopt(curl, CURLOPT_CAINFO, registry->config.ca);
	if (config_is_set(registry->config.username)) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, registry->config.username);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, registry->config.password);
	}
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->at);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->len);
	}
	return curl_easy_perform(curl);
}

/* A certificate that curl does not accept, or a CA file that it cannot use. */
static bool is_untrusted(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_SSL_ISSUER_ERROR;
}

static bool transfer_failed(const struct registry *registry, const struct endpoint *endpoint,
                            const char *path, CURLcode code, struct err *err)
{
	return err_set(err, is_untrusted(code) ? ERR_OPERATOR : ERR_RETRY,
	               "schema registry %.200s%.200s: %.200s%s", endpoint->name, path,
	               registry->curl_error[0] ? registry->curl_error : curl_easy_strerror(code),
	               is_untrusted(code)
	                       ? "; SCHEMA_REGISTRY_SSL_CA_LOCATION must name the CA of the "
	                         "registry's certificate, and SCHEMA_REGISTRY_URL a host name of "
	                         "this certificate, which must not have expired"
	                       : "");
}

static bool credentials_refused(const struct endpoint *endpoint, const char *path, long status,
                                struct err *err)
{
	return err_set(err, ERR_OPERATOR, "schema registry %.200s%.200s: HTTP %ld: %s",
	               endpoint->name, path, status,
	               status == 401 ? "the registry refuses the user or the password: check "
	                               "SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD"
	                             : "the registry does not let this user do that: check the "
	                               "rights of SCHEMA_REGISTRY_USERNAME");
}

static bool call_endpoint(struct registry *registry, const struct endpoint *endpoint,
                          const char *method, const char *path, const struct buffer *body,
                          long *status, struct err *err)
{
	char url[PATH_MAX_BYTES + 1024], reason[REASON_MAX];
	CURLcode code;

	if ((size_t)snprintf(url, sizeof(url), "%s%s", endpoint->url, path) >= sizeof(url))
		return err_set(err, ERR_FATAL,
		               "the path %.200s of a schema registry request is too long", path);
	code = perform(registry, method, url, body);
	if (code != CURLE_OK)
		return transfer_failed(registry, endpoint, path, code, err);
	curl_easy_getinfo(registry->curl, CURLINFO_RESPONSE_CODE, status);
	if (*status == 401 || *status == 403)
		return credentials_refused(endpoint, path, *status, err);
	if (*status >= 200 && *status < 300)
		return true;
	if (registry_read_failure(*status, response_body(registry), reason, sizeof(reason)) !=
	    REGISTRY_FAILURE_RETRY)
		return true;
	return err_set(err, ERR_RETRY, "schema registry %.200s%.200s: HTTP %ld: %s", endpoint->name,
	               path, *status, reason);
}

/* Tries the endpoints in turn. True: one gave a final response: *status, and response_body(). */
static bool call(struct registry *registry, const char *method, const char *path,
                 const struct buffer *body, long *status, struct err *err)
{
	for (size_t i = 0; i < registry->endpoints.count; i++) {
		size_t index = (registry->current + i) % registry->endpoints.count;
		if (call_endpoint(registry, &registry->endpoints.at[index], method, path, body,
		                  status, err)) {
			registry->current = index;
			return true;
		}
	}
	return false;
}

/* ---- registering ---- */

static bool refused(const struct registry *registry, const char *what, const char *subject,
                    long status, struct err *err)
{
	char reason[REASON_MAX];

	registry_read_failure(status, response_body(registry), reason, sizeof(reason));
	return err_set(err, ERR_OPERATOR, "schema registry %.200s: %s %.200s: HTTP %ld: %s",
	               registry->endpoints.at[registry->current].name, what, subject, status,
	               reason);
}

static bool level_suffices(struct registry *registry, const char *path, bool *suffices,
                           struct err *err)
{
	long status;

	if (!call(registry, "GET", path, NULL, &status, err))
		return false;
	*suffices = status < 300 && registry_level_checks_backward(response_body(registry));
	return true;
}

/* Sets BACKWARD, unless the level is that or stricter. may_be_missing: the subject may not exist
 * yet. */
static bool ensure_backward(struct registry *registry, const char *subject, bool may_be_missing,
                            struct err *err)
{
	static const char body[] = "{\"compatibility\":\"BACKWARD\"}";
	char path[PATH_MAX_BYTES];
	bool suffices;
	long status;

	snprintf(path, sizeof(path), "/config/%s", subject);
	if (!level_suffices(registry, path, &suffices, err))
		return false;
	if (suffices)
		return true;
	registry->request.len = 0;
	buffer_append(&registry->request, body, sizeof(body) - 1);
	if (!call(registry, "PUT", path, &registry->request, &status, err))
		return false;
	if (status < 300 || (may_be_missing && status == 404))
		return true;
	if (status != 409)
		return refused(registry, "cannot set the compatibility of", subject, status, err);
	/* Another process has changed the level between our two requests: read it again. */
	if (!level_suffices(registry, path, &suffices, err))
		return false;
	if (!suffices)
		return err_set(
			err, ERR_RETRY,
			"schema registry: another program changes the compatibility of %.200s",
			subject);
	return true;
}

/* Looks for our text among the subject's versions. */
static bool look_up(struct registry *registry, const char *subject, bool *found, int32_t *id,
                    struct err *err)
{
	char path[PATH_MAX_BYTES];
	long status;

	*found = false;
	snprintf(path, sizeof(path), "/subjects/%s", subject);
	if (!call(registry, "POST", path, &registry->request, &status, err))
		return false;
	if (status >= 300)
		return true;
	*found = true;
	return registry_read_id(response_body(registry), id, err);
}

static bool register_text(struct registry *registry, const struct schema_text *schema,
                          const char *subject, int32_t *id, struct err *err)
{
	char path[PATH_MAX_BYTES];
	struct err conflict;
	bool found;
	long status;

	registry->request.len = 0;
	registry_register_body(schema, &registry->request);
	snprintf(path, sizeof(path), "/subjects/%s/versions", subject);
	if (!call(registry, "POST", path, &registry->request, &status, err))
		return false;
	if (status < 300)
		return registry_read_id(response_body(registry), id, err);
	refused(registry,
	        status == 409 ? "incompatible schema for subject" : "schema refused for subject",
	        subject, status, &conflict);
	if (status == 409) {
		if (!look_up(registry, subject, &found, id, err))
			return false;
		if (found)
			return true;
	}
	return err_set(err, conflict.class, "%s", conflict.message);
}

/* The subject, escaped for a path. Free it with curl_free. */
static char *subject_of(struct registry *registry, const char *topic_prefix,
                        const char *topic_suffix, struct err *err)
{
	char name[512], *subject;

	if ((size_t)snprintf(name, sizeof(name), "%s%s-value", topic_prefix, topic_suffix) >= 300) {
		err_set(err, ERR_FATAL, "the topic prefix \"%.100s\" is too long", topic_prefix);
		return NULL;
	}
	/* An escaped byte has at most three bytes, so a path has room for the name. */
	subject = curl_easy_escape(registry->curl, name, 0);
	if (!subject)
		err_set(err, ERR_FATAL, "out of memory");
	return subject;
}

bool registry_register(struct registry *registry, const char *topic_prefix, enum schema_kind kind,
                       int32_t *schema_id, struct err *err)
{
	const struct schema_text *schema = &schema_texts[kind];
	char *subject = subject_of(registry, topic_prefix, schema->topic_suffix, err);
	bool ok;

	if (!subject)
		return false;
	ok = ensure_backward(registry, subject, true, err) &&
	     register_text(registry, schema, subject, schema_id, err) &&
	     ensure_backward(registry, subject, false, err);
	curl_free(subject);
	return ok;
}

bool registry_register_text(struct registry *registry, const char *topic_prefix,
                            const struct schema_text *schema, int32_t *schema_id, struct err *err)
{
	char *subject = subject_of(registry, topic_prefix, schema->topic_suffix, err);
	bool ok = subject && register_text(registry, schema, subject, schema_id, err);

	curl_free(subject);
	return ok;
}

bool registry_guard(struct registry *registry, const char *topic_prefix, enum schema_kind kind,
                    struct err *err)
{
	char *subject = subject_of(registry, topic_prefix, schema_texts[kind].topic_suffix, err);
	bool ok = subject && ensure_backward(registry, subject, false, err);

	curl_free(subject);
	return ok;
}

bool registry_delete_subject(struct registry *registry, const char *topic_prefix,
                             const char *topic_suffix, struct err *err)
{
	char path[PATH_MAX_BYTES], *subject = subject_of(registry, topic_prefix, topic_suffix, err);
	long status;
	bool ok;

	if (!subject)
		return false;
	snprintf(path, sizeof(path), "/subjects/%s", subject);
	ok = call(registry, "DELETE", path, NULL, &status, err) &&
	     (status < 300 || status == 404 ||
	      refused(registry, "cannot delete", subject, status, err));
	curl_free(subject);
	return ok;
}

static bool version_id(struct registry *registry, const char *subject, int32_t version,
                       int32_t *ids, size_t *count, struct err *err)
{
	char path[PATH_MAX_BYTES];
	long status;

	snprintf(path, sizeof(path), "/subjects/%s/versions/%d", subject, (int)version);
	if (!call(registry, "GET", path, NULL, &status, err))
		return false;
	if (status >= 300)
		return true; /* deleted meanwhile */
	return registry_read_id(response_body(registry), &ids[(*count)++], err);
}

bool registry_subject_ids(struct registry *registry, const char *topic_prefix,
                          enum schema_kind kind, int32_t *ids, size_t cap, size_t *count,
                          struct err *err)
{
	char path[PATH_MAX_BYTES],
		*subject = subject_of(registry, topic_prefix, schema_texts[kind].topic_suffix, err);
	int32_t versions[REGISTRY_VERSIONS_MAX];
	size_t version_count = 0;
	long status;
	bool ok;

	*count = 0;
	if (!subject)
		return false;
	snprintf(path, sizeof(path), "/subjects/%s/versions", subject);
	ok = call(registry, "GET", path, NULL, &status, err) &&
	     (status >= 300 ||
	      registry_read_versions(response_body(registry), versions,
	                             cap < REGISTRY_VERSIONS_MAX ? cap : REGISTRY_VERSIONS_MAX,
	                             &version_count, err));
	for (size_t i = 0; i < version_count && ok; i++)
		ok = version_id(registry, subject, versions[i], ids, count, err);
	curl_free(subject);
	return ok;
}

enum registry_result registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err)
{
	char path[PATH_MAX_BYTES], reason[REASON_MAX];
	long status = 0;

	if (schema_id < 1)
		return REGISTRY_UNKNOWN_ID;
	snprintf(path, sizeof(path), "/schemas/ids/%d", (int)schema_id);
	if (!call(registry, "GET", path, NULL, &status, err))
		return REGISTRY_FAILED;
	if (status < 300) {
		if (!registry_read_schema(response_body(registry), &registry->text, is_json_schema,
		                          err))
			return REGISTRY_FAILED;
		*text = (struct span){registry->text.at, registry->text.len};
		return REGISTRY_FOUND;
	}
	if (registry_read_failure(status, response_body(registry), reason, sizeof(reason)) ==
	    REGISTRY_FAILURE_UNKNOWN)
		return REGISTRY_UNKNOWN_ID;
	err_set(err, ERR_RETRY, "schema registry %.200s%s: HTTP %ld: %s",
	        registry->endpoints.at[registry->current].name, path, status, reason);
	return REGISTRY_FAILED;
}
