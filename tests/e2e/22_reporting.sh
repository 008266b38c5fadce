#!/usr/bin/env bash
# Reports on the real pipeline: they are consistent while a replay runs, and equal to a recount and to a
# rebuild after it. A segment is complete when all of it is loaded, and not before. A breach of data
# quality is a row and a metric. Before the reports take them, the sums of pg-loader equal those of SQL.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/reported.csv
EVENTS=${E2E_EVENTS:-20000}
PART=$((EVENTS / 8))
export REPORTING_INTERVAL=200ms
export STAGES=view,cart,checkout,purchase

metric() { http_get pg-loader-1 metrics | awk -v name="$1" '$1 == name { print $2 }'; }
metric_is() { [[ "$(metric "$1")" == "$2" ]]; }

nothing_waits() {
    same "" "0|0" "$(sql "SELECT coalesce((SELECT sum(events) FROM processed.load_batches), 0),
        (SELECT count(*) FROM processed.visit_deltas)")" 2>/dev/null
}
reported() { wait_until "the reports have everything" nothing_waits; }

# One line for each look at the reports. The numbers of a line must be equal at any moment.
look() {
    sql "SELECT (SELECT coalesce(sum(events), 0) FROM reporting.daily_activity),
        (SELECT coalesce(sum(total_events), 0) FROM reporting.clickstream_metrics),
        (SELECT coalesce(sum(events), 0) FROM reporting.dim_users),
        (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0) FROM reporting.product_days)"
}
look_until_ended() { until replay_ended; do look; done >"$E2E_WORK/looks"; }
# At least three different states were seen, else the looks prove nothing.
looks_agree() {
    awk -F'|' '$1 != $2 || $1 != $3 || $1 != $4 { print "half an update:", $0; bad = 1 }
        !seen[$1]++ { n++ }
        END { print n, "different states in", NR, "looks"; exit bad || n < 3 }' "$E2E_WORK/looks"
}

segments() {
    sql "SELECT complete, rows_announced, rows_in, stored, duplicates, rejects FROM reporting.segments
        ORDER BY complete"
}
one_is_complete() { [[ "$(segments)" == *t\|* ]]; }

not_complete() {
    same "segments" "f|0||||" "$(segments)"
    same "what it waits for" "the end in 4 of 4 partitions" \
        "$(sql "SELECT waiting_for FROM reporting.segments")"
    same "batch reports" "0|0" "$(sql "SELECT (SELECT count(*) FROM reporting.segment_days),
        (SELECT count(*) FROM reporting.segment_months)")"
}

# The part was a segment of its own. Its rows are duplicates in the segment of the complete file.
complete_segment() {
    local stored
    wait_until "the segment is complete" one_is_complete
    stored=$(sql "SELECT count(*) FROM raw.events WHERE source_row > $PART")
    same "segments" \
        "f|0||||"$'\n'"t|$(rows_of "$ROWS")|$(rows_of "$ROWS")|$stored|$(($(rows_of "$ROWS") - stored))|0" \
        "$(segments)"
    same "days of the segment that differ from a recount" 0 "$(sql "
        SELECT count(*) FROM (
            SELECT event_date, count(*), sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END),
                count(DISTINCT user_id), count(DISTINCT coalesce(user_session, 'user:' || user_id))
            FROM raw.events WHERE source_row > $PART GROUP BY 1
            EXCEPT SELECT day, events, revenue, users, sessions FROM reporting.segment_days) AS odd")"
    same "events and revenue of its months" \
        "$(sql "SELECT count(*), sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END)
            FROM raw.events WHERE source_row > $PART")" \
        "$(sql "SELECT sum(events), sum(revenue) FROM reporting.segment_months")"
}

