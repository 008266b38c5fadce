/* `waits` is not set: the look-ahead must not depend on how long the network takes. */
#include "http_origin.h"

#include <stddef.h>
#include <sys/types.h>

#include "http_stream.h"

static ssize_t origin_read(void *self, void *buf, size_t cap, struct err *err)
{
	return http_stream_read(self, buf, cap, err);
}

static void origin_free(void *self)
{
	http_stream_free(self);
}

bool http_origin_open(struct byte_origin *origin, const char *url, struct err *err)
{
	struct http_stream *stream = http_stream_open(url, NULL, err);

	if (!stream)
		return false;
	*origin = (struct byte_origin){.self = stream, .read = origin_read, .free = origin_free};
	return true;
}
