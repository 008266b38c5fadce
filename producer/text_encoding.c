/* iconv(3) from one block into another. */
#include "text_encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK_BYTES 65536
#define BAD_BYTE    '\xff'

struct recoded {
	struct byte_origin inner;
	iconv_t converter;
	size_t unit;            /* bytes that are skipped if they are not valid */
	size_t in_len;          /* bytes of in that are not converted */
	size_t out_at, out_len; /* the unread bytes of out */
	bool ended;
	char in[BLOCK_BYTES];
	char out[4 * BLOCK_BYTES]; /* one byte of input becomes up to four */
};

bool text_encoding_is_utf8(const char *name)
{
	return !name[0] || strcasecmp(name, "utf-8") == 0 || strcasecmp(name, "utf8") == 0;
}

bool text_encoding_check(const char *name, struct err *err)
{
	iconv_t converter;

	if (text_encoding_is_utf8(name))
		return true;
	converter = iconv_open("UTF-8", name);
	if (converter == (iconv_t)-1)
		return err_set(err, ERR_INPUT,
		               "expected a name that iconv knows, such as latin1, windows-1252 or "
		               "utf-16 (iconv -l lists them)");
	iconv_close(converter);
	return true;
}

static size_t unit_of(const char *name)
{
	if (strncasecmp(name, "utf-16", 6) == 0 || strncasecmp(name, "ucs-2", 5) == 0)
		return 2;
	return strncasecmp(name, "utf-32", 6) == 0 || strncasecmp(name, "ucs-4", 5) == 0 ? 4 : 1;
}

static bool fill(struct recoded *recoded, struct err *err)
{
	ssize_t got = recoded->inner.read(recoded->inner.self, recoded->in + recoded->in_len,
	                                  BLOCK_BYTES - recoded->in_len, err);

	if (got < 0)
		return false;
	recoded->ended = got == 0;
	recoded->in_len += (size_t)got;
	return true;
}

/* Converts what is in the block. A character that continues in the next block stays. */
static void convert(struct recoded *recoded)
{
	char *in = recoded->in, *out = recoded->out;
	size_t in_left = recoded->in_len, out_left = sizeof(recoded->out);

	while (in_left > 0 && out_left > 4) {
		size_t skip = recoded->unit;

		errno = 0;
		if (iconv(recoded->converter, &in, &in_left, &out, &out_left) != (size_t)-1)
			break;
		if (errno == E2BIG || (errno == EINVAL && !recoded->ended))
			break;
		*out++ = BAD_BYTE;
		out_left--;
		skip = skip < in_left ? skip : in_left;
		in += skip;
		in_left -= skip;
	}
	memmove(recoded->in, in, in_left);
	recoded->in_len = in_left;
	recoded->out_at = 0;
	recoded->out_len = sizeof(recoded->out) - out_left;
}

static ssize_t recoded_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct recoded *recoded = self;
	size_t have;

	while (recoded->out_at == recoded->out_len) {
		if (recoded->ended && recoded->in_len == 0)
			return 0;
		if (!recoded->ended && !fill(recoded, err))
			return -1;
		convert(recoded);
	}
	have = recoded->out_len - recoded->out_at;
	have = have < cap ? have : cap;
	memcpy(buf, recoded->out + recoded->out_at, have);
	recoded->out_at += have;
	return (ssize_t)have;
}

static bool recoded_waits(void *self, int timeout_ms)
{
	const struct recoded *recoded = self;

	return recoded->out_at == recoded->out_len && !recoded->ended &&
	       recoded->inner.waits(recoded->inner.self, timeout_ms);
}

static void recoded_free(void *self)
{
	struct recoded *recoded = self;

	iconv_close(recoded->converter);
	byte_origin_close(&recoded->inner);
	free(recoded);
}

bool text_encoding_over(struct byte_origin *origin, const char *name, struct err *err)
{
	struct recoded *recoded = calloc(1, sizeof(*recoded));

	if (!recoded)
		return err_set(err, ERR_FATAL, "out of memory");
	recoded->converter = iconv_open("UTF-8", name);
	if (recoded->converter == (iconv_t)-1) {
		free(recoded);
		return err_set(err, ERR_INPUT,
		               "invalid value \"%s\" for ENCODING: iconv does not know it", name);
	}
	recoded->inner = *origin;
	recoded->unit = unit_of(name);
	*origin = (struct byte_origin){
		recoded,     recoded_read, NULL, NULL, origin->waits ? recoded_waits : NULL,
		recoded_free};
	return true;
}
