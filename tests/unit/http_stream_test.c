/* Downloads from a server in this process, which gives one scripted response per connection: cut
 * connections, servers without Range, changed files, wrong checksums, redirects, bad URLs. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "http_stream.h"

#define RESPONSES_MAX 8
#define BODY          "0123456789abcdefghij"

struct response {
	const char *text;
	size_t len;
	bool stays_open; /* the connection is not closed after the response */
};

static struct {
	int listener, port;
	pthread_t thread;
	size_t count;
	struct response responses[RESPONSES_MAX];
	char requests[RESPONSES_MAX][2048];
	int open[RESPONSES_MAX];
} server;

static void take_request(int fd, char *request, size_t cap)
{
	size_t len = 0;

	while (len + 1 < cap && !strstr(request, "\r\n\r\n")) {
		ssize_t got = read(fd, request + len, cap - 1 - len);

		if (got <= 0)
			return;
		len += (size_t)got;
		request[len] = '\0';
	}
}

static void answer(int fd, const struct response *response)
{
	size_t done = 0;

	while (done < response->len) {
		ssize_t put = send(fd, response->text + done, response->len - done, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		done += (size_t)put;
	}
}

static void *serve(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < server.count; i++) {
		int fd = accept(server.listener, NULL, NULL);

		if (fd < 0)
			break;
		server.open[i] = fd;
		take_request(fd, server.requests[i], sizeof(server.requests[i]));
		answer(fd, &server.responses[i]);
		if (!server.responses[i].stays_open)
			shutdown(fd, SHUT_RDWR);
	}
	return NULL;
}

static void server_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	server.listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(server.listener, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(server.listener, RESPONSES_MAX), 0);
	cr_assert_eq(getsockname(server.listener, (struct sockaddr *)&address, &len), 0);
	server.port = ntohs(address.sin_port);
	cr_assert_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

/* Ends a server that still waits for connections, too. */
static void server_stop(void)
{
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	for (size_t i = 0; i < RESPONSES_MAX; i++)
		if (server.open[i] > 0)
			close(server.open[i]);
	unsetenv("http_proxy");
}

static void add_bytes(const char *text, size_t len)
{
	server.responses[server.count++] = (struct response){text, len, false};
}

static void add(const char *text)
{
	add_bytes(text, strlen(text));
}

static const char *url(const char *path)
{
	static char text[256];

	snprintf(text, sizeof(text), "http://127.0.0.1:%d%s", server.port, path);
	return text;
}

static void prepare(void)
{
	setenv("no_proxy", "*", 1);
}

TestSuite(http_stream, .init = prepare);

static const struct http_limits quick = {.connect_us = 5000000,
                                         .stall_us = 1000000,
                                         .give_up_us = 20000000};
static const struct http_limits once = {.connect_us = 5000000,
                                        .stall_us = 1000000,
                                        .give_up_us = 0};

/* Reads to the end or to the error. Returns the number of bytes; *result: of the last read. */
static size_t read_all(const char *path, const char *sha256, const struct http_limits *limits,
                       char *out, size_t cap, ssize_t *result, struct err *err)
{
	struct http_stream *stream;
	size_t len = 0;

	server_start();
	stream = http_stream_open_with(url(path), sha256, limits, err);
	cr_assert_not_null(stream, "%s", err->message);
	do {
		*result = http_stream_read(stream, out + len, cap - len < 7 ? cap - len : 7, err);
		len += *result > 0 ? (size_t)*result : 0;
	} while (*result > 0);
	http_stream_free(stream);
	server_stop();
	return len;
}

static void expect_body(const char *sha256)
{
	char out[256] = "";
	struct err err = {ERR_NONE, ""};
	ssize_t result;
	size_t len = read_all("/f.csv", sha256, &quick, out, sizeof(out), &result, &err);

	cr_assert_eq(result, 0, "%s", err.message);
	cr_assert_eq(len, strlen(BODY));
	cr_assert_arr_eq(out, BODY, len);
}

static void expect_failure(const char *sha256, const struct http_limits *limits,
                           enum err_class class, const char *part)
{
	char out[256] = "";
	struct err err = {ERR_NONE, ""};
	ssize_t result;

	read_all("/f.csv", sha256, limits, out, sizeof(out), &result, &err);
	cr_assert_eq(result, -1, "the download has not failed");
	cr_assert_eq(err.class, class, "class %d: %s", err.class, err.message);
	cr_assert(strstr(err.message, part), "%s", err.message);
}

#define OK_20  "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n"
#define TAGGED OK_20 "ETag: \"one\"\r\n\r\n"

Test(http_stream, gives_all_bytes)
{
	add(OK_20 "\r\n" BODY);
	expect_body(NULL);
	cr_assert_null(strstr(server.requests[0], "Range:"));
}

Test(http_stream, gives_a_chunked_body)
{
	add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "a\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n");
	expect_body(NULL);
}

