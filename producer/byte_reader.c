/* Layers of origins: the file, then one per container as long as the first bytes are those of a
 * container, then the encoding. A plain file is read without any copy but that of its first
 * bytes. */
#include "byte_reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "byte_origin.h"
#include "gzip_origin.h"
#include "http_stream.h"
#include "text_encoding.h"

#define LAYERS_MAX 4
#define HEAD_BYTES 512 /* of a tar, its first block */
#define MAGIC_MAX  6   /* bytes of the longest mark below */
#define WAIT_MS    1000

struct byte_reader {
	struct byte_origin base, top;
	bool is_member; /* the position counts bytes of the member */
	int archives;   /* unpacked ones, each inside the one before it */
	int64_t base_bytes, top_bytes;
	char path[PATH_MAX];
};

/* ---- kinds of containers */

enum container {
	CONTAINER_NONE,
	CONTAINER_GZIP,
	CONTAINER_STREAM,
	CONTAINER_ARCHIVE,
	CONTAINER_REFUSED
};

static const struct mark {
	const char *bytes;
	size_t len;
	enum container container;
	const char *name;
} marks[] = {
	{"\x1f\x8b", 2, CONTAINER_GZIP, "gzip"},
	{"\x28\xb5\x2f\xfd", 4, CONTAINER_STREAM, "zstd"},
	{"\x50\x2a\x4d\x18", 4, CONTAINER_STREAM, "zstd"}, /* of pzstd: a skippable frame */
	{"\xfd"
         "7zXZ",
         6, CONTAINER_STREAM, "xz"},
	{"BZh", 3, CONTAINER_STREAM, "bzip2"},
	{"\x04\x22\x4d\x18", 4, CONTAINER_STREAM, "lz4"},
	{"PK\x03\x04", 4, CONTAINER_ARCHIVE, "zip"},
	{"PK\x05\x06", 4, CONTAINER_ARCHIVE, "zip"},
	{"PK\x07\x08", 4, CONTAINER_ARCHIVE, "zip"},
	{"7z\xbc\xaf\x27\x1c", 6, CONTAINER_REFUSED, "a 7-Zip archive"},
	{"Rar!", 4, CONTAINER_REFUSED, "a RAR archive"},
	{"PAR1", 4, CONTAINER_REFUSED, "a Parquet file"},
};
static const struct mark tar_mark = {"ustar", 5, CONTAINER_ARCHIVE, "tar"};

static const struct mark *mark_of(const unsigned char *head, size_t len)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (len >= marks[i].len && memcmp(head, marks[i].bytes, marks[i].len) == 0)
			return &marks[i];
	return len >= 263 && memcmp(head + 257, "ustar", 5) == 0 ? &tar_mark : NULL;
}

/* NULL and no error: it is not a container. */
static const struct mark *look(struct byte_reader *reader, bool *ok, struct err *err)
{
	unsigned char head[HEAD_BYTES];
	ssize_t len = byte_origin_peek(&reader->top, head, sizeof(head), MAGIC_MAX, err);
	const struct mark *mark = len > 0 ? mark_of(head, (size_t)len) : NULL;

	*ok = len >= 0;
	if (mark && mark->container == CONTAINER_REFUSED)
		*ok = err_set(err, ERR_INPUT,
		              "%s: this is %s, which cannot be read; expected CSV or JSON lines, "
		              "plain or in gzip, zstd, xz, bzip2, lz4, zip or tar",
		              reader->path, mark->name);
	return mark;
}

/* ---- the file itself, whose bytes are counted */

static ssize_t base_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct byte_reader *reader = self;
	ssize_t got = reader->base.read(reader->base.self, buf, cap, err);

	reader->base_bytes += got > 0 ? got : 0;
	return got;
}

static bool base_seek(void *self, int64_t offset)
{
	struct byte_reader *reader = self;

	if (!reader->base.seek(reader->base.self, offset))
		return false;
	reader->base_bytes = offset;
	return true;
}

static int64_t base_size(void *self)
{
	const struct byte_reader *reader = self;

	return reader->base.size(reader->base.self);
}

static bool base_waits(void *self, int timeout_ms)
{
	const struct byte_reader *reader = self;

	return reader->base.waits(reader->base.self, timeout_ms);
}

/* Cuts path after the first part of it that is a file, so that the rest names a member. False: no
 * part is a file. */
static bool cut_at_file(char *path, const char **member)
{
	struct stat about;

	*member = NULL;
	if (byte_origin_is_stream(path) || stat(path, &about) == 0)
		return true;
	for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (stat(path, &about) == 0 && S_ISREG(about.st_mode)) {
			*member = slash + 1;
			return true;
		}
		*slash = '/';
	}
	return false;
}

/* Opens the file. *member: the rest of the path that names a member, in `path`. */
static struct byte_reader *open_base(const char *path, char container[PATH_MAX],
                                     const char **member, struct err *err)
{
	struct byte_reader *reader = calloc(1, sizeof(*reader));
	char name[HTTP_NAME_MAX];

	if (!reader || strlen(path) >= PATH_MAX) {
		err_set(err, ERR_FATAL, "%s: out of memory, or the path is too long", path);
		free(reader);
		return NULL;
	}
	snprintf(reader->path, sizeof(reader->path), "%s",
	         strcmp(path, "-") == 0 ? "standard input" : http_shown(path, name));
	snprintf(container, PATH_MAX, "%s", path);
	if (!cut_at_file(container, member))
		*member = NULL;
	if (!byte_origin_open(&reader->base, *member ? container : path, err)) {
		free(reader);
		return NULL;
	}
	reader->top = (struct byte_origin){reader,
	                                   base_read,
	                                   reader->base.seek ? base_seek : NULL,
	                                   reader->base.seek ? base_size : NULL,
	                                   reader->base.waits ? base_waits : NULL,
	                                   NULL};
	return reader;
}

