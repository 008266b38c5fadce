#!/usr/bin/env bash
# The group's coordinator tells committed offsets that are older than what was committed, as Kafka 4.3.1 does for a moment after
# some crashes while it loads them. Nothing is written from there: the service waits until it is told all.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
HALF=$(($(rows_of "$ROWS") / 2))
ONE=$E2E_WORK/one.csv TWO=$E2E_WORK/two.csv THREE=$E2E_WORK/three.csv
head -n $((HALF / 2 + 1)) "$ROWS" >"$ONE"
{ head -n 1 "$ROWS"; sed -n "$((HALF / 2 + 2)),$((HALF + 1))p" "$ROWS"; } >"$TWO"
{ head -n 1 "$ROWS"; tail -n "+$((HALF + 2))" "$ROWS"; } >"$THREE"

broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }

# offsets FILE: what both groups have committed, a line for each partition.
offsets() {
    local group input p
    while read -r group input; do
        for p in 0 1 2 3; do
            printf '%s %s %d\t' "$(topic "$group")" "$(topic "$input")" "$p"
            broker committed "$(topic "$group")" "$(topic "$input")" "$p"
        done
    done <<<$'bronze-sink raw_events\nfunnel-aggregator bronze_events\nfunnel-aggregator funnel_partials' >"$1"
}
tell() { # FILE: the coordinator tells these from now on
    local place offset metadata
    while IFS=$'\t' read -r place offset metadata; do
        # shellcheck disable=SC2086
        ((offset < 0)) || broker commit $place "$offset" "$metadata"
    done <"$1"
}
sizes() { local name; for name in bronze_events funnel_partials aggregated_events session_funnels counts; do committed "$name" '.\n' | wc -l; done; }
behind_or_gone_on() { is_behind "$1" || [[ $(sizes) != "$SIZES" ]]; }
is_behind() { grep -sq 'coordinator does not know all yet' "$LOG_DIR/own-$1.$SCENARIO.own.log"; }

fresh
services
replay --input "$ONE"
drain
stop_services
offsets "$E2E_WORK/early"
services
replay --input "$TWO"
drain
stop_services
offsets "$E2E_WORK/late"
SIZES=$(sizes)
tell "$E2E_WORK/early"

nothing_is_written() { # NAME
    local status=0 pid
    program "$1"
    "${PROGRAM[@]}" 3>&- 9>&- >>"$LOG_DIR/own-$1.$SCENARIO.own.log" 2>&1 &
    pid=$!
    wait_until "$1 says that the offsets are behind, or goes on from them" behind_or_gone_on "$1" || status=1
    sleep 3
    kill -TERM "$pid"
    wait "$pid" || status=$?
    same "exit code" 0 "$status"
    same "records in the topics" "$SIZES" "$(sizes)"
    is_behind "$1"
}
check "bronze-sink writes nothing from offsets that are behind what it has counted" nothing_is_written bronze-sink
check "nor does funnel-aggregator" nothing_is_written funnel-aggregator
tell "$E2E_WORK/late"
services
replay --input "$THREE"
drain
check "told all, they go on: the oracle and all counts hold" oracle --exact-counts --max-late 0 "$ONE" "$TWO" "$THREE"
check "the topic of bronze events has each event once" same "its records" "$(count raw.events)" "$(committed bronze_events '%S\n' | awk '$1 >= 0' | wc -l)"
