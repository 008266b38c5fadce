/* An HTTP client of one bucket of an S3 server: signs requests, and tries them again with growing
 * pauses while the server does not answer or asks for it. Addresses are path-style:
 * ENDPOINT/BUCKET/KEY. One thread. */
#ifndef FUNNEL_S3_CLIENT_H
#define FUNNEL_S3_CLIENT_H

#include <stdint.h>

#include "base/err.h"
#include "s3_answer.h"
#include "s3_sign.h"

#define S3_QUERY_MAX   4
#define S3_HEADERS_MAX 4

/* All borrowed. */
struct s3_client_config {
	const char *endpoint, *region, *access_key, *secret_key, *bucket;
	int64_t timeout_us; /* longest time of a connection without progress */
};

struct s3_call {
	const char *method;
	const char *key;                        /* not encoded; NULL: the bucket */
	struct s3_pair query[S3_QUERY_MAX];     /* in the order of their names */
	struct s3_pair headers[S3_HEADERS_MAX]; /* names in lower case; they are signed */
	struct span body;
	/* The content of an object goes to this new local file; NULL: to the answer. */
	const char *file;
	int tries; /* 0: the usual number */
};

struct s3_client;
/* ERR_OPERATOR: a setting is missing or wrong. Sends nothing. */
struct s3_client *s3_client_new(const struct s3_client_config *config, struct err *err);
void s3_client_free(struct s3_client *client);

/* True: the server has answered, maybe with a failure that a further try would not change. The body
 * is valid until the next call. False: ERR_RETRY, all tries have failed, or the service stops;
 * ERR_OPERATOR, the endpoint cannot be used; or an error of the local file (lake_file.h), which is
 * then removed. A request that the server has carried out may be sent again, also by curl, if its
 * answer was lost. */
MUST_USE bool s3_client_call(struct s3_client *client, const struct s3_call *call,
                             struct s3_answer *answer, struct err *err);
/* Sets the error of an answer that is a failure; returns false. The message has neither keys nor
 * signatures. */
bool s3_client_refused(const struct s3_client *client, const struct s3_call *call,
                       const struct s3_answer *answer, struct err *err);

#endif