Test(http_stream, a_body_larger_than_the_buffer_waits_for_the_reader)
{
	size_t body = 3 * 1024 * 1024, head;
	char *text = malloc(body + 200), *out = malloc(body + 10);
	struct err err = {ERR_NONE, ""};
	ssize_t result;

	head = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
	for (size_t i = 0; i < body; i++)
		text[head + i] = (char)(i * 31 + i / 1000);
	add_bytes(text, head + body);
	cr_assert_eq(read_all("/f", NULL, &quick, out, body + 10, &result, &err), body);
	cr_assert_eq(memcmp(out, text + head, body), 0);
	free(text);
	free(out);
}

Test(http_stream, continues_by_range_after_a_cut)
{
	add(TAGGED "01234567");
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nETag: \"one\"\r\n"
	    "Content-Range: bytes 8-19/20\r\n\r\n89abcd");
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nETag: \"one\"\r\n"
	    "Content-Range: bytes 14-19/20\r\n\r\nefghij");
	expect_body(NULL);
	cr_assert(strstr(server.requests[1], "Range: bytes=8-\r\n"));
	cr_assert(strstr(server.requests[1], "If-Range: \"one\"\r\n"));
	cr_assert(strstr(server.requests[2], "Range: bytes=14-\r\n"));
}

Test(http_stream, continues_after_a_cut_between_two_chunks)
{
	add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	    "Last-Modified: Sun, 01 Mar 2020 00:00:00 GMT\r\n\r\na\r\n0123456789\r\n");
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\n"
	    "Content-Range: bytes 10-19/20\r\n\r\nabcdefghij");
	expect_body(NULL);
	cr_assert(strstr(server.requests[1], "If-Range: Sun, 01 Mar 2020 00:00:00 GMT\r\n"));
}

Test(http_stream, reads_again_and_skips_if_the_server_ignores_range)
{
	add(TAGGED "01234567");
	add(TAGGED BODY);
	expect_body(NULL);
	cr_assert(strstr(server.requests[1], "Range: bytes=8-\r\n"));
}

Test(http_stream, reads_again_if_the_server_has_no_validator)
{
	add(OK_20 "ETag: W/\"weak\"\r\n\r\n01234567");
	add(OK_20 "\r\n" BODY);
	expect_body(NULL);
	cr_assert_null(strstr(server.requests[1], "Range:"));
}

Test(http_stream, a_cut_while_skipping_is_tried_again)
{
	add(OK_20 "\r\n01234567");
	add(OK_20 "\r\n0123");
	add(OK_20 "\r\n" BODY);
	expect_body(NULL);
}

Test(http_stream, a_stalled_transfer_is_tried_again)
{
	add(TAGGED "01234567");
	server.responses[0].stays_open = true;
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nContent-Range: bytes "
	    "8-19/20\r\n\r\n89abcdefghij");
	expect_body(NULL);
}

Test(http_stream, errors_that_pass_are_tried_again)
{
	add("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	add("HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n");
	add("");
	add(OK_20 "\r\n" BODY);
	expect_body(NULL);
}

Test(http_stream, a_changed_file_is_an_error)
{
	add(TAGGED "01234567");
	add(OK_20 "ETag: \"two\"\r\n\r\n" BODY);
	expect_failure(NULL, &quick, ERR_OPERATOR, "changed");
}

Test(http_stream, a_changed_file_with_the_same_length_and_no_validator_is_an_error)
{
	add(OK_20 "\r\n01234567");
	add(OK_20 "\r\n0123X56789abcdefghij");
	expect_failure(NULL, &quick, ERR_OPERATOR, "changed");
}

Test(http_stream, a_file_that_became_shorter_is_an_error)
{
	add(TAGGED "01234567");
	add("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n");
	expect_failure(NULL, &quick, ERR_OPERATOR, "changed");
}

Test(http_stream, a_range_of_another_file_is_an_error)
{
	add(TAGGED "01234567");
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\n"
	    "Content-Range: bytes 8-19/40\r\n\r\n89abcdefghij");
	expect_failure(NULL, &quick, ERR_OPERATOR, "changed");
}

