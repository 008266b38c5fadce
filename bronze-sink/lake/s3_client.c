/* One curl handle, kept because it keeps the connection, and one request at a time.
 *
 * A body is sent from memory (CURLOPT_POSTFIELDS does not copy it), so that curl and we can send it
 * again. Each try has a signature of its own, because a signature holds for some minutes only.
 *
 * Limits: no redirects; no session tokens; answers of at most 16 MiB, except content of objects,
 * which goes to a file. */
#include "s3_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "lake_file.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"

#define TRIES            6
#define PAUSE_SLICE_US   50000
#define CONNECT_MAX_MS   10000
#define ANSWER_MAX_BYTES (16 * 1024 * 1024)
#define PATH_SHOWN_MAX   300
#define SIGNED_MAX       (S3_HEADERS_MAX + 4)
#define HOST_MAX         300

struct s3_client {
	struct s3_client_config config;
	CURL *curl;
	char endpoint[512];  /* without '/' at its end */
	char host[HOST_MAX]; /* with the port, unless it is that of the scheme */
	struct buffer path, query, body;
	char curl_error[CURL_ERROR_SIZE];
	unsigned seed;
	/* Of the request that is running. */
	struct s3_answer *answer;
	int file;        /* -1: none */
	int file_errno;  /* why it could not be written */
	int64_t written; /* bytes of the file */
	int64_t progress_us;
	curl_off_t moved; /* bytes sent and received at progress_us */
};

/* ---- set-up ---- */

static bool url_part(CURLU *url, CURLUPart part, char *out, size_t cap)
{
	char *text = NULL;
	bool found = curl_url_get(url, part, &text, 0) == CURLUE_OK && strlen(text) < cap;

	if (found)
		memcpy(out, text, strlen(text) + 1);
	curl_free(text);
	return found;
}

/* Scheme, host and port; nothing else but a '/' at the end. */
static bool endpoint_read(struct s3_client *client, const char *text)
{
	char scheme[8] = "", name[256] = "", port[8] = "", path[8] = "";
	CURLU *url = curl_url();
	bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	          url_part(url, CURLUPART_SCHEME, scheme, sizeof(scheme)) &&
	          (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	          url_part(url, CURLUPART_HOST, name, sizeof(name)) &&
	          url_part(url, CURLUPART_PATH, path, sizeof(path)) && strcmp(path, "/") == 0 &&
	          !strpbrk(text, "@?#");

	if (ok && url_part(url, CURLUPART_PORT, port, sizeof(port)) &&
	    strcmp(port, strcmp(scheme, "http") == 0 ? "80" : "443") == 0)
		port[0] = '\0';
	snprintf(client->host, sizeof(client->host), "%s%s%s", name, *port ? ":" : "", port);
	snprintf(client->endpoint, sizeof(client->endpoint), "%s://%s", scheme, client->host);
	curl_url_cleanup(url);
	return ok;
}

static bool settings_check(struct s3_client *client, struct err *err)
{
	const struct s3_client_config *config = &client->config;
	const struct {
		const char *name, *value;
	} required[] = {{"LAKE_S3_ENDPOINT", config->endpoint},
	                {"LAKE_S3_REGION", config->region},
	                {"LAKE_S3_ACCESS_KEY", config->access_key},
	                {"LAKE_S3_SECRET_KEY", config->secret_key}};

	for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++)
		if (!required[i].value || !*required[i].value)
			return err_set(err, ERR_OPERATOR, "%s is empty: a bucket needs it",
			               required[i].name);
	return endpoint_read(client, config->endpoint) ||
	       err_set(err, ERR_OPERATOR,
	               "invalid LAKE_S3_ENDPOINT: expected http://host:port or https://host:port, "
	               "without user, path and query");
}

struct s3_client *s3_client_new(const struct s3_client_config *config, struct err *err)
{
	struct s3_client *client = xzalloc(1, sizeof(*client));

