#!/usr/bin/env bash
# Reports on the real pipeline: right while a replay runs, equal to a recount and to a rebuild after it, segments complete when
# all of them is in and never before, breaches of data quality as rows and as a metric.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/reported.csv
EVENTS=${E2E_EVENTS:-20000}
PART=$((EVENTS / 8))
export REPORTING_INTERVAL=200ms

metric() { http_get pg-loader-1 metrics | awk -v name="$1" '$1 == name { print $2 }'; }
metric_is() { [[ "$(metric "$1")" == "$2" ]]; }

nothing_waits() { same "" "0|0" "$(sql "SELECT coalesce((SELECT sum(events) FROM processed.load_batches), 0), (SELECT count(*) FROM processed.visit_deltas)")" 2>/dev/null; }
reported() { wait_until "the reports have everything" nothing_waits; }

# One line for each look: every number must be the same within a line, whatever has been counted so far.
look() {
    sql "SELECT (SELECT coalesce(sum(events), 0) FROM reporting.daily_activity), (SELECT coalesce(sum(total_events), 0) FROM reporting.clickstream_metrics),
                (SELECT coalesce(sum(events), 0) FROM reporting.dim_users), (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0) FROM reporting.product_days)"
}
look_until_ended() { until replay_ended; do look; done >"$E2E_WORK/looks"; }
# Some of them in the midst of it, else nothing was proven.
looks_agree() {
    awk -F'|' '$1 != $2 || $1 != $3 || $1 != $4 { print "half an update:", $0; bad = 1 } !seen[$1]++ { n++ } END { print n, "states of", NR, "looks"; exit bad || n < 3 }' "$E2E_WORK/looks"
}

segments() { sql "SELECT complete, rows_announced, rows_in, stored, duplicates, rejects FROM reporting.segments ORDER BY complete"; }
one_is_complete() { [[ "$(segments)" == *t\|* ]]; }

not_complete() {
    same "segments" "f|0||||" "$(segments)"
    same "what it waits for" "the end in 4 of 4 partitions" "$(sql "SELECT waiting_for FROM reporting.segments")"
    same "batch reports" "0|0" "$(sql "SELECT (SELECT count(*) FROM reporting.segment_days), (SELECT count(*) FROM reporting.segment_months)")"
}

# The part was a segment of its own: of the whole file's, its rows are duplicates.
complete_segment() {
    local stored
    wait_until "the segment is complete" one_is_complete
    stored=$(sql "SELECT count(*) FROM raw.events WHERE source_row > $PART")
    same "segments" "f|0||||"$'\n'"t|$(rows_of "$ROWS")|$(rows_of "$ROWS")|$stored|$(($(rows_of "$ROWS") - stored))|0" "$(segments)"
    same "its days, unlike a recount" 0 "$(sql "
        SELECT count(*) FROM (
            SELECT event_date, count(*), sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END), count(DISTINCT user_id), count(DISTINCT coalesce(user_session, 'user:' || user_id))
            FROM raw.events WHERE source_row > $PART GROUP BY 1
            EXCEPT SELECT day, events, revenue, users, sessions FROM reporting.segment_days) AS odd")"
    same "its months" "$(sql "SELECT count(*), sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END) FROM raw.events WHERE source_row > $PART")" \
        "$(sql "SELECT sum(events), sum(revenue) FROM reporting.segment_months")"
}

equal_recount() {
    same "clickstream_metrics, unlike a recount" "0|0" "$(sql "
        WITH recount AS (SELECT coalesce(category_code, 'unknown') AS category, count(*) AS n, sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END) AS revenue, event_date FROM raw.events GROUP BY 1, 4)
        SELECT (SELECT count(*) FROM (SELECT * FROM recount EXCEPT SELECT category, total_events, total_revenue, event_date FROM reporting.clickstream_metrics) AS a),
               (SELECT count(*) FROM (SELECT category, total_events, total_revenue, event_date FROM reporting.clickstream_metrics EXCEPT SELECT * FROM recount) AS b)")"
    same "visits by drop-off" "$(sql "SELECT furthest_stage, count(*), sum(revenue) FROM processed.session_funnels GROUP BY 1 ORDER BY 1")" \
        "$(sql "SELECT furthest_stage, sum(visits), sum(revenue) FROM reporting.visit_days GROUP BY 1 ORDER BY 1")"
    same "breaches" "" "$(sql "SELECT check_name, subject, value FROM reporting.data_quality_breaches")"
}

# All tables that a rebuild makes, but for what tells of the moment.
mart() { # FILE
    local table
    for table in $(sql "SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'mart'::regnamespace AND relkind = 'r' AND relpersistence = 'p' AND relname NOT IN ('state', 'quality_measures', 'reconciliations') ORDER BY 1") \
        reporting.clickstream_metrics; do
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

breach_is_told() {
    sql "UPDATE reporting.data_quality_thresholds SET maximum = -1 WHERE check_name = 'duplicate_share'"
    wait_until "the metric tells of a breach" metric_is funnel_reporting_breaches 1
    same "the row" "bronze|duplicate_share" "$(sql "SELECT layer, check_name FROM reporting.data_quality_breaches")"
    sql "UPDATE reporting.data_quality_thresholds SET maximum = 1 WHERE check_name = 'duplicate_share'"
    wait_until "the metric tells that it is over" metric_is funnel_reporting_breaches 0
}

fresh
services
"$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed 22 --start-time "2019-10-30 15:00:00" --duration 3d --checkouts --missing-sessions 0.01 --duplicates 0.01 \
    --output "$ROWS" --log-level error
replay --input "$ROWS" --limit "$PART"
drain
reported
wait_until "the segment is told of" sql "SELECT 1 / count(*) FROM reporting.segments"
check "a part of a segment is not complete, and has no batch report" not_complete

replay_begin "$ROWS" $((EVENTS / 20))
look_until_ended
replay_end
check "while the replay ran, all reports told of the same events" looks_agree
drain
reported
check "the segment is complete, once all of it is in" complete_segment
check "reports equal a recount" equal_recount
check "nothing waits, says the metric" wait_until "0 events wait" metric_is funnel_reporting_events_waiting 0
mart "$E2E_WORK/refreshed"
check "pg-loader rebuild gives the same tables, row for row" rebuilt
check "a breach is a row and a metric, and so is its end" breach_is_told
