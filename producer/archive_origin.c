/* libarchive, with callbacks that read the origin below. A compression and an archive are two
 * layers. So each nesting adds layers of this kind, and a text is never read as an archive.
 *
 * libarchive treats bytes after a compressed stream as padding if they do not begin another stream.
 * They may be a damaged stream, so this code accepts zeros only. It treats the end of the bytes as
 * the end of a tar, also if the block of zeros that ends a tar is missing. This code requires it.
 *
 * Limits: of a truncated stream, the last block of the library is lost. A zip on a pipe is read
 * from its front. */
#include "archive_origin.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#define BLOCK_BYTES 131072

struct packed {
	struct byte_origin inner;
	struct archive *archive;
	struct err inner_err; /* class: ERR_NONE, or why the origin below failed */
	int64_t offset;       /* of the end of the block */
	size_t block_len;
	const unsigned char *data; /* the unread rest of the library's block */
	size_t data_len;
	bool is_stream; /* a compressed stream, not an archive */
	bool only;      /* no other file may follow */
	bool ended;
	locale_t utf8; /* 0: the system does not have it */
	char path[1024];
	unsigned char block[BLOCK_BYTES];
};

/* ---- the origin below */

static la_ssize_t below_read(struct archive *archive, void *context, const void **block)
{
	struct packed *packed = context;
	ssize_t got = packed->inner.read(packed->inner.self, packed->block, BLOCK_BYTES,
	                                 &packed->inner_err);

	if (got < 0)
		archive_set_error(archive, EIO, "%s", packed->inner_err.message);
	if (got > 0) { /* at the end, the last block stays */
		packed->block_len = (size_t)got;
		packed->offset += got;
	}
	*block = packed->block;
	return got;
}

static la_int64_t below_seek(struct archive *archive, void *context, la_int64_t offset, int whence)
{
	struct packed *packed = context;

	(void)archive;
	if (whence == SEEK_CUR)
		offset += packed->offset;
	if (whence == SEEK_END)
		offset += packed->inner.size(packed->inner.self);
	if (!packed->inner.seek(packed->inner.self, offset))
		return ARCHIVE_FATAL;
	packed->offset = offset;
	return offset;
}

/* ---- errors */

static bool damaged(struct packed *packed, const char *why, struct err *err)
{
	if (packed->inner_err.class != ERR_NONE) {
		if (err)
			*err = packed->inner_err;
		return false;
	}
	return err_set(err, ERR_OPERATOR,
	               "%s: the %s ends early, is damaged, or is of a kind that cannot be read: "
	               "%s. Replace the file and run the producer again",
	               packed->path, packed->is_stream ? "compressed stream" : "archive", why);
}

static bool library_failed(struct packed *packed, struct err *err)
{
	const char *why = archive_error_string(packed->archive);

	return damaged(packed, why ? why : "no further detail", err);
}

/* ---- reading */

/* The name of the file. NULL: the library cannot convert it. */
static const char *name_of(struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);

	return name ? name : archive_entry_pathname_utf8(entry);
}

static bool is_ours(struct archive_entry *entry)
{
	const char *name = name_of(entry), *part = name;

	if (archive_entry_filetype(entry) != AE_IFREG || strncmp(name, "__MACOSX/", 9) == 0)
		return false;
	for (; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (*part == '.' && part[1] != '/')
			return false;
	}
	return true;
}

/* At the end of an archive: whether it has its end mark. For a tar the library has read, after the
 * last file, at least one block of zeros. It checks the end of a zip itself. */
