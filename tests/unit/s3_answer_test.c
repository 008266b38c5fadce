/* What an S3 server answers, and what we do with it; also bytes that no server should send. */
#include <criterion/criterion.h>
#include <string.h>

#include "s3_answer.h"
#include "s3_xml.h"

/* ---- XML */

Test(s3_xml, texts_are_found_and_decoded)
{
	static const struct {
		const char *xml, *want; /* NULL: none */
	} cases[] = {
		{"<a><Key>x/y</Key></a>", "x/y"},
		{"<Key></Key>", ""},
		{"<Key>a&amp;b&lt;c&gt;&quot;&apos;</Key>", "a&b<c>\"'"},
		{"<Key>&#65;&#x42;&#228;&#x20ac;&#x1F600;</Key>",
	         "AB\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"<Key>fifteen bytes..</Key>", "fifteen bytes.."},
		{"<Key>first</Key><Key>second</Key>", "first"},
		{"<Keys>no</Keys>", NULL},
		{"<Key>no end", NULL},
		{"<Key>unknown &nbsp;</Key>", NULL},
		{"<Key>no ; after &amp</Key>", NULL},
		{"<Key>&;</Key>", NULL},
		{"<Key>&#0;</Key>", NULL},
		{"<Key>&#xd800;</Key>", NULL},
		{"<Key>&#x110000;</Key>", NULL},
		{"<Key>&#99999999999999999999;</Key>", NULL},
		{"<Key>&#x;</Key>", NULL},
		{"<Key>&#1a;</Key>", NULL},
		{"<Key><b>an element</b></Key>", NULL},
		{"<Key>longer than sixteen bytes</Key>", NULL},
		{"<Key>without the NUL.</Key>", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char got[16] = "";
		bool found = s3_xml_text(span_of(cases[i].xml), "Key", got, sizeof(got));

		cr_expect_eq(found, cases[i].want != NULL, "%s", cases[i].xml);
		if (found && cases[i].want)
			cr_expect_str_eq(got, cases[i].want, "%s: %s", cases[i].xml, got);
	}
}

Test(s3_xml, elements_are_found_one_after_the_other)
{
	struct span rest = SPAN("<l><C>1</C>x<C>2</C><C>3</l>"), content;

	cr_assert(s3_xml_next(&rest, "C", &content) && span_is(content, "1"));
	cr_assert(s3_xml_next(&rest, "C", &content) && span_is(content, "2"));
	cr_assert_not(s3_xml_next(&rest, "C", &content));
}

/* Each cut of an answer is read without a byte beyond its end: the copy has no more. */
Test(s3_xml, a_cut_answer_is_never_read_beyond_its_end)
{
	static const char xml[] = "<l><C><Key>a&amp;b&#x41;</Key></C><C><Key>c</Key></C></l>";

	for (size_t len = 0; len < sizeof(xml); len++) {
		char *copy = malloc(len ? len : 1), text[32];
		struct span rest = {copy, len}, content;
		int found = 0;

		memcpy(copy, xml, len);
		while (s3_xml_next(&rest, "C", &content))
			found += s3_xml_text(content, "Key", text, sizeof(text));
		cr_expect_leq(found, 2);
		free(copy);
	}
}

/* ---- headers */

Test(s3_answer, headers_are_read_without_regard_to_case)
{
	static const char *const lines[] = {"HTTP/1.1 100 Continue\r\n",
	                                    "ETag: \"old\"\r\n",
	                                    "HTTP/1.1 200 OK\r\n",
	                                    "content-length: 12345\r\n",
	                                    "X-Amz-Meta-Writer:  abc-1 \r\n",
	                                    "x-amz-meta-sha256: 00ff\r\n",
	                                    "no colon\r\n",
	                                    "\r\n"};
	struct s3_answer answer;

	s3_answer_begin(&answer);
	cr_expect_eq(answer.bytes, -1);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		s3_answer_header(&answer, span_of(lines[i]));
	cr_expect_eq(answer.bytes, 12345);
	cr_expect_str_eq(answer.writer, "abc-1");
	cr_expect_str_eq(answer.sha256, "00ff");
	cr_expect_str_empty(answer.etag, "of the status before");
}

Test(s3_answer, a_header_that_cannot_be_is_as_if_it_were_not_there)
{
	char line[600] = "ETag: ";
	struct s3_answer answer;

	s3_answer_begin(&answer);
	memset(line + strlen(line), 'x', sizeof(line) - strlen(line) - 1);
	s3_answer_header(&answer, span_of(line));
	s3_answer_header(&answer, SPAN("Content-Length: -5"));
	s3_answer_header(&answer, SPAN("Content-Length: 99999999999999999999"));
	s3_answer_header(&answer, SPAN(":"));
	s3_answer_header(&answer, SPAN(""));
	cr_expect_str_empty(answer.etag);
	cr_expect_eq(answer.bytes, -1);
}

/* ---- what to do */

#define ERROR(code) "<?xml?><Error><Code>" code "</Code><Message>m</Message></Error>"

Test(s3_answer, each_failure_has_its_class_and_its_setting)
{
	static const struct {
		long status;
		const char *body;
		enum err_class want;
		const char *advice; /* a part; NULL: none */
	} cases[] = {
		{403, ERROR("InvalidAccessKeyId"), ERR_OPERATOR, "LAKE_S3_ACCESS_KEY"},
		{403, ERROR("SignatureDoesNotMatch"), ERR_OPERATOR, "LAKE_S3_SECRET_KEY"},
		{403, ERROR("AccessDenied"), ERR_OPERATOR, "rights"},
		{403, "", ERR_OPERATOR, "rights"},
		{403, ERROR("RequestTimeTooSkewed"), ERR_OPERATOR, "clock"},
		{403, ERROR("QuotaExceeded"), ERR_RETRY, NULL},
		{404, ERROR("NoSuchBucket"), ERR_OPERATOR, "LAKE_URL"},
		{404, "<html>", ERR_OPERATOR, "LAKE_S3_ENDPOINT"},
		{301, ERROR("PermanentRedirect"), ERR_OPERATOR, "LAKE_S3_REGION"},
		{400, ERROR("AuthorizationHeaderMalformed"), ERR_OPERATOR, "LAKE_S3_REGION"},
		{400, ERROR("EntityTooSmall"), ERR_OPERATOR, "5m"},
		{400, ERROR("RequestTimeout"), ERR_RETRY, NULL},
		{400, ERROR("BadDigest"), ERR_RETRY, NULL},
		{400, ERROR("Strange"), ERR_OPERATOR, "LAKE_S3_ENDPOINT"},
		{412, ERROR("PreconditionFailed"), ERR_CONFLICT, NULL},
		{409, ERROR("ConditionalRequestConflict"), ERR_RETRY, NULL},
		{408, "", ERR_RETRY, NULL},
		{429, "", ERR_RETRY, NULL},
		{500, ERROR("InternalError"), ERR_RETRY, NULL},
		{501, ERROR("NotImplemented"), ERR_OPERATOR, "lacks"},
		{502, "<html>", ERR_RETRY, NULL},
		{503, ERROR("SlowDown"), ERR_RETRY, NULL},
		{200, ERROR("InternalError"), ERR_RETRY, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct s3_answer answer;
		enum err_class class;
		const char *advice;

		s3_answer_begin(&answer);
		s3_answer_body(&answer, cases[i].status, span_of(cases[i].body));
		cr_expect_not(s3_answer_is_good(&answer), "%ld", cases[i].status);
		class = s3_answer_class(&answer, &advice);
		cr_expect_eq(class, cases[i].want, "%ld %s: %s", cases[i].status, cases[i].body,
		             err_class_name(class));
		if (cases[i].advice)
			cr_expect(advice && strstr(advice, cases[i].advice), "%s", cases[i].body);
		else
			cr_expect_null(advice, "%s", cases[i].body);
	}
}

Test(s3_answer, a_success_without_an_error_is_good)
{
	struct s3_answer answer;

	s3_answer_begin(&answer);
	s3_answer_body(&answer, 200, SPAN("<ListBucketResult><Key>Error</Key></ListBucketResult>"));
	cr_expect(s3_answer_is_good(&answer));
	cr_expect_str_empty(answer.code);
}
