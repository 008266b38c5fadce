/* A lake in a folder: a file appears complete and once, and errors say what to do. Full and
 * read-only disks are small file systems in a name space of the test. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lake_storage.h"
#include "lake_url.h"

#define DAY "bronze/event_date=2019-10-01/"

static char folder[] = "/tmp/lake-storage-XXXXXX", lake_path[64], scratch_path[64];
static struct lake_storage *lake;
static struct err err;

static struct lake_storage *open_at(const char *url, const char *scratch)
{
	struct lake_storage_config config = {.url = url, .scratch = scratch};
	struct lake_storage *storage = lake_storage_new(&config, &err);

	cr_assert_not_null(storage, "%s", err.message);
	return storage;
}

static void begin(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(lake_path, sizeof(lake_path), "%s/lake", folder);
	snprintf(scratch_path, sizeof(scratch_path), "%s/scratch", folder);
}

static void open_lake(void)
{
	begin();
	lake = open_at(lake_path, "");
	cr_assert(lake_storage_prepare(lake, &err), "%s", err.message);
}

static void end(void)
{
	char command[128];

	lake_storage_free(lake);
	lake = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(lake_storage, .init = open_lake, .fini = end);
TestSuite(lake_disk, .init = begin, .fini = end);

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

/* A new file in the scratch folder. */
static const char *local_file(const char *text)
{
	static char path[512];

	lake_storage_scratch(lake, path, sizeof(path));
	cr_assert_neq(access(path, F_OK), 0);
	write_text(path, text);
	return path;
}

static void put(const char *path, const char *text)
{
	cr_assert(lake_storage_put(lake, local_file(text), path, &err), "%s", err.message);
}

static void assert_text(const char *path, const char *want)
{
	char at[512], got[256] = "";
	bool is_copy, missing;
	FILE *file;

	cr_assert(lake_storage_get(lake, path, at, sizeof(at), &is_copy, &missing, &err), "%s",
	          err.message);
	cr_assert_eq(missing, want == NULL, "%s", path);
	if (!want)
		return;
	cr_assert_not(is_copy);
	file = fopen(at, "r");
	cr_assert_not_null(file);
	cr_assert_eq(fread(got, 1, sizeof(got) - 1, file), strlen(want));
	fclose(file);
	cr_assert_str_eq(got, want);
}

static size_t count_of(const char *command_end)
{
	char command[256], text[32] = "";
	FILE *pipe;

	snprintf(command, sizeof(command), "find %s %s | wc -l", folder, command_end);
	pipe = popen(command, "r");
	cr_assert(pipe && fgets(text, sizeof(text), pipe));
	pclose(pipe);
	return (size_t)atol(text);
}

static void assert_error(bool ok, enum err_class class, const char *part)
{
	cr_assert_not(ok);
	cr_assert_eq(err.class, class, "%s: %s", err_class_name(err.class), err.message);
	cr_assert_not_null(strstr(err.message, part), "no \"%s\" in: %s", part, err.message);
}

/* ---- durability: these are called instead of the library's ---- */

static char calls[4096];
static int sync_fails; /* the n-th fsync from now on fails; 0: none */

static void note(const char *call, const char *path)
{
	size_t len = strlen(calls), root = strlen(folder);

	if (strncmp(path, folder, root) == 0)
		snprintf(calls + len, sizeof(calls) - len, "%s%s %s", len ? ", " : "", call,
		         path + root + 1);
}

