#!/usr/bin/env bash
# A week is processed again, with other stages, into a second set next to the running one. The second set is
# compared, gets the readers, continues with new events, and the first one is removed. Its services are killed
# while both sets run.
source "$(dirname "$0")/../e2e/lib.sh"

in_halves "$E2E_WORK/replay.csv"
FIRST_PREFIX=$TOPIC_PREFIX
second() { env TOPIC_PREFIX=again_ POSTGRES_DB=funnel_again "$@"; }
second_stack() { second timeout $((LONG + 20)) "$STACK" "$@" 3>&-; }
start_second() { # [NAME=VALUE...]
    local name
    for name in bronze-sink-9 funnel-aggregator-9 pg-loader-9; do env "$@" TOPIC_PREFIX=again_ POSTGRES_DB=funnel_again timeout "$LONG" "$STACK" start "$name" 3>&-; done
}
compare() { env "$@" TOPIC_PREFIX=again_ POSTGRES_DB=funnel_again "$HERE/compare-sets"; } # [NAME=VALUE...]

fresh
services
replay --input "$FIRST"
drain
snapshot "$E2E_WORK/before"

# ---- processed again, side by side

second "$BIN_DIR/topics" create --brokers "$KAFKA_BROKERS"
start_second
again_file() { # FILE RATE: into the second set
    timeout "$LONG" "$BIN_DIR/producer" --kafka-brokers "$KAFKA_BROKERS" --topic-prefix again_ --state-file none \
        --schema-registry-url "$SCHEMA_REGISTRY_URL" --http-port 0 --timeout "${LONG}s" --input "$1" --rate "$2"
}
again_file "$FIRST" 4000 &
sender=$!
replay --input "$SECOND" # meanwhile the running set gets new events
for name in bronze-sink-9 funnel-aggregator-9 pg-loader-9; do
    crash "$name"
    second_stack start "$name"
done
wait "$sender"
second_stack wait
drain
AGAIN_DSN=$(second "$STACK" dsn)
check "the running set is not changed by the second one: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
check "the second set agrees with the recount of its rows, after kill -9 of each of its services" \
    oracle --dsn "$AGAIN_DSN" --exact-counts --max-late 0 "$FIRST"
lacks_the_second_half() {
    local status=0 out
    out=$(compare SINCE=2019-10-01 UNTIL=2019-10-08) || status=$?
    printf '%s\n' "$out"
    same "exit code" 1 "$status"
    grep -q ' days compared, [1-9]' <<<"$out"
}
check "the comparison shows what the second set lacks" lacks_the_second_half
again_file "$SECOND" 0
second_stack wait
equal() {
    local out
    out=$(compare SINCE=2019-10-01 UNTIL=2019-10-08)
    printf '%s\n' "$out"
    grep -q '^[1-9][0-9]* days compared, 0 differ$' <<<"$out"
}
check "with the same rows and settings, all days are equal" equal

# ---- other stages: the set is emptied, and processed again

other_stages() {
    local name
    for name in bronze-sink-9 funnel-aggregator-9 pg-loader-9; do second_stack stop "$name"; done
    second "$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS"
    drop_database funnel_again
    start_second STAGES=view,cart,checkout,purchase
    again_file "$FIRST" 0
    again_file "$SECOND" 0
    second_stack wait
    same "days that differ in other columns than those of the stages" "" "$( { compare || true; } |
        awk '$2 !~ /^funnel_|^[0-9]+ *$/ && $1 ~ /^2019-/ { print }')"
    same "days that have checkouts in the funnel" 1 "$(psql -X -q -A -t -d "$AGAIN_DSN" -c "
        SELECT (count(*) > 0)::int FROM processed.funnel_aggregates WHERE rollup = '1d:all' AND funnel_checkout_sessions > 0")"
}
# Without FORCE, which is refused while autovacuum is in the database; this waits for it.
drop_database() { sql "DROP DATABASE $1"; }
check "with other stages, only the columns of the funnel differ" other_stages

# ---- switch, and remove the former one

refused_switch() {
    local out
    out=$(second_stack switch 2>&1) && { warn "the switch was not refused"; return 1; }
    grep -q "is running; run: make stop-services" <<<"$out"
    out=$(stack switch 2>&1) && { warn "the switch was not refused"; return 1; }
    grep -q "POSTGRES_DB is not set" <<<"$out"
}
check "a switch while services run, or without a second set, is refused" refused_switch
reader_is_connected() { [[ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reader'")" == 1 ]]; }
switched() {
    local reader before after
    before=$(psql -X -q -A -t -d "$AGAIN_DSN" -c "SELECT sum(events) FROM reporting.segment_days")
    stop_services
    PGAPPNAME=reader psql -X -q -d "$DSN" -c "SELECT pg_sleep(600)" &
    reader=$!
    wait_until "the reader is connected" reader_is_connected
    second_stack switch
    wait "$reader" && { warn "the session of the reader has not ended"; return 1; }
    after=$(sql "SELECT sum(events) FROM reporting.segment_days")
    same "events in the reports" "$before" "$after"
}
check "after the switch, readers see the second set under the same address" switched
export TOPIC_PREFIX=again_
STAGES=view,cart,checkout,purchase services
"$BIN_DIR/producer" --source synthetic --events 2000 --seed 12 --start-time "2019-10-03 10:00:00" --output "$E2E_WORK/new.csv"
replay --input "$E2E_WORK/new.csv"
drain
check "it continues with new events" same events "$(($(rows_of "$E2E_WORK/new.csv")))" \
    "$(count "raw.events WHERE event_date >= '2019-10-03'")"
removed() {
    "$BIN_DIR/topics" delete --brokers "$KAFKA_BROKERS" --prefix "$FIRST_PREFIX"
    drop_database funnel_before
    same "databases" "funnel" "$(sql "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE 'funnel%'")"
    reconciled
}
check "the former set is removed, the second one is complete" removed
