#!/usr/bin/env bash
# A connection breaks after a service has sent a transactional request. The client sends it again on a
# new connection, gets its answer and begins the next transaction. Then the first copy reaches the
# broker. Nothing may be lost or doubled, at whatever point of the next transaction it arrives, and also
# if the service is killed at that moment. common/kafka/txn_doubt.h says how this is prevented.
# Eleven of the 23 cases run here, and all of them with E2E_TROUBLE=1 (make trouble).
#   LATE_CASES='offsets_alone,killed silence,alive'   runs these cases only
source "$(dirname "$0")/lib.sh"

B=bronze-sink A=funnel-aggregator
# A killed member keeps its partitions until the session times out. A client gives up a silent
# connection after the socket timeout.
export KAFKA_PROPERTIES=session.timeout.ms=4000,socket.timeout.ms=4000

# ---- rows: one long input in small files, sent one by one: so the number of transactions does not
# depend on the machine

"$BIN_DIR/producer" --source synthetic --events 60000 --seed 3 --duplicates 0.01 --disorder 5s \
    --output "$E2E_WORK/late.csv"
mkdir "$E2E_WORK/late"
tail -n +2 "$E2E_WORK/late.csv" | split -l 150 -a 3 -d - "$E2E_WORK/late/rows."
for file in "$E2E_WORK"/late/rows.*; do sed -i "1i $(head -n 1 "$E2E_WORK/late.csv")" "$file"; done

sent() { cat "$E2E_WORK/sent"; }
send_next() {
    local file
    file=$(printf '%s/late/rows.%03d' "$E2E_WORK" "$(sent | wc -l)")
    printf '%s\n' "$file" >>"$E2E_WORK/sent"
    replay --input "$file"
}
send_until() { # NAME: the proxy reports it
    local first
    first=$(sent | wc -l)
    until there "$1"; do
        send_next
        (($(sent | wc -l) - first < 60)) || { warn "the proxy has not reported '$1' after 60 replays"; return 1; }
    done
}
make_backlog() { # SERVICE: many rows wait for it
    stack stop "$1-1"
    for _ in {1..12}; do send_next; done
}

# ---- the proxy

there() { [[ -e $PROXY_CONTROL/$1 ]]; }
plan_dropped() { ! there stop; }
keep_trace() { cp "$PROXY_CONTROL/trace" "$LOG_DIR/${CASE/,/-}.$SCENARIO.trace.log"; }
drop_plan() {
    touch "$PROXY_CONTROL/stop"
    wait_until "the proxy has dropped its plan" plan_dropped
    rm -f "$PROXY_CONTROL"/{plan,taken,again,ready,deliver,delivered,go,reached,gone,often,deaf,deafened}
    : >"$PROXY_CONTROL/trace"
}
put() { # NAME TEXT: atomically
    printf '%s\n' "$2" >"$PROXY_CONTROL/$1.new"
    mv "$PROXY_CONTROL/$1.new" "$PROXY_CONTROL/$1"
}

# ---- the cases

SLICE='offsets_alone,killed some_records,killed old_offsets,alive old_group,alive aggregator_offsets_alone,alive
    silence,alive deaf_offsets deaf_commit often_20_ms backlog,alive redrive'
[[ ${E2E_TROUBLE:-0} == 1 ]] || CASES=$SLICE
CASES=${LATE_CASES:-${CASES:-}}

start_over() {
    fresh
    : >"$E2E_WORK/sent"
    services
}
all_agrees() {
    local -a files
    mapfile -t files <"$E2E_WORK/sent"
    drain
    oracle --exact-counts --max-late 0 "${files[@]}"
    same "records of the topic of bronze events" "$(count raw.events)" "$(records_of bronze_events)"
    topic_equals_table aggregated_events
    topic_equals_table session_funnels
}
was_replaced() { # SERVICE
    local replaced
    replaced=$(http_get "$1-1" metrics | awk '/^funnel_doubtful_transactions_total/ {n += $2} END {print n + 0}')
    ((replaced > 0)) || { warn "$1 has not replaced its Kafka producer"; return 1; }
}

# late SERVICE REQUEST HOLD UNTIL LAST killed|alive [backlog]: late_proxy explains the plan
late() {
    local service=$1 request=$2 hold=$3 until=$4 last=$5 then=$6 kind=${7:-}
    [[ -z $kind ]] || make_backlog "$service"
    put plan "$TOPIC_PREFIX$service-$service-1 $request 1 $hold $until $last"
    # Several transactions. In the background, as the service may become ready only when the proxy
    # lets it continue.
    [[ -z $kind ]] || BATCH_RECORDS=300 start "$service-1" &
    send_until ready
    touch "$PROXY_CONTROL/deliver"
    wait_until "the broker has answered the late $request" there delivered
    printf 'the late %s got error %s\n' "$request" "$(<"$PROXY_CONTROL/delivered")"
    if [[ $last != - ]]; then
        touch "$PROXY_CONTROL/go"
        wait_until "the broker has answered the $last after it" there reached
    fi
    [[ $then != killed ]] || crash "$service-1"
    touch "$PROXY_CONTROL"/{go,gone}
    wait || true # a service that was killed while it started
    [[ $then != killed ]] || start "$service-1"
    send_next
    all_agrees
    [[ $then == killed ]] || was_replaced "$service"
}

# Every second EndTxn of SERVICE arrives MS milliseconds late, at whatever point that is.
often() { # SERVICE MS
    put often "$TOPIC_PREFIX$1-$1-1 2 $2"
    for _ in {1..6}; do send_next; done
    drain
    rm "$PROXY_CONTROL/often"
    printf 'late EndTxn: %d\n' "$(grep -c ' EndTxn late ' "$PROXY_CONTROL/trace")"
    all_agrees
    was_replaced "$1"
}