int fsync(int fd)
{
	char link_path[64], path[512] = "";

	snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", fd);
	cr_assert_gt(readlink(link_path, path, sizeof(path) - 1), 0);
	note("fsync", path);
	if (sync_fails > 0 && --sync_fails == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int link(const char *from, const char *to)
{
	int result = linkat(AT_FDCWD, from, AT_FDCWD, to, 0), why = errno;

	note(result == 0 ? "link" : "no link", to);
	errno = why;
	return result;
}

int unlink(const char *path)
{
	note("unlink", path);
	return unlinkat(AT_FDCWD, path, 0);
}

Test(lake_storage, a_file_is_durable_before_it_has_its_name_and_its_name_before_put_returns)
{
	const char *local;
	char want[1024];

	put(DAY "t-1-0.parquet", "the folder is there");
	local = local_file("one");
	calls[0] = '\0';
	cr_assert(lake_storage_put(lake, local, DAY "t-0-0.parquet", &err), "%s", err.message);
	snprintf(want, sizeof(want),
	         "fsync %s, link lake/" DAY
	         "t-0-0.parquet, fsync lake/bronze/event_date=2019-10-01, "
	         "fsync lake/bronze, fsync lake, unlink %s",
	         local + strlen(folder) + 1, local + strlen(folder) + 1);
	cr_assert_str_eq(calls, want, "%s", calls);
}

Test(lake_storage, after_a_failed_fsync_the_file_is_to_be_written_again)
{
	for (int i = 1; i <= 4; i++) { /* the file, and three folders */
		char path[64];

		snprintf(path, sizeof(path), DAY "t-%d-0.parquet", i);
		put(DAY "t-0-0.parquet", "the folder is there");
		sync_fails = i;
		assert_error(lake_storage_put(lake, local_file("one"), path, &err), ERR_FATAL,
		             "written again");
		cr_assert_eq(sync_fails, 0);
		cr_assert(lake_storage_remove(lake, DAY "t-0-0.parquet", &err));
	}
	sync_fails = 1;
	assert_error(lake_storage_replace(lake, "_manifests/t-0.json", "{1}", 3, &err), ERR_FATAL,
	             "written again");
	assert_text("_manifests/t-0.json", NULL);
}

/* ---- LAKE_URL ---- */

Test(lake_url, texts_become_folders_and_buckets)
{
	static const struct {
		const char *text, *folder, *bucket, *prefix;
	} cases[] = {
		{"/srv/lake", "/srv/lake", "", ""},
		{"/srv/lake//", "/srv/lake", "", ""},
		{"data/100%", "data/100%", "", ""},
		{"file:///srv/lake/", "/srv/lake", "", ""},
		{"s3://abc", "", "abc", ""},
		{"s3://abc/", "", "abc", ""},
		{"s3://my.bucket-1/a/b=c/", "", "my.bucket-1", "a/b=c/"},
		{"s3://my.bucket-1/lake", "", "my.bucket-1", "lake/"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lake_url url;

		cr_assert(lake_url_parse(cases[i].text, &url, &err), "%s: %s", cases[i].text,
		          err.message);
		cr_expect_eq(url.is_bucket, *cases[i].bucket != '\0', "%s", cases[i].text);
		cr_expect_str_eq(url.folder, cases[i].folder, "%s", cases[i].text);
		cr_expect_str_eq(url.bucket, cases[i].bucket, "%s", cases[i].text);
		cr_expect_str_eq(url.prefix, cases[i].prefix, "%s", cases[i].text);
	}
}

Test(lake_url, what_cannot_be_meant_is_refused_with_the_setting_and_the_value)
{
	static const char *const bad[] = {"",
	                                  "/",
	                                  "gs://bucket/lake",
	                                  "file://host/lake",
	                                  "file:///a%20b",
	                                  "s3://",
	                                  "s3://ab",
	                                  "s3://a b c/x",
	                                  "s3://abc/a//b",
	                                  "s3://abc//",
	                                  "s3://abc/a b",
	                                  "s3://abc/../d",
	                                  "s3://abc/a/./b",
	                                  "s3://abc/a?b"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct lake_storage_config config = {.url = bad[i], .scratch = ""};
		char want[64];

		snprintf(want, sizeof(want), "invalid value \"%s\" for LAKE_URL: expected", bad[i]);
		assert_error(lake_storage_new(&config, &err) != NULL, ERR_OPERATOR, want);
		cr_expect_not(lake_url_check(bad[i], &err));
		cr_expect_eq(err.class, ERR_INPUT);
	}
}

Test(lake_storage, the_root_is_absolute_and_ends_with_a_slash)
{
	char want[128], url[128];
	struct lake_storage *other;

	snprintf(want, sizeof(want), "%s/", lake_path);
	cr_assert_str_eq(lake_storage_root(lake), want);
	cr_assert(lake_storage_is_folder(lake));
	cr_assert_eq(chdir(folder), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(url, sizeof(url), "%s%s", i == 0 ? "" : (i == 1 ? "./" : "file://"),
		         i == 2 ? lake_path : "lake");
		other = open_at(url, "");
		cr_expect_str_eq(lake_storage_root(other), want, "%s", url);
		lake_storage_free(other);
	}
}

/* ---- put, get, replace, remove ---- */

Test(lake_storage, a_file_that_was_put_can_be_read_and_is_not_in_the_scratch_folder)
{
	const char *local = local_file("one");

	cr_assert(lake_storage_put(lake, local, DAY "t-0-0.parquet", &err), "%s", err.message);
	assert_text(DAY "t-0-0.parquet", "one");
	cr_assert_neq(access(local, F_OK), 0);
	cr_assert_eq(count_of("-path '*_tmp/*' -not -name '*.lock'"), 0);
}

Test(lake_storage, a_second_file_of_one_name_is_a_conflict_and_the_first_stays)
{
	put(DAY "t-0-0.parquet", "one");
	assert_error(lake_storage_put(lake, local_file("two"), DAY "t-0-0.parquet", &err),
	             ERR_CONFLICT, "t-0-0.parquet");
	assert_text(DAY "t-0-0.parquet", "one");
}

Test(lake_storage, of_ten_processes_that_put_one_name_one_succeeds)
{
	int won = 0, lost = 0;

	for (int i = 0; i < 10; i++)
		if (fork() == 0) {
			struct lake_storage *own = open_at(lake_path, "");
			char path[512];

			if (!lake_storage_prepare(own, &err))
				_exit(3);
			lake_storage_scratch(own, path, sizeof(path));
			write_text(path, "a complete text");
			if (lake_storage_put(own, path, DAY "t-0-0.parquet", &err))
				_exit(0);
			_exit(err.class == ERR_CONFLICT ? 1 : 2);
		}
	for (int i = 0, status; i < 10; i++) {
		cr_assert(wait(&status) > 0 && WIFEXITED(status));
		won += WEXITSTATUS(status) == 0;
		lost += WEXITSTATUS(status) == 1;
	}
	cr_assert(won == 1 && lost == 9, "%d won, %d lost", won, lost);
	assert_text(DAY "t-0-0.parquet", "a complete text");
}

Test(lake_storage, a_missing_file_is_reported_or_an_error)
{
	char at[512];
	bool is_copy;

	assert_text(DAY "none.parquet", NULL);
	assert_error(lake_storage_get(lake, DAY "none.parquet", at, sizeof(at), &is_copy, NULL,
	                              &err),
	             ERR_OPERATOR, DAY "none.parquet");
}

Test(lake_storage, a_text_is_replaced)
{
	cr_assert(lake_storage_replace(lake, "_manifests/t-0.json", "{1}", 3, &err));
	assert_text("_manifests/t-0.json", "{1}");
	cr_assert(lake_storage_replace(lake, "_manifests/t-0.json", "{}", 2, &err));
	assert_text("_manifests/t-0.json", "{}");
	cr_assert_eq(count_of("-path '*_tmp/*' -not -name '*.lock'"), 0);
}

Test(lake_storage, the_last_file_of_a_day_takes_the_folder_of_the_day_with_it)
{
	put(DAY "t-0-0.parquet", "one");
	put(DAY "t-1-0.parquet", "two");
	cr_assert(lake_storage_remove(lake, DAY "t-0-0.parquet", &err));
	assert_text(DAY "t-0-0.parquet", NULL);
	assert_text(DAY "t-1-0.parquet", "two");
	cr_assert(lake_storage_remove(lake, DAY "t-1-0.parquet", &err));
	cr_assert_eq(count_of("-name 'event_date*'"), 0);
	cr_assert_eq(count_of("-name bronze"), 1);
	cr_assert(lake_storage_remove(lake, DAY "t-1-0.parquet", &err), "%s", err.message);
	put(DAY "t-0-0.parquet", "again");
}

Test(lake_storage, paths_that_lead_out_of_the_lake_are_refused)
{
	static const char *const bad[] = {"",      "/etc/passwd", "../x",    "a/../../x",
	                                  "a/./x", "a//x",        "bronze/", ".."};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_error(lake_storage_remove(lake, bad[i], &err), ERR_OPERATOR, bad[i]);
		assert_error(lake_storage_put(lake, local_file("x"), bad[i], &err), ERR_OPERATOR,
		             "invalid path");
	}
}

/* ---- list ---- */

Test(lake_storage, a_list_has_all_files_in_their_order_but_not_those_for_us)
{
	static const char *const want[] = {"a/x/3", "b/1", "b/event_date=1/_2", "b/event_date=1/x"};
	struct lake_listing listing = {0};

	put("b/event_date=1/x", "12345");
	put("b/event_date=1/_2", "");
	put("b/1", "1");
	put("a/x/3", "123");
	put("a/.hidden", "123");
	cr_assert(lake_storage_replace(lake, "_manifests/t-0.json", "{1}", 3, &err));
	cr_assert(lake_storage_list(lake, "", &listing, &err), "%s", err.message);
	cr_assert_eq(listing.count, 4);
	for (size_t i = 0; i < 4; i++)
		cr_expect_str_eq(listing.at[i].path, want[i]);
	cr_assert_eq(listing.at[3].bytes, 5);
	lake_listing_free(&listing);
	cr_assert(lake_storage_list(lake, "b/event_date=1/", &listing, &err));
	cr_assert_eq(listing.count, 2);
	lake_listing_free(&listing);
	cr_assert(lake_storage_list(lake, "_manifests/", &listing, &err));
	cr_assert_eq(listing.count, 1);
	lake_listing_free(&listing);
	cr_assert(lake_storage_list(lake, "none/", &listing, &err));
	cr_assert_eq(listing.count, 0);
	assert_error(lake_storage_list(lake, "b", &listing, &err), ERR_OPERATOR, "\"b\"");
}

/* ---- locks ---- */

Test(lake_storage, a_lock_has_one_holder_until_it_is_given_back)
{
	struct lake_storage *other = open_at(lake_path, "");
	int lock, again, third;

	cr_assert(lake_storage_lock(lake, "t-0", &lock, &err), "%s", err.message);
	cr_assert(lake_storage_lock(other, "t-1", &third, &err), "%s", err.message);
	assert_error(lake_storage_lock(other, "t-0", &again, &err), ERR_RETRY, "_locks/t-0");
	lake_storage_unlock(again);
	lake_storage_unlock(lock);
	cr_assert(lake_storage_lock(other, "t-0", &again, &err), "%s", err.message);
	lake_storage_unlock(again);
	lake_storage_unlock(third);
	lake_storage_free(other);
}

/* Runs until it is killed; has a lock and a file in the scratch folder. */
static pid_t other_process(void)
{
	int ready[2], lock;
	pid_t child;
	char byte, path[512];

	cr_assert_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct lake_storage *own = open_at(lake_path, "");

		if (!lake_storage_prepare(own, &err) || !lake_storage_lock(own, "t-0", &lock, &err))
			_exit(1);
		lake_storage_scratch(own, path, sizeof(path));
		write_text(path, "half a fi");
		cr_assert_eq(write(ready[1], "", 1), 1);
		pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

Test(lake_storage, a_killed_process_leaves_neither_lock_nor_scratch_files)
{
	pid_t child = other_process();
	const char *ours = local_file("ours");
	int lock;

	lake_storage_clear_scratch(lake);
	cr_assert_eq(count_of("-path '*_tmp/*'"), 4, "two locks and two files");
	cr_assert_not(lake_storage_lock(lake, "t-0", &lock, &err));
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(count_of("-path '*_tmp/*'"), 4);
	lake_storage_clear_scratch(lake);
	cr_assert_eq(count_of("-path '*_tmp/*'"), 2, "our lock and our file");
	cr_assert_eq(access(ours, F_OK), 0);
	cr_assert(lake_storage_lock(lake, "t-0", &lock, &err), "%s", err.message);
	lake_storage_unlock(lock);
}

Test(lake_storage, a_file_whose_lock_file_is_missing_is_removed)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/_tmp/lake-abcdef-1", lake_path);
	write_text(path, "left");
	snprintf(path, sizeof(path), "%s/_tmp/notes", lake_path);
	write_text(path, "not ours");
	lake_storage_clear_scratch(lake);
	cr_assert_eq(count_of("-name lake-abcdef-1"), 0);
	cr_assert_eq(count_of("-name notes"), 1);
}

/* ---- other disks ---- */

/* A file system of its own at `path`; false: this machine does not allow that to us. */
static bool mount_disk(const char *path, const char *options)
{
	cr_assert_eq(mkdir(path, 0777), 0);
	return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", path, "tmpfs", 0, options) == 0;
}

/* Without the lake, whose lock is on it. */
static void unmount_disk(const char *path)
{
	lake_storage_free(lake);
	lake = NULL;
	cr_assert_eq(umount(path), 0, "%s", strerror(errno));
}

Test(lake_disk, a_file_from_another_file_system_is_copied)
{
	if (!mount_disk(scratch_path, "size=1m"))
		cr_skip_test("cannot mount");
	lake = open_at(lake_path, scratch_path);
	cr_assert(lake_storage_prepare(lake, &err), "%s", err.message);
	put(DAY "t-0-0.parquet", "one");
	assert_text(DAY "t-0-0.parquet", "one");
	assert_error(lake_storage_put(lake, local_file("two"), DAY "t-0-0.parquet", &err),
	             ERR_CONFLICT, "t-0-0.parquet");
	assert_text(DAY "t-0-0.parquet", "one");
	cr_assert_eq(count_of("-path '*_tmp/*' -not -name '*.lock'"), 0);
	cr_assert_eq(count_of("-path '*scratch/*' -not -name '*.lock'"), 1, "the conflict's");
	unmount_disk(scratch_path);
}

Test(lake_disk, a_full_disk_is_tried_again_and_the_message_has_the_free_bytes)
{
	static char big[300000];

	if (!mount_disk(lake_path, "size=256k"))
		cr_skip_test("cannot mount");
	lake = open_at(lake_path, scratch_path);
	cr_assert(lake_storage_prepare(lake, &err), "%s", err.message);
	memset(big, 'x', sizeof(big) - 1);
	assert_error(lake_storage_put(lake, local_file(big), DAY "t-0-0.parquet", &err), ERR_RETRY,
	             "bytes are free");
	cr_assert_not_null(strstr(err.message, lake_path), "%s", err.message);
	cr_assert_eq(count_of("-path '*lake/_tmp/*' -not -name '*.lock'"), 0, "room is made again");
	assert_text(DAY "t-0-0.parquet", NULL);
	cr_assert(lake_storage_free_bytes(lake) > 0 && lake_storage_free_bytes(lake) <= 262144);
	put(DAY "t-0-0.parquet", "small");
	unmount_disk(lake_path);
}

Test(lake_disk, a_read_only_disk_is_for_the_operator)
{
	if (!mount_disk(lake_path, "size=256k") ||
	    mount("none", lake_path, NULL, MS_REMOUNT | MS_RDONLY, "") != 0)
		cr_skip_test("cannot mount");
	lake = open_at(lake_path, scratch_path);
	assert_error(lake_storage_prepare(lake, &err), ERR_OPERATOR, "LAKE_URL: cannot create");
	cr_assert_not_null(strstr(err.message, lake_path), "%s", err.message);
	unmount_disk(lake_path);
}

Test(lake_disk, a_file_where_a_folder_should_be_is_for_the_operator)
{
	write_text(lake_path, "");
	lake = open_at(lake_path, scratch_path);
	assert_error(lake_storage_prepare(lake, &err), ERR_OPERATOR, lake_path);
}
