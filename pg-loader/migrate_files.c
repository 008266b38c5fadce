/* Limit: a file may have 16 MiB. */
#include "migrate_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define FILE_BYTES_MAX (16 * 1024 * 1024)
#define PATH_CAP       1024

static bool has_tables(const char *dir)
{
	char path[PATH_CAP + 8];
	struct stat status;

	snprintf(path, sizeof(path), "%s/tables", dir);
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The folder of the running program; empty: unknown. */
static void program_dir(char *out, size_t cap)
{
	ssize_t len = readlink("/proc/self/exe", out, cap - 1);
	char *slash;

	out[len > 0 ? len : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
}

/* The program's own folder comes before the working directory, which may belong to somebody else:
 * the files are applied with the rights of the owner of the database. */
bool migrate_find_dir(const char *configured, char *out, size_t cap, struct err *err)
{
	static const char *const places[] = {
		"../share/funnel/sql", /* from bin */
		"../../../sql",        /* from build/FLAVOUR/bin */
	};
	char program[PATH_CAP];

	if (*configured) {
		snprintf(out, cap, "%s", configured);
		if (!has_tables(out))
			return err_set(err, ERR_OPERATOR,
			               "invalid value \"%s\" for MIGRATIONS_DIR: expected a folder "
			               "with tables, functions, views and rights.sql",
			               configured);
		return true;
	}
	program_dir(program, sizeof(program));
	for (size_t i = 0; *program && i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(out, cap, "%s/%s", program, places[i]) < (int)cap && has_tables(out))
			return true;
	snprintf(out, cap, "sql");
	if (!has_tables(out))
		return err_set(
			err, ERR_OPERATOR,
			"cannot find the SQL files: neither the installation of the program nor "
			"its checkout has them, and ./sql/tables does not exist; set "
			"MIGRATIONS_DIR, or MIGRATE=false");
	return true;
}

/* ---- which files belong to a folder */

static int is_sql(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t len = strlen(name);

	return *name != '.' && len > 4 && len < MIGRATION_NAME_MAX - sizeof("functions/") &&
	       strcmp(name + len - 4, ".sql") == 0;
}

static int is_numbered(const struct dirent *entry)
{
	const char *name = entry->d_name;

	for (int i = 0; i < 4; i++)
		if (!isdigit((unsigned char)name[i]))
			return 0;
	return name[4] == '_' && is_sql(entry);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* ---- reading */

static bool read_file(const char *path, char **text, size_t *len, struct err *err)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	bool ok;

	*text = NULL;
	if (!file) {
		err_set(err, ERR_OPERATOR, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	ok = fstat(fileno(file), &status) == 0 && status.st_size >= 0 &&
	     status.st_size <= FILE_BYTES_MAX;
	if (ok) {
		*len = (size_t)status.st_size;
		*text = xrealloc(NULL, *len + 1);
		ok = fread(*text, 1, *len, file) == *len;
		(*text)[ok ? *len : 0] = '\0';
	}
	fclose(file);
	if (!ok)
		err_set(err, ERR_OPERATOR,
		        "cannot read %s: expected a readable file of at most 16 MiB", path);
	return ok;
}

static bool load_one(const char *dir, enum migration_kind kind, const char *name,
                     struct migration_list *list, struct err *err)
{
	struct migration *migration;
	char path[PATH_CAP + MIGRATION_NAME_MAX];
	size_t len = 0;

	GROW(list->at, list->count, list->capacity);
	migration = &list->at[list->count++];
	*migration = (struct migration){.kind = kind};
	snprintf(migration->name, sizeof(migration->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!read_file(path, &migration->sql, &len, err))
		return false;
	if (strlen(migration->sql) != len)
		return err_set(err, ERR_OPERATOR, "%s contains a NUL character: expected text",
		               path);
	SHA256Data((const uint8_t *)migration->sql, len, migration->checksum);
	return true;
}

static bool load_folder(const char *dir, const char *folder, enum migration_kind kind,
                        struct migration_list *list, struct err *err)
{
	struct dirent **entries = NULL;
	char path[PATH_CAP + 16], name[MIGRATION_NAME_MAX];
	bool ok = true;
	int count;

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	count = scandir(path, &entries, kind == MIGRATION_TABLES ? is_numbered : is_sql, by_name);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/%.100s", folder, entries[i]->d_name);
		ok = ok && load_one(dir, kind, name, list, err);
		free(entries[i]);
	}
	free(entries);
	if (count <= 0)
		return err_set(err, ERR_OPERATOR, "no SQL files in %s: expected files named %s",
		               path, kind == MIGRATION_TABLES ? "NNNN_name.sql" : "name.sql");
	return ok;
}

static bool numbers_differ(const struct migration_list *list, struct err *err)
{
	for (size_t i = 1; i < list->count; i++) {
		const char *name = list->at[i].name, *before = list->at[i - 1].name;

		if (list->at[i].kind == MIGRATION_TABLES &&
		    strncmp(name, before, strlen("tables/NNNN")) == 0)
			return err_set(
				err, ERR_OPERATOR,
				"two files have the number %.4s: %s and %s; rename one of them",
				name + strlen("tables/"), before, name);
	}
	return true;
}

bool migrate_load(const char *dir, struct migration_list *list, struct err *err)
{
	*list = (struct migration_list){0};
	return load_one(dir, MIGRATION_UPGRADE, "upgrade/from_0026.sql", list, err) &&
	       load_folder(dir, "tables", MIGRATION_TABLES, list, err) &&
	       load_folder(dir, "functions", MIGRATION_FUNCTIONS, list, err) &&
	       load_folder(dir, "views", MIGRATION_VIEWS, list, err) &&
	       load_one(dir, MIGRATION_RIGHTS, "rights.sql", list, err) &&
	       numbers_differ(list, err);
}

void migrate_fini(struct migration_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i].sql);
	free(list->at);
	*list = (struct migration_list){0};
}
