/* The parts of the senders of alerts that need no server. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "alert_gauges.h"
#include "alert_topic.h"
#include "alert_webhook.h"

static const struct {
	const char *label, *list, *want;
} lists[] = {
	{"no rule", "", ""},
	{"one rule", "a=1", "a:1 "},
	{"several rules", "a.b=0,c-d=1,e_f=0", "a.b:0 c-d:1 e_f:0 "},
	{"no sign", "a", ""},
	{"no value", "a=", ""},
	{"another value", "a=2", ""},
	{"more after the value", "a=1b=0", ""},
	{"no name", "=1", ""},
	{"nothing after the comma", "a=1,", "a:1 "},
	{"a name of 64 bytes", "0123456789012345678901234567890123456789012345678901234567890123=1",
         ""},
};

Test(alerts, a_list_of_rules_is_taken_up_to_its_first_error)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct span list = span_of(lists[i].list), rule;
		char got[128] = "";
		bool open;

		while (alert_list_take(&list, &rule, &open))
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s:%d ",
			         (int)rule.len, rule.at, open);
		cr_expect_str_eq(got, lists[i].want, "%s: %s", lists[i].label, got);
	}
}

static const struct {
	const char *url;
	bool good;
} urls[] = {
	{"", true},
	{"http://127.0.0.1:8080/alerts", true},
	{"https://hooks.example.org/x?token=y", true},
	{"ftp://example.org/x", false},
	{"file:///etc/passwd", false},
	{"hooks.example.org", false},
	{"http://", false},
};

Test(alerts, a_webhook_is_a_url_of_http_and_an_error_does_not_quote_it)
{
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		struct err err = {ERR_NONE, ""};
		bool good = alert_webhook_url_check(urls[i].url, &err);

		cr_expect_eq(good, urls[i].good, "%s", urls[i].url);
		cr_expect(good || (err.class == ERR_INPUT && !strstr(err.message, urls[i].url)),
		          "%s: %s", urls[i].url, err.message);
	}
}

/* ---- rows of the outbox */

static const char *const columns[] = {"number",        "alert_id",     "state",
                                      "rule",          "metric",       "subject",
                                      "compared_with", "direction",    "bound",
                                      "limit_value",   "value",        "value_before",
                                      "volume",        "met_since",    "opened_at",
                                      "closed_at",     "closed_value", "closed_by"};
#define COLUMNS (sizeof(columns) / sizeof(*columns))

static const char *const rows[][COLUMNS] = {
	{"7", "id", "opened", "fell", "traffic", NULL, "day before", "below", "0.5", "50", "20",
         "100", "100", "1570000000000000", "1570000600000000", NULL, NULL, NULL},
	{"9223372036854775807", "id", "closed", "fell", "traffic", NULL, "day before", "below",
         "0.5", "50", "20", "100", "100", "1570000000000000", "1570000600000000",
         "1570001200000000", "80", "recovered"},
};

static PGresult *result(void)
{
	PGresult *made = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc described[COLUMNS] = {0};
	char names[COLUMNS][24], value[64];

	for (size_t c = 0; c < COLUMNS; c++) {
		snprintf(names[c], sizeof(names[c]), "%s", columns[c]);
		described[c].name = names[c];
	}
	cr_assert(PQsetResultAttrs(made, (int)COLUMNS, described));
	for (int r = 0; r < 2; r++)
		for (size_t c = 0; c < COLUMNS; c++) {
			const char *text = rows[r][c];

			snprintf(value, sizeof(value), "%s", text ? text : "");
			cr_assert(PQsetvalue(made, r, (int)c, text ? value : NULL,
			                     text ? (int)strlen(text) : -1));
		}
	return made;
}

Test(alerts, a_row_becomes_a_record)
{
	PGresult *made = result();
	struct alert opened = alert_of_row(made, 0), closed = alert_of_row(made, 1);

	cr_assert(span_is(opened.state, "opened") && span_is(opened.rule, "fell"));
	cr_assert(span_is(opened.limit_value, "50") && span_is(opened.value_before, "100"));
	cr_assert(!opened.subject.at && !opened.closed_by.at && !opened.is_closed);
	cr_assert_eq(opened.met_since_us, INT64_C(1570000000000000));
	cr_assert(closed.is_closed && span_is(closed.closed_by, "recovered"));
	cr_assert_eq(closed.closed_at_us, INT64_C(1570001200000000));
	PQclear(made);
}

Test(alerts, numbers_of_rows_are_an_array_of_postgresql)
{
	PGresult *made = result();
	char text[64];

	alert_numbers(made, text, sizeof(text));
	cr_assert_str_eq(text, "{7,9223372036854775807}");
	PQclear(made);
}
