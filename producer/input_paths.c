/* Folders inside a folder are not read. */
#include "input_paths.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "byte_origin.h"

/* ---- names */

static size_t without_end(const char *name, size_t len, const char *const *ends, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t end = strlen(ends[i]);

		if (len > end && strncasecmp(name + len - end, ends[i], end) == 0)
			return len - end;
	}
	return len;
}

static const char *const packings[] = {".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip"};
static const char *const archives[] = {".zip", ".tar", ".tgz"};
static const char *const texts[] = {".csv", ".tsv", ".jsonl", ".ndjson", ".txt", ".json"};
static const char *const common_texts[] = {".txt", ".json"};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t unpacked_length(const char *name)
{
	return without_end(name, strlen(name), packings, COUNT(packings));
}

bool input_name_is_data(const char *name)
{
	size_t len = unpacked_length(name);

	return without_end(name, len, texts, COUNT(texts)) < len ||
	       without_end(name, len, archives, COUNT(archives)) < len ||
	       without_end(name, strlen(name), archives, COUNT(archives)) < strlen(name);
}

bool input_name_is_common(const char *name)
{
	size_t len = unpacked_length(name);

	return without_end(name, len, common_texts, COUNT(common_texts)) < len;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Oct or 10 at the start of the text, and not more letters or digits after it. */
static bool month_at(const char *text, int *month)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

	for (int i = 0; i < 12; i++)
		if (strncasecmp(text, names + 3 * i, 3) == 0 && !is_letter(text[3])) {
			*month = i + 1;
			return true;
		}
	if (!is_digit(text[0]) || !is_digit(text[1]) || is_digit(text[2]))
		return false;
	*month = (text[0] - '0') * 10 + text[1] - '0';
	return *month >= 1 && *month <= 12;
}

bool input_month_of(const char *name, int *year, int *month)
{
	bool found = false;
	int this_month;

	for (const char *p = name; *p; p++) {
		if ((p > name && is_digit(p[-1])) || !is_digit(p[0]) || !is_digit(p[1]) ||
		    !is_digit(p[2]) || !is_digit(p[3]) || (p[4] != '-' && p[4] != '_') ||
		    !month_at(p + 5, &this_month))
			continue;
		*year = (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + p[3] - '0';
		*month = this_month;
		found = true;
	}
	return found;
}

/* ---- paths */

struct walk {
	input_visit *visit;
	void *context;
	size_t *ignored;
};

static bool walk_entry(const struct walk *walk, const char *folder, const char *name, size_t *found,
                       struct err *err)
{
	char path[PATH_MAX];
	struct stat about;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return err_set(err, ERR_INPUT, "%s/%s: the path is too long", folder, name);
	if (name[0] == '.' || !input_name_is_data(name)) {
		*walk->ignored += stat(path, &about) == 0 && S_ISREG(about.st_mode) ? 1 : 0;
		return true;
	}
	if (stat(path, &about) != 0)
		return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return true;
	(*found)++;
	return walk->visit(walk->context, path, INPUT_PATH_OF_FOLDER, err);
}

static bool walk_folder(const struct walk *walk, const char *folder, struct err *err)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	size_t found = 0;
	bool ok = true;

	if (!directory)
		return err_set(err, ERR_INPUT, "%s: %s", folder, strerror(errno));
	while (ok && (entry = readdir(directory)))
		ok = walk_entry(walk, folder, entry->d_name, &found, err);
	closedir(directory);
	return ok && (found > 0 ||
	              err_set(err, ERR_INPUT,
	                      "cannot read INPUT=%s: the folder has no data file; expected names "
	                      "that end in .csv, .tsv, .txt, .json, .jsonl or .ndjson, with or "
	                      "without .gz, .zst, .xz, .bz2, .lz4 or .zip",
	                      folder));
}

/* A path that exists, is a stream, or names a file in an archive. */
static bool walk_path(const struct walk *walk, const char *path, struct err *err)
{
	struct stat about;

	if (byte_origin_is_stream(path))
		return walk->visit(walk->context, path, INPUT_PATH_NAMED, err);
	if (stat(path, &about) != 0)
		return errno == ENOTDIR ? walk->visit(walk->context, path, INPUT_PATH_NAMED, err)
		                        : err_set(err, ERR_INPUT, "cannot read INPUT=%s: %s", path,
		                                  strerror(errno));
	if (S_ISDIR(about.st_mode))
		return walk_folder(walk, path, err);
	if (S_ISREG(about.st_mode))
		return walk->visit(walk->context, path, INPUT_PATH_NAMED, err);
	return err_set(err, ERR_INPUT,
	               "cannot read INPUT=%s: expected a regular file or a folder, because an "
	               "interrupted run has to read its input again; to read a pipe once: "
	               "--input - <%s",
	               path, path);
}

static bool walk_pattern(const struct walk *walk, const char *pattern, struct err *err)
{
	glob_t found;
	bool ok = true;

	switch (glob(pattern, 0, NULL, &found)) {
	case 0: break;
	case GLOB_NOMATCH:
		return err_set(err, ERR_INPUT, "cannot read INPUT=%s: the pattern matches no file",
		               pattern);
	default:
		return err_set(err, ERR_INPUT, "cannot read INPUT=%s: the pattern cannot be read",
		               pattern);
	}
	for (size_t i = 0; ok && i < found.gl_pathc; i++)
		ok = walk_path(walk, found.gl_pathv[i], err);
	globfree(&found);
	return ok;
}

static bool exists(const char *path)
{
	struct stat about;

	return byte_origin_is_stream(path) || stat(path, &about) == 0;
}

static bool walk_part(const struct walk *walk, const char *part, struct err *err)
{
	return exists(part) || !strpbrk(part, "*?[") ? walk_path(walk, part, err)
	                                             : walk_pattern(walk, part, err);
}

/* Walks the parts between the separators. Blanks around a part do not belong to it. */
static bool walk_parts(const struct walk *walk, char *parts, const char *separators,
                       struct err *err)
{
	char *rest = NULL;

	for (char *part = strtok_r(parts, separators, &rest); part;
	     part = strtok_r(NULL, separators, &rest)) {
		size_t len;

		part += strspn(part, " \n");
		for (len = strlen(part);
		     len > 0 && (part[len - 1] == ' ' || part[len - 1] == '\n');)
			part[--len] = '\0';
		if (len > 0 && !walk_part(walk, part, err))
			return false;
	}
	return true;
}

bool input_paths_each(const char *input, input_visit *visit, void *context, size_t *ignored,
                      struct err *err)
{
	const struct walk walk = {visit, context, ignored};
	bool is_one = exists(input) && !(byte_origin_is_stream(input) && strpbrk(input, ", \n"));
	char *parts;
	bool ok;

	if (is_one || !strpbrk(input, ", \n"))
		return walk_part(&walk, input, err);
	parts = strdup(input);
	ok = parts ? walk_parts(&walk, parts, strchr(input, ',') ? "," : " \n", err)
	           : err_set(err, ERR_FATAL, "out of memory");
	free(parts);
	return ok;
}