	client->config = *config;
	client->file = -1;
	client->seed = (unsigned)getpid() ^ (unsigned)monotonic_us();
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(client);
		err_set(err, ERR_FATAL, "curl does not start");
		return NULL;
	}
	client->curl = curl_easy_init();
	if (!client->curl)
		err_set(err, ERR_FATAL, "out of memory for curl");
	else if (settings_check(client, err))
		return client;
	s3_client_free(client);
	return NULL;
}

void s3_client_free(struct s3_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	buffer_free(&client->path);
	buffer_free(&client->query);
	buffer_free(&client->body);
	free(client);
	curl_global_cleanup();
}

/* ---- messages ---- */

/* A server may put the access key into its message. */
static void redact(const struct s3_client *client, char *text)
{
	const char *const keys[] = {client->config.access_key, client->config.secret_key};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		for (char *at = text; (at = strstr(at, keys[i])) != NULL; at += strlen(keys[i]))
			memset(at, '*', strlen(keys[i]));
}

static void describe(const struct s3_client *client, const struct s3_call *call, char *out,
                     size_t cap)
{
	snprintf(out, cap, "S3 server %.200s, %s %s%s%.*s", client->endpoint, call->method,
	         client->config.bucket, call->key ? "/" : "", PATH_SHOWN_MAX,
	         call->key ? call->key : "");
}

bool s3_client_refused(const struct s3_client *client, const struct s3_call *call,
                       const struct s3_answer *answer, struct err *err)
{
	char request[700], message[sizeof(answer->message)];
	const char *advice;
	enum err_class class = s3_answer_class(answer, &advice);

	describe(client, call, request, sizeof(request));
	snprintf(message, sizeof(message), "%s", answer->message);
	redact(client, message);
	return err_set(err, class, "%s: HTTP %ld%s%s%s%.200s%s%s", request, answer->status,
	               *answer->code ? " " : "", answer->code, *message ? ": " : "", message,
	               advice ? "; " : "", advice ? advice : "");
}

/* ---- signatures ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct s3_pair *)a)->name, ((const struct s3_pair *)b)->name);
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
	struct buffer line = {0};
	struct curl_slist *longer;

	buffer_append(&line, name, strlen(name));
	buffer_append(&line, ": ", 2);
	buffer_append(&line, value, strlen(value) + 1);
	longer = curl_slist_append(*list, line.at);
	buffer_free(&line);
	if (!longer)
		memory_exhausted();
	*list = longer;
}

/* Hashes of a body. Some servers check one, some the other. */
struct body_hash {
	char sha256[S3_HASH_BYTES]; /* is signed */
	char md5[S3_MD5_BYTES];     /* "": not sent */
};

/* Signs the request; path and query are those of the client. Free the list with
 * curl_slist_free_all. */
static struct curl_slist *make_headers(struct s3_client *client, const struct s3_call *call,
                                       const struct body_hash *hash)
{
	struct s3_signer signer = {client->config.access_key, client->config.secret_key,
	                           client->config.region, "s3"};
	struct s3_pair headers[SIGNED_MAX];
	struct buffer authorization = {0};
	struct curl_slist *list = NULL;
	struct s3_request request;
	char time[S3_TIME_BYTES];
	size_t count = 0;

	s3_time(wallclock_us(), time);
	headers[count++] = (struct s3_pair){"host", client->host};
	headers[count++] = (struct s3_pair){"x-amz-content-sha256", hash->sha256};
	headers[count++] = (struct s3_pair){"x-amz-date", time};
	if (*hash->md5)
		headers[count++] = (struct s3_pair){"content-md5", hash->md5};
	for (size_t i = 0; i < S3_HEADERS_MAX && call->headers[i].name; i++)
		headers[count++] = call->headers[i];
	qsort(headers, count, sizeof(*headers), by_name);
	request = (struct s3_request){call->method, client->path.at, client->query.at,
	                              headers,      count,           hash->sha256};
	s3_sign(&signer, &request, time, &authorization);
	buffer_append(&authorization, "", 1);
	for (size_t i = 0; i < count; i++)
		add_header(&list, headers[i].name, headers[i].value);
	add_header(&list, "Authorization", authorization.at);
	add_header(&list, "Content-Type", "application/octet-stream");
	add_header(&list, "Expect", "");
	buffer_free(&authorization);
	return list;
}

