/* One transfer at a time in a multi handle, so that no call waits longer than its time-out. curl's
 * callback fills a buffer of fixed size, and pauses the transfer while the buffer is full.
 *
 * Rejected: a thread that downloads. Rejected: If-Range with a weak ETag, which the standard
 * forbids. Limits: HTTP/1.1; no resume across processes (the rows of an earlier run are read and
 * skipped, and so the checksum covers all bytes). */
#include "http_stream.h"

#include <curl/curl.h>
#include <poll.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/backoff.h"
#include "base/fnv.h"
#include "base/span.h"
#include "http_headers.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"

#define HOLD_BYTES    (256 * 1024)
#define LOW_SPEED     100L /* bytes per second */
#define REDIRECTS_MAX 5L
#define READ_SLICE_MS 100
#define DIGEST_BYTES  32

const struct http_limits http_limits_default = {.connect_us = 10000000,
                                                .stall_us = 30000000,
                                                .give_up_us = 120000000};

/* What to do with a response. */
enum response_use {
	RESPONSE_UNKNOWN, /* no header yet */
	RESPONSE_BODY,
	RESPONSE_RETRY,
	RESPONSE_FINAL /* failure is set */
};

struct http_stream {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *request;
	char *url;
	char name[HTTP_NAME_MAX];
	struct http_limits limits;
	struct http_headers first, now; /* of the first response with a body, and of this one */
	int64_t total;                  /* bytes of the file; -1: not known */
	int64_t received;               /* bytes of the file so far */
	int64_t skip;                   /* bytes of this response that were received before */
	enum response_use use;          /* of this response */
	bool begun, running, paused, ended, failed, reported;
	struct err failure;
	char why[512]; /* the last transfer failed */
	struct backoff backoff;
	int64_t failing_since_us; /* 0: the last transfer has brought new bytes */
	bool has_checksum;
	uint8_t checksum[DIGEST_BYTES];
	SHA2_CTX sha, skipped; /* of the bytes received, and of the bytes skipped */
	size_t hold_at, hold_end;
	char curl_error[CURL_ERROR_SIZE];
	char hold[HOLD_BYTES];
};

/* ---- URL and checksum */

