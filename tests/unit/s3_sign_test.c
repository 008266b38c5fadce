/* The examples are published: those of service s3 in the Amazon S3 API Reference ("Signature
 * Calculations for the Authorization Header"), those of "service" in the test suite of AWS Signature
 * Version 4. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "s3_sign.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct s3_signer reference = {"AKIAIOSFODNN7EXAMPLE",
                                           "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1",
                                           "s3"};
static const struct s3_signer suite = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                       "us-east-1", "service"};

#define HOST                                             \
	{                                                \
		"host", "examplebucket.s3.amazonaws.com" \
	}
#define AMZ_DATE                                 \
	{                                        \
		"x-amz-date", "20130524T000000Z" \
	}
#define SUITE                                    \
	{"host", "example.amazonaws.com"},       \
	{                                        \
		"x-amz-date", "20150830T123600Z" \
	}
#define HASH(hex)                           \
	{                                   \
		"x-amz-content-sha256", hex \
	}
#define HELLO "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct {
	const char *label;
	const struct s3_signer *signer;
	const char *method, *key; /* not encoded */
	struct s3_pair query[2];
	struct s3_pair headers[5];
	const char *body, *names, *want;
} cases[] = {
	{"GET object",
         &reference,
         "GET",
         "/test.txt",
         {{0}},
         {HOST, {"range", "bytes=0-9"}, HASH(EMPTY), AMZ_DATE},
         "",
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT object, a byte of the key is encoded",
         &reference,
         "PUT",
         "/test$file.text",
         {{0}},
         {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
          HOST,
          HASH(HELLO),
          AMZ_DATE,
          {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
         "Welcome to Amazon S3.",
         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"GET bucket lifecycle, a name without value",
         &reference,
         "GET",
         "/",
         {{"lifecycle", ""}},
         {HOST, HASH(EMPTY), AMZ_DATE},
         "",
         "host;x-amz-content-sha256;x-amz-date",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"GET bucket, a query",
         &reference,
         "GET",
         "/",
         {{"max-keys", "2"}, {"prefix", "J"}},
         {HOST, HASH(EMPTY), AMZ_DATE},
         "",
         "host;x-amz-content-sha256;x-amz-date",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	{"get-vanilla",
         &suite,
         "GET",
         "/",
         {{0}},
         {SUITE},
         "",
         "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-query-order-key-case",
         &suite,
         "GET",
         "/",
         {{"Param1", "value1"}, {"Param2", "value2"}},
         {SUITE},
         "",
         "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"post-vanilla",
         &suite,
         "POST",
         "/",
         {{0}},
         {SUITE},
         "",
         "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
};

static size_t count_of(const struct s3_pair *pairs, size_t cap)
{
	size_t count = 0;

	while (count < cap && pairs[count].name)
		count++;
	return count;
}

Test(s3_sign, signatures_are_those_that_are_published)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buffer path = {0}, query = {0}, got = {0};
		const char *time =
			cases[i].signer == &suite ? "20150830T123600Z" : "20130524T000000Z";
		char hash[S3_HASH_BYTES], want[512];
		struct s3_request request;

		s3_hash(span_of(cases[i].body), hash);
		s3_encode(&path, cases[i].key, true);
		s3_query(&query, cases[i].query, count_of(cases[i].query, 2));
		buffer_append(&path, "", 1);
		buffer_append(&query, "", 1);
		request = (struct s3_request){cases[i].method,
		                              path.at,
		                              query.at,
		                              cases[i].headers,
		                              count_of(cases[i].headers, 5),
		                              hash};
		s3_sign(cases[i].signer, &request, time, &got);
		buffer_append(&got, "", 1);
		snprintf(want, sizeof(want),
		         "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request,"
		         "SignedHeaders=%s,Signature=%s",
		         cases[i].signer->access_key, time, cases[i].signer->service,
		         cases[i].names, cases[i].want);
		cr_expect_str_eq(got.at, want, "%s: %s", cases[i].label, got.at);
		buffer_free(&path);
		buffer_free(&query);
		buffer_free(&got);
	}
}

Test(s3_sign, all_bytes_but_the_unreserved_are_encoded)
{
	struct buffer path = {0}, value = {0};

	s3_encode(&path, "a-Z_0.9~/b=c d+\xc3\xa4%", true);
	s3_encode(&value, "a/b&c=*", false);
	cr_expect(span_is((struct span){path.at, path.len}, "a-Z_0.9~/b%3Dc%20d%2B%C3%A4%25"));
	cr_expect(span_is((struct span){value.at, value.len}, "a%2Fb%26c%3D%2A"));
	buffer_free(&path);
	buffer_free(&value);
}

/* Of RFC 1321, in base 64. */
Test(s3_sign, content_md5_is_in_base_64)
{
	static const struct {
		const char *text, *want;
	} texts[] = {{"", "1B2M2Y8AsgTpgAmY7PhCfg=="},
	             {"abc", "kAFQmDzST7DWlj99KOF/cg=="},
	             {"message digest", "+WtpfXy3k41SWi8xqvFh0A=="}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char got[S3_MD5_BYTES];

		s3_md5(span_of(texts[i].text), got);
		cr_expect_str_eq(got, texts[i].want, "%s", got);
	}
}

Test(s3_sign, times_are_utc)
{
	char text[S3_TIME_BYTES];

	s3_time(INT64_C(1369353600000000), text);
	cr_expect_str_eq(text, "20130524T000000Z");
	s3_time(INT64_C(951782399999999), text);
	cr_expect_str_eq(text, "20000228T235959Z");
}
