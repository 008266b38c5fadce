/* An object gets its name by a PUT, or by the completion of a multipart upload, with
 * If-None-Match: *. Both make it durable and visible at once.
 *
 * The answer of a request that succeeded may be lost, and then the next try, ours or curl's, gets
 * 412. So each object has the name of its writer: a random number of this process, and the local
 * file, which is unique within the process. 412 and our own name is a success; 412 and another name
 * is a conflict, even if the content is the same, because the other writer may have registered it.
 *
 * A process that is killed within a multipart upload leaves its parts, which take space and are in
 * no list of files. Only uploads of a certain age are aborted: other processes write to the bucket
 * too. */
#include "lake_bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/sha256.h"
#include "base/timetext.h"
#include "lake_file.h"
#include "s3_xml.h"
#include "service/monotime.h"

#define PARTS_MAX       10000 /* of one object, by the S3 interface */
#define KEY_MAX         1025  /* with the NUL, by the S3 interface */
#define UPLOAD_ID_MAX   1024
#define TOKEN_BYTES     16
#define TOKEN_MAX_BYTES 2048 /* of a continuation */
#define UPLOAD_LEFT_US  US_PER_DAY

#define ONCE                         \
	{                            \
		"if-none-match", "*" \
	}

struct lake_bucket {
	struct s3_client *client;
	struct lake_scratch *scratch;
	char bucket[LAKE_BUCKET_MAX], prefix[LAKE_PREFIX_MAX];
	char root[LAKE_BUCKET_MAX + LAKE_PREFIX_MAX + 8];
	char token[2 * TOKEN_BYTES + 1]; /* of this process, in the names of writers */
	int64_t part_bytes;
};

/* ---- set-up ---- */

struct lake_bucket *lake_bucket_new(const struct s3_client_config *config,
                                    const struct lake_url *url, int64_t part_bytes,
                                    struct lake_scratch *scratch, struct err *err)
{
	struct lake_bucket *bucket = xzalloc(1, sizeof(*bucket));
	struct s3_client_config with_bucket = *config;
	uint8_t random[TOKEN_BYTES];

	memcpy(bucket->bucket, url->bucket, sizeof(bucket->bucket));
	memcpy(bucket->prefix, url->prefix, sizeof(bucket->prefix));
	snprintf(bucket->root, sizeof(bucket->root), "s3://%s/%s", url->bucket, url->prefix);
	bucket->scratch = scratch;
	bucket->part_bytes = part_bytes;
	with_bucket.bucket = bucket->bucket;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		err_set(err, ERR_FATAL, "no random numbers: %s", strerror(errno));
	else
		bucket->client = s3_client_new(&with_bucket, err);
	if (!bucket->client) {
		lake_bucket_free(bucket);
		return NULL;
	}
	write_hex(random, sizeof(random), bucket->token);
	return bucket;
}

void lake_bucket_free(struct lake_bucket *bucket)
{
	if (bucket)
		s3_client_free(bucket->client);
	free(bucket);
}

const char *lake_bucket_root(const struct lake_bucket *bucket)
{
	return bucket->root;
}

static bool make_key(const struct lake_bucket *bucket, const char *path, char key[KEY_MAX],
                     struct err *err)
{
	return snprintf(key, KEY_MAX, "%s%s", bucket->prefix, path) < KEY_MAX ||
	       err_set(err, ERR_OPERATOR, "the key %s%.500s is too long: expected at most %d bytes",
	               bucket->root, path, KEY_MAX - 1);
}

/* False with the error of a failure. */
static bool call_good(struct lake_bucket *bucket, const struct s3_call *call,
                      struct s3_answer *answer, struct err *err)
{
	return s3_client_call(bucket->client, call, answer, err) &&
	       (s3_answer_is_good(answer) || s3_client_refused(bucket->client, call, answer, err));
}