bool http_is_url(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static bool url_part(CURLU *url, CURLUPart part, char *out, size_t cap)
{
	char *text = NULL;
	bool good = curl_url_get(url, part, &text, 0) == CURLUE_OK && strlen(text) < cap;

	if (good)
		memcpy(out, text, strlen(text) + 1);
	curl_free(text);
	return good;
}

/* The URL without its fragment, which is not sent. Free it with curl_free. */
static bool url_split(const char *text, char **full, char name[HTTP_NAME_MAX], char *fragment,
                      size_t fragment_cap, struct err *err)
{
	CURLU *url = curl_url();
	bool good =
		url && http_is_url(text) && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;

	fragment[0] = '\0';
	url_part(url, CURLUPART_FRAGMENT, fragment, fragment_cap);
	good = good && curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	       curl_url_get(url, CURLUPART_URL, full, 0) == CURLUE_OK &&
	       curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	       curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	       curl_url_set(url, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
	       url_part(url, CURLUPART_URL, name, HTTP_NAME_MAX) && !strchr(name, '@');
	curl_url_cleanup(url);
	return good || err_set(err, ERR_INPUT,
	                       "the URL cannot be read: expected http://host/path or "
	                       "https://host/path; in a user or password, write %%40 for @, %%2F "
	                       "for / and %%3F for ?");
}

bool http_url_name(const char *url, char name[HTTP_NAME_MAX], struct err *err)
{
	char *full = NULL, fragment[128];
	bool good = url_split(url, &full, name, fragment, sizeof(fragment), err);

	curl_free(full);
	return good;
}

const char *http_shown(const char *path, char name[HTTP_NAME_MAX])
{
	if (!http_is_url(path))
		return path;
	return http_url_name(path, name, NULL) ? name : "the URL";
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at;

	at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
	return at ? (int)(at - digits) : -1;
}

static bool take_checksum(struct http_stream *s, const char *text, struct err *err)
{
	bool good = strlen(text) == (size_t)2 * DIGEST_BYTES;

	for (size_t i = 0; good && i < DIGEST_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		good = high >= 0 && low >= 0;
		s->checksum[i] = (uint8_t)((high << 4 | low) & 255);
	}
	s->has_checksum = true;
	return good || err_set(err, ERR_INPUT,
	                       "%s: invalid checksum \"%.80s\": expected the 64 hexadecimal digits "
	                       "of a SHA-256",
	                       s->name, text);
}

static bool set_up(struct http_stream *s, const char *url, const char *sha256, struct err *err)
{
	char fragment[128], *full = NULL;
	bool good = url_split(url, &full, s->name, fragment, sizeof(fragment), err);

	s->url = good ? strdup(full) : NULL;
	curl_free(full);
	if (!good)
		return false;
	s->multi = curl_multi_init();
	s->easy = curl_easy_init();
	if (!s->url || !s->multi || !s->easy)
		return err_set(err, ERR_FATAL, "out of memory for curl");
	SHA256Init(&s->sha);
	if (!sha256 && strncmp(fragment, "sha256=", 7) == 0)
		sha256 = fragment + 7;
	return !sha256 || take_checksum(s, sha256, err);
}

struct http_stream *http_stream_open_with(const char *url, const char *sha256,
                                          const struct http_limits *limits, struct err *err)
{
	struct http_stream *s = calloc(1, sizeof(*s));

	if (!s || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_FATAL, "out of memory for curl");
		free(s);
		return NULL;
	}
	s->limits = *limits;
	s->total = -1;
	s->backoff.seed = (unsigned)monotonic_us();
	if (set_up(s, url, sha256, err))
		return s;
	http_stream_free(s);
	return NULL;
}

struct http_stream *http_stream_open(const char *url, const char *sha256, struct err *err)
{
	return http_stream_open_with(url, sha256, &http_limits_default, err);
}

void http_stream_free(struct http_stream *s)
{
	if (!s)
		return;
	if (s->running)
		curl_multi_remove_handle(s->multi, s->easy);
	curl_easy_cleanup(s->easy);
	curl_multi_cleanup(s->multi);
	curl_slist_free_all(s->request);
	free(s->url);
	free(s);
	curl_global_cleanup();
}

const char *http_stream_name(const struct http_stream *s)
{
	return s->name;
}

/* ---- failures */

/* The stream ends after the bytes that are held. */
static void fail(struct http_stream *s, enum err_class class, const char *why)
{
	if (s->failed)
		return;
	s->failed = true;
	s->use = RESPONSE_FINAL;
	err_set(&s->failure, class, "%s: %s", s->name, why);
}

static void fail_changed(struct http_stream *s)
{
	fail(s, ERR_OPERATOR,
	     "the file was changed while it was read. The end of the segment was not announced. "
	     "Start again with --resume=false when the file is complete");
}

/* ---- classifying a response */

/* The headers say whether the end will be recognised. */
static bool end_is_certain(const struct http_stream *s)
{
	return s->now.length >= 0 || s->now.chunked || s->has_checksum || s->limits.any_end;
}

static void accept_complete(struct http_stream *s)
{
	if (!s->begun && !end_is_certain(s)) {
		fail(s, ERR_INPUT,
		     "the server does not give the length of the file, so a cut connection would "
		     "look like its end; give the checksum: append #sha256=<digits> to the URL");
		return;
	}
	if (!s->begun) {
		s->first = s->now;
		s->total = s->now.length;
		s->begun = true;
	} else if (!http_headers_agree(&s->first, s->total, &s->now, s->now.length)) {
		fail_changed(s);
		return;
	}
	s->skip = s->received;
	SHA256Init(&s->skipped);
	s->use = RESPONSE_BODY;
}

static void accept_rest(struct http_stream *s)
{
	if (s->now.range_start != s->received) {
		snprintf(s->why, sizeof(s->why), "the server sent another range than requested");
		s->use = RESPONSE_RETRY;
	} else if (!http_headers_agree(&s->first, s->total, &s->now, s->now.range_total)) {
		fail_changed(s);
	} else {
		if (s->total < 0)
			s->total = s->now.range_total;
		s->skip = 0;
		s->use = RESPONSE_BODY;
	}
}

static bool is_passing(long status)
{
	return status == 408 || status == 429 || status >= 500;
}

static void classify(struct http_stream *s)
{
	long status = 0;
	bool resumes = s->begun && s->received > 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200) {
		accept_complete(s);
		return;
	}
	if (status == 206 && resumes) {
		accept_rest(s);
		return;
	}
	snprintf(s->why, sizeof(s->why), "HTTP %ld", status);
	if (status == 416 && resumes)
		fail_changed(s);
	else if (is_passing(status))
		s->use = RESPONSE_RETRY;
	else
		fail(s, s->begun ? ERR_OPERATOR : ERR_INPUT, s->why);
}

/* ---- callbacks of curl */

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
{
	struct http_stream *s = user;

	http_headers_take(&s->now, (struct span){bytes, size * count});
	return size * count;
}

