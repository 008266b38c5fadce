#!/usr/bin/env bash
# The layers of the real pipeline are reconciled. They agree after a replay, a second one and a reload.
# If bronze has an event twice, the loader, data quality and both metrics show it, and the rollup and the
# visit that have counted it twice differ.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/reconciled.csv
export REPORTING_INTERVAL=200ms

metric() { http_get pg-loader-1 metrics | awk -v name="$1" '$1 == name { print $2 }'; }
metric_is() { [[ "$(metric "$1")" == "$2" ]]; }
breaches() {
    sql "SELECT check_name, value FROM reporting.data_quality_breaches
        WHERE check_name <> 'duplicate_share' ORDER BY 1"
}
differing() {
    sql "SELECT check_name, subject, difference FROM reporting.reconciliation
        WHERE state = 'differs' AND check_name NOT LIKE '%revenue' ORDER BY 1"
}

reloaded() {
    stack stop pg-loader-1
    sql "DELETE FROM processed.loader_offsets"
    start pg-loader-1
    drain
    reconciled
    same "repeated events that the loader has counted" 0 "$(metric funnel_loader_duplicate_events_total)"
}

# Sends the last event of a partition again, byte for byte, as a torn transaction leaves it.
send_double() {
    local partition offset key
    local -a record
    read -r partition offset < <(committed bronze_events '%p %o %S\n' |
        awk '$3 >= 0 { p = $1; o = $2 } END { print p, o }')
    record=(timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e -t "$(topic bronze_events)"
        -p "$partition" -o "$offset" -c 1)
    key=$("${record[@]}" -f '%k')
    "${record[@]}" -f '%s' -D '' >"$E2E_WORK/double"
    DOUBLED=$partition
    DAY=$(sql "SELECT event_date FROM raw.events WHERE raw_partition = $partition
        ORDER BY raw_offset DESC LIMIT 1")
    send_file bronze_events "$E2E_WORK/double" -p "$partition" -k "$key"
}

loader_has_seen_it() {
    wait_until "the loader's metric" metric_is funnel_loader_duplicate_events_total 1
    wait_until "a row differs" metric_is funnel_reporting_reconciliation_differences 1
    same "the row" "bronze doubles|partition $DOUBLED|1" "$(differing)"
    same "breaches" $'bronze_doubles|1\nreconciliation_differences|1' "$(breaches)"
    grep 'event=bronze_doubles records=1' "$LOG_DIR/pg-loader-1.log"
}

# All results are loaded, so the layers can be compared at once.
day_differs() {
    drain
    (($(sql "SELECT reporting.reconcile()") >= 3))
    same "what differs" \
        "bronze doubles|partition $DOUBLED|1"$'\n'"day events|$DAY|1"$'\n'"visit events|$DAY|1" "$(differing)"
}

# By the refresh alone: a day without changes for settle_after counts as complete.
unchanged_day_differs() {
    sql "UPDATE mart.state SET settle_after = '1 second'"
    # One less for the repeated event, and one less that is missing.
    sql "UPDATE processed.funnel_aggregates SET carts = carts - 2
        WHERE rollup = '1d:all' AND window_start = '$DAY Z'"
    wait_until "the refresh shows it" day_has_difference
}
day_has_difference() {
    [[ "$(sql "SELECT state, difference FROM reporting.reconciliation
        WHERE check_name = 'day events' AND subject = '$DAY'")" == "differs|-1" ]]
}

accepted() {
    sql "SELECT reporting.accept_difference(check_name, subject, 'a test') FROM reporting.reconciliation
        WHERE state = 'differs'"
    wait_until "no row differs" metric_is funnel_reporting_reconciliation_differences 0
    same "breaches" "" "$(breaches)"
}

fresh
services
"$BIN_DIR/producer" --source synthetic --events 6000 --seed 58 --start-time "2019-10-01 22:00:00" \
    --duration 4h --duplicates 0.01 --late 0.002 --output "$ROWS" --log-level error
replay --input "$ROWS"
drain
check "after a replay every layer has the same events" reconciled
replay --input "$ROWS"
drain
check "after the same replay again every layer has the same events" reconciled
check "a reload from the beginning counts no event as repeated" reloaded
send_double
check "an event that bronze has twice is shown by the loader, both metrics and data quality" \
    loader_has_seen_it
check "the rollup and the visit that have counted it twice differ" day_differs
check "a rollup with too few events differs when nothing has changed for settle_after" unchanged_day_differs
check "an accepted difference is not a breach any more" accepted
