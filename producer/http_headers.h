/* What the header lines of a response say about its body. Pure. */
#ifndef FUNNEL_HTTP_HEADERS_H
#define FUNNEL_HTTP_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define HTTP_VALIDATOR_MAX 256

struct http_headers {
	int64_t length;      /* Content-Length; -1: none */
	int64_t range_start; /* of Content-Range; -1: none */
	int64_t range_total; /* the complete length in Content-Range; -1: none */
	bool chunked;
	/* "": none, or longer than this. A weak ETag (W/) counts as none: it may stay the same
	 * when bytes change. */
	char etag[HTTP_VALIDATOR_MAX];
	char modified[HTTP_VALIDATOR_MAX]; /* Last-Modified */
};

void http_headers_init(struct http_headers *headers);
/* Takes one line. A status line begins a new response: the lines of a redirect do not count. */
void http_headers_take(struct http_headers *headers, struct span line);

/* Whether both are of the same file, as far as they say: length, ETag and time of the change. */
bool http_headers_agree(const struct http_headers *a, int64_t length_a,
                        const struct http_headers *b, int64_t length_b);

#endif