static bool has_end(const struct packed *packed)
{
	bool is_tar =
		(archive_format(packed->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;

	return !is_tar || archive_filter_bytes(packed->archive, 0) >
	                          archive_read_header_position(packed->archive);
}

/* The library converts names in UTF-8 to the locale of the thread. In the C locale, a name with
 * other letters than ASCII would be lost. */
static int next_header(struct packed *packed, struct archive_entry **entry)
{
	locale_t before = uselocale(packed->utf8);
	int result = archive_read_next_header(packed->archive, entry);

	uselocale(before);
	return result;
}

enum header { HEADER_FILE, HEADER_END, HEADER_FAILED };

/* Goes to the next file that is not hidden. */
static enum header next_file(struct packed *packed, struct archive_entry **entry, struct err *err)
{
	for (;;) {
		int result = next_header(packed, entry);

		if (result == ARCHIVE_EOF)
			return has_end(packed) || damaged(packed, "its last block is missing", err)
			               ? HEADER_END
			               : HEADER_FAILED;
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
			library_failed(packed, err);
			return HEADER_FAILED;
		}
		if (!packed->is_stream && !name_of(*entry)) {
			damaged(packed, "the name of a file cannot be read", err);
			return HEADER_FAILED;
		}
		if (packed->is_stream || is_ours(*entry))
			return HEADER_FILE;
	}
}

/* Reads the next block of the file. *end: it has no more bytes. */
static bool read_block(struct packed *packed, bool *end, struct err *err)
{
	const void *data;
	la_int64_t at;
	int result;

	do
		result = archive_read_data_block(packed->archive, &data, &packed->data_len, &at);
	while (result == ARCHIVE_OK && packed->data_len == 0);
	packed->data = data;
	*end = result == ARCHIVE_EOF;
	if (result != ARCHIVE_OK)
		packed->data_len = 0;
	return result == ARCHIVE_OK || *end || library_failed(packed, err);
}

/* Goes to the next file that has bytes, and reads its first block: the header may lack the size. */
static enum header next_full_file(struct packed *packed, struct archive_entry **entry,
                                  struct err *err)
{
	bool end = true;

	while (end) {
		enum header header = next_file(packed, entry, err);

		if (header != HEADER_FILE || packed->is_stream)
			return header;
		if (!read_block(packed, &end, err))
			return HEADER_FAILED;
	}
	return HEADER_FILE;
}

/* Reads the bytes after an archive, so that the layers below check their end. */
static bool read_rest(struct packed *packed, struct err *err)
{
	const void *block;

	while (below_read(packed->archive, packed, &block) > 0)
		continue;
	return packed->inner_err.class == ERR_NONE || damaged(packed, "", err);
}

/* At the end of a compressed stream: only zeros may follow. */
static bool only_padding_follows(struct packed *packed, struct err *err)
{
	int64_t unread = packed->offset - archive_filter_bytes(packed->archive, -1);
	size_t from = packed->block_len - (size_t)unread;
	const void *block;

	if (unread > (int64_t)packed->block_len)
		return damaged(packed, "other bytes follow the stream", err);

	do {
		for (size_t i = from; i < packed->block_len; i++)
			if (packed->block[i] != 0)
				return damaged(packed, "other bytes follow the stream", err);
		from = 0;
	} while (below_read(packed->archive, packed, &block) > 0);
	return packed->inner_err.class == ERR_NONE || damaged(packed, "", err);
}

static bool nothing_follows(struct packed *packed, struct err *err)
{
	struct archive_entry *entry;

	if (packed->is_stream)
		return only_padding_follows(packed, err);
	if (!packed->only)
		return true;
	switch (next_full_file(packed, &entry, err)) {
	case HEADER_END: return read_rest(packed, err);
	case HEADER_FAILED: return false;
	case HEADER_FILE: break;
	}
	packed->data_len = 0;
	return err_set(err, ERR_INPUT,
	               "%s: the archive has several files, and only the first one was read "
	               "(the next is %s); unpack it, or give it as a file and not as a stream or "
	               "inside another archive",
	               packed->path, name_of(entry));
}

/* Makes data the next block. data_len 0: the end. */
static bool next_block(struct packed *packed, struct err *err)
{
	if (packed->data_len > 0 || packed->ended)
		return true;
	if (!read_block(packed, &packed->ended, err))
		return false;
	return !packed->ended || nothing_follows(packed, err);
}

static ssize_t packed_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct packed *packed = self;
	size_t given;

	if (packed->data_len == 0 && !next_block(packed, err))
		return -1;
	given = packed->data_len < cap ? packed->data_len : cap;
	if (given > 0) { /* data may be NULL */
		memcpy(buf, packed->data, given);
		packed->data += given;
	}
	packed->data_len -= given;
	return (ssize_t)given;
}

/* Does not close the origin below. */
static void packed_end(struct packed *packed)
{
	archive_read_free(packed->archive);
	if (packed->utf8)
		freelocale(packed->utf8);
	free(packed);
}

