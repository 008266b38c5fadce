/* Signatures of requests to an S3 server: AWS Signature Version 4, in the header Authorization.
 * Pure. Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.
 *
 *   key       = HMAC(HMAC(HMAC(HMAC("AWS4" + secret key, date), region), service), "aws4_request")
 *   signature = HMAC(key, algorithm, time, scope, SHA-256(canonical request)), each on a line
 *
 * The canonical request has the method, the path, the query, the signed headers and the SHA-256 of
 * the body. So a request cannot be changed on its way. */
#ifndef FUNNEL_S3_SIGN_H
#define FUNNEL_S3_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"

#define S3_TIME_BYTES 17 /* "20130524T000000Z" with the NUL */
#define S3_HASH_BYTES 65 /* a SHA-256 as hex, with the NUL */
#define S3_MD5_BYTES  25 /* an MD5 in base 64, with the NUL */

struct s3_signer {
	const char *access_key, *secret_key, *region, *service; /* service: "s3" */
};

struct s3_pair {
	const char *name, *value;
};

struct s3_request {
	const char *method;
	const char *path;  /* encoded, from the first '/' on */
	const char *query; /* of s3_query, "" for none */
	/* All that are signed, host and x-amz-date with them: names in lower case and in the order
	 * of their bytes. */
	const struct s3_pair *headers;
	size_t header_count;
	const char *body_hash; /* value of x-amz-content-sha256 */
};

void s3_time(int64_t time_us, char out[S3_TIME_BYTES]);
void s3_hash(struct span body, char out[S3_HASH_BYTES]);
/* The value of Content-MD5. */
void s3_md5(struct span body, char out[S3_MD5_BYTES]);
/* Appends a text in the encoding of paths and queries: unreserved bytes as they are, and '/' if
 * keep_slash; all others as %XX. No NUL. */
void s3_encode(struct buffer *out, const char *text, bool keep_slash);
/* Appends name=value&name=value, encoded. pairs: in the order of their names. No NUL. */
void s3_query(struct buffer *out, const struct s3_pair *pairs, size_t count);
/* Appends the value of the header Authorization. No NUL. */
void s3_sign(const struct s3_signer *signer, const struct s3_request *request,
             const char time[S3_TIME_BYTES], struct buffer *out);

#endif
