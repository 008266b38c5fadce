#!/usr/bin/env bash
# Late events do not change a closed window of the stream. They can be folded into the reports, which
# then equal a recount of all events.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/late.csv
AFTER=$E2E_WORK/after.csv # days later, so that all windows of ROWS close
export ROLLUPS="1m:all 1m:category1 1h:category 1d:all 1d:brand 5m/1m:category1 1d+6h:all 1h:product"

generate() { "$BIN_DIR/producer" --source synthetic "$@"; }
generate --events 12000 --seed 31 --start-time "2019-10-01 22:30:00" --late 0.01 --disorder 5s \
    --missing-sessions 0.01 --checkouts --output "$ROWS"
generate --events 2000 --seed 32 --start-time "2019-10-05 10:00:00" --output "$AFTER"

fold() { sql "SELECT rollup, folded, folded_before, not_yet FROM processed.fold_late()"; }

# The rows that the recount makes of the source files, late events included.
corrected_against_recount() {
    sql "TRUNCATE oracle.late, oracle.rollup_row; DELETE FROM oracle.result WHERE what = 'corrected';
         DELETE FROM oracle.example WHERE what = 'corrected'"
    sql "SELECT count(oracle.fill_rollup(r)) FROM oracle.setting, unnest(rollups) AS r"
    sql "SELECT oracle.compare('corrected', 'oracle.rollup_row', 'reporting.funnel_corrected',
         '{rollup,window_start,window_end,group_value}',
         '{views,carts,removes,checkouts,purchases,revenue,sessions,view_sessions,cart_sessions,'
         'purchase_sessions,funnel_cart_sessions,funnel_checkout_sessions,funnel_purchase_sessions,'
         'buying_view_sessions,view_purchase_sessions,view_cart_purchase_sessions}')"
    sql "SELECT kind, detail FROM oracle.example WHERE what = 'corrected' LIMIT 5"
}
corrected_equals_recount() {
    corrected_against_recount
    same "rows compared, missing, unexpected, differing" "$(count oracle.rollup_row)|0|0|0" \
        "$(sql "SELECT actual, missing, unexpected, differing FROM oracle.result WHERE what = 'corrected'")"
}
differs_before() {
    local late
    late=$(count raw.late_events)
    printf '%d late events\n' "$late"
    ((late > 30))
    same "late events shown as folded" 0 "$(sql "SELECT sum(late_events) FROM reporting.funnel_corrected")"
    corrected_against_recount
    same "rows compared, and some differ" "$(count oracle.rollup_row)|t" \
        "$(sql "SELECT actual + missing, differing > 0 FROM oracle.result WHERE what = 'corrected'")"
    oracle --exact-counts --rollups "$ROLLUPS" "$ROWS" "$AFTER" # makes the tables of the recount again
}
still_open() { # in a transaction that is rolled back
    same "folded, and some not yet" "0|t" "$(sql "BEGIN;
        UPDATE processed.funnel_aggregates SET final = false WHERE rollup = '1d:all';
        SELECT folded, not_yet > 0 FROM processed.fold_late() WHERE rollup = '1d:all'; ROLLBACK")"
}
folded_now() {
    fold
    same "cells that are not folded" 0 "$(sql "SELECT sum(not_yet) FROM processed.fold_late()")"
    same "rollups folded" 8 \
        "$(sql "SELECT count(*) FROM processed.fold_late() WHERE folded = 0 AND folded_before > 0")"
}
day_view() {
    same "days whose late events explain the difference to the stream" 1 "$(sql "SELECT count(*)
        FROM reporting.funnel_by_day d JOIN reporting.funnel_by_day_corrected c USING (day)
        WHERE day = '2019-10-01' AND c.late_events > 0
            AND d.views + d.carts + d.removes + d.checkouts + d.purchases + c.late_events
              = c.views + c.carts + c.removes + c.checkouts + c.purchases")"
}
# A window that began before the stream counted buyers: its rows have null, and its recount too.
former_stays_null() { # in a transaction that is rolled back
    same "folded, all cells of it null; of another rollup, some counted" "t|t|t" "$(sql "BEGIN;
        TRUNCATE processed.late_corrections;
        UPDATE processed.funnel_aggregates SET buying_view_sessions = NULL, view_purchase_sessions = NULL,
            view_cart_purchase_sessions = NULL WHERE rollup = '1d:all' OR rollup = '1d:brand' AND group_value = 'unknown';
        SELECT sum(folded) > 0 FROM processed.fold_late();
        SELECT count(*) > 0 AND count(coalesce(buying_view_sessions, view_purchase_sessions, view_cart_purchase_sessions)) = 0
            FROM processed.late_corrections WHERE rollup IN ('1d:all', '1d:brand');
        SELECT count(view_cart_purchase_sessions) > 0 FROM processed.late_corrections WHERE rollup = '1h:category';
        ROLLBACK" | paste -sd '|')"
}
once_more() { same "cells folded" 0 "$(sql "SELECT sum(folded) FROM processed.fold_late()")"; }
rows_missing() { # without one row of the window
    sql "CREATE TABLE oracle.kept AS SELECT * FROM raw.event_rows WHERE event_id = (
         SELECT event_id FROM raw.events e
         WHERE NOT EXISTS (SELECT FROM raw.late_events l WHERE l.event_id = e.event_id)
            AND event_time >= '2019-10-01 23:00:00Z' ORDER BY event_time LIMIT 1)"
    sql "DELETE FROM raw.event_rows WHERE event_id IN (SELECT event_id FROM oracle.kept);
         TRUNCATE processed.late_corrections"
    (($(sql "SELECT not_yet FROM processed.fold_late() WHERE rollup = '1d:all'") > 0))
    sql "INSERT INTO raw.event_rows SELECT * FROM oracle.kept"
    fold
    corrected_equals_recount
}

fresh
services
replay --input "$ROWS"
replay --input "$AFTER"
drain
check "late events are left out, and the recount agrees" \
    oracle --exact-counts --rollups "$ROLLUPS" "$ROWS" "$AFTER"
check "before folding, reports differ from a recount of all events" differs_before
snapshot "$E2E_WORK/before"
check "late events of an open window are not folded" still_open
check "folding takes every late event, in all rollups" folded_now
check "folded reports equal a recount of all events" corrected_equals_recount
check "the report by day includes the folded events" day_view
check "folding again changes nothing" once_more
check "the recount of a window without counts of buyers has none either" former_stays_null
snapshot "$E2E_WORK/after"
check "the rows of the stream have not changed" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "a window with missing rows is not folded; once they are loaded it is" rows_missing
