/* Staging tables have the column types of the real tables, without constraints or indexes, and are
 * empty again after each transaction. Every `apply` is idempotent, or only moves values forward. So
 * rows of a batch that was rolled back, or of a replay, change nothing.
 *
 * Visits are the exception. A visit may shrink when another one takes over its events, so the last
 * record wins, whatever its revision. This is safe: the records of a key come in order and exactly
 * once, because the offsets move in the same transaction.
 *
 * Duplicates in bronze. A bronze record is either read again (its offset was loaded before) or new.
 * The event of a record that is read again is stored already. If the event of a new record is
 * stored already, bronze has it twice: a duplicate. processed.bronze_loads has how far each
 * partition was ever loaded. processed.load_batches has what this transaction has stored.
 *
 * Rejected: ON CONFLICT as a part of COPY, which does not exist; one staging table for all targets,
 * because their types differ. */
#include "targets.h"

#include <stddef.h>

#define STAGE(name, columns, table)                                                               \
	"CREATE TEMPORARY TABLE " name " ON COMMIT DELETE ROWS AS SELECT " columns " FROM " table \
	" WITH NO DATA"
#define COPY(name, columns) "COPY " name " (" columns ") FROM STDIN (FORMAT binary)"

#define EVENT                                                                           \
	"event_time, event_date, event_type, product_id, category_id, category_code, "  \
	"brand, price, user_id, user_session, source_file, source_row, raw_partition, " \
	"raw_offset, raw_time"
#define EVENTS                                                                         \
	"label_id, source_id, event_id, session_id, event_time, user_id, product_id, " \
	"raw_offset, raw_time, event_date, event_type, session_form, source_row, "     \
	"session_text, price"
#define BRONZE "bronze_partition, bronze_offset"
/* How far the partition of a staged row was loaded. The subquery builds the array by partition
 * once; a join would search all partitions for every row. */
#define LOADED_UP_TO                                                                         \
	"coalesce((SELECT array_agg(l.loaded_up_to ORDER BY p)"                              \
	" FROM generate_series(0, (SELECT max(partition) FROM processed.bronze_loads)) AS p" \
	" LEFT JOIN processed.bronze_loads l ON l.partition = p)[s.bronze_partition + 1], 0)"
#define LATE "event_id, late_for, " EVENT ", " BRONZE
#define DEAD                                                                          \
	"stage, reason, detail, source_topic, source_partition, source_offset, key, " \
	"value, headers, rejected_at"
#define REDRIVEN   "stage, reason, source_topic, source_partition, source_offset, redriven_at"
#define COUNTS_KEY "service, topic, partition"
#define COUNTS                                                                           \
	COUNTS_KEY ", records_in, records_out, duplicates, late, dead, dead_by_reason, " \
		   "revision, updated_at, unreadable_by_field, duplicates_other_price, " \
		   "stages"
#define AGGREGATE_KEY "rollup, window_start, window_end, group_value"
#define AGGREGATES                                                                         \
	AGGREGATE_KEY ", views, carts, removes, checkouts, purchases, revenue, sessions, " \
		      "view_sessions, cart_sessions, purchase_sessions, "                  \
		      "funnel_cart_sessions, funnel_checkout_sessions, "                   \
		      "funnel_purchase_sessions, buying_view_sessions, "                   \
		      "view_purchase_sessions, view_cart_purchase_sessions, final, revision"
#define VISIT_KEY "visit_start, session_id, session_form, session_text"
#define VISITS                                                                               \
	"first_label, last_label, " VISIT_KEY ", visit_end, user_id, views, carts, "         \
	"removes, checkouts, purchases, products, revenue, furthest_stage, drop_off_stage, " \
	"view_to_cart_ms, view_to_purchase_ms, view_purchase, view_cart_purchase, final, "   \
	"revision"
#define CONTROLS                                                                  \
	"segment, partition, kind, raw_offset, rows_announced, partition_count, " \
	"bronze_offset, announced_at, duplicates_other_price"

