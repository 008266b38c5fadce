#include "s3_sign.h"

#include <sys/types.h>

#include <md5.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/hmac.h"
#include "base/sha256.h"
#include "base/timetext.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define DATE_BYTES 8 /* of the time */
#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

void s3_time(int64_t time_us, char out[S3_TIME_BYTES])
{
	time_t seconds = (time_t)(time_us / US_PER_SECOND);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(out, S3_TIME_BYTES, "%Y%m%dT%H%M%SZ", &parts);
}

void s3_hash(struct span body, char out[S3_HASH_BYTES])
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(&body, 1, digest);
	write_hex(digest, sizeof(digest), out);
}

void s3_md5(struct span body, char out[S3_MD5_BYTES])
{
	uint8_t digest[MD5_DIGEST_LENGTH];
	struct buffer text = {0};
	MD5_CTX context;

	MD5Init(&context);
	MD5Update(&context, (const uint8_t *)body.at, body.len);
	MD5Final(digest, &context);
	base64_append(&text, (struct span){(const char *)digest, sizeof(digest)});
	memcpy(out, text.at, S3_MD5_BYTES - 1);
	out[S3_MD5_BYTES - 1] = '\0';
	buffer_free(&text);
}

void s3_encode(struct buffer *out, const char *text, bool keep_slash)
{
	char escaped[4];

	for (; *text; text++) {
		if (strchr(UNRESERVED, *text) || (keep_slash && *text == '/')) {
			buffer_append(out, text, 1);
			continue;
		}
		snprintf(escaped, sizeof(escaped), "%%%02X", (unsigned char)*text);
		buffer_text(out, escaped);
	}
}

void s3_query(struct buffer *out, const struct s3_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buffer_text(out, i == 0 ? "" : "&");
		s3_encode(out, pairs[i].name, false);
		buffer_text(out, "=");
		s3_encode(out, pairs[i].value, false);
	}
}

static void append_header_names(const struct s3_request *request, struct buffer *out)
{
	for (size_t i = 0; i < request->header_count; i++) {
		buffer_text(out, i == 0 ? "" : ";");
		buffer_text(out, request->headers[i].name);
	}
}

static void hash_canonical_request(const struct s3_request *request, char hash[S3_HASH_BYTES])
{
	struct buffer text = {0};

	buffer_text(&text, request->method);
	buffer_text(&text, "\n");
	buffer_text(&text, request->path);
	buffer_text(&text, "\n");
	buffer_text(&text, request->query);
	buffer_text(&text, "\n");
	for (size_t i = 0; i < request->header_count; i++) {
		buffer_text(&text, request->headers[i].name);
		buffer_text(&text, ":");
		buffer_text(&text, request->headers[i].value);
		buffer_text(&text, "\n");
	}
	buffer_text(&text, "\n");
	append_header_names(request, &text);
	buffer_text(&text, "\n");
	buffer_text(&text, request->body_hash);
	s3_hash((struct span){text.at, text.len}, hash);
	buffer_free(&text);
}

static void derive_key(const struct s3_signer *signer, struct span date, uint8_t key[SHA256_BYTES])
{
	struct span parts[] = {date, span_of(signer->region), span_of(signer->service),
	                       SPAN("aws4_request")};
	struct buffer secret = {0};
	struct span with;

	buffer_text(&secret, "AWS4");
	buffer_text(&secret, signer->secret_key);
	with = (struct span){secret.at, secret.len};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		uint8_t next[SHA256_BYTES];

		hmac_sha256(with, &parts[i], 1, next);
		memcpy(key, next, sizeof(next));
		with = (struct span){(const char *)key, SHA256_BYTES};
	}
	buffer_free(&secret);
}

void s3_sign(const struct s3_signer *signer, const struct s3_request *request,
             const char time[S3_TIME_BYTES], struct buffer *out)
{
	char hash[S3_HASH_BYTES], scope[256], signature[HMAC_HEX_BYTES];
	struct span parts[] = {SPAN(ALGORITHM "\n"), span_of(time), SPAN("\n"), SPAN_NULL,
	                       SPAN("\n"),           SPAN_NULL};
	uint8_t key[SHA256_BYTES];

	hash_canonical_request(request, hash);
	snprintf(scope, sizeof(scope), "%.*s/%s/%s/aws4_request", DATE_BYTES, time, signer->region,
	         signer->service);
	parts[3] = span_of(scope);
	parts[5] = span_of(hash);
	derive_key(signer, (struct span){time, DATE_BYTES}, key);
	hmac_sha256_hex((struct span){(const char *)key, sizeof(key)}, parts,
	                sizeof(parts) / sizeof(*parts), signature);
	buffer_text(out, ALGORITHM " Credential=");
	buffer_text(out, signer->access_key);
	buffer_text(out, "/");
	buffer_text(out, scope);
	buffer_text(out, ",SignedHeaders=");
	append_header_names(request, out);
	buffer_text(out, ",Signature=");
	buffer_text(out, signature);
}