# A client whose requests of one kind are never answered again, as after librdkafka's loss of the
# coordinator. It has to be replaced: no rows move before that.
deaf() { # SERVICE KIND
    put deaf "$TOPIC_PREFIX$1-$1-1 $2"
    send_until deafened
    for _ in 1 2 3; do send_next; done
    all_agrees
    same "the $2 requests of the next client" "answered" "$(grep -q " $2 ok\| $2  ok" "$PROXY_CONTROL/trace" && echo answered)"
}

# The same for redrive: the EndTxn of its first transaction arrives when some records of the second have
# arrived and their marks have not. Every dead letter comes back once; a second run may be needed.
redriven() { committed raw_events '%h\n' | grep -o 'redriven_from=[0-9/]*' | sort; }
redrive_late() {
    local file letters status=0
    file=$E2E_WORK/late/astray.csv
    "$BIN_DIR/producer" --source synthetic --events 120 --seed 22 \
        --start-time "2019-10-01 23:30:00" --output "$file"
    send_rows "$file" -p 0
    wait_until "the rows are in the database" arrived
    drain
    letters=$(count "raw.dead_letters WHERE reason = 'wrong_partition'")
    ((letters > 40))
    put plan "redrive EndTxn 0 !Produce/dead_letter Produce/raw_events:1 -"
    program redrive
    "${PROGRAM[@]}" --yes --batch-records 20 &
    wait_until "the second transaction has records" there ready
    touch "$PROXY_CONTROL/deliver"
    wait_until "the broker has answered the late EndTxn" there delivered
    touch "$PROXY_CONTROL/go"
    wait $! || status=$?
    printf 'the late EndTxn got error %s; redrive ended with exit code %d\n' "$(<"$PROXY_CONTROL/delivered")" "$status"
    timeout "$LONG" "${PROGRAM[@]}" --yes
    same "letters that came back" "$letters" "$(redriven | wc -l)"
    same "different ones of them" "$letters" "$(redriven | uniq | wc -l)"
    same "exit code of the first redrive" 0 "$status"
    drain
    same "events" "$ASTRAY_EVENTS" "$(count "raw.events WHERE event_time >= '2019-10-01 23:30:00+00'")"
}
ASTRAY_EVENTS=120
arrived() {
    local letters events
    letters=$(count "raw.dead_letters WHERE reason = 'wrong_partition'")
    events=$(count "raw.events WHERE event_time >= '2019-10-01 23:30:00+00'")
    ((letters + events == ASTRAY_EVENTS))
}

failures() { grep -c '^FAIL' "$E2E_RESULTS" || true; }
# run_case NAME COMMAND...: after a case that fails, the stack is emptied.
run_case() {
    local before
    CASE=$1
    shift
    [[ -z $CASES || " ${CASES//$'\n'/ } " == *" $CASE "* ]] || return 0
    before=$(failures)
    drop_plan
    check "$CASE: nothing is lost or doubled" "$@"
    keep_trace
    (($(failures) == before)) || start_over
}

main() {
    local ms
    # Offsets have arrived and records have not: the order in small transactions.
    run_case offsets_alone,alive late $B EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - alive
    run_case offsets_alone,killed late $B EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - killed
    # The first records have arrived too.
    run_case offsets_and_some_records,alive \
        late $B EndTxn '!Produce/bronze_events+1,!Produce/counts' Produce/bronze_events:1 - alive
    # Records have arrived, all or some, and offsets have not: they go to another broker.
    run_case records_alone,alive late $B EndTxn '!TxnOffsetCommit' Produce/counts:1 - alive
    run_case records_alone,killed late $B EndTxn '!TxnOffsetCommit' Produce/counts:1 - killed
    run_case some_records,killed \
        late $B EndTxn '!TxnOffsetCommit,!Produce/counts' Produce/bronze_events:1 - killed
    # Old offsets arrive after the new ones.
    run_case old_offsets,alive late $B TxnOffsetCommit - TxnOffsetCommit EndTxn alive
    run_case old_offsets,killed late $B TxnOffsetCommit - TxnOffsetCommit EndTxn killed
    # Requests that only add to a transaction.
    run_case old_partitions,alive late $B AddPartitionsToTxn - AddPartitionsToTxn EndTxn alive
    run_case old_group,alive late $B AddOffsetsToTxn - AddOffsetsToTxn EndTxn alive
    run_case aggregator_offsets_alone,alive \
        late $A EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - alive
    run_case aggregator_offsets_alone,killed \
        late $A EndTxn '!AddPartitionsToTxn' TxnOffsetCommit - killed
    # The connection is not cut but silent, as with a broker that is frozen. The client gives it up.
    run_case silence,alive \
        late $B 'EndTxn~' '!Produce/bronze_events+1,!Produce/counts' Produce/bronze_events:1 - alive
    run_case deaf_offsets deaf $B AddOffsetsToTxn
    run_case deaf_commit deaf $A EndTxn
    for ms in 5 20 50 200 1000; do run_case "often_${ms}_ms" often $B "$ms"; done
    # Some records have arrived, others and the offsets have not: the order with a backlog.
    run_case backlog,alive late $B EndTxn - Produce/bronze_events:1 - alive backlog
    run_case backlog,killed late $B EndTxn - Produce/bronze_events:1 - killed backlog
    run_case redrive redrive_late # the last case: after it, dead letters are counted twice
}

proxy_begin late_proxy
start_over
main
stop_services
proxy_end