/* ---- one try ---- */

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
{
	struct s3_client *client = user;

	s3_answer_header(client->answer, (struct span){bytes, size * count});
	return size * count;
}

static bool write_file(struct s3_client *client, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t written = write(client->file, bytes + at, len - at);

		if (written < 0 && errno != EINTR) {
			client->file_errno = errno;
			return false;
		}
		at += written > 0 ? (size_t)written : 0;
	}
	client->written += (int64_t)len;
	return true;
}

/* Returns less than it was given to end the transfer. */
static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
	struct s3_client *client = user;
	size_t len = size * count;
	long status = 0;

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (client->file >= 0 && status >= 200 && status < 300)
		return write_file(client, bytes, len) ? len : 0;
	if (len > ANSWER_MAX_BYTES - client->body.len)
		return 0;
	buffer_append(&client->body, bytes, len);
	return len;
}

static int watch(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                 curl_off_t up)
{
	struct s3_client *client = user;
	int64_t now_us = monotonic_us();

	(void)down_total;
	(void)up_total;
	health_alive();
	if (down + up != client->moved) {
		client->moved = down + up;
		client->progress_us = now_us;
	}
	return now_us - client->progress_us > client->config.timeout_us;
}

static void set_request(struct s3_client *client, const struct s3_call *call)
{
	CURL *curl = client->curl;
	bool sends = strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0;

	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
	if (!sends)
		return;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.at ? call->body.at : "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
}

static CURLcode perform(struct s3_client *client, const struct s3_call *call, const char *url,
                        struct curl_slist *headers)
{
	CURL *curl = client->curl;
	long timeout_ms = (long)(client->config.timeout_us / 1000);

	curl_easy_reset(curl); /* keeps the connection */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* the signed path */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	                 timeout_ms < CONNECT_MAX_MS ? timeout_ms : CONNECT_MAX_MS);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_error);
	set_request(client, call);
	client->curl_error[0] = '\0';
	client->progress_us = monotonic_us();
	client->moved = 0;
	return curl_easy_perform(curl);
}