static bool remove_key(struct lake_bucket *bucket, const char *key, struct err *err)
{
	struct s3_call call = {.method = "DELETE", .key = key};
	struct s3_answer answer;

	if (!s3_client_call(bucket->client, &call, &answer, err))
		return false;
	return s3_answer_is_good(&answer) || strcmp(answer.code, "NoSuchKey") == 0 ||
	       s3_client_refused(bucket->client, &call, &answer, err);
}

/* A server that ignores the condition would let two writers replace each other's files. */
static bool probe(struct lake_bucket *bucket, const char *key, bool *made, struct err *err)
{
	struct s3_call call = {.method = "PUT",
	                       .key = key,
	                       .headers = {ONCE},
	                       .body = SPAN("probe\n")};
	struct s3_answer answer;

	for (int i = 0; i < 2; i++) {
		if (!s3_client_call(bucket->client, &call, &answer, err))
			return false;
		if (answer.status == 412)
			return true;
		if (!s3_answer_is_good(&answer))
			return s3_client_refused(bucket->client, &call, &answer, err);
		*made = true;
	}
	return err_set(err, ERR_OPERATOR,
	               "the server of LAKE_S3_ENDPOINT ignores If-None-Match: it replaced the "
	               "object %s; a lake needs a server that refuses that with 412",
	               key);
}

bool lake_bucket_prepare(struct lake_bucket *bucket, struct err *err)
{
	char key[KEY_MAX], path[64];
	bool made = false, ok;

	snprintf(path, sizeof(path), "_tmp/probe-%s", bucket->token);
	if (!make_key(bucket, path, key, err))
		return false;
	ok = probe(bucket, key, &made, err);
	return (!made || remove_key(bucket, key, ok ? err : NULL)) && ok;
}

/* ---- put ---- */

/* A file that is being put. */
struct upload {
	const char *key;
	struct span content;
	char sha256[S3_HASH_BYTES], writer[128];
};

/* Whether the object of this name is the one of this upload. */
static bool look(struct lake_bucket *bucket, const struct upload *upload, bool *there, bool *ours,
                 struct err *err)
{
	struct s3_call call = {.method = "HEAD", .key = upload->key};
	struct s3_answer answer;

	if (!s3_client_call(bucket->client, &call, &answer, err))
		return false;
	*there = s3_answer_is_good(&answer);
	*ours = *there && strcmp(answer.writer, upload->writer) == 0 &&
	        answer.bytes == (int64_t)upload->content.len;
	return *there || answer.status == 404 ||
	       s3_client_refused(bucket->client, &call, &answer, err);
}

/* After an answer that may mean that an earlier try has succeeded. */
static bool is_ours(struct lake_bucket *bucket, const struct upload *upload, struct err *err)
{
	bool there, ours;

	if (!look(bucket, upload, &there, &ours, err))
		return false;
	if (ours)
		return true;
	if (there)
		return err_set(err, ERR_CONFLICT, "there is an object s3://%s/%s already",
		               bucket->bucket, upload->key);
	return err_set(err, ERR_RETRY, "the object s3://%s/%s was removed while it was written",
	               bucket->bucket, upload->key);
}

static bool put_object(struct lake_bucket *bucket, const struct upload *upload, struct err *err)
{
	struct s3_call call = {.method = "PUT",
	                       .key = upload->key,
	                       .headers = {ONCE,
	                                   {S3_META_SHA256, upload->sha256},
	                                   {S3_META_WRITER, upload->writer}},
	                       .body = upload->content};
	struct s3_answer answer;

	if (!s3_client_call(bucket->client, &call, &answer, err))
		return false;
	if (s3_answer_is_good(&answer))
		return true;
	if (answer.status == 412)
		return is_ours(bucket, upload, err);
	return s3_client_refused(bucket->client, &call, &answer, err);
}

/* ---- multipart ---- */

