/* inflate(), which checks the CRC of every member. Damage is reported after all bytes before it
 * were given.
 *
 * Rejected: gzopen(). Some of its versions report a truncated stream as a normal end if nothing
 * follows it. Rejected: libarchive for gzip. It takes as much time as this, but it does not check
 * the CRC, treats a damaged second member as the end, and drops up to 64 KB before a truncated
 * end. */
#include "gzip_origin.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define BLOCK_BYTES 131072

struct gzip {
	struct byte_origin inner;
	z_stream z;                 /* next_in and avail_in: the unread rest of the block */
	bool member_ended, pending; /* pending: inflate() may have more without more input */
	const char *failure;        /* reported after the bytes before it */
	char path[1024];
	unsigned char block[BLOCK_BYTES];
};

/* False: reading failed. After true, avail_in is 0 at the end. */
static bool fill(struct gzip *gzip, struct err *err)
{
	ssize_t got;

	if (gzip->z.avail_in > 0)
		return true;
	got = gzip->inner.read(gzip->inner.self, gzip->block, sizeof(gzip->block), err);
	gzip->z.next_in = gzip->block;
	gzip->z.avail_in = got > 0 ? (unsigned)got : 0;
	return got >= 0;
}

static ssize_t cut(const struct gzip *gzip, const char *why, struct err *err)
{
	err_set(err, ERR_OPERATOR,
	        "%s: the gzip stream %s. Replace the file and run the producer again", gzip->path,
	        why);
	return -1;
}

/* Skips padding, then begins the next member. */
static bool next_member(struct gzip *gzip)
{
	while (gzip->z.avail_in > 0 && *gzip->z.next_in == 0) {
		gzip->z.next_in++;
		gzip->z.avail_in--;
	}
	if (gzip->z.avail_in == 0)
		return true;
	gzip->member_ended = false;
	return inflateReset(&gzip->z) == Z_OK;
}

static ssize_t gzip_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct gzip *gzip = self;
	size_t given = 0;
	int result;

	while (given == 0) {
		if (gzip->failure)
			return cut(gzip, gzip->failure, err);
		if (!fill(gzip, err))
			return -1;
		if (gzip->z.avail_in == 0 && gzip->member_ended)
			return 0;
		if (gzip->z.avail_in == 0 && !gzip->pending)
			return cut(gzip, "ends early", err);
		if (gzip->member_ended && !next_member(gzip))
			return cut(gzip, "is damaged", err);
		if (gzip->member_ended)
			continue;
		gzip->z.next_out = buf;
		gzip->z.avail_out = (unsigned)cap;
		result = inflate(&gzip->z, Z_NO_FLUSH);
		given = cap - gzip->z.avail_out;
		gzip->pending = gzip->z.avail_out == 0;
		gzip->member_ended = result == Z_STREAM_END;
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			gzip->failure = "is damaged";
	}
	return (ssize_t)given;
}

static bool gzip_waits(void *self, int timeout_ms)
{
	const struct gzip *gzip = self;

	return gzip->z.avail_in == 0 && !gzip->pending && !gzip->failure &&
	       gzip->inner.waits(gzip->inner.self, timeout_ms);
}

static void gzip_free(void *self)
{
	struct gzip *gzip = self;

	inflateEnd(&gzip->z);
	byte_origin_close(&gzip->inner);
	free(gzip);
}

bool gzip_origin_over(struct byte_origin *origin, const char *path, struct err *err)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip || inflateInit2(&gzip->z, 15 + 16) != Z_OK) {
		free(gzip);
		return err_set(err, ERR_FATAL, "%s: cannot start to decompress", path);
	}
	gzip->inner = *origin;
	strncpy(gzip->path, path, sizeof(gzip->path) - 1);
	*origin = (struct byte_origin){
		gzip, gzip_read, NULL, NULL, origin->waits ? gzip_waits : NULL, gzip_free};
	return true;
}
