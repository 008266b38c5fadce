/* The parts of the senders of alerts that need no server. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "alert_gauges.h"
#include "alert_sender.h"
#include "alert_topic.h"
#include "alert_webhook.h"
#include "service/metrics.h"

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

static PGresult *named(const char *const *names, size_t count)
{
	PGresult *made = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc described[COLUMNS] = {0};
	char copies[COLUMNS][24];

	for (size_t c = 0; c < count; c++) {
		snprintf(copies[c], sizeof(copies[c]), "%s", names[c]);
		described[c].name = copies[c];
	}
	cr_assert(PQsetResultAttrs(made, (int)count, described));
	return made;
}

static void add_row(PGresult *made, const char *const *values)
{
	int row = PQntuples(made);
	char value[64];

	for (int c = 0; c < PQnfields(made); c++) {
		snprintf(value, sizeof(value), "%s", values[c] ? values[c] : "");
		cr_assert(PQsetvalue(made, row, c, values[c] ? value : NULL,
		                     values[c] ? (int)strlen(value) : -1));
	}
}

static PGresult *result(void)
{
	PGresult *made = named(columns, COLUMNS);

	add_row(made, rows[0]);
	add_row(made, rows[1]);
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

/* ---- senders */

struct receiver {
	bool refuses;
	int prepared, reset;
};

static bool prepare(void *self, struct err *err)
{
	struct receiver *receiver = self;

	receiver->prepared++;
	return !receiver->refuses || err_set(err, ERR_OPERATOR, "the schema is incompatible");
}

static void reset(void *self)
{
	struct receiver *receiver = self;

	receiver->reset++;
}

static void keep(void *self)
{
	(void)self;
}

static int64_t failures_of(const char *labels)
{
	return metric_value(metric_get(METRIC_COUNTER, "alerts_failures_total", labels, ""));
}

/* Steps without waiting, twice if it fails. A call of any other function would crash. */
static void step_sender(struct receiver *receiver, const char *name)
{
	struct alert_channel channel = {.receiver = name,
	                                .self = receiver,
	                                .prepare = prepare,
	                                .reset = reset,
	                                .free = keep};
	struct postgres_config config = {0};
	struct alert_sender *sender = alert_sender_new(&config, channel);

	alert_sender_step(sender);
	if (receiver->refuses)
		alert_sender_step(sender);
	alert_sender_free(sender);
}

Test(alerts, a_receiver_that_is_not_ready_is_counted_and_not_asked_again_at_once)
{
	struct receiver refuses = {.refuses = true}, accepts = {.refuses = false};

	step_sender(&refuses, "refuses");
	cr_assert_eq(refuses.prepared, 1);
	cr_assert_eq(refuses.reset, 1);
	cr_assert_eq(failures_of("to=\"refuses\""), 1);
	step_sender(&accepts, "accepts");
	cr_assert_eq(accepts.prepared, 1);
	cr_assert_eq(accepts.reset, 0);
	cr_assert_eq(failures_of("to=\"accepts\""), 0);
}

Test(alerts, a_webhook_gives_up_an_old_row_without_a_request)
{
	static const char *const names[] = {"number", "key",  "body",  "alert_id",
	                                    "state",  "rule", "age_s", "is_young"};
	static const char *const old[] = {"7", "id", "{}", "id", "opened", "fell", "86401", "f"};
	struct alert_channel channel = alert_webhook_channel("http://127.0.0.1:1/", "");
	PGresult *made = named(names, sizeof(names) / sizeof(*names));
	char sql[ALERT_SQL_MAX];
	struct err err;

	add_row(made, old);
	cr_assert(channel.start(channel.self, made, &err));
	cr_assert_eq(channel.step(channel.self, &err), ALERT_GIVEN_UP);
	channel.mark(channel.self, sql, sizeof(sql));
	cr_assert(strstr(sql, "webhook_next_at = 'infinity' WHERE number = 7"), "%s", sql);
	channel.free(channel.self);
	PQclear(made);
}
