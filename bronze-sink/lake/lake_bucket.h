/* A lake in a bucket: the functions of lake_storage.h for it. Errors: ERR_RETRY, the server does
 * not answer, or scratch space is full; ERR_OPERATOR, a setting is wrong: the message names it.
 *
 * A call may take several times the time-out: each request is tried up to six times. */
#ifndef FUNNEL_LAKE_BUCKET_H
#define FUNNEL_LAKE_BUCKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lake_listing.h"
#include "lake_scratch.h"
#include "lake_url.h"
#include "s3_client.h"

struct lake_bucket;
/* Copies the URL; borrows the texts of config, which need no bucket, and scratch. part_bytes:
 * larger files are sent in parts of this size. Sends nothing. */
struct lake_bucket *lake_bucket_new(const struct s3_client_config *config,
                                    const struct lake_url *url, int64_t part_bytes,
                                    struct lake_scratch *scratch, struct err *err);
void lake_bucket_free(struct lake_bucket *bucket);
/* Checks that we may write, and that the server refuses a second object of one name. */
MUST_USE bool lake_bucket_prepare(struct lake_bucket *bucket, struct err *err);
/* Aborts multipart uploads below the lake that are older than a day: their process was killed. */
MUST_USE bool lake_bucket_clear(struct lake_bucket *bucket, struct err *err);
const char *lake_bucket_root(const struct lake_bucket *bucket);

MUST_USE bool lake_bucket_put(struct lake_bucket *bucket, const char *local, const char *path,
                              struct err *err);
/* Copies the object to the scratch folder and checks its SHA-256, if we have written it. */
MUST_USE bool lake_bucket_get(struct lake_bucket *bucket, const char *path, char *out, size_t cap,
                              bool *missing, struct err *err);
MUST_USE bool lake_bucket_remove(struct lake_bucket *bucket, const char *path, struct err *err);
MUST_USE bool lake_bucket_list(struct lake_bucket *bucket, const char *below,
                               struct lake_listing *listing, struct err *err);

#endif
