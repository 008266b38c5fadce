/* A file gets its name by link(): it fails if there is the name already, which rename() does not.
 * A file that is on another file system is copied to LAKE/_tmp first. Order of a put:
 *
 *   file durable --> link --> folders durable, up to the lake --> local name removed
 *
 * All folders are made durable each time, because another process may have created them and not
 * have come to it.
 * Rejected: renameat2(RENAME_NOREPLACE), which network file systems do not have.
 * Limits: the file system needs hard links, and flock for the locks. */
#include "lake_folder.h"

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

#define LINK_TRIES 5

struct lake_folder {
	char root[LAKE_PATH_MAX / 2 + 2]; /* with '/' at its end */
	struct lake_scratch *scratch;
};

/* ---- set-up ---- */

static bool make_root(struct lake_folder *folder, const char *path, struct err *err)
{
	char here[LAKE_PATH_MAX / 2] = "";
	size_t len;

	while (strncmp(path, "./", 2) == 0)
		path += 2 + strspn(path + 2, "/");
	if (path[0] != '/' && !getcwd(here, sizeof(here)))
		return lake_file_failed(err, errno, "find the path of the folder", path);
	if (strcmp(path, ".") == 0)
		path = "";
	len = (size_t)snprintf(folder->root, sizeof(folder->root), "%s%s%s", here,
	                       *here && *path ? "/" : "", path);
	if (len + 2 > sizeof(folder->root))
		return lake_file_failed(err, ENAMETOOLONG, "use the folder", path);
	if (folder->root[len - 1] != '/')
		memcpy(folder->root + len, "/", 2);
	return true;
}

struct lake_folder *lake_folder_new(const char *path, struct err *err)
{
	struct lake_folder *folder = xzalloc(1, sizeof(*folder));
	char scratch[LAKE_PATH_MAX];

	if (!make_root(folder, path, err)) {
		free(folder);
		return NULL;
	}
	snprintf(scratch, sizeof(scratch), "%s_tmp", folder->root);
	folder->scratch = lake_scratch_new(scratch);
	return folder;
}

void lake_folder_free(struct lake_folder *folder)
{
	if (folder)
		lake_scratch_free(folder->scratch);
	free(folder);
}

const char *lake_folder_root(const struct lake_folder *folder)
{
	return folder->root;
}

struct lake_scratch *lake_folder_scratch(const struct lake_folder *folder)
{
	return folder->scratch;
}

static bool absolute(const struct lake_folder *folder, const char *path, char *out, size_t cap,
                     struct err *err)
{
	return (size_t)snprintf(out, cap, "%s%s", folder->root, path) < cap ||
	       lake_file_failed(err, ENAMETOOLONG, "use", path);
}

static bool link_failed(struct err *err, int why, const char *path)
{
	if (why != EPERM && why != EOPNOTSUPP && why != ENOSYS)
		return lake_file_failed(err, why, "create", path);
	return err_set(err, ERR_OPERATOR,
	               "cannot create %s: %s; a lake needs a file system with hard links", path,
	               strerror(why));
}

/* A probe shows whether we may write, and whether there are hard links. */
static bool probe(struct lake_folder *folder, struct err *err)
{
	char one[LAKE_PATH_MAX], two[LAKE_PATH_MAX];
	bool ok;

	lake_scratch_path(folder->scratch, one, sizeof(one));
	lake_scratch_path(folder->scratch, two, sizeof(two));
	if (!lake_file_write(one, "probe\n", 6, err))
		return false;
	ok = link(one, two) == 0 || link_failed(err, errno, two);
	unlink(two);
	unlink(one);
	return ok;
}

bool lake_folder_prepare(struct lake_folder *folder, struct err *err)
{
	return lake_scratch_open(folder->scratch, err) && probe(folder, err);
}

/* ---- put and replace ---- */

/* Makes the entries of all folders of `path` durable, up to the root. */
static bool sync_folders(const struct lake_folder *folder, const char *path, struct err *err)
{
	size_t root_len = strlen(folder->root) - 1; /* without its '/' */
	char part[LAKE_PATH_MAX];

	snprintf(part, sizeof(part), "%s%s", folder->root, path);
	do {
		*strrchr(part, '/') = '\0';
		if (!lake_file_sync_folder(part, err))
			return false;
	} while (strlen(part) > root_len);
	return true;
}

static bool make_folder_of(const char *file, struct err *err)
{
	char path[LAKE_PATH_MAX];

	snprintf(path, sizeof(path), "%s", file);
	*strrchr(path, '/') = '\0';
	return lake_file_make_folders(path, err);
}

/* Another process may remove the folder of a day when it has become empty: then it is created
 * again. */
static bool link_new(const char *from, const char *to, struct err *err)
{
	for (int i = 0; i < LINK_TRIES; i++) {
		if (link(from, to) == 0)
			return true;
		if (errno == EEXIST)
			return err_set(err, ERR_CONFLICT, "there is a file %s already", to);
		if (errno != ENOENT || access(from, F_OK) != 0)
			return link_failed(err, errno, to);
		if (!make_folder_of(to, err))
			return false;
	}
	return err_set(err, ERR_RETRY, "cannot create %s: another process removes its folder", to);
}

static bool on_same_device(const char *local, const char *root)
{
	struct stat a, b;

	return stat(local, &a) == 0 && stat(root, &b) == 0 && a.st_dev == b.st_dev;
}

bool lake_folder_put(struct lake_folder *folder, const char *local, const char *path,
                     struct err *err)
{
	char to[LAKE_PATH_MAX], copy[LAKE_PATH_MAX];
	bool ok;

