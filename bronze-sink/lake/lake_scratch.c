/* A lock file is there before the files of its process, and is removed after them. So a file whose
 * lock file is missing, or not locked, belongs to no process.
 *
 * Between the creation of a lock file and its lock, another process may take it for an old one and
 * remove it. So we check after the lock that our file still has its name.
 * Limits: flock has to work in this folder. */
#include "lake_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_file.h"

#define START      "lake-"
#define NAME_BYTES 11 /* lake-XXXXXX */
#define END        ".lock"

struct lake_scratch {
	char folder[LAKE_PATH_MAX - 256];
	char name[NAME_BYTES + 1];
	int lock; /* -1: not open */
	unsigned count;
};

struct lake_scratch *lake_scratch_new(const char *folder)
{
	struct lake_scratch *scratch = xzalloc(1, sizeof(*scratch));

	snprintf(scratch->folder, sizeof(scratch->folder), "%s", folder);
	scratch->lock = -1;
	return scratch;
}

static void lock_path(const struct lake_scratch *scratch, const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%.*s" END, scratch->folder, NAME_BYTES, name);
}

/* ---- our lock ---- */

static bool is_still(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* *taken false: another process has removed our lock file. */
static bool take_lock(struct lake_scratch *scratch, bool *taken, struct err *err)
{
	char path[LAKE_PATH_MAX];
	int fd, why;

	snprintf(path, sizeof(path), "%s/" START "XXXXXX" END, scratch->folder);
	fd = mkstemps(path, (int)strlen(END));
	if (fd < 0)
		return lake_file_failed(err, errno, "create", path);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	*taken = flock(fd, LOCK_EX | LOCK_NB) == 0;
	why = *taken || errno == EWOULDBLOCK ? 0 : errno;
	if (*taken && is_still(fd, path)) {
		scratch->lock = fd;
		memcpy(scratch->name, path + strlen(scratch->folder) + 1, NAME_BYTES);
		return true;
	}
	*taken = false;
	close(fd);
	if (why != 0)
		unlink(path);
	return why == 0 || lake_file_failed(err, why, "lock", path);
}

bool lake_scratch_open(struct lake_scratch *scratch, struct err *err)
{
	bool taken = scratch->lock >= 0;

	if (!taken && !lake_file_make_folders(scratch->folder, err))
		return false;
	while (!taken)
		if (!take_lock(scratch, &taken, err))
			return false;
	return true;
}

void lake_scratch_path(struct lake_scratch *scratch, char *out, size_t cap)
{
	snprintf(out, cap, "%s/%s-%u", scratch->folder, scratch->name, ++scratch->count);
}

/* ---- files of others ---- */

/* True: no process has the lock of this file. *fd is then our lock on it, which keeps a new process
 * from taking it before we have removed it, or -1 if there is no lock file. */
static bool claim(const struct lake_scratch *scratch, const char *name, int *fd)
{
	char path[LAKE_PATH_MAX];

	*fd = -1;
	if (scratch->lock >= 0 && strncmp(name, scratch->name, NAME_BYTES) == 0)
		return false;
	lock_path(scratch, name, path, sizeof(path));
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT;
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	close(*fd);
	return false;
}

static bool is_lock(const char *name)
{
	return strcmp(name + NAME_BYTES, END) == 0;
}

static bool is_file(const char *name)
{
	return name[NAME_BYTES] == '-';
}

/* A file, or a folder of files: DuckDB sorts with the help of one. */
static void remove_entry(int folder, const char *name)
{
	struct dirent *entry;
	DIR *inner;
	int fd;

	if (unlinkat(folder, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
		return;
	fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	inner = fd < 0 ? NULL : fdopendir(fd);
	if (!inner) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(inner)) != NULL)
		unlinkat(dirfd(inner), entry->d_name, 0);
	closedir(inner);
	unlinkat(folder, name, AT_REMOVEDIR);
}

static void remove_unclaimed(const struct lake_scratch *scratch, DIR *folder, const char *name)
{
	int fd;

	if (!claim(scratch, name, &fd))
		return;
	remove_entry(dirfd(folder), name);
	if (fd >= 0)
		close(fd);
}

/* Removes what `matches` and belongs to no process; to `owner` alone if that is not NULL. */
static void remove_files(const struct lake_scratch *scratch, bool (*matches)(const char *name),
                         const char *owner)
{
	DIR *folder = opendir(scratch->folder);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name;

		if (strncmp(name, START, strlen(START)) != 0 || strlen(name) <= NAME_BYTES ||
		    !matches(name))
			continue;
		if (!owner)
			remove_unclaimed(scratch, folder, name);
		else if (strncmp(name, owner, NAME_BYTES) == 0)
			remove_entry(dirfd(folder), name);
	}
	if (folder)
		closedir(folder);
}

void lake_scratch_clear(struct lake_scratch *scratch)
{
	remove_files(scratch, is_file, NULL);
	remove_files(scratch, is_lock, NULL);
}

void lake_scratch_free(struct lake_scratch *scratch)
{
	char path[LAKE_PATH_MAX];

	if (scratch && scratch->lock >= 0) {
		remove_files(scratch, is_file, scratch->name);
		lock_path(scratch, scratch->name, path, sizeof(path));
		unlink(path);
		close(scratch->lock);
	}
	free(scratch);
}
