/* These texts are copies, on purpose: a change of a statement in pg-loader has to be understood
 * here first. Optional parts are in braces, which SQL does not use. */
#include "sim/pg_statements.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	struct pg_matched matched;
	const char *text;
} statements[] = {
	{{PG_BEGIN, 0, 0}, "BEGIN"},
	{{PG_COMMIT, 0, 0}, "COMMIT"},
	{{PG_ROLLBACK, 0, 0}, "ROLLBACK"},
	{{PG_BACKEND, 0, 0},
         "SELECT pg_backend_pid(), "
         "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"},
	{{PG_SET_UP, 0, 0},
         "SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO';"
         "SET statement_timeout = 60000; SET lock_timeout = 10000;"
         "{SET idle_in_transaction_session_timeout = 10000;}"
         "SET client_min_messages = warning;"
         "SET default_transaction_isolation = 'read committed'"},
	{{PG_PLANNER, 0, 0},
         "SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;"
         " SET search_path = pg_catalog"},
	{{PG_ENSURE_DAY, 0, 0}, "SELECT raw.ensure_event_partition(date '1970-01-01' + $1::int)"},
	{{PG_LABEL_IDS, 0, 0}, "SELECT raw.event_label_ids($1::bigint[], $2::text[], $3::text[])"},
	{{PG_SOURCE_IDS, 0, 0}, "SELECT raw.event_source_ids($1::text[], $2::int[])"},
	{{PG_FORGOTTEN, 0, 0}, "SELECT processed.somebody_forgotten()"},
	{{PG_OFFSETS_READ, 0, 0},
         "SELECT w.i - 1, o.next_offset, o.last_record"
         " FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w(topic, partition, i)"
         " JOIN processed.loader_offsets o"
         " ON o.topic = w.topic AND o.partition = w.partition"},
	{{PG_OFFSETS_INSERT, 0, 0},
         "INSERT INTO processed.loader_offsets (topic, partition, next_offset)"
         " SELECT topic, partition, position"
         " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])"
         " AS w(topic, partition, committed, position)"
         " WHERE committed = -1{ ORDER BY topic, partition}{ ON CONFLICT DO NOTHING}"},
	{{PG_OFFSETS_LOCK, 0, 0},
         "SELECT o.next_offset = w.committed FROM processed.loader_offsets o"
         " JOIN unnest($1::text[], $2::int[], $3::bigint[])"
         " AS w(topic, partition, committed)"
         " ON o.topic = w.topic AND o.partition = w.partition"
         "{ ORDER BY o.topic, o.partition}{ FOR UPDATE OF o}"},
	{{PG_OFFSETS_MOVE, 0, 0},
         "UPDATE processed.loader_offsets o"
         " SET next_offset = w.position, last_record = w.last_record"
         " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::text[])"
         " AS w(topic, partition, committed, position, last_record)"
         " WHERE o.topic = w.topic AND o.partition = w.partition"
         "{ AND o.next_offset = w.committed}"},
	{{PG_CREATE_STAGE, TARGET_EVENTS, 0},
         "CREATE TEMPORARY TABLE stage_events ON COMMIT DELETE ROWS AS SELECT "
         "label_id, source_id, event_id, session_id, event_time, user_id, product_id, "
         "raw_offset, raw_time, event_date, event_type, session_form, source_row, "
         "session_text, price, 0 AS bronze_partition, bigint '0' AS bronze_offset "
         "FROM raw.event_rows WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_EVENTS, 0},
         "COPY stage_events ("
         "label_id, source_id, event_id, session_id, event_time, user_id, product_id, "
         "raw_offset, raw_time, event_date, event_type, session_form, source_row, "
         "session_text, price, bronze_partition, bronze_offset) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_EVENTS, 0},
         "WITH stored AS (INSERT INTO raw.event_rows AS e ("
         "label_id, source_id, event_id, session_id, event_time, user_id, product_id, "
         "raw_offset, raw_time, event_date, event_type, session_form, source_row, "
         "session_text, price) SELECT "
         "label_id, source_id, event_id, session_id, event_time, user_id, product_id, "
         "raw_offset, raw_time, event_date, event_type, session_form, source_row, "
         "session_text, price FROM stage_events{ ON CONFLICT DO NOTHING} "
         "RETURNING e) SELECT count(*), processed.note_events(array_agg(e)) FROM "
         "stored"},
	{{PG_COPY_EVENTS, TARGET_EVENTS, 0},
         "COPY raw.event_rows ("
         "label_id, source_id, event_id, session_id, event_time, user_id, product_id, "
         "raw_offset, raw_time, event_date, event_type, session_form, source_row, "
         "session_text, price) FROM STDIN (FORMAT binary)"},
	{{PG_COPY_SUMS, TARGET_EVENTS, 0},
         "COPY processed.load_batches (event_date, events, run_partition, "
         "run_offset, run_events, hour, hour_views, hour_carts, hour_removes, "
         "hour_checkouts, hour_purchases, hour_revenue, hour_without_category, "
         "hour_without_brand, hour_without_price, hour_without_session, "
         "hour_zero_price, hour_newest, product_id, product_category, "
         "product_brand, product_price, product_views, product_carts, "
         "product_removes, product_checkouts, product_purchases, product_first, "
         "product_last, session_id, session_user_id, session_views, "
         "session_carts, session_removes, session_checkouts, session_purchases, "
         "session_revenue, session_first, session_last, session_first_view, "
         "session_last_view, session_last_purchase, step_session_id, step_time, "
         "step_event_id, step_type, step_product_id, step_price, product_hour) FROM STDIN "
         "(FORMAT binary)"},
	{{PG_NOTE_PROGRESS, TARGET_EVENTS, 0},
         "INSERT INTO processed.bronze_loads AS t (partition, loaded_up_to) "
         "SELECT p, o FROM unnest($1::int[], $2::bigint[]) AS l(p, o) ORDER BY p "
         "ON CONFLICT (partition) DO UPDATE SET loaded_up_to = "
         "greatest(t.loaded_up_to, excluded.loaded_up_to)"},
	{{PG_COUNT_DUPLICATES, TARGET_EVENTS, 0},
         "WITH stored AS ( SELECT p AS partition, sum(n) AS events FROM "
         "processed.load_batches, unnest(run_partition, run_events) AS r(p, n) WHERE "
         "loaded_at = now() GROUP BY 1), expected AS ( SELECT s.bronze_partition AS partition, max(s.bronze_offset) + 1 AS "
         "up_to, count(*) FILTER (WHERE CASE WHEN s.bronze_offset >= "
         "coalesce((SELECT array_agg(l.loaded_up_to ORDER BY p) FROM "
         "generate_series(0, (SELECT max(partition) FROM processed.bronze_loads)) "
         "AS p LEFT JOIN processed.bronze_loads l ON l.partition = "
         "p)[s.bronze_partition + 1], 0) THEN true WHEN NOT EXISTS (SELECT FROM "
         "stored) THEN false ELSE processed.stored_now(s.event_id, s.event_date) "
         "END) AS events FROM stage_events s GROUP BY 1), total AS ( SELECT "
         "greatest(0, (SELECT sum(events) FROM expected) - (SELECT "
         "coalesce(sum(events), 0) FROM stored)) AS doubles), doubled AS ( SELECT "
         "c.partition, c.up_to, CASE WHEN t.doubles > 0 THEN greatest(0, c.events - "
         "coalesce(s.events, 0)) ELSE 0 END AS doubles FROM total t, expected c "
         "LEFT JOIN stored s ON s.partition = c.partition), noted AS ( INSERT INTO "
         "processed.bronze_loads AS t (partition, loaded_up_to, doubles, "
         "doubled_at) SELECT partition, up_to, doubles, CASE WHEN doubles > 0 THEN "
         "now() END FROM doubled ORDER BY partition ON CONFLICT (partition) DO "
         "UPDATE SET loaded_up_to = greatest(t.loaded_up_to, "
         "excluded.loaded_up_to), doubles = t.doubles + excluded.doubles, "
         "doubled_at = coalesce(excluded.doubled_at, t.doubled_at)) SELECT doubles "
         "FROM total"},
	{{PG_CREATE_STAGE, TARGET_AGGREGATES, 0},
         "CREATE TEMPORARY TABLE stage_aggregates ON COMMIT DELETE ROWS AS SELECT "
         "rollup, window_start, window_end, group_value, views, carts, removes, "
         "checkouts, purchases, revenue, sessions, view_sessions, cart_sessions, "
         "purchase_sessions, funnel_cart_sessions, funnel_checkout_sessions, "
         "funnel_purchase_sessions, "
         "buying_view_sessions, view_purchase_sessions, "
         "view_cart_purchase_sessions, final, revision FROM "
         "processed.funnel_aggregates WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_AGGREGATES, 0},
         "COPY stage_aggregates (rollup, window_start, window_end, group_value, "
         "views, carts, removes, checkouts, purchases, revenue, sessions, "
         "view_sessions, cart_sessions, purchase_sessions, funnel_cart_sessions, "
         "funnel_checkout_sessions, funnel_purchase_sessions, "
         "buying_view_sessions, view_purchase_sessions, "
         "view_cart_purchase_sessions, final, revision) FROM "
         "STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_AGGREGATES, 0},
         "INSERT INTO processed.funnel_aggregates AS t (rollup, window_start, "
         "window_end, group_value, views, carts, removes, checkouts, purchases, "
         "revenue, sessions, view_sessions, cart_sessions, purchase_sessions, "
         "funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions, "
         "buying_view_sessions, view_purchase_sessions, "
         "view_cart_purchase_sessions, final, revision) "
         "SELECT rollup, window_start, window_end, group_value, "
         "views, carts, removes, checkouts, purchases, revenue, sessions, "
         "view_sessions, cart_sessions, purchase_sessions, funnel_cart_sessions, "
         "funnel_checkout_sessions, funnel_purchase_sessions, "
         "buying_view_sessions, view_purchase_sessions, "
         "view_cart_purchase_sessions, final, revision FROM "
         "stage_aggregates ON CONFLICT (rollup, window_start, window_end, "
         "group_value) DO UPDATE SET views = excluded.views, carts = "
         "excluded.carts, removes = excluded.removes, checkouts = "
         "excluded.checkouts, purchases = excluded.purchases, revenue = "
         "excluded.revenue, sessions = excluded.sessions, view_sessions = "
         "excluded.view_sessions, cart_sessions = excluded.cart_sessions, "
         "purchase_sessions = excluded.purchase_sessions, funnel_cart_sessions = "
         "excluded.funnel_cart_sessions, funnel_checkout_sessions = "
         "excluded.funnel_checkout_sessions, funnel_purchase_sessions = "
         "excluded.funnel_purchase_sessions, buying_view_sessions = "
         "excluded.buying_view_sessions, view_purchase_sessions = "
         "excluded.view_purchase_sessions, view_cart_purchase_sessions = "
         "excluded.view_cart_purchase_sessions, final = excluded.final, revision = "
         "excluded.revision, loaded_at = now(){ WHERE (excluded.revision, "
         "excluded.final) > (t.revision, t.final)}"},
	{{PG_CREATE_STAGE, TARGET_VISIT_REMOVALS, 0},
         "CREATE TEMPORARY TABLE stage_visit_removals ON COMMIT DELETE ROWS AS "
         "SELECT visit_start, session_id, session_form, session_text "
         "FROM processed.visit_rows WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_VISIT_REMOVALS, 0},
         "COPY stage_visit_removals (visit_start, session_id, session_form, "
         "session_text) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_VISIT_REMOVALS, 0},
         "DELETE FROM processed.visit_rows t USING stage_visit_removals s "
         "WHERE t.visit_start = s.visit_start AND t.session_id = s.session_id "
         "AND t.session_form = s.session_form AND t.session_text = s.session_text"},
	{{PG_CREATE_STAGE, TARGET_VISITS, 0},
         "CREATE TEMPORARY TABLE stage_visits ON COMMIT DELETE ROWS AS SELECT "
         "first_label, last_label, visit_start, session_id, session_form, "
         "session_text, visit_end, user_id, views, carts, removes, checkouts, "
         "purchases, products, revenue, furthest_stage, drop_off_stage, "
         "view_to_cart_ms, view_to_purchase_ms, view_purchase, "
         "view_cart_purchase, final, revision "
         "FROM processed.visit_rows WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_VISITS, 0},
         "COPY stage_visits ("
         "first_label, last_label, visit_start, session_id, session_form, "
         "session_text, visit_end, user_id, views, carts, removes, checkouts, "
         "purchases, products, revenue, furthest_stage, drop_off_stage, "
         "view_to_cart_ms, view_to_purchase_ms, view_purchase, "
         "view_cart_purchase, final, revision) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_VISITS, 0},
         "INSERT INTO processed.visit_rows ("
         "first_label, last_label, visit_start, session_id, session_form, "
         "session_text, visit_end, user_id, views, carts, removes, checkouts, "
         "purchases, products, revenue, furthest_stage, drop_off_stage, "
         "view_to_cart_ms, view_to_purchase_ms, view_purchase, "
         "view_cart_purchase, final, revision) SELECT "
         "first_label, last_label, visit_start, session_id, session_form, "
         "session_text, visit_end, user_id, views, carts, removes, checkouts, "
         "purchases, products, revenue, furthest_stage, drop_off_stage, "
         "view_to_cart_ms, view_to_purchase_ms, view_purchase, "
         "view_cart_purchase, final, revision "
         "FROM stage_visits ORDER BY visit_start ON CONFLICT (visit_start, "
         "session_id, session_form, session_text) DO UPDATE SET first_label = "
         "excluded.first_label, last_label = excluded.last_label, visit_end = "
         "excluded.visit_end, user_id = excluded.user_id, views = excluded.views, "
         "carts = excluded.carts, removes = excluded.removes, checkouts = "
         "excluded.checkouts, purchases = excluded.purchases, products = "
         "excluded.products, revenue = excluded.revenue, "
         "furthest_stage = excluded.furthest_stage, "
         "drop_off_stage = excluded.drop_off_stage, "
         "view_to_cart_ms = excluded.view_to_cart_ms, view_to_purchase_ms = "
         "excluded.view_to_purchase_ms, view_purchase = "
         "excluded.view_purchase, view_cart_purchase = "
         "excluded.view_cart_purchase, final = excluded.final, revision = "
         "excluded.revision, loaded_at = now()"},
	{{PG_CREATE_STAGE, TARGET_LATE_EVENTS, 0},
         "CREATE TEMPORARY TABLE stage_late_events ON COMMIT DELETE ROWS AS SELECT "
         "event_id, late_for, event_time, event_date, event_type, product_id, "
         "category_id, category_code, brand, price, user_id, user_session, "
         "source_file, source_row, raw_partition, raw_offset, raw_time, "
         "bronze_partition, bronze_offset FROM raw.late_events WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_LATE_EVENTS, 0},
         "COPY stage_late_events (event_id, late_for, event_time, event_date, "
         "event_type, product_id, category_id, category_code, brand, price, "
         "user_id, user_session, source_file, source_row, raw_partition, "
         "raw_offset, raw_time, bronze_partition, bronze_offset) FROM STDIN (FORMAT "
         "binary)"},
	{{PG_APPLY, TARGET_LATE_EVENTS, 0},
         "INSERT INTO raw.late_events (event_id, late_for, event_time, event_date, "
         "event_type, product_id, category_id, category_code, brand, price, "
         "user_id, user_session, source_file, source_row, raw_partition, "
         "raw_offset, raw_time, bronze_partition, bronze_offset) SELECT event_id, "
         "late_for, event_time, event_date, event_type, product_id, category_id, "
         "category_code, brand, price, user_id, user_session, source_file, "
         "source_row, raw_partition, raw_offset, raw_time, bronze_partition, "
         "bronze_offset FROM stage_late_events{ ON CONFLICT DO NOTHING}"},
	{{PG_CREATE_STAGE, TARGET_COUNTS, 0},
         "CREATE TEMPORARY TABLE stage_counts ON COMMIT DELETE ROWS AS SELECT "
         "service, topic, partition, records_in, records_out, duplicates, late, "
         "dead, dead_by_reason, revision, updated_at, unreadable_by_field, "
         "duplicates_other_price, stages FROM processed.counts WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_COUNTS, 0},
         "COPY stage_counts (service, topic, partition, records_in, records_out, "
         "duplicates, late, dead, dead_by_reason, revision, updated_at, "
         "unreadable_by_field, duplicates_other_price, stages) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_COUNTS, 0},
         "INSERT INTO processed.counts AS t (service, topic, partition, records_in, "
         "records_out, duplicates, late, dead, dead_by_reason, revision, "
         "updated_at, unreadable_by_field, duplicates_other_price, stages) SELECT service, "
         "topic, partition, records_in, records_out, duplicates, late, dead, "
         "dead_by_reason, revision, updated_at, unreadable_by_field, "
         "duplicates_other_price, stages FROM stage_counts ON CONFLICT (service, topic, "
         "partition) DO UPDATE SET records_in = excluded.records_in, records_out = "
         "excluded.records_out, duplicates = excluded.duplicates, late = "
         "excluded.late, dead = excluded.dead, dead_by_reason = "
         "excluded.dead_by_reason, revision = excluded.revision, updated_at = "
         "excluded.updated_at, unreadable_by_field = excluded.unreadable_by_field, "
         "duplicates_other_price = excluded.duplicates_other_price, stages = "
         "excluded.stages{ WHERE "
         "excluded.revision > t.revision}"},
	{{PG_CREATE_STAGE, TARGET_DEAD_LETTERS, 0},
         "CREATE TEMPORARY TABLE stage_dead_letters ON COMMIT DELETE ROWS AS SELECT "
         "stage, reason, detail, source_topic, source_partition, source_offset, "
         "key, value, headers, rejected_at FROM raw.dead_letters WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_DEAD_LETTERS, 0},
         "COPY stage_dead_letters (stage, reason, detail, source_topic, "
         "source_partition, source_offset, key, value, headers, rejected_at) FROM "
         "STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_DEAD_LETTERS, 0},
         "INSERT INTO raw.dead_letters (stage, reason, detail, source_topic, "
         "source_partition, source_offset, key, value, headers, rejected_at) SELECT "
         "stage, reason, detail, source_topic, source_partition, source_offset, "
         "key, value, headers, rejected_at FROM stage_dead_letters{ ON CONFLICT DO "
         "NOTHING}"},
	{{PG_CREATE_STAGE, TARGET_REDRIVEN, 0},
         "CREATE TEMPORARY TABLE stage_redriven ON COMMIT DELETE ROWS AS SELECT "
         "stage, reason, source_topic, source_partition, source_offset, redriven_at "
         "FROM raw.dead_letters WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_REDRIVEN, 0},
         "COPY stage_redriven (stage, reason, source_topic, source_partition, "
         "source_offset, redriven_at) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_REDRIVEN, 0},
         "UPDATE raw.dead_letters t SET redriven_at = s.redriven_at FROM "
         "stage_redriven s WHERE t.stage = s.stage AND t.reason = s.reason AND "
         "t.source_topic = s.source_topic AND t.source_partition = "
         "s.source_partition AND t.source_offset = s.source_offset"},
	{{PG_CREATE_STAGE, TARGET_CONTROLS, 0},
         "CREATE TEMPORARY TABLE stage_controls ON COMMIT DELETE ROWS AS SELECT "
         "segment, partition, kind, raw_offset, rows_announced, partition_count, "
         "bronze_offset, announced_at, duplicates_other_price FROM "
         "processed.segment_controls WITH NO DATA"},
	{{PG_COPY_STAGE, TARGET_CONTROLS, 0},
         "COPY stage_controls (segment, partition, kind, raw_offset, "
         "rows_announced, partition_count, bronze_offset, announced_at, "
         "duplicates_other_price) FROM STDIN (FORMAT binary)"},
	{{PG_APPLY, TARGET_CONTROLS, 0},
         "INSERT INTO processed.segment_controls (segment, partition, kind, "
         "raw_offset, rows_announced, partition_count, bronze_offset, announced_at, "
         "duplicates_other_price) SELECT segment, partition, kind, raw_offset, "
         "rows_announced, partition_count, bronze_offset, announced_at, "
         "duplicates_other_price FROM stage_controls{ ON CONFLICT DO NOTHING}"},
};