static void digest(const SHA2_CTX *sha, uint8_t out[DIGEST_BYTES])
{
	SHA2_CTX copy = *sha;

	SHA256Final(out, &copy);
}

/* Whether the bytes that were read again are the same as before. */
static bool same_as_before(const struct http_stream *s)
{
	uint8_t before[DIGEST_BYTES], again[DIGEST_BYTES];

	digest(&s->sha, before);
	digest(&s->skipped, again);
	return memcmp(before, again, sizeof(before)) == 0;
}

static void take_new(struct http_stream *s, const char *bytes, size_t len)
{
	memcpy(s->hold + s->hold_end, bytes, len);
	s->hold_end += len;
	s->received += (int64_t)len;
	SHA256Update(&s->sha, (const uint8_t *)bytes, len);
	if (s->reported)
		log_info("download_resumed", log_str("url", s->name),
		         log_int("bytes", s->received));
	s->reported = false;
	s->failing_since_us = 0;
	backoff_reset(&s->backoff);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
	struct http_stream *s = user;
	size_t len = size * count, old;

	if (s->use == RESPONSE_UNKNOWN)
		classify(s);
	if (s->use != RESPONSE_BODY)
		return 0; /* curl ends the transfer */
	if (len > HOLD_BYTES - s->hold_end) {
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	old = s->skip < (int64_t)len ? (size_t)s->skip : len;
	if (old > 0) {
		SHA256Update(&s->skipped, (const uint8_t *)bytes, old);
		s->skip -= (int64_t)old;
		if (s->skip == 0 && !same_as_before(s)) {
			fail_changed(s);
			return 0;
		}
	}
	if (len > old)
		take_new(s, bytes + old, len - old);
	return len;
}

/* ---- transfers */

static void set_range(struct http_stream *s)
{
	const char *validator = s->first.etag[0] ? s->first.etag : s->first.modified;
	char line[HTTP_VALIDATOR_MAX + 16], range[32];

	curl_slist_free_all(s->request);
	s->request = NULL;
	if (s->received == 0 || !validator[0])
		return;
	snprintf(line, sizeof(line), "If-Range: %s", validator);
	snprintf(range, sizeof(range), "%lld-", (long long)s->received);
	s->request = curl_slist_append(NULL, line);
	if (!s->request)
		return;
	curl_easy_setopt(s->easy, CURLOPT_RANGE, range);
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->request);
}

static void set_options(struct http_stream *s)
{
	CURL *easy = s->easy;
	bool secure = strncasecmp(s->url, "https:", 6) == 0;

	curl_easy_setopt(easy, CURLOPT_URL, s->url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "clickstream-producer");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(s->limits.connect_us / 1000));
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
	                 (long)((s->limits.stall_us + 999999) / 1000000));
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, s->curl_error);
}

static void begin_transfer(struct http_stream *s)
{
	curl_easy_reset(s->easy);
	http_headers_init(&s->now);
	s->use = RESPONSE_UNKNOWN;
	s->paused = false;
	s->curl_error[0] = '\0';
	set_options(s);
	set_range(s);
	s->running = curl_multi_add_handle(s->multi, s->easy) == CURLM_OK;
	if (!s->running)
		fail(s, ERR_FATAL, "out of memory for curl");
}

static void try_again(struct http_stream *s)
{
	int64_t now_us = monotonic_us();
	char why[sizeof(s->why) + 64];

	if (s->failing_since_us == 0)
		s->failing_since_us = now_us;
	if (now_us - s->failing_since_us >= s->limits.give_up_us) {
		snprintf(why, sizeof(why), "%s (after %lld bytes)", s->why, (long long)s->received);
		fail(s, ERR_RETRY, why);
		return;
	}
	if (!s->reported)
		log_warn("download_interrupted", log_str("url", s->name),
		         log_int("bytes", s->received), log_str("error", s->why),
		         log_str("detail", "trying again from there"));
	s->reported = true;
	backoff_grow(&s->backoff, now_us);
}

static void complete(struct http_stream *s)
{
	static const char wrong[] =
		"its SHA-256 is not the expected one. Its rows may have been sent, and the end of "
		"the segment was not announced. Check the file and its checksum";
	uint8_t found[DIGEST_BYTES];

	if (s->skip > 0) {
		fail_changed(s);
		return;
	}
	if (s->total >= 0 && s->received != s->total) {
		snprintf(s->why, sizeof(s->why), "received %lld of %lld bytes",
		         (long long)s->received, (long long)s->total);
		try_again(s);
		return;
	}
	digest(&s->sha, found);
	if (s->has_checksum && memcmp(found, s->checksum, sizeof(found)) != 0)
		fail(s, ERR_OPERATOR, wrong);
	else
		s->ended = true;
}

