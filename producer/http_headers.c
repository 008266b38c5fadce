/* Names of headers have no case. A number that cannot be read counts as not given. */
#include "http_headers.h"

#include <string.h>
#include <strings.h>

#include "base/number.h"

void http_headers_init(struct http_headers *headers)
{
	*headers = (struct http_headers){.length = -1, .range_start = -1, .range_total = -1};
}

/* True: the line has this header; *value is its trimmed value. */
static bool header_is(struct span line, const char *name, struct span *value)
{
	size_t len = strlen(name);

	if (line.len <= len || line.at[len] != ':' || strncasecmp(line.at, name, len) != 0)
		return false;
	*value = span_trim((struct span){line.at + len + 1, line.len - len - 1});
	return true;
}

static void take_number(struct span text, int64_t *number)
{
	if (!number_parse_span(text, INT64_MAX, number))
		*number = -1;
}

static void take_validator(struct span text, char out[HTTP_VALIDATOR_MAX])
{
	if (text.len >= HTTP_VALIDATOR_MAX || (text.len > 1 && memcmp(text.at, "W/", 2) == 0))
		return;
	memcpy(out, text.at, text.len);
	out[text.len] = '\0';
}

/* bytes 100-199/200 */
static void take_range(struct http_headers *headers, struct span text)
{
	const char *dash, *slash;

	if (text.len < 6 || strncasecmp(text.at, "bytes ", 6) != 0)
		return;
	text = (struct span){text.at + 6, text.len - 6};
	dash = memchr(text.at, '-', text.len);
	slash = memchr(text.at, '/', text.len);
	if (!dash || !slash || dash > slash)
		return;
	take_number((struct span){text.at, (size_t)(dash - text.at)}, &headers->range_start);
	take_number((struct span){slash + 1, (size_t)(text.at + text.len - slash - 1)},
	            &headers->range_total);
}

void http_headers_take(struct http_headers *headers, struct span line)
{
	struct span value;

	if (line.len >= 5 && memcmp(line.at, "HTTP/", 5) == 0)
		http_headers_init(headers);
	else if (header_is(line, "Content-Length", &value))
		take_number(value, &headers->length);
	else if (header_is(line, "Content-Range", &value))
		take_range(headers, value);
	else if (header_is(line, "Transfer-Encoding", &value))
		headers->chunked = true;
	else if (header_is(line, "ETag", &value))
		take_validator(value, headers->etag);
	else if (header_is(line, "Last-Modified", &value))
		take_validator(value, headers->modified);
}

static bool texts_agree(const char *a, const char *b)
{
	return !a[0] || !b[0] || strcmp(a, b) == 0;
}

bool http_headers_agree(const struct http_headers *a, int64_t length_a,
                        const struct http_headers *b, int64_t length_b)
{
	return (length_a < 0 || length_b < 0 || length_a == length_b) &&
	       texts_agree(a->etag, b->etag) && texts_agree(a->modified, b->modified);
}
