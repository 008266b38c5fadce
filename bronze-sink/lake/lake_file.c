/* A file that could not be written is removed, so that the next try begins with an empty one. */
#include "lake_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_BYTES 65536

int64_t lake_file_free_bytes(const char *path)
{
	char folder[LAKE_PATH_MAX];
	struct statvfs space;

	snprintf(folder, sizeof(folder), "%s", path);
	while (statvfs(folder, &space) != 0) {
		char *slash = strrchr(folder, '/');

		if (errno != ENOENT || !slash || strcmp(folder, "/") == 0)
			return -1;
		slash[slash == folder] = '\0';
	}
	return (int64_t)space.f_bavail * (int64_t)space.f_frsize;
}

bool lake_file_failed(struct err *err, int why, const char *action, const char *path)
{
	switch (why) {
	case ENOSPC:
	case EDQUOT:
		return err_set(err, ERR_RETRY,
		               "cannot %s %s: %s; %" PRId64 " bytes are free there; make room",
		               action, path, strerror(why), lake_file_free_bytes(path));
	case EACCES:
	case EPERM:
	case EROFS:
		return err_set(err, ERR_OPERATOR,
		               "cannot %s %s: %s; expected a folder that user %ld may write",
		               action, path, strerror(why), (long)geteuid());
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return err_set(err, ERR_OPERATOR, "cannot %s %s: %s", action, path, strerror(why));
	case ENOENT: /* our callers create what is missing, so somebody has removed it */
		return err_set(err, ERR_FATAL, "cannot %s %s: %s", action, path, strerror(why));
	default: return err_set(err, ERR_RETRY, "cannot %s %s: %s", action, path, strerror(why));
	}
}

static bool sync_failed(struct err *err, int why, const char *path)
{
	return err_set(err, ERR_FATAL,
	               "fsync of %s: %s; %" PRId64 " bytes are free there; the file has to be "
	               "written again",
	               path, strerror(why), lake_file_free_bytes(path));
}

/* Some file systems refuse an fsync of folders with EINVAL: their entries are durable, or there is
 * no way to make them so. */
static bool sync_path(const char *path, int flags, int ignore, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), why = 0;

	if (fd < 0)
		return lake_file_failed(err, errno, "open", path);
	if (fsync(fd) != 0 && errno != ignore)
		why = errno;
	close(fd);
	return why == 0 || sync_failed(err, why, path);
}

bool lake_file_sync(const char *path, struct err *err)
{
	return sync_path(path, 0, 0, err);
}

bool lake_file_sync_folder(const char *path, struct err *err)
{
	return sync_path(path, O_DIRECTORY, EINVAL, err);
}

/* ---- folders ---- */

static bool is_folder(const char *path)
{
	struct stat state;

	return stat(path, &state) == 0 && S_ISDIR(state.st_mode);
}

/* Makes the entry of `path` durable. */
static bool sync_above(const char *path, struct err *err)
{
	char above[LAKE_PATH_MAX];
	char *slash;

	snprintf(above, sizeof(above), "%s", path);
	slash = strrchr(above, '/');
	if (!slash)
		return lake_file_sync_folder(".", err);
	slash[slash == above] = '\0';
	return lake_file_sync_folder(above, err);
}

static bool make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0777) != 0 && (errno != EEXIST || !is_folder(path)))
		return lake_file_failed(err, errno == EEXIST ? ENOTDIR : errno, "create the folder",
		                        path);
	return sync_above(path, err);
}

bool lake_file_make_folders(const char *path, struct err *err)
{
	char part[LAKE_PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return lake_file_failed(err, ENAMETOOLONG, "create the folder", path);
	for (size_t at = 1; at <= len; at++) {
		if ((path[at] != '/' && path[at] != '\0') || path[at - 1] == '/')
			continue;
		memcpy(part, path, at);
		part[at] = '\0';
		if (!is_folder(part) && !make_folder(part, err))
			return false;
	}
	return true;
}

/* ---- files ---- */

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);

		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			bytes += written;
			len -= (size_t)written;
		}
	}
	return true;
}

static int create(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		lake_file_failed(err, errno, "create", path);
	return fd;
}

/* Closes the file; removes it if it is not complete and durable. */
static bool finish(int fd, const char *path, bool written, struct err *err)
{
	bool ok = written;

	if (written && fsync(fd) != 0)
		ok = sync_failed(err, errno, path);
	close(fd);
	if (!ok)
		unlink(path);
	return ok;
}

bool lake_file_write(const char *path, const char *bytes, size_t len, struct err *err)
{
	int fd = create(path, err);

	if (fd < 0)
		return false;
	return finish(fd, path,
	              write_all(fd, bytes, len) || lake_file_failed(err, errno, "write", path),
	              err);
}

static bool copy_bytes(int in, const char *from, int out, const char *to, struct err *err)
{
	char bytes[COPY_BYTES];
	ssize_t count;

	while ((count = read(in, bytes, sizeof(bytes))) != 0) {
		if (count < 0 && errno != EINTR)
			return lake_file_failed(err, errno, "read", from);
		if (count > 0 && !write_all(out, bytes, (size_t)count))
			return lake_file_failed(err, errno, "write", to);
	}
	return true;
}

/* Reads, and does not map: a damaged disk is an error here, and a signal there. */
bool lake_file_sha256(const char *path, char out[LAKE_SHA256_MAX], struct err *err)
{
	return SHA256File(path, out) || lake_file_failed(err, errno, "read", path);
}

bool lake_file_copy(const char *from, const char *to, struct err *err)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	bool ok;

	if (in < 0)
		return lake_file_failed(err, errno, "open", from);
	out = create(to, err);
	ok = out >= 0 && finish(out, to, copy_bytes(in, from, out, to, err), err);
	close(in);
	return ok;
}