static bool is_hopeless(CURLcode code)
{
	return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
	       code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_PEER_FAILED_VERIFICATION ||
	       code == CURLE_SSL_CACERT_BADFILE;
}

static void transfer_ended(struct http_stream *s, CURLcode code)
{
	if (code == CURLE_OK && s->use == RESPONSE_UNKNOWN)
		classify(s);
	curl_multi_remove_handle(s->multi, s->easy);
	s->running = false;
	if (s->use == RESPONSE_FINAL)
		return;
	if (code == CURLE_OK && s->use == RESPONSE_BODY) {
		complete(s);
		return;
	}
	if (s->use != RESPONSE_RETRY)
		snprintf(s->why, sizeof(s->why), "%s",
		         s->curl_error[0] ? s->curl_error : curl_easy_strerror(code));
	if (is_hopeless(code))
		fail(s, s->begun ? ERR_OPERATOR : ERR_INPUT, s->why);
	else
		try_again(s);
}

static void step(struct http_stream *s)
{
	int running, queued;
	CURLMsg *message;

	if (curl_multi_perform(s->multi, &running) != CURLM_OK)
		fail(s, ERR_FATAL, "curl failed");
	while ((message = curl_multi_info_read(s->multi, &queued)))
		if (message->msg == CURLMSG_DONE)
			transfer_ended(s, message->data.result);
}

/* ---- reading */

static size_t give(struct http_stream *s, void *buf, size_t cap)
{
	size_t have = s->hold_end - s->hold_at, len = have < cap ? have : cap;

	memcpy(buf, s->hold + s->hold_at, len);
	s->hold_at += len;
	if (s->hold_at == s->hold_end)
		s->hold_at = s->hold_end = 0;
	return len;
}

static void wait_for_bytes(struct http_stream *s, int timeout_ms)
{
	int64_t due_ms = (s->backoff.next_us - monotonic_us()) / 1000 + 1;

	if (s->running)
		curl_multi_poll(s->multi, NULL, 0, timeout_ms, NULL);
	else if (due_ms > 0)
		poll(NULL, 0, due_ms < timeout_ms ? (int)due_ms : timeout_ms);
}

static void advance(struct http_stream *s)
{
	if (s->failed || s->ended)
		return;
	if (!s->running && backoff_is_due(&s->backoff, monotonic_us()))
		begin_transfer(s);
	if (s->paused && s->hold_end == 0) {
		s->paused = false;
		curl_easy_pause(s->easy, CURLPAUSE_CONT);
	}
	if (s->running)
		step(s);
}

enum http_result http_stream_poll(struct http_stream *s, void *buf, size_t cap, size_t *given,
                                  int timeout_ms, struct err *err)
{
	*given = 0;
	for (int tries = 0; tries < 2; tries++) {
		if (s->hold_end == 0)
			advance(s);
		if (s->hold_end > 0) {
			*given = give(s, buf, cap);
			return HTTP_GIVEN;
		}
		if (s->failed) {
			*err = s->failure;
			return HTTP_FAILED;
		}
		if (s->ended)
			return HTTP_END;
		if (tries == 0)
			wait_for_bytes(s, timeout_ms);
	}
	return HTTP_WAIT;
}

ssize_t http_stream_read(struct http_stream *s, void *buf, size_t cap, struct err *err)
{
	size_t given;

	for (;;) {
		switch (http_stream_poll(s, buf, cap, &given, READ_SLICE_MS, err)) {
		case HTTP_GIVEN: return (ssize_t)given;
		case HTTP_END: return 0;
		case HTTP_FAILED: return -1;
		case HTTP_WAIT: break;
		}
		health_alive();
		if (service_stopping()) {
			err_set(err, ERR_RETRY, "%s: stopped while waiting for the server",
			        s->name);
			return -1;
		}
	}
}

bool http_stream_about(const char *url, struct http_about *about, struct err *err)
{
	struct http_stream *s = http_stream_open(url, NULL, err);
	char byte;
	bool good = s && http_stream_read(s, &byte, 1, err) >= 0;
	time_t modified;

	if (good) {
		modified = s->first.modified[0] ? curl_getdate(s->first.modified, NULL) : -1;
		about->bytes = s->total;
		about->modified_ns = modified > 0 ? (int64_t)modified * 1000000000
		                     : s->first.etag[0]
		                             ? (int64_t)(fnv1a(FNV1A_START, s->first.etag,
		                                               strlen(s->first.etag)) >>
		                                         1)
		                             : 0;
	}
	http_stream_free(s);
	return good;
}