/* The file begins empty again at each try. */
static bool open_file(struct s3_client *client, const struct s3_call *call, struct err *err)
{
	client->file_errno = 0;
	client->written = 0;
	if (!call->file)
		return true;
	client->file = open(call->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return client->file >= 0 || lake_file_failed(err, errno, "create", call->file);
}

static void close_file(struct s3_client *client)
{
	if (client->file >= 0)
		close(client->file);
	client->file = -1;
}

static bool is_about_settings(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT;
}

static bool transfer_failed(const struct s3_client *client, const struct s3_call *call,
                            CURLcode code, struct err *err)
{
	char request[700], why[CURL_ERROR_SIZE + 64];

	if (client->file_errno != 0)
		return lake_file_failed(err, client->file_errno, "write", call->file);
	describe(client, call, request, sizeof(request));
	if (code == CURLE_ABORTED_BY_CALLBACK)
		snprintf(why, sizeof(why), "no progress for %lld ms",
		         (long long)client->config.timeout_us / 1000);
	else
		snprintf(why, sizeof(why), "%s",
		         *client->curl_error ? client->curl_error : curl_easy_strerror(code));
	if (is_about_settings(code))
		return err_set(err, ERR_OPERATOR, "%s: %.200s; check LAKE_S3_ENDPOINT", request,
		               why);
	return err_set(err, ERR_RETRY, "%s: %.200s", request, why);
}

/* curl checks the length too, but not in each kind of answer. */
static bool check_length(const struct s3_client *client, const struct s3_call *call,
                         const struct s3_answer *answer, struct err *err)
{
	char request[700];

	if (!call->file || !s3_answer_is_good(answer) || answer->bytes < 0 ||
	    answer->bytes == client->written)
		return true;
	describe(client, call, request, sizeof(request));
	return err_set(err, ERR_RETRY, "%s: received %lld of %lld bytes", request,
	               (long long)client->written, (long long)answer->bytes);
}

static bool try_once(struct s3_client *client, const struct s3_call *call, const char *url,
                     const struct body_hash *hash, struct s3_answer *answer, struct err *err)
{
	struct curl_slist *headers = make_headers(client, call, hash);
	const char *advice;
	CURLcode code;
	long status = 0;
	bool ok = open_file(client, call, err);

	if (ok) {
		s3_answer_begin(answer);
		client->answer = answer;
		client->body.len = 0;
		code = perform(client, call, url, headers);
		ok = code == CURLE_OK || transfer_failed(client, call, code, err);
	}
	close_file(client);
	curl_slist_free_all(headers);
	if (!ok)
		return false;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	s3_answer_body(answer, status, (struct span){client->body.at, client->body.len});
	if (!s3_answer_is_good(answer) && s3_answer_class(answer, &advice) == ERR_RETRY)
		return s3_client_refused(client, call, answer, err);
	return check_length(client, call, answer, err);
}

/* ---- all tries ---- */

/* Path and query, encoded and terminated, and the URL. */
static void make_url(struct s3_client *client, const struct s3_call *call, struct buffer *url)
{
	size_t count = 0;

	while (count < S3_QUERY_MAX && call->query[count].name)
		count++;
	client->path.len = client->query.len = 0;
	buffer_append(&client->path, "/", 1);
	s3_encode(&client->path, client->config.bucket, false);
	if (call->key) {
		buffer_append(&client->path, "/", 1);
		s3_encode(&client->path, call->key, true);
	}
	s3_query(&client->query, call->query, count);
	buffer_append(&client->path, "", 1);
	buffer_append(&client->query, "", 1);
	buffer_append(url, client->endpoint, strlen(client->endpoint));
	buffer_append(url, client->path.at, client->path.len - 1);
	buffer_append(url, count > 0 ? "?" : "", count > 0);
	buffer_append(url, client->query.at, client->query.len);
}

/* False: the service stops. */
static bool pause_until(const struct backoff *backoff)
{
	const struct timespec slice = {.tv_nsec = PAUSE_SLICE_US * 1000};

	while (!backoff_is_due(backoff, monotonic_us())) {
		health_alive();
		if (service_stopping())
			return false;
		nanosleep(&slice, NULL);
	}
	return true;
}

static bool try_all(struct s3_client *client, const struct s3_call *call, const char *url,
                    struct s3_answer *answer, struct err *err)
{
	struct backoff backoff = {.seed = client->seed++};
	int tries = call->tries > 0 ? call->tries : TRIES;
	struct span body = call->body.at ? call->body : SPAN("");
	struct body_hash hash = {.md5 = ""};

	s3_hash(body, hash.sha256);
	if (strcmp(call->method, "PUT") == 0)
		s3_md5(body, hash.md5);
	for (int i = 1;; i++) {
		struct err why;

		if (try_once(client, call, url, &hash, answer, &why))
			return true;
		backoff_grow(&backoff, monotonic_us());
		if (why.class != ERR_RETRY || client->file_errno != 0 || i >= tries ||
		    !pause_until(&backoff))
			return err_set(err, why.class, "%s", why.message);
		log_warn("s3_retrying", log_str("error", why.message), log_int("try", i));
	}
}

bool s3_client_call(struct s3_client *client, const struct s3_call *call, struct s3_answer *answer,
                    struct err *err)
{
	struct buffer url = {0};
	bool ok;

	make_url(client, call, &url);
	ok = try_all(client, call, url.at, answer, err);
	buffer_free(&url);
	if (!ok && call->file)
		unlink(call->file);
	return ok;
}
