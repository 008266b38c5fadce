/* A table of URL schemes, each with the function that opens it. Another source of bytes needs one
 * more line in the table. */
#include "byte_origin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_origin.h"

struct file {
	int fd;
	char path[]; /* for messages */
};

static ssize_t file_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct file *file = self;
	ssize_t got;

	do
		got = read(file->fd, buf, cap);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		err_set(err, ERR_INPUT, "%s: reading failed: %s", file->path, strerror(errno));
	return got;
}

static bool file_seek(void *self, int64_t offset)
{
	const struct file *file = self;

	return lseek(file->fd, offset, SEEK_SET) == offset;
}

static int64_t file_size(void *self)
{
	const struct file *file = self;
	struct stat about;

	return fstat(file->fd, &about) == 0 ? about.st_size : 0;
}

static bool file_waits(void *self, int timeout_ms)
{
	const struct file *file = self;
	struct pollfd ready = {.fd = file->fd, .events = POLLIN};

	return poll(&ready, 1, timeout_ms) == 0;
}

static void file_free(void *self)
{
	struct file *file = self;

	close(file->fd);
	free(file);
}

static bool use_fd(struct byte_origin *origin, int fd, const char *path, struct err *err)
{
	struct file *file = malloc(sizeof(*file) + strlen(path) + 1);
	struct stat about;

	if (!file) {
		close(fd);
		return err_set(err, ERR_FATAL, "%s: out of memory", path);
	}
	file->fd = fd;
	memcpy(file->path, path, strlen(path) + 1);
	*origin = (struct byte_origin){file, file_read, file_seek, file_size, NULL, file_free};
	if (fstat(fd, &about) == 0 && !S_ISREG(about.st_mode)) {
		origin->seek = NULL;
		origin->waits = file_waits;
	}
	return true;
}

static bool open_file(struct byte_origin *origin, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
	return use_fd(origin, fd, path, err);
}

static bool open_standard_input(struct byte_origin *origin, struct err *err)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_set(err, ERR_INPUT, "standard input cannot be read: %s",
		               strerror(errno));
	if (!use_fd(origin, fd, "standard input", err))
		return false;
	origin->seek = NULL; /* a run that resumes may get other bytes */
	return true;
}

static const struct scheme {
	const char *prefix;
	bool (*open)(struct byte_origin *origin, const char *url, struct err *err);
} schemes[] = {
	{"http://", http_origin_open},
	{"https://", http_origin_open},
};

static const struct scheme *scheme_of(const char *path)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncasecmp(path, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	return NULL;
}

bool byte_origin_is_stream(const char *path)
{
	return strcmp(path, "-") == 0 || scheme_of(path);
}

bool byte_origin_open(struct byte_origin *origin, const char *path, struct err *err)
{
	const struct scheme *scheme = scheme_of(path);

	*origin = (struct byte_origin){0};
	if (scheme)
		return scheme->open(origin, path, err);
	return strcmp(path, "-") == 0 ? open_standard_input(origin, err)
	                              : open_file(origin, path, err);
}

void byte_origin_close(struct byte_origin *origin)
{
	if (origin->free)
		origin->free(origin->self);
	*origin = (struct byte_origin){0};
}

/* ---- peeking */

struct peeked {
	struct byte_origin inner;
	struct err failure; /* class: ERR_NONE, or why no bytes follow those that were read */
	size_t at, len;
	unsigned char bytes[];
};

static ssize_t peeked_read(void *self, void *buf, size_t cap, struct err *err)
{
	struct peeked *peeked = self;
	size_t have = peeked->len - peeked->at;

	if (have == 0 && peeked->failure.class != ERR_NONE) {
		if (err)
			*err = peeked->failure;
		return -1;
	}
	if (have == 0)
		return peeked->inner.read(peeked->inner.self, buf, cap, err);
	have = have < cap ? have : cap;
	memcpy(buf, peeked->bytes + peeked->at, have);
	peeked->at += have;
	return (ssize_t)have;
}

static bool peeked_seek(void *self, int64_t offset)
{
	struct peeked *peeked = self;

	if (!peeked->inner.seek || !peeked->inner.seek(peeked->inner.self, offset))
		return false;
	peeked->at = peeked->len;
	return true;
}

static int64_t peeked_size(void *self)
{
	const struct peeked *peeked = self;

	return peeked->inner.size(peeked->inner.self);
}

static bool peeked_waits(void *self, int timeout_ms)
{
	const struct peeked *peeked = self;

	return peeked->at == peeked->len && peeked->inner.waits &&
	       peeked->inner.waits(peeked->inner.self, timeout_ms);
}

static void peeked_free(void *self)
{
	struct peeked *peeked = self;

	byte_origin_close(&peeked->inner);
	free(peeked);
}

ssize_t byte_origin_peek(struct byte_origin *origin, void *out, size_t cap, size_t enough,
                         struct err *err)
{
	struct peeked *peeked = malloc(sizeof(*peeked) + cap);
	ssize_t got = 1;

	if (!peeked) {
		err_set(err, ERR_FATAL, "out of memory");
		return -1;
	}
	*peeked = (struct peeked){.inner = *origin};
	*origin = (struct byte_origin){peeked,
	                               peeked_read,
	                               origin->seek ? peeked_seek : NULL,
	                               origin->seek ? peeked_size : NULL,
	                               origin->waits ? peeked_waits : NULL,
	                               peeked_free};
	while (got > 0 && peeked->len < cap && (!origin->waits || peeked->len < enough)) {
		got = peeked->inner.read(peeked->inner.self, peeked->bytes + peeked->len,
		                         cap - peeked->len, &peeked->failure);
		peeked->len += got > 0 ? (size_t)got : 0;
	}
	memcpy(out, peeked->bytes, peeked->len);
	if (peeked->len == 0 && got < 0 && err)
		*err = peeked->failure;
	return peeked->len == 0 && got < 0 ? -1 : (ssize_t)peeked->len;
}