static void hex_of(const char *text, char out[65])
{
	SHA2_CTX sha;
	uint8_t digest[32];

	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)text, strlen(text));
	SHA256Final(digest, &sha);
	for (size_t i = 0; i < sizeof(digest); i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

Test(http_stream, a_right_checksum_over_two_transfers)
{
	char hex[65];

	hex_of(BODY, hex);
	add(TAGGED "01234567");
	add("HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nContent-Range: bytes "
	    "8-19/20\r\n\r\n89abcdefghij");
	expect_body(hex);
}

Test(http_stream, a_wrong_checksum_is_an_error_and_not_an_end)
{
	char hex[65];

	hex_of("another", hex);
	add(OK_20 "\r\n" BODY);
	expect_failure(hex, &quick, ERR_OPERATOR, "SHA-256");
}

Test(http_stream, the_fragment_of_the_url_can_be_the_checksum)
{
	char path[128] = "/f.csv#sha256=", out[64];
	struct err err = {ERR_NONE, ""};
	ssize_t result;

	hex_of("another", path + strlen(path));
	add(OK_20 "\r\n" BODY);
	read_all(path, NULL, &quick, out, sizeof(out), &result, &err);
	cr_assert_eq(result, -1);
	cr_assert(strstr(err.message, "SHA-256"), "%s", err.message);
	cr_assert_null(strstr(server.requests[0], "sha256"), "the fragment was sent");
}

Test(http_stream, an_end_that_nothing_proves_is_refused)
{
	add("HTTP/1.1 200 OK\r\n\r\n" BODY);
	expect_failure(NULL, &quick, ERR_INPUT, "length");
}

Test(http_stream, a_checksum_proves_an_end_without_a_length)
{
	char hex[65];

	hex_of(BODY, hex);
	add("HTTP/1.1 200 OK\r\n\r\n" BODY);
	expect_body(hex);
}

Test(http_stream, a_missing_file_is_an_error_at_once)
{
	add("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
	expect_failure(NULL, &quick, ERR_INPUT, "/f.csv: HTTP 404");
}

Test(http_stream, gives_up_with_the_cause)
{
	add(TAGGED "01234567");
	expect_failure(NULL, &once, ERR_RETRY, "after 8 bytes");
}

Test(http_stream, a_server_that_is_away_is_a_retry)
{
	struct http_stream *stream;
	struct err err = {ERR_NONE, ""};
	char byte;

	server_start();
	server_stop();
	stream = http_stream_open_with(url("/f"), NULL, &once, &err);
	cr_assert_not_null(stream);
	cr_assert_eq(http_stream_read(stream, &byte, 1, &err), -1);
	cr_assert_eq(err.class, ERR_RETRY, "%s", err.message);
	http_stream_free(stream);
}

Test(http_stream, follows_a_redirect)
{
	add("HTTP/1.1 302 Found\r\nLocation: /other.csv\r\nContent-Length: 5\r\n"
	    "ETag: \"redirect\"\r\n\r\nmoved");
	add(TAGGED BODY);
	expect_body(NULL);
	cr_assert(strstr(server.requests[1], "GET /other.csv "));
}

Test(http_stream, redirects_have_a_limit_and_stay_http)
{
	for (int i = 0; i < 7; i++)
		add("HTTP/1.1 302 Found\r\nLocation: /f.csv\r\nContent-Length: 0\r\n\r\n");
	expect_failure(NULL, &quick, ERR_INPUT, "redirects");
}

Test(http_stream, a_redirect_to_a_file_is_refused)
{
	add("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
	expect_failure(NULL, &quick, ERR_INPUT, "file");
}

Test(http_stream, messages_have_no_credentials)
{
	char address[256];
	struct err err = {ERR_NONE, ""};
	struct http_stream *stream;
	char byte;

	add("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
	server_start();
	snprintf(address, sizeof(address), "http://user:geheim@127.0.0.1:%d/f?token=leise",
	         server.port);
	stream = http_stream_open_with(address, NULL, &quick, &err);
	cr_assert_eq(http_stream_read(stream, &byte, 1, &err), -1);
	cr_assert(strstr(err.message, "HTTP 401"), "%s", err.message);
	cr_assert_null(strstr(err.message, "geheim"));
	cr_assert_null(strstr(err.message, "leise"));
	cr_assert_null(strstr(http_stream_name(stream), "user"));
	http_stream_free(stream);
	server_stop();
	cr_assert(strstr(server.requests[0], "Authorization: Basic "));
	cr_assert(strstr(server.requests[0], "GET /f?token=leise "));
}

Test(http_stream, about_has_length_and_time_of_the_change)
{
	struct err err = {ERR_NONE, ""};
	struct http_about about;

	add(OK_20 "Last-Modified: Sun, 01 Mar 2020 00:00:00 GMT\r\n\r\n" BODY);
	server_start();
	cr_assert(http_stream_about(url("/f"), &about, &err), "%s", err.message);
	server_stop();
	cr_assert_eq(about.bytes, 20);
	cr_assert_eq(about.modified_ns, INT64_C(1583020800) * 1000000000);
}

static const struct {
	const char *url, *sha256, *part;
} must_not_open[] = {
	{"ftp://host/f", NULL, "expected http://"},
	{"/path", NULL, "expected http://"},
	{"http://", NULL, "expected http://"},
	{"http://user:a@b/c@host/f", NULL, "expected http://"},
	{"http://host/f", "12ab", "64 hexadecimal digits"},
	{"http://host/f#sha256=xyz", NULL, "64 hexadecimal digits"},
};

Test(http_stream, bad_urls_and_checksums_are_refused)
{
	for (size_t i = 0; i < sizeof(must_not_open) / sizeof(must_not_open[0]); i++) {
		struct err err = {ERR_NONE, ""};

		cr_assert_null(http_stream_open(must_not_open[i].url, must_not_open[i].sha256,
		                                &err),
		               "%s", must_not_open[i].url);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert(strstr(err.message, must_not_open[i].part), "%s: %s",
		          must_not_open[i].url, err.message);
	}
}