#define FORGOTTEN_OF(ids)    " processed.forgotten(ARRAY(SELECT " ids ")) AS f"
#define FORGOTTEN_VISITS     FORGOTTEN_OF("user_id::text FROM stage_visits")
#define FORGOTTEN_CANDIDATES FORGOTTEN_OF("id FROM candidate")
#define OF_USER              " WHERE f.user_id = s.user_id::text"
#define OWN_SESSION          "s.session_form = 't' AND s.session_text = 'user:' || f.user_id"

const struct direct_statements direct_events = {
	.copy = COPY("raw.event_rows", EVENTS),
	.note_progress = "INSERT INTO processed.bronze_loads AS t (partition, loaded_up_to)"
			 " SELECT p, o FROM unnest($1::int[], $2::bigint[]) AS l(p, o) ORDER BY p"
			 " ON CONFLICT (partition) DO UPDATE"
			 " SET loaded_up_to = greatest(t.loaded_up_to, excluded.loaded_up_to)",
};

/* reporting.forget_user() may not have come to the stored visits yet. So a visit of a session
 * user:<id> is removed, or replaced, under both names of the session.
 *
 * Dead letters of the loader itself have bytes of Avro, in which a hash finds no user. */
const char *const forget_statements[TARGET_COUNT] = {
	[TARGET_VISIT_REMOVALS] =
		"INSERT INTO stage_visit_removals (" VISIT_KEY ") SELECT s.visit_start,"
		" processed.session_id('user:' || f.pseudonym), 't', 'user:' || f.pseudonym"
		" FROM stage_visit_removals s," FORGOTTEN_OF(
			"substr(session_text, 6) FROM stage_visit_removals"
			" WHERE session_text LIKE 'user:%'") " WHERE " OWN_SESSION,
	[TARGET_VISITS] =
		"DELETE FROM processed.visit_rows t USING stage_visits s," FORGOTTEN_VISITS OF_USER
		" AND " OWN_SESSION
		" AND t.visit_start = s.visit_start AND t.session_id = s.session_id"
		" AND t.session_form = s.session_form AND t.session_text = s.session_text;"
		"UPDATE stage_visits s SET user_id = f.pseudonym,"
		" session_id = CASE WHEN " OWN_SESSION
		" THEN processed.session_id('user:' || f.pseudonym)"
		" ELSE s.session_id END, session_text = CASE WHEN " OWN_SESSION
		" THEN 'user:' || f.pseudonym ELSE s.session_text END FROM" FORGOTTEN_VISITS
			OF_USER,
	[TARGET_LATE_EVENTS] =
		"UPDATE stage_late_events s SET user_id = f.pseudonym FROM" FORGOTTEN_OF(
			"user_id::text FROM stage_late_events") OF_USER,
	[TARGET_DEAD_LETTERS] =
		"WITH candidate AS MATERIALIZED ("
		" SELECT ctid AS place, unnest(raw.user_ids_of(key, value, detail)) AS id"
		" FROM stage_dead_letters"
		") UPDATE stage_dead_letters SET key = NULL, value = NULL, headers = NULL,"
		" detail = CASE WHEN stage = 'loader' THEN detail END"
		" WHERE stage = 'loader' OR ctid = ANY (ARRAY("
		"SELECT c.place FROM candidate c," FORGOTTEN_CANDIDATES " WHERE f.user_id = c.id))",
};