equal_recount() {
    same "rows of clickstream_metrics that are missing or unexpected" "0|0" "$(sql "
        WITH recount AS (
            SELECT coalesce(category_code, 'unknown') AS category, count(*) AS n,
                sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END) AS revenue, event_date
            FROM raw.events GROUP BY 1, 4),
        shown AS (SELECT category, total_events, total_revenue, event_date FROM reporting.clickstream_metrics)
        SELECT (SELECT count(*) FROM (SELECT * FROM recount EXCEPT SELECT * FROM shown) AS a),
               (SELECT count(*) FROM (SELECT * FROM shown EXCEPT SELECT * FROM recount) AS b)")"
    same "visits by furthest stage" \
        "$(sql "SELECT furthest_stage, count(*), sum(revenue) FROM processed.session_funnels
            GROUP BY 1 ORDER BY 1")" \
        "$(sql "SELECT furthest_stage, sum(visits), sum(revenue) FROM reporting.visit_days
            GROUP BY 1 ORDER BY 1")"
    same "breaches" "" "$(sql "SELECT check_name, subject, value FROM reporting.data_quality_breaches")"
}

# The stream counts stages and branches in its rollups; the reports count them from events. The reports
# know the stages from the counts of funnel-aggregator.
branches_of_both() {
    branches_add_up
    same "stages" "$STAGES" "$(sql "SELECT string_agg(stage, ',' ORDER BY step) FROM reporting.stages")"
    same "days whose stages or branches differ between the stream and the reports; days" "0|4" "$(sql "
        SELECT count(*) FILTER (WHERE (view_sessions, funnel_cart_sessions, funnel_checkout_sessions,
                   funnel_purchase_sessions, bought_via_cart, bought_without_cart, bought_before_view,
                   left_without_purchase, orders_without_view)
                   IS DISTINCT FROM (s[1], s[2], s[3], s[4], s[4] + s[5], s[6], s[7], s[8], s[9])),
               count(*)
        FROM reporting.funnel_by_day,
             LATERAL (SELECT array_agg(sessions ORDER BY step) AS s FROM reporting.funnel_by_session(day, day)) AS f")"
    same "sessions that reached checkout and purchase in order" "t|t" "$(sql "SELECT sum(funnel_checkout_sessions) > 0,
        sum(funnel_purchase_sessions) BETWEEN 1 AND sum(bought_via_cart) FROM reporting.funnel_by_day")"
}

shopping_is_counted() { [[ "$(sql "SELECT count(*) FROM mart.stale_shopping_days")" == 0 ]]; }

