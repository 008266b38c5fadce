/* Runs the functions of lake_storage.h for tests. Settings are the environment (LAKE_URL, ...).
 * Reads commands from stdin, one per line, and answers each with one line:
 *
 *   prepare               ok
 *   write BYTES           ok LOCAL    a new local file in the scratch folder
 *   put LOCAL PATH        ok
 *   fill COUNT BELOW      ok          puts small files below a folder
 *   get PATH              ok LOCAL    or: missing
 *   remove PATH           ok
 *   clear                 ok          lake_storage_clear_scratch
 *   list BELOW            ok COUNT    and COUNT lines: BYTES PATH
 *
 * An error is the name of its class, and the message. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "lake_storage.h"
#include "service/log.h"

static struct err err;

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static int64_t number(const char *name, int64_t otherwise)
{
	number_parse(setting(name), &otherwise);
	return otherwise;
}

static void answer(bool ok)
{
	if (ok)
		printf("ok\n");
	else
		printf("%s %s\n", err_class_name(err.class), err.message);
}

/* Bytes that differ from place to place. */
static void write_bytes(struct lake_storage *storage, int64_t bytes, char *local, size_t cap)
{
	uint64_t state = 1;
	FILE *file;

	lake_storage_scratch(storage, local, cap);
	file = fopen(local, "w");
	for (int64_t i = 0; file && i < bytes; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		fputc((int)(state >> 56), file);
	}
	if (!file || fclose(file) != 0)
		exit(1);
}

static bool fill(struct lake_storage *storage, int64_t count, const char *below)
{
	char local[512], path[1200];

	for (int64_t i = 0; i < count; i++) {
		write_bytes(storage, 10, local, sizeof(local));
		snprintf(path, sizeof(path), "%s%" PRId64 ".parquet", below, i);
		if (!lake_storage_put(storage, local, path, &err))
			return false;
	}
	return true;
}

static void get(struct lake_storage *storage, const char *path)
{
	char local[512];
	bool is_copy, missing;

	if (!lake_storage_get(storage, path, local, sizeof(local), &is_copy, &missing, &err))
		answer(false);
	else if (missing)
		printf("missing\n");
	else
		printf("ok %s\n", local);
}

static void list(struct lake_storage *storage, const char *below)
{
	struct lake_listing listing = {0};

	if (!lake_storage_list(storage, below, &listing, &err)) {
		answer(false);
	} else {
		printf("ok %zu\n", listing.count);
		for (size_t i = 0; i < listing.count; i++)
			printf("%" PRId64 " %s\n", listing.at[i].bytes, listing.at[i].path);
	}
	lake_listing_free(&listing);
}

static void run(struct lake_storage *storage, const char *name, const char *first,
                const char *second)
{
	char local[512];
	int64_t count = 0;

	if (strcmp(name, "prepare") == 0) {
		answer(lake_storage_prepare(storage, &err));
	} else if (strcmp(name, "write") == 0 && number_parse(first, &count)) {
		write_bytes(storage, count, local, sizeof(local));
		printf("ok %s\n", local);
	} else if (strcmp(name, "put") == 0) {
		answer(lake_storage_put(storage, first, second, &err));
	} else if (strcmp(name, "fill") == 0 && number_parse(first, &count)) {
		answer(fill(storage, count, second));
	} else if (strcmp(name, "get") == 0) {
		get(storage, first);
	} else if (strcmp(name, "remove") == 0) {
		answer(lake_storage_remove(storage, first, &err));
	} else if (strcmp(name, "clear") == 0) {
		lake_storage_clear_scratch(storage);
		answer(true);
	} else if (strcmp(name, "list") == 0) {
		list(storage, first);
	} else {
		printf("unknown command\n");
	}
	fflush(stdout);
}

int main(void)
{
	struct lake_storage_config config = {
		.url = setting("LAKE_URL"),
		.scratch = setting("LAKE_SCRATCH"),
		.endpoint = setting("LAKE_S3_ENDPOINT"),
		.region = setting("LAKE_S3_REGION"),
		.access_key = setting("LAKE_S3_ACCESS_KEY"),
		.secret_key = setting("LAKE_S3_SECRET_KEY"),
		.part_bytes = number("PART_BYTES", 64 * 1024 * 1024),
		.timeout_us = number("TIMEOUT_MS", 30000) * 1000,
	};
	char line[2048], name[16], first[1024], second[1024];
	struct lake_storage *storage;

	log_init("lake", "test", LOG_INFO, false);
	storage = lake_storage_new(&config, &err);
	answer(storage != NULL);
	fflush(stdout);
	while (storage && fgets(line, sizeof(line), stdin)) {
		name[0] = first[0] = second[0] = '\0';
		sscanf(line, "%15s %1023s %1023s", name, first, second);
		run(storage, name, first, second);
	}
	lake_storage_free(storage);
	return storage == NULL;
}
