/* The answer of an S3 server, and what to do with one that is not a success. Pure. */
#ifndef FUNNEL_S3_ANSWER_H
#define FUNNEL_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Metadata that we give to each object. */
#define S3_META_SHA256 "x-amz-meta-sha256" /* of the content */
#define S3_META_WRITER "x-amz-meta-writer" /* which process wrote it, from which local file */

struct s3_answer {
	long status;
	struct span body;             /* of the client, until its next call; not of a file */
	int64_t bytes;                /* content length; -1: not given */
	char etag[128];               /* with its quotes; "": not given, as all below */
	char sha256[80], writer[128]; /* S3_META_SHA256, S3_META_WRITER */
	char code[64], message[400];  /* of a failure: the server's */
};

void s3_answer_begin(struct s3_answer *answer);
/* Takes one header line, with or without its line end. Lines that do not matter are ignored; a
 * status line begins the answer again. */
void s3_answer_header(struct s3_answer *answer, struct span line);
/* Takes status and body. The completion of a multipart upload may have status 200 and an error in
 * its body: its status becomes 500. */
void s3_answer_body(struct s3_answer *answer, long status, struct span body);

static inline bool s3_answer_is_good(const struct s3_answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

/* ERR_RETRY: the same request may succeed later. ERR_CONFLICT: the object is there. ERR_OPERATOR:
 * *advice says which setting to check. */
enum err_class s3_answer_class(const struct s3_answer *answer, const char **advice);

#endif
