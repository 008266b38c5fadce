#!/usr/bin/env bash
# Layers are reconciled on the real pipeline: they agree after a replay, a second one and a reload; an event that bronze holds twice is
# noticed by the loader, by data quality and by both metrics, and the rollup and the visit that have counted it twice differ.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/reconciled.csv
export REPORTING_INTERVAL=200ms

metric() { http_get pg-loader-1 metrics | awk -v name="$1" '$1 == name { print $2 }'; }
metric_is() { [[ "$(metric "$1")" == "$2" ]]; }
breaches() { sql "SELECT check_name, value FROM reporting.data_quality_breaches WHERE check_name <> 'duplicate_share' ORDER BY 1"; }
differing() { sql "SELECT check_name, subject, difference FROM reporting.reconciliation WHERE state = 'differs' AND check_name NOT LIKE '%revenue' ORDER BY 1"; }

reloaded() {
    stack stop pg-loader-1
    sql "DELETE FROM processed.loader_offsets"
    start pg-loader-1
    drain
    reconciled
    same "doubles that the loader has counted" 0 "$(metric funnel_loader_duplicate_events_total)"
}

# The last event of a partition once more, byte for byte, as a torn transaction leaves it.
send_double() {
    local partition offset key
    read -r partition offset < <(committed bronze_events '%p %o %S\n' | awk '$3 >= 0 { p = $1; o = $2 } END { print p, o }')
    key=$(timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e -t "$(topic bronze_events)" -p "$partition" -o "$offset" -c 1 -f '%k')
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e -t "$(topic bronze_events)" -p "$partition" -o "$offset" -c 1 -f '%s' -D '' >"$E2E_WORK/double"
    DOUBLED=$partition
    DAY=$(sql "SELECT event_date FROM raw.events WHERE raw_partition = $partition ORDER BY raw_offset DESC LIMIT 1")
    send_file bronze_events "$E2E_WORK/double" -p "$partition" -k "$key"
}

loader_has_seen_it() {
    wait_until "the loader's metric" metric_is funnel_loader_duplicate_events_total 1
    wait_until "a row differs" metric_is funnel_reporting_reconciliation_differences 1
    same "the row" "bronze doubles|partition $DOUBLED|1" "$(differing)"
    same "breaches" $'bronze_doubles|1\nreconciliation_differences|1' "$(breaches)"
    grep 'event=bronze_doubles records=1' "$LOG_DIR/pg-loader-1.log"
}

# Once all results are loaded, nobody has to wait for the layers to settle.
day_differs() {
    drain
    (($(sql "SELECT reporting.reconcile()") >= 3))
    same "what differs" "bronze doubles|partition $DOUBLED|1"$'\n'"day events|$DAY|1"$'\n'"visit events|$DAY|1" "$(differing)"
}

# By the refresh alone: what has not moved for settle_after is complete.
settled() {
    sql "UPDATE mart.state SET settle_after = '1 second'"
    # Less the double, and less one more.
    sql "UPDATE processed.funnel_aggregates SET carts = carts - 2 WHERE rollup = '1d:all' AND window_start = '$DAY Z'"
    wait_until "the refresh says so" same_difference
}
same_difference() { [[ "$(sql "SELECT state, difference FROM reporting.reconciliation WHERE check_name = 'day events' AND subject = '$DAY'")" == "differs|-1" ]]; }

accepted() {
    sql "SELECT reporting.accept_difference(check_name, subject, 'a test') FROM reporting.reconciliation WHERE state = 'differs'"
    wait_until "no row differs" metric_is funnel_reporting_reconciliation_differences 0
    same "breaches" "" "$(breaches)"
}

fresh
services
"$BIN_DIR/producer" --source synthetic --events 6000 --seed 58 --start-time "2019-10-01 22:00:00" --duration 4h --duplicates 0.01 --late 0.002 --output "$ROWS" --log-level error
replay --input "$ROWS"
drain
check "after a replay every layer holds the same events" reconciled
replay --input "$ROWS"
drain
check "and after the same again" reconciled
check "a reload from the beginning has no doubles" reloaded
send_double
check "an event that bronze holds twice: the loader, both metrics and data quality notice it" loader_has_seen_it
check "the rollup and the visit that have it twice differ" day_differs
check "a rollup that has too little differs, too, once nothing moves any more" settled
check "an accepted difference is not a breach any more" accepted
