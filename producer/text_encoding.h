/* A text in another encoding, as UTF-8. */
#ifndef FUNNEL_TEXT_ENCODING_H
#define FUNNEL_TEXT_ENCODING_H

#include "base/err.h"
#include "byte_origin.h"

/* "", "utf-8" and "utf8" in any case: no conversion is needed. */
bool text_encoding_is_utf8(const char *name);
/* ERR_INPUT: iconv does not know the name. For the check of a setting. */
bool text_encoding_check(const char *name, struct err *err);
/* Puts a layer over the origin. A byte that is invalid in the encoding becomes the byte 0xff, so
 * bronze-sink refuses its row as invalid UTF-8. After a failure the caller still closes the
 * origin. */
MUST_USE bool text_encoding_over(struct byte_origin *origin, const char *name, struct err *err);

#endif