/* Matches the text against the pattern from both positions on; *missing gets the bits of the
 * optional parts that the text does not have. */
static bool matches(const char *pattern, const char *sql, unsigned bit, unsigned *missing)
{
	const char *close;
	size_t len;

	while (*pattern && *pattern != '{' && *pattern == *sql)
		pattern++, sql++;
	if (*pattern != '{')
		return !*pattern && !*sql;
	close = strchr(pattern, '}');
	len = (size_t)(close - pattern - 1);
	if (strncmp(pattern + 1, sql, len) == 0 && matches(close + 1, sql + len, bit << 1, missing))
		return true;
	*missing |= bit;
	return matches(close + 1, sql, bit << 1, missing);
}

struct pg_matched pg_statement_of(const char *sql)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		struct pg_matched matched = statements[i].matched;

		if (matches(statements[i].text, sql, 1, &matched.missing))
			return matched;
	}
	return (struct pg_matched){PG_UNKNOWN, 0, 0};
}

const char *pg_statement_name(const struct pg_matched *matched)
{
	static const char *const names[] = {
		[PG_UNKNOWN] = "an unknown statement",
		[PG_BEGIN] = "BEGIN",
		[PG_COMMIT] = "COMMIT",
		[PG_ROLLBACK] = "ROLLBACK",
		[PG_BACKEND] = "pg_backend_pid",
		[PG_SET_UP] = "SET",
		[PG_PLANNER] = "SET enable_hashjoin",
		[PG_CREATE_STAGE] = "CREATE TEMPORARY TABLE",
		[PG_COPY_STAGE] = "COPY",
		[PG_APPLY] = "apply",
		[PG_COUNT_DUPLICATES] = "count duplicates",
		[PG_COPY_EVENTS] = "COPY straight into",
		[PG_COPY_SUMS] = "sums of",
		[PG_NOTE_PROGRESS] = "progress of",
		[PG_ENSURE_DAY] = "ensure_event_partition",
		[PG_LABEL_IDS] = "event_label_ids",
		[PG_SOURCE_IDS] = "event_source_ids",
		[PG_FORGOTTEN] = "somebody_forgotten",
		[PG_OFFSETS_READ] = "read offsets",
		[PG_OFFSETS_INSERT] = "insert offsets",
		[PG_OFFSETS_LOCK] = "lock offsets",
		[PG_OFFSETS_MOVE] = "move offsets",
	};
	static char text[96];
	bool has_target =
		matched->statement >= PG_CREATE_STAGE && matched->statement <= PG_NOTE_PROGRESS;

	snprintf(text, sizeof(text), "%s%s%s", names[matched->statement], has_target ? " " : "",
	         has_target ? targets[matched->target].table : "");
	return text;
}
