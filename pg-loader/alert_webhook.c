/* curl's multi interface does not block; with a threaded resolver neither does a name.
 *
 * The body is made by the database, which writes numbers and times exactly. The outbox has the time
 * of the next try of a refused request, so a restart does not forget it. */
#include "alert_webhook.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hmac.h"
#include "base/memory.h"
#include "service/log.h"
#include "service/monotime.h"

#define TIMEOUT_MS 10000L

static const char pending_sql[] =
	"SELECT number, alert_id || CASE state WHEN 'closed' THEN '-closed' ELSE '' END AS key,"
	" body"
	" FROM processed.alerts_to_send a"
	" WHERE webhook_sent_at IS NULL AND webhook_next_at <= now()"
	" AND created_at > now() - interval '1 day'"
	" AND NOT EXISTS (SELECT FROM processed.alert_outbox o"
	" WHERE o.alert_id = a.alert_id AND o.number < a.number AND o.webhook_sent_at IS NULL"
	" AND o.created_at > now() - interval '1 day')"
	" ORDER BY number LIMIT 1";

struct alert_webhook {
	const char *url, *secret;
	CURLM *multi;
	CURL *request; /* NULL: none is running */
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
	int64_t number;
	bool accepted;
};

bool alert_webhook_url_check(const char *text, struct err *err)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	bool ok = *text == '\0' || (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	                            curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	                            (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0));

	curl_free(scheme);
	curl_url_cleanup(url);
	return ok || err_set(err, ERR_INPUT, "expected a URL of http or https");
}

static void drop_request(struct alert_webhook *webhook)
{
	if (webhook->request) {
		curl_multi_remove_handle(webhook->multi, webhook->request);
		curl_easy_cleanup(webhook->request);
	}
	curl_slist_free_all(webhook->headers);
	webhook->request = NULL;
	webhook->headers = NULL;
}

/* ---- the request */

static size_t ignore_answer(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes, (void)context;
	return size * count;
}

static bool add_header(struct alert_webhook *webhook, const char *name, const char *value)
{
	char line[256];
	struct curl_slist *longer;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	longer = curl_slist_append(webhook->headers, line);
	if (longer)
		webhook->headers = longer;
	return longer != NULL;
}

static bool add_signature(struct alert_webhook *webhook, const char *time, struct span body)
{
	struct span texts[] = {span_of(time), SPAN("."), body};
	char hex[HMAC_HEX_BYTES], value[sizeof("sha256=") + HMAC_HEX_BYTES];

	if (*webhook->secret == '\0')
		return true;
	hmac_sha256_hex(span_of(webhook->secret), texts, 3, hex);
	snprintf(value, sizeof(value), "sha256=%s", hex);
	return add_header(webhook, "X-Funnel-Signature", value);
}

static bool add_headers(struct alert_webhook *webhook, const char *key, struct span body)
{
	char time[24];

	snprintf(time, sizeof(time), "%" PRId64, wallclock_us() / 1000000);
	return add_header(webhook, "Content-Type", "application/json") &&
	       add_header(webhook, "Expect", "") && add_header(webhook, "Idempotency-Key", key) &&
	       add_header(webhook, "X-Funnel-Timestamp", time) &&
	       add_signature(webhook, time, body);
}

static void set_request(struct alert_webhook *webhook, struct span body)
{
	CURL *request = webhook->request;

	curl_easy_setopt(request, CURLOPT_URL, webhook->url);
	curl_easy_setopt(request, CURLOPT_HTTPHEADER, webhook->headers);
	curl_easy_setopt(request, CURLOPT_POSTFIELDSIZE, (long)body.len);
	curl_easy_setopt(request, CURLOPT_COPYPOSTFIELDS, body.at);
	curl_easy_setopt(request, CURLOPT_USERAGENT, "pg-loader");
	curl_easy_setopt(request, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(request, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(request, CURLOPT_CONNECTTIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, ignore_answer);
	curl_easy_setopt(request, CURLOPT_ERRORBUFFER, webhook->why);
}

static bool start(void *self, const PGresult *rows, struct err *err)
{
	struct alert_webhook *webhook = self;
	struct span body = span_of(PQgetvalue(rows, 0, 2));

	webhook->number = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
	webhook->why[0] = '\0';
	webhook->request = curl_easy_init();
	if (!webhook->request || !add_headers(webhook, PQgetvalue(rows, 0, 1), body))
		return err_set(err, ERR_RETRY, "curl: out of memory");
	set_request(webhook, body);
	return curl_multi_add_handle(webhook->multi, webhook->request) == CURLM_OK ||
	       err_set(err, ERR_RETRY, "curl: cannot begin a request");
}

/* ---- the answer. A log line names neither URL nor secret: a URL may have a token. */

static void take_result(struct alert_webhook *webhook, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(webhook->request, CURLINFO_RESPONSE_CODE, &status);
	webhook->accepted = code == CURLE_OK && status >= 200 && status <= 299;
	if (!webhook->accepted)
		log_warn("webhook_refused", log_int("number", webhook->number),
		         log_int("status", status),
		         log_str("error", code == CURLE_OK  ? NULL
		                          : webhook->why[0] ? webhook->why
		                                            : curl_easy_strerror(code)));
	drop_request(webhook);
}

static enum alert_progress step(void *self, struct err *err)
{
	struct alert_webhook *webhook = self;
	int running = 0, waiting = 0;
	CURLMsg *message;

	if (curl_multi_perform(webhook->multi, &running) != CURLM_OK) {
		err_set(err, ERR_RETRY, "curl: the request failed");
		return ALERT_FAILED;
	}
	while ((message = curl_multi_info_read(webhook->multi, &waiting)) != NULL)
		if (message->msg == CURLMSG_DONE) {
			take_result(webhook, message->data.result);
			return webhook->accepted ? ALERT_SENT : ALERT_REFUSED;
		}
	return ALERT_BUSY;
}

static void mark(void *self, char *sql, size_t cap)
{
	struct alert_webhook *webhook = self;

	snprintf(sql, cap,
	         webhook->accepted
	                 ? "UPDATE processed.alert_outbox SET webhook_sent_at = now()"
	                   " WHERE number = %" PRId64
	                 : "UPDATE processed.alert_outbox SET webhook_tries = webhook_tries + 1,"
	                   " webhook_next_at = now() + least(power(2, least(webhook_tries, 20)),"
	                   " 600) * (0.5 + random() / 2) * interval '1 second'"
	                   " WHERE number = %" PRId64,
	         webhook->number);
}

static void reset(void *self)
{
	drop_request(self);
}

static void free_webhook(void *self)
{
	struct alert_webhook *webhook = self;

	drop_request(webhook);
	curl_multi_cleanup(webhook->multi);
	free(webhook);
}

struct alert_channel alert_webhook_channel(const char *url, const char *secret)
{
	struct alert_webhook *webhook = xzalloc(1, sizeof(*webhook));

	webhook->url = url;
	webhook->secret = secret;
	webhook->multi = curl_multi_init();
	if (!webhook->multi)
		memory_exhausted();
	return (struct alert_channel){
		.receiver = "webhook",
		.lock = "funnel alerts webhook",
		.pending = pending_sql,
		.self = webhook,
		.start = start,
		.step = step,
		.mark = mark,
		.reset = reset,
		.free = free_webhook,
	};
}