const struct target_statements targets[TARGET_COUNT] = {
	[TARGET_EVENTS] =
		{
			"raw.events",
			STAGE("stage_events",
                              EVENTS ", 0 AS bronze_partition, bigint '0' AS bronze_offset",
                              "raw.event_rows"),
			COPY("stage_events", EVENTS ", " BRONZE),
			"WITH stored AS (INSERT INTO raw.event_rows AS e (" EVENTS
			") SELECT " EVENTS " FROM stage_events ON CONFLICT DO NOTHING RETURNING e)"
			" SELECT count(*), processed.note_events(array_agg(e)) FROM stored",
			"WITH stored AS ("
			" SELECT p AS partition, sum(n) AS events FROM processed.load_batches,"
			" unnest(run_partition, run_events) AS r(p, n)"
			" WHERE loaded_at = now() GROUP BY 1"
			/* expected: events that this transaction should have stored. A record that
			 * is read again counts only if its event was stored now. */
			"), expected AS ("
			" SELECT s.bronze_partition AS partition,"
			" max(s.bronze_offset) + 1 AS up_to,"
			" count(*) FILTER (WHERE CASE WHEN s.bronze_offset >= " LOADED_UP_TO
			" THEN true"
			" WHEN NOT EXISTS (SELECT FROM stored) THEN false"
			" ELSE processed.stored_now(s.event_id, s.event_date) END) AS events"
			" FROM stage_events s GROUP BY 1"
			"), total AS ("
			" SELECT greatest(0, (SELECT sum(events) FROM expected)"
			" - (SELECT coalesce(sum(events), 0) FROM stored)) AS doubles"
			/* Duplicates are counted by partition only if there are any: a foreign
			 * writer may put any number into the raw partition. */
			"), doubled AS ("
			" SELECT c.partition, c.up_to, CASE WHEN t.doubles > 0 THEN greatest(0,"
			" c.events - coalesce(s.events, 0)) ELSE 0 END AS doubles"
			" FROM total t, expected c LEFT JOIN stored s ON s.partition = c.partition"
			"), noted AS ("
			" INSERT INTO processed.bronze_loads AS t"
			" (partition, loaded_up_to, doubles, doubled_at)"
			" SELECT partition, up_to, doubles, CASE WHEN doubles > 0 THEN now() END"
			" FROM doubled ORDER BY partition"
			" ON CONFLICT (partition) DO UPDATE"
			" SET loaded_up_to = greatest(t.loaded_up_to, excluded.loaded_up_to),"
			" doubles = t.doubles + excluded.doubles,"
			" doubled_at = coalesce(excluded.doubled_at, t.doubled_at)"
			") SELECT doubles FROM total",
		},
	[TARGET_AGGREGATES] =
		{
			"processed.funnel_aggregates",
			STAGE("stage_aggregates", AGGREGATES, "processed.funnel_aggregates"),
			COPY("stage_aggregates", AGGREGATES),
			"INSERT INTO processed.funnel_aggregates AS t (" AGGREGATES
			") SELECT " AGGREGATES " FROM stage_aggregates"
			" ON CONFLICT (" AGGREGATE_KEY
			") DO UPDATE SET views = excluded.views, carts = excluded.carts,"
			" removes = excluded.removes, checkouts = excluded.checkouts,"
			" purchases = excluded.purchases, revenue = excluded.revenue,"
			" sessions = excluded.sessions, view_sessions = excluded.view_sessions,"
			" cart_sessions = excluded.cart_sessions,"
			" purchase_sessions = excluded.purchase_sessions,"
			" funnel_cart_sessions = excluded.funnel_cart_sessions,"
			" funnel_checkout_sessions = excluded.funnel_checkout_sessions,"
			" funnel_purchase_sessions = excluded.funnel_purchase_sessions,"
			" buying_view_sessions = excluded.buying_view_sessions,"
			" view_purchase_sessions = excluded.view_purchase_sessions,"
			" view_cart_purchase_sessions = excluded.view_cart_purchase_sessions,"
			" final = excluded.final, revision = excluded.revision, loaded_at = now()"
			" WHERE (excluded.revision, excluded.final) > (t.revision, t.final)",
			NULL,
		},
	[TARGET_VISIT_REMOVALS] =
		{
			"processed.session_funnels:removals",
			STAGE("stage_visit_removals", VISIT_KEY, "processed.visit_rows"),
			COPY("stage_visit_removals", VISIT_KEY),
			"DELETE FROM processed.visit_rows t USING stage_visit_removals s"
			" WHERE t.visit_start = s.visit_start AND t.session_id = s.session_id"
			" AND t.session_form = s.session_form AND t.session_text = s.session_text",
			NULL,
		},
	[TARGET_VISITS] =
		{
			"processed.session_funnels",
			STAGE("stage_visits", VISITS, "processed.visit_rows"),
			COPY("stage_visits", VISITS),
			/* In the order of the key, new entries of the index fill its pages. */
			"INSERT INTO processed.visit_rows (" VISITS ") SELECT " VISITS
			" FROM stage_visits ORDER BY visit_start"
			" ON CONFLICT (" VISIT_KEY ") DO UPDATE SET"
			" first_label = excluded.first_label, last_label = excluded.last_label,"
			" visit_end = excluded.visit_end, user_id = excluded.user_id,"
			" views = excluded.views, carts = excluded.carts,"
			" removes = excluded.removes, checkouts = excluded.checkouts,"
			" purchases = excluded.purchases, products = excluded.products,"
			" revenue = excluded.revenue, furthest_stage = excluded.furthest_stage,"
			" drop_off_stage = excluded.drop_off_stage,"
			" view_to_cart_ms = excluded.view_to_cart_ms,"
			" view_to_purchase_ms = excluded.view_to_purchase_ms,"
			" view_purchase = excluded.view_purchase,"
			" view_cart_purchase = excluded.view_cart_purchase,"
			" final = excluded.final, revision = excluded.revision,"
			" loaded_at = now()",
			NULL,
		},
	[TARGET_LATE_EVENTS] =
		{
			"raw.late_events",
			STAGE("stage_late_events", LATE, "raw.late_events"),
			COPY("stage_late_events", LATE),
			"INSERT INTO raw.late_events (" LATE ") SELECT " LATE
			" FROM stage_late_events ON CONFLICT DO NOTHING",
			NULL,
		},
	[TARGET_COUNTS] =
		{
			"processed.counts",
			STAGE("stage_counts", COUNTS, "processed.counts"),
			COPY("stage_counts", COUNTS),
			"INSERT INTO processed.counts AS t (" COUNTS ") SELECT " COUNTS
			" FROM stage_counts"
			" ON CONFLICT (" COUNTS_KEY
			") DO UPDATE SET records_in = excluded.records_in,"
			" records_out = excluded.records_out, duplicates = excluded.duplicates,"
			" late = excluded.late, dead = excluded.dead,"
			" dead_by_reason = excluded.dead_by_reason, revision = excluded.revision,"
			" updated_at = excluded.updated_at,"
			" unreadable_by_field = excluded.unreadable_by_field,"
			" duplicates_other_price = excluded.duplicates_other_price,"
			" stages = excluded.stages"
			" WHERE excluded.revision > t.revision",
			NULL,
		},
	[TARGET_DEAD_LETTERS] =
		{
			"raw.dead_letters",
			STAGE("stage_dead_letters", DEAD, "raw.dead_letters"),
			COPY("stage_dead_letters", DEAD),
			"INSERT INTO raw.dead_letters (" DEAD ") SELECT " DEAD
			" FROM stage_dead_letters ON CONFLICT DO NOTHING",
			NULL,
		},
	[TARGET_REDRIVEN] =
		{
			"raw.dead_letters:redriven",
			STAGE("stage_redriven", REDRIVEN, "raw.dead_letters"),
			COPY("stage_redriven", REDRIVEN),
			"UPDATE raw.dead_letters t SET redriven_at = s.redriven_at"
			" FROM stage_redriven s WHERE t.stage = s.stage AND t.reason = s.reason"
			" AND t.source_topic = s.source_topic"
			" AND t.source_partition = s.source_partition"
			" AND t.source_offset = s.source_offset",
			NULL,
		},
	[TARGET_CONTROLS] =
		{
			"processed.segment_controls",
			STAGE("stage_controls", CONTROLS, "processed.segment_controls"),
			COPY("stage_controls", CONTROLS),
			"INSERT INTO processed.segment_controls (" CONTROLS ") SELECT " CONTROLS
			" FROM stage_controls ON CONFLICT DO NOTHING",
			NULL,
		},
};
