/* The bytes of a gzip stream. Several members one after the other are one stream; zeros after the
 * last one are padding. */
#ifndef FUNNEL_GZIP_ORIGIN_H
#define FUNNEL_GZIP_ORIGIN_H

#include "base/err.h"
#include "byte_origin.h"

/* Puts a layer over the origin, which gives compressed bytes. path: for messages. After a failure
 * the caller still closes the origin. */
MUST_USE bool gzip_origin_over(struct byte_origin *origin, const char *path, struct err *err);

#endif
