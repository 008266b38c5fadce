/* LAKE_URL: where a lake is. Pure.
 *
 *   /srv/lake  data/lake  file:///srv/lake     a folder
 *   s3://bucket  s3://bucket/prefix            a bucket of an S3 server */
#ifndef FUNNEL_LAKE_URL_H
#define FUNNEL_LAKE_URL_H

#include "base/err.h"

#define LAKE_FOLDER_MAX 2048
#define LAKE_BUCKET_MAX 64
#define LAKE_PREFIX_MAX 512

struct lake_url {
	bool is_bucket;
	char folder[LAKE_FOLDER_MAX]; /* without '/' at its end; may be relative */
	char bucket[LAKE_BUCKET_MAX];
	char prefix[LAKE_PREFIX_MAX]; /* "" or with '/' at its end */
};

/* ERR_INPUT: what was expected; the message has neither the name of the setting nor the value. */
MUST_USE bool lake_url_parse(const char *text, struct lake_url *url, struct err *err);
/* The same as a check of config.h. */
bool lake_url_check(const char *text, struct err *err);

#endif