# All tables that a rebuild makes, except those that depend on the wall clock. The sums of
# mart.product_hours are compared: its rows depend on the refreshes.
mart() { # FILE
    local table tables
    sql "UPDATE mart.state SET shopping_after = '0'"
    wait_until "buyers, paths and baskets are counted" shopping_is_counted
    tables=$(sql "SELECT c.oid::regclass FROM pg_class c
        WHERE relnamespace = 'mart'::regnamespace AND relkind = 'r' AND relpersistence = 'p'
            AND relname NOT IN ('state', 'quality_measures', 'quality_days', 'reconciliations',
                                'alert_states', 'stale_shopping_days', 'product_hours')
        ORDER BY 1")
    for table in $tables mart.product_hour_totals reporting.clickstream_metrics; do
        printf '%s\n' "$table"
        sql "SELECT t FROM $table t ORDER BY t::text COLLATE \"C\""
    done >"$1"
}

rebuilt() {
    program pg-loader
    timeout $((2 * LONG)) "${PROGRAM[@]:0:${#PROGRAM[@]}-1}" "$BIN_DIR/pg-loader" rebuild
    mart "$E2E_WORK/rebuilt"
    grep -q '^mart.segment_totals' "$E2E_WORK/rebuilt"
    same_snapshot "$E2E_WORK/refreshed" "$E2E_WORK/rebuilt"
}

breach_is_shown() {
    sql "UPDATE reporting.data_quality_thresholds SET maximum = -1 WHERE check_name = 'duplicate_share'"
    wait_until "the metric shows the breach" metric_is funnel_reporting_breaches 1
    same "the row" "bronze|duplicate_share" \
        "$(sql "SELECT layer, check_name FROM reporting.data_quality_breaches")"
    sql "UPDATE reporting.data_quality_thresholds SET maximum = 1 WHERE check_name = 'duplicate_share'"
    wait_until "the metric shows that it has ended" metric_is funnel_reporting_breaches 0
}

# With an interval of a day, only a stream that has become idle is reported.
idle_stream_is_reported() {
    local before
    stack stop pg-loader-1
    REPORTING_INTERVAL=1d start pg-loader-1
    wait_until "the first refresh" metric_is funnel_reporting_refreshes_total 1
    before=$(sql "SELECT sum(events) FROM mart.hour_totals")
    replay --source synthetic --events 200 --seed 23 --start-time "2019-11-05 00:00:00"
    wait_until "the reports have all new events" sql \
        "SELECT 1 / (sum(events) = $before + 200)::int FROM mart.hour_totals"
}

slow_calls() { metric funnel_reporting_slow_refresh_seconds_count; }
slow_call_failed() { (($(metric funnel_reporting_failures_total) > 0)); }
slow_call_succeeds() { (($(slow_calls) > $1)); }
# The sums go on while reporting.refresh_slow() fails, and it is called again.
sums_go_on() {
    local before calls definition
    stack stop pg-loader-1
    start pg-loader-1
    wait_until "the first slow call" slow_call_succeeds 0
    definition=$(sql "SELECT pg_get_functiondef('mart.refresh_slow(bigint)'::regprocedure)")
    sql "CREATE OR REPLACE FUNCTION mart.refresh_slow(events_waiting bigint) RETURNS void
        LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END'"
    wait_until "the slow call fails" slow_call_failed
    before=$(sql "SELECT sum(events) FROM mart.hour_totals")
    replay --source synthetic --events 200 --seed 24 --start-time "2019-11-06 00:00:00"
    wait_until "the reports have all new events" sql \
        "SELECT 1 / (sum(events) = $before + 200)::int FROM mart.hour_totals"
    grep -q 'event=reporting_failed error="reporting.refresh_slow: .*broken' "$LOG_DIR/pg-loader-1.log"
    calls=$(slow_calls)
    sql "$definition"
    wait_until "the slow call succeeds again" slow_call_succeeds "$calls"
}

# ---- the sums that pg-loader stores with the events

# Compares processed.load_batches with what processed.note_events() makes of the stored events. Prints
# the parts with rows that only one of them has; of runs, the offsets are compared.
sums_that_differ() {
    local part columns rows
    printf '%s\n' "BEGIN; CREATE TEMPORARY TABLE loaded AS SELECT * FROM processed.load_batches;
        DELETE FROM processed.load_batches;
        SELECT FROM (SELECT processed.note_events(array_agg(e)) FROM raw.event_rows e) AS noted;"
    for part in events run hour product session step; do
        case $part in
        events) rows="SELECT loaded_at, event_date, sum(events) FROM %s GROUP BY 1, 2" ;;
        run)
            rows="SELECT loaded_at, event_date, p, o + n FROM %s,
                unnest(run_partition, run_offset, run_events) AS r(p, o, e), generate_series(0, e - 1) AS n" ;;
        *)
            columns=$(sql "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = 'processed.load_batches'::regclass AND attname ~ '^$part(_|$)'")
            rows="SELECT loaded_at, event_date, r.* FROM %s, unnest($columns) AS r" ;;
        esac
        # shellcheck disable=SC2059
        printf "SELECT '$part', count(*) FROM (($rows EXCEPT ALL $rows) UNION ALL ($rows EXCEPT ALL $rows)) AS d
            HAVING count(*) > 0;\n" loaded processed.load_batches processed.load_batches loaded
    done
    printf 'ROLLBACK;\n'
}
sums_equal_sql() {
    same "events with sums" "$(count raw.events)" "$(sql "SELECT sum(events) FROM processed.load_batches")"
    same "parts that differ" "" "$(sums_that_differ | psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DSN")"
}
loaded_direct() {
    sums_equal_sql
    same "events in the staging table" 0 "$(metric funnel_loader_staged_events_total)"
}

