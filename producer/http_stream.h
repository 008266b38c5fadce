/* The bytes of an http or https URL, as a stream in bounded memory.
 *
 * A transfer that fails is retried with back-off, and continues where it ended: with Range and
 * If-Range if the server has sent an ETag or a time of change, else by reading the file again.
 * Bytes that are read again are compared by their SHA-256. So a file that changes between two
 * transfers is an error. An end that no length, chunk or checksum proves is an error too. Messages
 * never have the user, password or query of the URL.
 *
 * Classes of errors: ERR_INPUT: the URL is invalid or the server refuses it before the first byte.
 * ERR_RETRY: the server could not be reached for too long. ERR_OPERATOR: the file was changed or
 * has another checksum. */
#ifndef FUNNEL_HTTP_STREAM_H
#define FUNNEL_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define HTTP_NAME_MAX 512

struct http_limits {
	int64_t connect_us;
	int64_t stall_us;   /* fewer than 100 bytes a second for this long fail a transfer */
	int64_t give_up_us; /* fail if there is no new byte for this long; 0: do not try again */
	bool any_end;       /* the caller checks whether the body is complete */
};
extern const struct http_limits http_limits_default;

/* Whether the text begins with http:// or https://. */
bool http_is_url(const char *text);
/* The URL without user, password, query and fragment, for messages. False: invalid, err says why
 * without quoting it. */
MUST_USE bool http_url_name(const char *url, char name[HTTP_NAME_MAX], struct err *err);

/* The path, or this name if it is a URL. */
const char *http_shown(const char *path, char name[HTTP_NAME_MAX]);

struct http_stream;
/* Does not connect yet. sha256: 64 hexadecimal digits, or NULL: the fragment of the URL is used if
 * it is #sha256=<digits>. NULL: invalid URL or checksum (ERR_INPUT), no memory (ERR_FATAL). */
struct http_stream *http_stream_open(const char *url, const char *sha256, struct err *err);
struct http_stream *http_stream_open_with(const char *url, const char *sha256,
                                          const struct http_limits *limits, struct err *err);
void http_stream_free(struct http_stream *stream);
const char *http_stream_name(const struct http_stream *stream);

enum http_result {
	HTTP_GIVEN, /* 1 to cap bytes */
	HTTP_WAIT,  /* no byte within the time: call again */
	HTTP_END,   /* complete; the checksum is right if there is one */
	HTTP_FAILED /* err */
};
/* Waits up to timeout_ms for bytes. Bytes that arrived before a failure are given first. */
enum http_result http_stream_poll(struct http_stream *stream, void *buf, size_t cap, size_t *given,
                                  int timeout_ms, struct err *err);
/* Waits until there are bytes. 0: the end. -1: err, which is ERR_RETRY if the process stops. */
ssize_t http_stream_read(struct http_stream *stream, void *buf, size_t cap, struct err *err);

struct http_about {
	int64_t bytes;       /* -1: the server does not say */
	int64_t modified_ns; /* Last-Modified; without it a hash of the ETag; 0: neither */
};
/* Begins to read, and stops when the headers are there. */
MUST_USE bool http_stream_about(const char *url, struct http_about *about, struct err *err);

#endif