/* ---- layers */

/* Puts a layer over the top. *member: the file to read of the outermost archive; then NULL. */
static bool unpack(struct byte_reader *reader, enum container container, const char **member,
                   struct err *err)
{
	const char *wanted = *member;

	switch (container) {
	case CONTAINER_GZIP: return gzip_origin_over(&reader->top, reader->path, err);
	case CONTAINER_STREAM: return archive_origin_unpack(&reader->top, reader->path, err);
	case CONTAINER_ARCHIVE:
		reader->is_member = reader->is_member || wanted;
		reader->archives++;
		*member = NULL;
		return archive_origin_member(&reader->top, reader->path, wanted, err);
	case CONTAINER_NONE:
	case CONTAINER_REFUSED: break;
	}
	return false;
}

/* A path such as notes.csv/x.csv, whose first part is not an archive, has no file x.csv. */
static bool found_member(const struct byte_reader *reader, const char *member, struct err *err)
{
	return !member || err_set(err, ERR_INPUT,
	                          "%s: this is not an archive, so it has no file \"%s\" in it; "
	                          "expected the path of the file itself",
	                          reader->path, member);
}

/* Unpacks layer by layer, up to an archive inside `archives` other ones or up to bytes that are not
 * a container. *at_archive: at which of both it stopped. */
static bool unpack_all(struct byte_reader *reader, const char *member, int archives,
                       bool *at_archive, struct err *err)
{
	for (int layers = 0;; layers++) {
		bool ok;
		const struct mark *mark = look(reader, &ok, err);

		*at_archive = ok && mark && mark->container == CONTAINER_ARCHIVE &&
		              reader->archives == archives;
		if (ok && !mark)
			return found_member(reader, member, err);
		if (!ok || *at_archive)
			return ok;
		if (layers == LAYERS_MAX)
			return err_set(err, ERR_INPUT,
			               "%s: more than %d containers inside each other; unpack it",
			               reader->path, LAYERS_MAX);
		if (!unpack(reader, mark->container, &member, err))
			return false;
	}
}

struct byte_reader *byte_reader_new(const char *path, const char *encoding, struct err *err)
{
	char container[PATH_MAX];
	const char *member;
	struct byte_reader *reader = open_base(path, container, &member, err);
	bool at_archive;

	if (!reader)
		return NULL;
	if (unpack_all(reader, member, LAYERS_MAX + 1, &at_archive, err) &&
	    (!encoding || text_encoding_is_utf8(encoding) ||
	     text_encoding_over(&reader->top, encoding, err)))
		return reader;
	byte_reader_free(reader);
	return NULL;
}

void byte_reader_free(struct byte_reader *reader)
{
	if (!reader)
		return;
	byte_origin_close(&reader->top);
	byte_origin_close(&reader->base);
	free(reader);
}

bool byte_reader_list(const char *path, bool *is_archive, archive_visit *visit, void *context,
                      struct err *err)
{
	char container[PATH_MAX];
	const char *member;
	struct byte_reader *reader = open_base(path, container, &member, err);
	bool ok;

	*is_archive = false;
	if (!reader)
		return false;
	ok = unpack_all(reader, NULL, 0, is_archive, err);
	if (*is_archive)
		ok = archive_origin_list(&reader->top, path, visit, context, err);
	byte_reader_free(reader);
	return ok;
}

bool byte_reader_is_nested(const struct byte_reader *reader)
{
	return reader->archives > 1;
}

/* The archive inside `archives` other ones. *found: false if there is none. */
static bool check_inner(const char *path, int archives, bool *found, struct err *err)
{
	char container[PATH_MAX];
	const char *member;
	struct byte_reader *reader = open_base(path, container, &member, err);
	bool ok;

	*found = false;
	if (!reader)
		return false;
	ok = unpack_all(reader, member, archives, found, err);
	if (*found)
		ok = archive_origin_check_single(&reader->top, path, err);
	byte_reader_free(reader);
	return ok;
}

bool byte_reader_check_nested(const char *path, struct err *err)
{
	bool found = true;

	for (int archives = 1; found; archives++)
		if (!check_inner(path, archives, &found, err))
			return false;
	return true;
}

/* ---- reading */

/* Reads the rest of a stream after the end of its container: the checksum of a URL covers it. */
static ssize_t read_rest(struct byte_reader *reader, struct err *err)
{
	char rest[4096];
	ssize_t got;

	do
		got = base_read(reader, rest, sizeof(rest), err);
	while (got > 0);
	return got;
}

enum byte_result byte_reader_read(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                  struct err *err)
{
	struct err why = {.class = ERR_NONE};
	ssize_t got = reader->top.read(reader->top.self, out, cap, &why);

	*given = got > 0 ? (size_t)got : 0;
	reader->top_bytes += (int64_t)*given;
	if (got == 0 && !reader->base.seek)
		got = read_rest(reader, &why);
	if (got >= 0)
		return got > 0 ? BYTES_GIVEN : BYTES_END;
	if (err)
		*err = why;
	return why.class == ERR_OPERATOR ? BYTES_CUT : BYTES_FAILED;
}

bool byte_reader_seek(struct byte_reader *reader, int64_t offset)
{
	return reader->top.seek && reader->top.seek(reader->top.self, offset);
}

int64_t byte_reader_position(const struct byte_reader *reader)
{
	return reader->is_member ? reader->top_bytes : reader->base_bytes;
}

const char *byte_reader_path(const struct byte_reader *reader)
{
	return reader->path;
}

bool byte_reader_waits(struct byte_reader *reader)
{
	return reader->top.waits && reader->top.waits(reader->top.self, WAIT_MS);
}