# Loads the first segment again, after SQL has changed what is stored.
load_again() { # SQL
    stack stop pg-loader-1
    sql "$1; DELETE FROM processed.load_batches;
        SELECT FROM (SELECT processed.note_events(array_agg(e)) FROM raw.event_rows e) AS noted;
        DELETE FROM processed.loader_offsets"
    REPORTING_INTERVAL=0s start pg-loader-1
    drain
}
third_is_stored_again() {
    local before
    before=$(count raw.events)
    load_again "DELETE FROM raw.event_rows WHERE source_row % 3 = 1"
    same "events" "$before" "$(count raw.events)"
    grep -q 'duplicate key value violates unique constraint "events_' "$LOG_DIR/postgres.log"
    same "events in the staging table" "$(counts_of_sink records_out)" \
        "$(metric funnel_loader_staged_events_total)"
    same "duplicates in bronze" 0 "$(sql "SELECT sum(doubles) FROM processed.bronze_loads")"
    sums_equal_sql
}
# Some events are stored, and of the others the table refuses some.
refused_are_found() {
    local before refused
    before=$(count raw.events)
    refused=$(count "raw.events WHERE source_row % 400 = 1")
    load_again "DELETE FROM raw.event_rows WHERE source_row % 4 = 1;
        ALTER TABLE raw.event_rows ADD CONSTRAINT refused CHECK (source_row % 400 <> 1) NOT VALID"
    same "events and dead letters" "$before|$refused|rejected_by_database" "$(sql "
        SELECT (SELECT count(*) FROM raw.events) + count(*), count(*), min(reason)
        FROM raw.dead_letters WHERE stage = 'loader'")"
    sums_equal_sql
    load_again "ALTER TABLE raw.event_rows DROP CONSTRAINT refused; DELETE FROM raw.dead_letters"
    same "events" "$before" "$(count raw.events)"
    sums_equal_sql
}

# Here pg-loader never refreshes the reports.
wait_names_what_is_missing() {
    local status=0
    stack wait --wait-timeout 0s >"$E2E_WORK/waited" 2>&1 || status=$?
    cat "$E2E_WORK/waited"
    same "exit code" 75 "$status"
    grep -F "not in the reports within WAIT_TIMEOUT: the reports lack $(count raw.events) events" "$E2E_WORK/waited"
}

fresh
REPORTING_INTERVAL=0s services
"$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed 22 --start-time "2019-10-30 15:00:00" \
    --duration 3d --checkouts --missing-sessions 0.01 --duplicates 0.01 --output "$ROWS" --log-level error
# A file whose end is missing: all of these rows are sent, and the segment never ends.
head -n $((PART + 1)) "$ROWS" | gzip | head -c -8 >"$E2E_WORK/part.csv.gz"
if replay --input "$E2E_WORK/part.csv.gz"; then die "a file without its end was replayed"; fi
drain
check "events are copied straight into the table, and their sums equal those of SQL" loaded_direct
check "a wait for reports that nobody refreshes ends with 75, and names what they lack" wait_names_what_is_missing
check "events that are stored already are stored once, and the sums are of the others" third_is_stored_again
check "events that the table refuses are found among events that are stored already" refused_are_found
stack stop pg-loader-1
start pg-loader-1
reported
wait_until "reporting.segments has the segment" sql "SELECT 1 / count(*) FROM reporting.segments"
check "a part of a segment is not complete, and has no batch report" not_complete

replay_begin "$ROWS" $((EVENTS / 20))
look_until_ended
replay_end
check "while a replay runs, all reports show the same events" looks_agree
drain
reported
check "a segment is complete when all of it is loaded" complete_segment
check "reports equal a recount" equal_recount
check "with four stages, the branches of the funnels add up, and the stream and the reports agree" branches_of_both
check "the metric shows that no event waits for the reports" \
    wait_until "0 events wait" metric_is funnel_reporting_events_waiting 0
mart "$E2E_WORK/refreshed"
check "pg-loader rebuild makes the same tables, row for row" rebuilt
check "a breach, and its end, are shown by a row and a metric" breach_is_shown
check "an idle stream is reported soon" idle_stream_is_reported
check "sums are refreshed while the reports that take long fail" sums_go_on
