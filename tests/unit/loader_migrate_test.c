/* Whose migrations are applied where no folder is named. */
#include "migrate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of somebody else, with migrations of its own; we are in it then. */
static void enter_foreign_folder(void)
{
	char path[] = "/tmp/migrate_test_XXXXXX";

	cr_assert(mkdtemp(path) && chdir(path) == 0 && mkdir("sql", 0700) == 0 && mkdir("sql/tables", 0700) == 0);
}

static void leave_foreign_folder(void)
{
	char path[256];

	cr_assert(getcwd(path, sizeof(path)) && rmdir("sql/tables") == 0 && rmdir("sql") == 0 && rmdir(path) == 0);
}

Test(loader_migrate, migrations_of_the_program_come_before_those_of_the_folder_one_is_in)
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
