/* Which texts are valid URLs of a schema registry. An error gives the number of the URL, never
 * its text: it may contain a password. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "registry/registry.h"

static struct registry *registry_of(const char *urls, struct err *err)
{
	const struct registry_config config = {.urls = urls};

	return registry_new(&config, 100, err);
}

Test(registry_urls, accepts)
{
	static const char *const table[] = {
		"http://127.0.0.1:18081/apis/ccompat/v7",
		"https://registry",
		"http://registry/",
		"http://user:word@registry:8081",
		"http://user@registry",
		"http://user:p%40ss%2Fw%2Crd@registry",
		"http://one,https://two:1/",
		"http://[::1]:8081",
		"http://1,http://2,http://3,http://4,http://5,http://6,http://7,http://8",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};
		struct registry *registry = registry_of(table[i], &err);

		cr_expect(registry_urls_check(table[i], &err), "%s: %s", table[i], err.message);
		cr_expect(registry, "%s: %s", table[i], err.message);
		registry_free(registry);
	}
}

Test(registry_urls, refuses_as_a_wrong_setting_without_quoting_it)
{
	static const char *const table[] = {
		"",
		",",
		"hunter2",
		"hunter2:8081",
		"//user:hunter2@registry",
		"ftp://user:hunter2@registry",
		"http://user:hunter2@",
		"http://",
		"http://user:hunter2@registry:port",
		"http://one,hunter2",
		"http://one,,http://user:hunter2@two",
		"http://user:hunter2, @one",
		"http://user:1/hunter2@registry",
		"http://user:1?hunter2@registry",
		"http://user:hunter2,hunter2@registry",
		"http://1,http://2,http://3,http://4,http://5,http://6,http://7,http://8,"
		"http://hunter2",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {0};

		cr_expect_not(registry_urls_check(table[i], &err), "'%s' is accepted", table[i]);
		cr_expect_eq(err.class, ERR_INPUT, "'%s'", table[i]);
		cr_expect(strstr(err.message, "expected "), "'%s': %s", table[i], err.message);
		cr_expect_null(strstr(err.message, "hunter2"), "'%s': %s", table[i], err.message);
		cr_expect_null(registry_of(table[i], &err), "'%s' is accepted", table[i]);
		cr_expect_eq(err.class, ERR_INPUT, "'%s'", table[i]);
	}
}
