/* read(2) into one block, and inflate() for gzip. Rejected: gzopen(). Some of its versions report a
 * truncated stream as a normal end if nothing follows it, and it does not report where the stream
 * ends. */
#include "byte_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define BLOCK_BYTES 131072

struct byte_reader {
	int fd;
	bool gzip, inflating, member_ended;
	int64_t position; /* offset in the file of the end of the block */
	/* next_in and avail_in: the unread rest of the block, plain or compressed */
	z_stream z;
	char path[1024];
	unsigned char block[BLOCK_BYTES];
};

static bool fill(struct byte_reader *reader, struct err *err)
{
	ssize_t got;

	do
		got = read(reader->fd, reader->block, sizeof(reader->block));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_set(err, ERR_FATAL, "%s: reading failed: %s", reader->path,
		               strerror(errno));
	reader->z.next_in = reader->block;
	reader->z.avail_in = (unsigned)got;
	reader->position += got;
	return true;
}

static bool begin(struct byte_reader *reader, struct err *err)
{
	if (!fill(reader, err))
		return false;
	reader->gzip =
		reader->z.avail_in >= 2 && reader->block[0] == 0x1f && reader->block[1] == 0x8b;
	if (!reader->gzip)
		return true;
	if (inflateInit2(&reader->z, 15 + 16) != Z_OK)
		return err_set(err, ERR_FATAL, "%s: cannot start to decompress", reader->path);
	reader->inflating = true;
	return true;
}

struct byte_reader *byte_reader_new(const char *path, struct err *err)
{
	struct byte_reader *reader = calloc(1, sizeof(*reader));

	if (!reader || strlen(path) >= sizeof(reader->path)) {
		err_set(err, ERR_FATAL, "%s: out of memory, or the path is too long", path);
		free(reader);
		return NULL;
	}
	memcpy(reader->path, path, strlen(path) + 1);
	reader->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0)
		err_set(err, ERR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
	if (reader->fd < 0 || !begin(reader, err)) {
		byte_reader_free(reader);
		return NULL;
	}
	return reader;
}

void byte_reader_free(struct byte_reader *reader)
{
	if (!reader)
		return;
	if (reader->inflating)
		inflateEnd(&reader->z);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader);
}

static enum byte_result read_plain(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                   struct err *err)
{
	if (reader->z.avail_in == 0 && !fill(reader, err))
		return BYTES_FAILED;
	if (reader->z.avail_in == 0)
		return BYTES_END;
	*given = reader->z.avail_in < cap ? reader->z.avail_in : cap;
	memcpy(out, reader->z.next_in, *given);
	reader->z.next_in += *given;
	reader->z.avail_in -= (unsigned)*given;
	return BYTES_GIVEN;
}

static enum byte_result cut(const struct byte_reader *reader, const char *why, struct err *err)
{
	err_set(err, ERR_OPERATOR,
	        "%s: the gzip stream %s. All rows before that place were sent, and the end of the "
	        "segment was not announced. Replace the file and run the producer again",
	        reader->path, why);
	return BYTES_CUT;
}

/* One step of inflate(), which may yield no bytes yet. */
static enum byte_result read_gzip(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                  struct err *err)
{
	int result;

	if (reader->z.avail_in == 0 && !fill(reader, err))
		return BYTES_FAILED;
	if (reader->z.avail_in == 0)
		return reader->member_ended ? BYTES_END : cut(reader, "ends early", err);
	/* zeros after the last member are padding, as tape tools write it */
	if (reader->member_ended) {
		if (*reader->z.next_in == 0) {
			reader->z.next_in++;
			reader->z.avail_in--;
			return BYTES_GIVEN;
		}
		if (inflateReset(&reader->z) != Z_OK)
			return cut(reader, "is damaged", err);
		reader->member_ended = false;
	}
	reader->z.next_out = (unsigned char *)out;
	reader->z.avail_out = (unsigned)cap;
	result = inflate(&reader->z, Z_NO_FLUSH);
	*given = cap - reader->z.avail_out;
	reader->member_ended = result == Z_STREAM_END;
	if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR || *given > 0)
		return BYTES_GIVEN; /* an error after some bytes is reported by the next call */
	return cut(reader, "is damaged", err);
}

enum byte_result byte_reader_read(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                  struct err *err)
{
	enum byte_result result = BYTES_GIVEN;

	*given = 0;
	if (!reader->gzip)
		return read_plain(reader, out, cap, given, err);
	while (*given == 0 && result == BYTES_GIVEN)
		result = read_gzip(reader, out, cap, given, err);
	return result;
}

bool byte_reader_seek(struct byte_reader *reader, int64_t offset)
{
	if (reader->gzip || lseek(reader->fd, offset, SEEK_SET) != offset)
		return false;
	reader->position = offset;
	reader->z.avail_in = 0;
	return true;
}

int64_t byte_reader_position(const struct byte_reader *reader)
{
	return reader->position - reader->z.avail_in;
}
