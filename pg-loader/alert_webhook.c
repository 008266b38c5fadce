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

#define IS_YOUNG "created_at > now() - interval '1 day'"

/* webhook_next_at of a row that is given up is infinite. */
static const char pending_sql[] =
	"SELECT number, alert_id || CASE state WHEN 'closed' THEN '-closed' ELSE '' END AS key,"
	" body, alert_id, state, rule, extract(epoch FROM now() - created_at)::bigint AS age_s,"
	" " IS_YOUNG " AS is_young"
	" FROM processed.alerts_to_send a"
	" WHERE webhook_sent_at IS NULL AND webhook_next_at <= now()"
	" AND (" IS_YOUNG " OR EXISTS (SELECT FROM processed.alert_outbox o"
	" WHERE o.alert_id = a.alert_id AND o.webhook_tries > 0))"
	" AND NOT EXISTS (SELECT FROM processed.alert_outbox o"
	" WHERE o.alert_id = a.alert_id AND o.number < a.number AND o.webhook_sent_at IS NULL"
	" AND o." IS_YOUNG ")"
	" ORDER BY number LIMIT 1";

struct alert_webhook {
	const char *url, *secret;
	CURLM *multi;
	CURL *request; /* NULL: none is running */
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE];
	int64_t number;
	enum alert_progress result; /* ALERT_BUSY: none yet */
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

static const char *text_of(const PGresult *rows, const char *column)
{
	return PQgetvalue(rows, 0, PQfnumber(rows, column));
}

static void log_given_up(const PGresult *rows)
{
	log_error("alert_given_up", log_str("receiver", "webhook"),
	          log_str("alert_id", text_of(rows, "alert_id")),
	          log_str("state", text_of(rows, "state")), log_str("rule", text_of(rows, "rule")),
	          log_int("age_s", strtoll(text_of(rows, "age_s"), NULL, 10)),
	          log_str("error", "the webhook did not accept it within a day"));
}

static bool start(void *self, const PGresult *rows, struct err *err)
{
	struct alert_webhook *webhook = self;
	struct span body = span_of(text_of(rows, "body"));

	webhook->number = strtoll(text_of(rows, "number"), NULL, 10);
	webhook->why[0] = '\0';
	webhook->result = ALERT_BUSY;
	if (*text_of(rows, "is_young") == 'f') {
		log_given_up(rows);
		webhook->result = ALERT_GIVEN_UP;
		return true;
	}
	webhook->request = curl_easy_init();
	if (!webhook->request || !add_headers(webhook, text_of(rows, "key"), body))
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
	webhook->result =
		code == CURLE_OK && status >= 200 && status <= 299 ? ALERT_SENT : ALERT_REFUSED;
	if (webhook->result == ALERT_REFUSED)
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
		if (message->msg == CURLMSG_DONE)
			take_result(webhook, message->data.result);
	return webhook->result;
}

static void mark(void *self, char *sql, size_t cap)
{
	struct alert_webhook *webhook = self;

	const char *change = "webhook_tries = webhook_tries + 1,"
			     " webhook_next_at = now() + least(power(2, least(webhook_tries, 20)),"
			     " 600) * (0.5 + random() / 2) * interval '1 second'";

	if (webhook->result == ALERT_SENT)
		change = "webhook_sent_at = now()";
	else if (webhook->result == ALERT_GIVEN_UP)
		change = "webhook_next_at = 'infinity'";
	snprintf(sql, cap, "UPDATE processed.alert_outbox SET %s WHERE number = %" PRId64, change,
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