static void packed_free(void *self)
{
	struct packed *packed = self;

	byte_origin_close(&packed->inner);
	packed_end(packed);
}

/* ---- opening */

static void support(struct archive *archive, bool is_stream)
{
	if (is_stream) {
		archive_read_support_filter_zstd(archive);
		archive_read_support_filter_xz(archive);
		archive_read_support_filter_bzip2(archive);
		archive_read_support_filter_lz4(archive);
		archive_read_support_format_raw(archive);
	} else {
		archive_read_support_format_zip(archive);
		archive_read_support_format_tar(archive);
		archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1");
	}
}

/* Borrows the origin. */
static struct packed *packed_new(const struct byte_origin *origin, const char *path, bool is_stream,
                                 struct err *err)
{
	struct packed *packed = calloc(1, sizeof(*packed));

	if (packed)
		packed->archive = archive_read_new();
	if (!packed || !packed->archive) {
		err_set(err, ERR_FATAL, "%s: out of memory", path);
		free(packed);
		return NULL;
	}
	packed->inner = *origin;
	packed->is_stream = is_stream;
	packed->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	snprintf(packed->path, sizeof(packed->path), "%s", path);
	support(packed->archive, is_stream);
	archive_read_set_callback_data(packed->archive, packed);
	archive_read_set_read_callback(packed->archive, below_read);
	if (origin->seek)
		archive_read_set_seek_callback(packed->archive, below_seek);
	if (archive_read_open1(packed->archive) == ARCHIVE_OK)
		return packed;
	library_failed(packed, err);
	packed_end(packed);
	return NULL;
}

static bool go_to(struct packed *packed, const char *member, struct err *err)
{
	struct archive_entry *entry;

	for (;;) {
		switch (member ? next_file(packed, &entry, err)
		               : next_full_file(packed, &entry, err)) {
		case HEADER_FILE: break;
		case HEADER_END:
			return err_set(err, ERR_INPUT, "%s: the archive has no file%s%s",
			               packed->path, member ? " " : " that has bytes",
			               member ? member : "");
		case HEADER_FAILED: return false;
		}
		if (!member || strcmp(name_of(entry), member) == 0)
			return true;
	}
}

static bool put_over(struct byte_origin *origin, const char *path, bool is_stream,
                     const char *member, struct err *err)
{
	struct packed *packed = packed_new(origin, path, is_stream, err);

	if (!packed)
		return false;
	packed->only = !member;
	*origin = (struct byte_origin){packed, packed_read, NULL, NULL, NULL, packed_free};
	if (is_stream && archive_filter_code(packed->archive, 0) == ARCHIVE_FILTER_NONE)
		return damaged(packed, "its first block is not complete or not known", err);
	return go_to(packed, member, err);
}

bool archive_origin_unpack(struct byte_origin *origin, const char *path, struct err *err)
{
	return put_over(origin, path, true, NULL, err);
}

bool archive_origin_member(struct byte_origin *origin, const char *path, const char *member,
                           struct err *err)
{
	return put_over(origin, path, false, member, err);
}

bool archive_origin_check_single(struct byte_origin *origin, const char *path, struct err *err)
{
	struct packed *packed = packed_new(origin, path, false, err);
	struct archive_entry *entry;
	bool ok = false;

	if (packed && go_to(packed, NULL, err)) {
		enum header header = next_full_file(packed, &entry, err);

		ok = header == HEADER_END;
		if (header == HEADER_FILE)
			err_set(err, ERR_INPUT,
			        "%s: an archive inside the archive has several files (one is %s), "
			        "and only one can be read; unpack the outer archive and give the "
			        "folder as INPUT",
			        path, name_of(entry));
	}
	if (packed)
		packed_end(packed);
	return ok;
}

bool archive_origin_list(struct byte_origin *origin, const char *path, archive_visit *visit,
                         void *context, struct err *err)
{
	struct packed *packed = packed_new(origin, path, false, err);
	struct archive_entry *entry;
	enum header header = HEADER_FAILED;

	while (packed && (header = next_file(packed, &entry, err)) == HEADER_FILE)
		if (!visit(context, name_of(entry),
		           archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1,
		           err)) {
			header = HEADER_FAILED;
			break;
		}
	if (packed)
		packed_end(packed);
	return header == HEADER_END;
}
