/* A URL as an origin of bytes. */
#ifndef FUNNEL_HTTP_ORIGIN_H
#define FUNNEL_HTTP_ORIGIN_H

#include <stdbool.h>

#include "base/err.h"
#include "byte_origin.h"

/* Does not connect yet. ERR_INPUT: the URL, or the checksum in its fragment, is invalid. */
MUST_USE bool http_origin_open(struct byte_origin *origin, const char *url, struct err *err);

#endif
