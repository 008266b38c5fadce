/* The error classes of SQLSTATEs and of failed connections. Needs no server. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"

Test(loader_postgres, sqlstates_have_the_class_of_the_action)
{
	static const struct {
		const char *what, *state;
		bool lost;
		enum err_class want;
	} table[] = {
		{"unique violation", "23505", false, ERR_INPUT},
		{"no partition, or a check", "23514", false, ERR_INPUT},
		{"numeric out of range", "22003", false, ERR_INPUT},
		{"broken UTF-8", "22021", false, ERR_INPUT},
		{"row touched twice", "21000", false, ERR_INPUT},
		{"index entry too long", "54000", false, ERR_INPUT},
		{"our COPY is in the wrong form", "22P04", false, ERR_FATAL},
		{"our field is in the wrong form", "22P03", false, ERR_FATAL},
		{"connection lost", "08006", true, ERR_RETRY},
		{"no SQLSTATE, connection lost", "", true, ERR_RETRY},
		{"NULL, connection lost", NULL, true, ERR_RETRY},
		{"administrator's shutdown", "57P01", true, ERR_RETRY},
		{"starting up", "57P03", true, ERR_RETRY},
		{"statement time-out", "57014", false, ERR_RETRY},
		{"disk full", "53100", false, ERR_RETRY},
		{"too many connections", "53300", true, ERR_RETRY},
		{"deadlock", "40P01", false, ERR_RETRY},
		{"serialization", "40001", false, ERR_RETRY},
		{"lock time-out", "55P03", false, ERR_RETRY},
		{"idle in transaction", "25P03", true, ERR_RETRY},
		{"read-only while failing over", "25006", false, ERR_RETRY},
		{"I/O error", "58030", false, ERR_RETRY},
		{"no such table", "42P01", false, ERR_OPERATOR},
		{"no right", "42501", false, ERR_OPERATOR},
		{"wrong password", "28P01", true, ERR_OPERATOR},
		{"no such database", "3D000", true, ERR_OPERATOR},
		{"internal error", "XX000", false, ERR_FATAL},
		{"internal error that ended the server", "XX000", true, ERR_RETRY},
		{"no SQLSTATE", "", false, ERR_FATAL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(postgres_class(table[i].state, table[i].lost), table[i].want,
		             "%s: got %s", table[i].what,
		             err_class_name(postgres_class(table[i].state, table[i].lost)));
}

Test(loader_postgres, an_unreachable_server_is_retried_and_an_invalid_string_is_refused)
{
	static const struct {
		const char *dsn;
		enum err_class want;
	} table[] = {
		{"host=127.0.0.1 port=1 dbname=x user=y", ERR_RETRY},
		{"postgresql://y@127.0.0.1:1/x", ERR_RETRY},
		{"host=/nonexistent user=y", ERR_RETRY},
		{"hunter2", ERR_INPUT},
		{"hosst=1", ERR_INPUT},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct postgres_config config = {table[i].dsn, "", 1000000, 1000000};
		struct postgres *pg = postgres_new(&config, "test");
		struct err err = {0};

		cr_expect_not(postgres_connect(pg, NULL, &err));
		cr_expect_eq(err.class, table[i].want, "%s: %s", table[i].dsn, err.message);
		cr_expect_null(strstr(err.message, "hunter2"), "the string may contain a password");
		cr_expect_not(postgres_run(pg, "SELECT 1", &err));
		cr_expect_eq(err.class, ERR_RETRY, "not connected");
		postgres_free(pg);
	}
}
