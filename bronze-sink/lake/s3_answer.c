#include "s3_answer.h"

#include <stdio.h>
#include <strings.h>

#include "base/number.h"
#include "s3_xml.h"

void s3_answer_begin(struct s3_answer *answer)
{
	*answer = (struct s3_answer){.bytes = -1};
}

/* ---- headers ---- */

static void take_text(struct span value, char *out, size_t cap)
{
	if (value.len >= cap)
		value.len = 0; /* no server of ours sends it */
	memcpy(out, value.at, value.len);
	out[value.len] = '\0';
}

static bool is_name(struct span name, const char *want)
{
	return name.len == strlen(want) && strncasecmp(name.at, want, name.len) == 0;
}

void s3_answer_header(struct s3_answer *answer, struct span line)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct span name, value;

	if (line.len >= 5 && memcmp(line.at, "HTTP/", 5) == 0)
		s3_answer_begin(answer);
	if (!colon)
		return;
	name = (struct span){line.at, (size_t)(colon - line.at)};
	value = span_trim((struct span){colon + 1, line.len - name.len - 1});
	if (is_name(name, "content-length") && !number_parse_span(value, INT64_MAX, &answer->bytes))
		answer->bytes = -1;
	if (is_name(name, "etag"))
		take_text(value, answer->etag, sizeof(answer->etag));
	if (is_name(name, S3_META_SHA256))
		take_text(value, answer->sha256, sizeof(answer->sha256));
	if (is_name(name, S3_META_WRITER))
		take_text(value, answer->writer, sizeof(answer->writer));
}

void s3_answer_body(struct s3_answer *answer, long status, struct span body)
{
	struct span rest = body, error;

	answer->status = status;
	answer->body = body;
	if (!s3_xml_next(&rest, "Error", &error))
		return;
	if (s3_answer_is_good(answer))
		answer->status = 500;
	if (!s3_xml_text(error, "Code", answer->code, sizeof(answer->code)))
		answer->code[0] = '\0';
	if (!s3_xml_text(error, "Message", answer->message, sizeof(answer->message)))
		answer->message[0] = '\0';
}

/* ---- what to do ---- */

#define RIGHTS "check the rights of LAKE_S3_ACCESS_KEY on the bucket of LAKE_URL"
#define REGION "check LAKE_S3_REGION and LAKE_S3_ENDPOINT"

/* The first row that fits. status 0: any; code NULL: any. */
static const struct {
	long status;
	const char *code;
	enum err_class class;
	const char *advice;
} rules[] = {
	{0, "InvalidAccessKeyId", ERR_OPERATOR, "check LAKE_S3_ACCESS_KEY"},
	{0, "SignatureDoesNotMatch", ERR_OPERATOR, "check LAKE_S3_SECRET_KEY and LAKE_S3_REGION"},
	{0, "RequestTimeTooSkewed", ERR_OPERATOR, "set the clock of this machine"},
	{0, "NoSuchBucket", ERR_OPERATOR, "create the bucket, or check LAKE_URL"},
	{0, "AuthorizationHeaderMalformed", ERR_OPERATOR, REGION},
	{0, "EntityTooSmall", ERR_OPERATOR, "make LAKE_S3_PART_BYTES at least 5m"},
	{0, "QuotaExceeded", ERR_RETRY, NULL},
	{0, "RequestTimeout", ERR_RETRY, NULL},
	{0, "BadDigest", ERR_RETRY, NULL}, /* the body was damaged on its way */
	{0, "XAmzContentSHA256Mismatch", ERR_RETRY, NULL},
	{0, "InvalidDigest", ERR_RETRY, NULL},
	{412, NULL, ERR_CONFLICT, NULL},
	{403, NULL, ERR_OPERATOR, RIGHTS},
	{401, NULL, ERR_OPERATOR, RIGHTS},
	{408, NULL, ERR_RETRY, NULL},
	{409, NULL, ERR_RETRY, NULL}, /* another request for this object is being handled */
	{425, NULL, ERR_RETRY, NULL},
	{429, NULL, ERR_RETRY, NULL},
	{501, NULL, ERR_OPERATOR, "the server lacks what a lake needs; check LAKE_S3_ENDPOINT"},
	{405, NULL, ERR_OPERATOR, "the server lacks what a lake needs; check LAKE_S3_ENDPOINT"},
};

enum err_class s3_answer_class(const struct s3_answer *answer, const char **advice)
{
	*advice = NULL;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if ((rules[i].status == 0 || rules[i].status == answer->status) &&
		    (!rules[i].code || strcmp(rules[i].code, answer->code) == 0)) {
			*advice = rules[i].advice;
			return rules[i].class;
		}
	if (answer->status >= 500)
		return ERR_RETRY;
	*advice = answer->status >= 300 && answer->status < 400
	                  ? REGION
	                  : "check LAKE_S3_ENDPOINT and LAKE_URL";
	return ERR_OPERATOR;
}