static bool begin_parts(struct lake_bucket *bucket, const struct upload *upload,
                        char id[UPLOAD_ID_MAX], struct err *err)
{
	struct s3_call call = {.method = "POST",
	                       .key = upload->key,
	                       .query = {{"uploads", ""}},
	                       .headers = {{S3_META_SHA256, upload->sha256},
	                                   {S3_META_WRITER, upload->writer}}};
	struct s3_answer answer;

	if (!call_good(bucket, &call, &answer, err))
		return false;
	return (s3_xml_text(answer.body, "UploadId", id, UPLOAD_ID_MAX) && *id) ||
	       err_set(err, ERR_RETRY, "the server of LAKE_S3_ENDPOINT gave no UploadId for %s",
	               upload->key);
}

static void append_part(struct buffer *list, int number, const char *etag)
{
	char part[256];
	int len = snprintf(part, sizeof(part),
	                   "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, etag);

	buffer_append(list, part, (size_t)len);
}

static bool send_part(struct lake_bucket *bucket, const struct upload *upload, const char *id,
                      int number, struct span content, struct buffer *list, struct err *err)
{
	char number_text[16];
	struct s3_call call = {.method = "PUT",
	                       .key = upload->key,
	                       .query = {{"partNumber", number_text}, {"uploadId", id}},
	                       .body = content};
	struct s3_answer answer;

	snprintf(number_text, sizeof(number_text), "%d", number);
	if (!call_good(bucket, &call, &answer, err))
		return false;
	if (!*answer.etag || strpbrk(answer.etag, "<&>"))
		return err_set(
			err, ERR_RETRY,
			"the server of LAKE_S3_ENDPOINT gave no valid ETag for part %d of %s",
			number, upload->key);
	append_part(list, number, answer.etag);
	return true;
}

static bool send_parts(struct lake_bucket *bucket, const struct upload *upload, const char *id,
                       struct buffer *list, struct err *err)
{
	size_t size = upload->content.len / PARTS_MAX + 1, at = 0;

	if (size < (size_t)bucket->part_bytes)
		size = (size_t)bucket->part_bytes;
	for (int number = 1; at < upload->content.len; number++) {
		size_t len = upload->content.len - at < size ? upload->content.len - at : size;
		struct span part = {upload->content.at + at, len};

		if (!send_part(bucket, upload, id, number, part, list, err))
			return false;
		at += len;
	}
	return true;
}

/* 404: the upload is not there any more. Then an earlier try has completed it. */
static bool complete_parts(struct lake_bucket *bucket, const struct upload *upload, const char *id,
                           const struct buffer *list, struct err *err)
{
	struct s3_call call = {.method = "POST",
	                       .key = upload->key,
	                       .query = {{"uploadId", id}},
	                       .headers = {ONCE},
	                       .body = {list->at, list->len}};
	struct s3_answer answer;

	if (!s3_client_call(bucket->client, &call, &answer, err))
		return false;
	if (s3_answer_is_good(&answer))
		return true;
	if (answer.status == 412 || strcmp(answer.code, "NoSuchUpload") == 0)
		return is_ours(bucket, upload, err);
	return s3_client_refused(bucket->client, &call, &answer, err);
}

/* Once: an upload that stays is not visible. */
static void abort_parts(struct lake_bucket *bucket, const char *key, const char *id)
{
	struct s3_call call = {.method = "DELETE",
	                       .key = key,
	                       .query = {{"uploadId", id}},
	                       .tries = 1};
	struct s3_answer answer;
	bool done = s3_client_call(bucket->client, &call, &answer, NULL);

	(void)done;
}

static bool put_parts(struct lake_bucket *bucket, const struct upload *upload, struct err *err)
{
	static const char begin[] = "<CompleteMultipartUpload>",
			  end[] = "</CompleteMultipartUpload>";
	struct buffer list = {0};
	char id[UPLOAD_ID_MAX];
	bool there, ours, ok;

	/* Before megabytes are sent for nothing. */
	if (!look(bucket, upload, &there, &ours, err))
		return false;
	if (there)
		return is_ours(bucket, upload, err);
	if (!begin_parts(bucket, upload, id, err))
		return false;
	buffer_append(&list, begin, sizeof(begin) - 1);
	ok = send_parts(bucket, upload, id, &list, err);
	buffer_append(&list, end, sizeof(end) - 1);
	ok = ok && complete_parts(bucket, upload, id, &list, err);
	buffer_free(&list);
	if (!ok)
		abort_parts(bucket, upload->key, id);
	return ok;
}

static bool is_left(const struct lake_bucket *bucket, struct span upload, char key[KEY_MAX],
                    char id[UPLOAD_ID_MAX])
{
	char begun[64];
	int64_t begun_us;

	return s3_xml_text(upload, "Key", key, KEY_MAX) &&
	       s3_xml_text(upload, "UploadId", id, UPLOAD_ID_MAX) &&
	       s3_xml_text(upload, "Initiated", begun, sizeof(begun)) &&
	       strncmp(key, bucket->prefix, strlen(bucket->prefix)) == 0 &&
	       time_parse(span_of(begun), &begun_us) && wallclock_us() - begun_us > UPLOAD_LEFT_US;
}

/* An answer is valid until the next call, so the list is copied. */
bool lake_bucket_clear(struct lake_bucket *bucket, struct err *err)
{
	struct s3_call call = {.method = "GET",
	                       .query = {{"prefix", bucket->prefix}, {"uploads", ""}}};
	char key[KEY_MAX], id[UPLOAD_ID_MAX];
	struct buffer list = {0};
	struct s3_answer answer;
	struct span rest, upload;

	if (!call_good(bucket, &call, &answer, err))
		return false;
	buffer_append(&list, answer.body.at, answer.body.len);
	rest = (struct span){list.at, list.len};
	while (s3_xml_next(&rest, "Upload", &upload))
		if (is_left(bucket, upload, key, id))
			abort_parts(bucket, key, id);
	buffer_free(&list);
	return true;
}

static bool map_file(const char *local, struct span *content, struct err *err)
{
	int fd = open(local, O_RDONLY | O_CLOEXEC);
	struct stat state;
	void *at = MAP_FAILED;

	if (fd < 0)
		return lake_file_failed(err, errno, "open", local);
	*content = SPAN("");
	if (fstat(fd, &state) == 0 && state.st_size > 0) {
		at = mmap(NULL, (size_t)state.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (at != MAP_FAILED)
			*content = (struct span){at, (size_t)state.st_size};
		else
			lake_file_failed(err, errno, "map", local);
	}
	close(fd);
	return state.st_size == 0 || at != MAP_FAILED;
}

bool lake_bucket_put(struct lake_bucket *bucket, const char *local, const char *path,
                     struct err *err)
{
	const char *slash = strrchr(local, '/');
	struct upload upload = {0};
	char key[KEY_MAX];
	bool ok;

	if (!make_key(bucket, path, key, err) || !map_file(local, &upload.content, err))
		return false;
	upload.key = key;
	snprintf(upload.writer, sizeof(upload.writer), "%s-%.80s", bucket->token,
	         slash ? slash + 1 : local);
	s3_hash(upload.content, upload.sha256);
	ok = (int64_t)upload.content.len > bucket->part_bytes ? put_parts(bucket, &upload, err)
	                                                      : put_object(bucket, &upload, err);
	if (upload.content.len > 0)
		munmap((void *)(uintptr_t)upload.content.at, upload.content.len);
	if (ok)
		unlink(local);
	return ok;
}

/* ---- get, remove, list ---- */

static bool check_content(const struct lake_bucket *bucket, const char *local, const char *key,
                          const struct s3_answer *answer, struct err *err)
{
	char sha256[S3_HASH_BYTES];
	struct span content;

	if (!*answer->sha256)
		return true;
	if (!map_file(local, &content, err))
		return false;
	s3_hash(content, sha256);
	if (content.len > 0)
		munmap((void *)(uintptr_t)content.at, content.len);
	return strcmp(sha256, answer->sha256) == 0 ||
	       err_set(err, ERR_OPERATOR,
	               "the object s3://%s/%s is damaged: its SHA-256 is %s, expected %s",
	               bucket->bucket, key, sha256, answer->sha256);
}

bool lake_bucket_get(struct lake_bucket *bucket, const char *path, char *out, size_t cap,
                     bool *missing, struct err *err)
{
	struct s3_call call = {.method = "GET", .file = out};
	struct s3_answer answer;
	char key[KEY_MAX];
	bool ok;

	if (!make_key(bucket, path, key, err) || !lake_scratch_open(bucket->scratch, err))
		return false;
	call.key = key;
	lake_scratch_path(bucket->scratch, out, cap);
	if (!s3_client_call(bucket->client, &call, &answer, err))
		return false;
	*missing = strcmp(answer.code, "NoSuchKey") == 0;
	ok = s3_answer_is_good(&answer)
	             ? check_content(bucket, out, key, &answer, err)
	             : *missing || s3_client_refused(bucket->client, &call, &answer, err);
	if (!ok || *missing)
		unlink(out);
	return ok;
}

bool lake_bucket_remove(struct lake_bucket *bucket, const char *path, struct err *err)
{
	char key[KEY_MAX];

	return make_key(bucket, path, key, err) && remove_key(bucket, key, err);
}

/* Names of folders end with '/'; some tools make objects of them. */
static bool is_listed(const char *path, const char *below)
{
	size_t len = strlen(path);

	return len > 0 && path[len - 1] != '/' && path[0] != '.' && !strstr(path, "/.") &&
	       (path[0] != '_' || *below);
}

static bool take_object(const struct lake_bucket *bucket, struct span object, const char *below,
                        struct lake_listing *listing)
{
	char key[KEY_MAX], size[32];
	size_t prefix_len = strlen(bucket->prefix);
	int64_t bytes;

	if (!s3_xml_text(object, "Key", key, sizeof(key)) ||
	    !s3_xml_text(object, "Size", size, sizeof(size)) ||
	    !number_parse_span(span_of(size), INT64_MAX, &bytes) ||
	    strncmp(key, bucket->prefix, prefix_len) != 0)
		return false;
	if (is_listed(key + prefix_len, below))
		lake_listing_add(listing, key + prefix_len, bytes);
	return true;
}

/* token: of the page that follows; "": there is none. */
static bool take_page(const struct lake_bucket *bucket, struct span page, const char *below,
                      struct lake_listing *listing, char token[TOKEN_MAX_BYTES], struct err *err)
{
	struct span rest = page, object;
	char more[8];
	bool ok = s3_xml_text(page, "IsTruncated", more, sizeof(more));

	while (ok && s3_xml_next(&rest, "Contents", &object))
		ok = take_object(bucket, object, below, listing);
	token[0] = '\0';
	if (ok && strcmp(more, "true") == 0)
		ok = s3_xml_text(page, "NextContinuationToken", token, TOKEN_MAX_BYTES) && *token;
	return ok || err_set(err, ERR_RETRY,
	                     "the server of LAKE_S3_ENDPOINT gave an unreadable list of %s%s",
	                     bucket->root, below);
}

bool lake_bucket_list(struct lake_bucket *bucket, const char *below, struct lake_listing *listing,
                      struct err *err)
{
	char key[KEY_MAX], token[TOKEN_MAX_BYTES] = "";
	struct s3_answer answer;

	if (!make_key(bucket, below, key, err))
		return false;
	do {
		struct s3_call call = {.method = "GET",
		                       .query = {{"list-type", "2"}, {"prefix", key}}};
		struct s3_call next = {.method = "GET",
		                       .query = {{"continuation-token", token},
		                                 {"list-type", "2"},
		                                 {"prefix", key}}};

		if (!call_good(bucket, *token ? &next : &call, &answer, err) ||
		    !take_page(bucket, answer.body, below, listing, token, err))
			return false;
	} while (*token);
	lake_listing_sort(listing);
	return true;
}
