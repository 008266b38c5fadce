/* Which SQL files are applied if MIGRATIONS_DIR is empty, and in which order. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "migrate_files.h"

/* Changes into a new folder that belongs to somebody else and has SQL files of its own. */
static void enter_foreign_folder(void)
{
	char path[] = "/tmp/migrate_test_XXXXXX";

	cr_assert(mkdtemp(path) && chdir(path) == 0 && mkdir("sql", 0700) == 0 &&
	          mkdir("sql/tables", 0700) == 0);
}

static void leave_foreign_folder(void)
{
	char path[256];

	cr_assert(getcwd(path, sizeof(path)) && rmdir("sql/tables") == 0 && rmdir("sql") == 0 &&
	          rmdir(path) == 0);
}

Test(loader_migrate, files_of_the_program_are_preferred_to_those_of_the_working_directory)
{
	struct migration_list list = {0};
	char found[1024];
	struct err err = {0};

	enter_foreign_folder();
	cr_assert(migrate_find_dir("", found, sizeof(found), &err), "%s", err.message);
	cr_expect(migrate_load(found, &list, &err), "%s: %s", found, err.message);
	cr_expect(list.count > 0, "%s is the foreign folder", found);
	migrate_fini(&list);
	leave_foreign_folder();
}

Test(loader_migrate, files_come_in_the_order_in_which_they_are_applied)
{
	struct migration_list list = {0};
	struct err err = {0};
	char found[1024];

	cr_assert(migrate_find_dir("", found, sizeof(found), &err), "%s", err.message);
	cr_assert(migrate_load(found, &list, &err), "%s: %s", found, err.message);
	cr_expect(list.at[0].kind == MIGRATION_UPGRADE);
	cr_expect(strcmp(list.at[1].name, "tables/0001_raw.sql") == 0, "%s", list.at[1].name);
	cr_expect(list.at[list.count - 1].kind == MIGRATION_RIGHTS);
	for (size_t i = 1; i < list.count; i++)
		cr_expect(list.at[i - 1].kind < list.at[i].kind ||
		                  strcmp(list.at[i - 1].name, list.at[i].name) < 0,
		          "%s before %s", list.at[i - 1].name, list.at[i].name);
	migrate_fini(&list);
}