	if (!absolute(folder, path, to, sizeof(to), err))
		return false;
	if (on_same_device(local, folder->root)) {
		ok = lake_file_sync(local, err) && link_new(local, to, err);
	} else {
		lake_scratch_path(folder->scratch, copy, sizeof(copy));
		ok = lake_file_copy(local, copy, err) && link_new(copy, to, err);
		unlink(copy);
	}
	if (!ok || !sync_folders(folder, path, err))
		return false;
	unlink(local);
	return true;
}

bool lake_folder_replace(struct lake_folder *folder, const char *path, const char *bytes,
                         size_t len, struct err *err)
{
	char to[LAKE_PATH_MAX], new[LAKE_PATH_MAX];

	if (!absolute(folder, path, to, sizeof(to), err) || !make_folder_of(to, err))
		return false;
	lake_scratch_path(folder->scratch, new, sizeof(new));
	if (!lake_file_write(new, bytes, len, err))
		return false;
	if (rename(new, to) != 0) {
		lake_file_failed(err, errno, "replace", to);
		unlink(new);
		return false;
	}
	return sync_folders(folder, path, err);
}

/* ---- get, remove, list ---- */

bool lake_folder_get(struct lake_folder *folder, const char *path, char *out, size_t cap,
                     bool *missing, struct err *err)
{
	if (!absolute(folder, path, out, cap, err))
		return false;
	*missing = false;
	if (access(out, R_OK) == 0)
		return true;
	*missing = errno == ENOENT;
	return *missing || lake_file_failed(err, errno, "read", out);
}

/* A day's folder is below the folder of a table, and has the name of a partition. */
static void remove_empty_day(const struct lake_folder *folder, const char *path)
{
	const char *table = strchr(path, '/'), *end = strrchr(path, '/');
	char day[LAKE_PATH_MAX];

	if (!table || table == end || !memchr(table, '=', (size_t)(end - table)))
		return;
	snprintf(day, sizeof(day), "%s%.*s", folder->root, (int)(end - path), path);
	rmdir(day); /* fails if it is not empty */
}

bool lake_folder_remove(struct lake_folder *folder, const char *path, struct err *err)
{
	char file[LAKE_PATH_MAX], above[LAKE_PATH_MAX];

	if (!absolute(folder, path, file, sizeof(file), err))
		return false;
	if (unlink(file) != 0)
		return errno == ENOENT || lake_file_failed(err, errno, "remove", file);
	snprintf(above, sizeof(above), "%s", file);
	*strrchr(above, '/') = '\0';
	if (!lake_file_sync_folder(above, err))
		return false;
	remove_empty_day(folder, path);
	return true;
}

static bool list_below(struct lake_folder *folder, const char *below, struct lake_listing *listing,
                       struct err *err);

static bool list_entry(struct lake_folder *folder, const char *below, const char *name,
                       struct lake_listing *listing, struct err *err)
{
	char path[LAKE_PATH_MAX], full[LAKE_PATH_MAX];
	struct stat state;

	if (name[0] == '.' || (name[0] == '_' && !*below))
		return true;
	if ((size_t)snprintf(path, sizeof(path), "%s%s", below, name) >= sizeof(path) - 1)
		return lake_file_failed(err, ENAMETOOLONG, "list", below);
	if (!absolute(folder, path, full, sizeof(full), err))
		return false;
	if (stat(full, &state) != 0) /* ENOENT: removed meanwhile */
		return errno == ENOENT || lake_file_failed(err, errno, "list", full);
	if (S_ISREG(state.st_mode))
		lake_listing_add(listing, path, (int64_t)state.st_size);
	if (!S_ISDIR(state.st_mode))
		return true;
	memcpy(path + strlen(path), "/", 2);
	return list_below(folder, path, listing, err);
}

static bool list_below(struct lake_folder *folder, const char *below, struct lake_listing *listing,
                       struct err *err)
{
	char path[LAKE_PATH_MAX];
	struct dirent *entry;
	bool ok = true;
	DIR *open;

	if (!absolute(folder, below, path, sizeof(path), err))
		return false;
	open = opendir(path);
	if (!open)
		return errno == ENOENT || lake_file_failed(err, errno, "list", path);
	while (ok) {
		errno = 0; /* readdir returns NULL at the end and for an error */
		entry = readdir(open);
		if (!entry)
			break;
		ok = list_entry(folder, below, entry->d_name, listing, err);
	}
	if (ok && errno != 0)
		ok = lake_file_failed(err, errno, "list", path);
	closedir(open);
	return ok;
}

bool lake_folder_list(struct lake_folder *folder, const char *below, struct lake_listing *listing,
                      struct err *err)
{
	bool ok = list_below(folder, below, listing, err);

	lake_listing_sort(listing);
	return ok;
}

/* ---- locks ---- */

bool lake_folder_lock(struct lake_folder *folder, const char *name, int *lock, struct err *err)
{
	char path[LAKE_PATH_MAX];
	int fd, why;

	if ((size_t)snprintf(path, sizeof(path), "%s_locks/%s", folder->root, name) >= sizeof(path))
		return lake_file_failed(err, ENAMETOOLONG, "lock", name);
	if (!make_folder_of(path, err))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return lake_file_failed(err, errno, "lock", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*lock = fd;
		return true;
	}
	why = errno;
	close(fd);
	if (why == EWOULDBLOCK)
		return err_set(err, ERR_RETRY, "another process has the lock %s", path);
	return lake_file_failed(err, why, "lock", path);
}
