#!/usr/bin/env bash
# A connection breaks after a service has sent a transactional request. The client sends it again on a new connection, gets its
# answer and begins the next transaction. Then the first copy reaches the broker. Nothing may be lost or doubled, wherever
# the late request arrives, also if the service is killed at that moment. common/runtime/txn_doubt.h says how it is prevented.
#   LATE_CASES='offsets_alone,killed silence'   runs these cases only
source "$(dirname "$0")/lib.sh"

B=bronze-sink A=funnel-aggregator
FILES=() # rows sent since the stack was emptied
HOUR=0
export KAFKA_PROPERTIES=session.timeout.ms=4000 # a killed member keeps its partitions for this long
export TRANSACTION_TIMEOUT=3s                   # librdkafka gives a silent connection up after 2.9 s

there() { [[ -e $PROXY_CONTROL/$1 ]]; }
# The rows of each case follow those of the case before, so that the stack need not be emptied in between.
make_rows() {
    ROWS=$E2E_WORK/late.$((HOUR += 1)).csv
    "$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed "$HOUR" \
        --start-time "$(printf '2019-10-0%d %02d:00:00' $((1 + HOUR / 24)) $((HOUR % 24)))" --duplicates 0.01 --disorder 5s --output "$ROWS"
    FILES+=("$ROWS")
}
stop_plan() {
    touch "$PROXY_CONTROL/stop"
    wait_until "the proxy has dropped its plan" plan_dropped
    rm -f "$PROXY_CONTROL"/{plan,taken,again,ready,deliver,delivered,go,reached,gone,often}
    : >"$PROXY_CONTROL/trace"
}
plan_dropped() { ! there stop; }
keep_trace() { cp "$PROXY_CONTROL/trace" "$LOG_DIR/${CASE/,/-}.$SCENARIO.trace.log"; }
start_over() {
    fresh
    FILES=()
    HOUR=0
    services
}

verdict() {
    drain
    oracle --exact-counts --max-late 0 "${FILES[@]}"
    same "records of the topic of bronze events" "$(count raw.events)" "$(records_of bronze_events)"
    topic_equals_table aggregated_events
    topic_equals_table session_funnels
}
replaced() { http_get "$1-1" metrics | awk '/^funnel_doubtful_transactions_total/ {n += $2} END {print n + 0}'; }
was_replaced() { (($(replaced "$1") > 0)) || { warn "$1 has not replaced its producer"; return 1; }; }

small() { EVENTS=1500 RATE=1000; }      # transactions of some tens of rows; their offsets arrive first
backlog() { EVENTS=60000 RATE=; }       # transactions of thousands of rows; their offsets arrive last

pile_up() { # SERVICE: all rows wait for it
    stack stop "$1-1"
    replay_begin "$ROWS" 0
    replay_end
}

# late SERVICE REQUEST HOLD UNTIL THEN killed|alive: see late_proxy
late() {
    local service=$1 request=$2 hold=$3 until=$4 last=$5 then=$6
    stop_plan
    [[ -n $RATE ]] || pile_up "$service"
    printf '%s %s 3 %s %s %s\n' "$TOPIC_PREFIX$service-$service-1" "$request" "$hold" "$until" "$last" >"$PROXY_CONTROL/plan.new"
    mv "$PROXY_CONTROL/plan.new" "$PROXY_CONTROL/plan"
    if [[ -n $RATE ]]; then replay_begin "$ROWS" "$RATE"; else start "$service-1"; fi
    wait_until "the next transaction has come so far as the late $request needs it" there ready
    touch "$PROXY_CONTROL/deliver"
    wait_until "the broker has answered the late $request" there delivered
    printf 'the late %s got error %s\n' "$request" "$(<"$PROXY_CONTROL/delivered")"
    if [[ $last != - ]]; then
        touch "$PROXY_CONTROL/go"
        wait_until "the broker has answered the $last after it" there reached
    fi
    [[ $then != killed ]] || crash "$service-1"
    touch "$PROXY_CONTROL"/{go,gone}
    [[ $then != killed ]] || start "$service-1"
    [[ -z $RATE ]] || replay_end
    verdict
    [[ $then == killed ]] || was_replaced "$service"
}

# By time alone: every 10th EndTxn of SERVICE arrives MS late, whatever it meets.
often() { # SERVICE MS
    stop_plan
    printf '%s 10 %s\n' "$TOPIC_PREFIX$1-$1-1" "$2" >"$PROXY_CONTROL/often"
    replay_begin "$ROWS" "$RATE"
    replay_end
    rm "$PROXY_CONTROL/often"
    printf 'late EndTxn: %d\n' "$(grep -c ' EndTxn late ' "$PROXY_CONTROL/trace")"
    (($(grep -c ' EndTxn late ' "$PROXY_CONTROL/trace") > 0))
    verdict
    was_replaced "$1"
}

# run_case NAME COMMAND...: the next case starts from an empty stack if this one failed.
run_case() {
    local failed
    CASE=$1
    [[ -z ${LATE_CASES:-} || " $LATE_CASES " == *" $CASE "* ]] || return 0
    shift
    failed=$(failures)
    make_rows
    check "$CASE: nothing is lost or doubled" "$@"
    keep_trace
    (($(failures) == failed)) || start_over
}
failures() { grep -c '^FAIL' "$E2E_RESULTS" || true; }

proxy_begin late_proxy
start_over

small
# Offsets have arrived and records have not: the order of small transactions.
run_case offsets_alone,alive late $B EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - alive
run_case offsets_alone,killed late $B EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - killed
# A moment later: the first records have arrived too.
run_case offsets_and_some_records,alive late $B EndTxn '!Produce/bronze_events+1,!Produce/counts' Produce/bronze_events:1 - alive
# Records have arrived, all or some, and offsets have not: they go to another broker.
run_case records_alone,alive late $B EndTxn '!TxnOffsetCommit' Produce/counts:1 - alive
run_case records_alone,killed late $B EndTxn '!TxnOffsetCommit' Produce/counts:1 - killed
run_case some_records,killed late $B EndTxn '!TxnOffsetCommit,!Produce/counts' Produce/bronze_events:1 - killed
# Old offsets arrive after the new ones.
run_case old_offsets,alive late $B TxnOffsetCommit - TxnOffsetCommit EndTxn alive
run_case old_offsets,killed late $B TxnOffsetCommit - TxnOffsetCommit EndTxn killed
# Requests that only add to a transaction.
run_case old_partitions,alive late $B AddPartitionsToTxn - AddPartitionsToTxn EndTxn alive
run_case old_group,alive late $B AddOffsetsToTxn - AddOffsetsToTxn EndTxn alive
run_case aggregator_offsets_alone,alive late $A EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - alive
run_case aggregator_offsets_alone,killed late $A EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - killed
# The connection is not cut but silent, as with a broker that stands still; the client gives it up.
run_case silence,alive late $B 'EndTxn~' '!Produce/bronze_events+1,!Produce/counts' Produce/bronze_events:1 - alive
for ms in 5 20 50 200 1000; do run_case "often_${ms}_ms" often $B "$ms"; done
# Some records have arrived, others and the offsets have not: the order of a backlog.
backlog
run_case backlog,alive late $B EndTxn - Produce/bronze_events:1 - alive
run_case backlog,killed late $B EndTxn - Produce/bronze_events:1 - killed

stop_services
proxy_end
