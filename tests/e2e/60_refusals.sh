#!/usr/bin/env bash
# Where continuing would make numbers wrong, a program ends with 78 and says why and what to do.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"

broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }

processed() {
    fresh
    services
    replay --input "$ROWS"
    drain
    stop_services
}

cut_raw() { local p; for p in 0 1 2 3; do broker cut "$(topic raw_events)" "$p" -1; done; }

is_gone() { ! exists "$1"; }
exists() {
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -L -J |
        jq -e --arg t "$1" '.topics[] | select(.topic == $t)' >/dev/null
}

recreate() { # TOPIC
    broker delete-topic "$(topic "$1")"
    wait_until "$1 is gone" is_gone "$(topic "$1")"
    broker create-topic "$(topic "$1")" 4
    wait_until "$1 exists" exists "$(topic "$1")"
}

processed
check "funnel-aggregator refuses another GRACE for its state" \
    refused 78 "grace TOPIC_PREFIX" funnel-aggregator GRACE=20m
check "bronze-sink refuses another DEDUP_HORIZON for its state" \
    refused 78 "horizon TOPIC_PREFIX" bronze-sink DEDUP_HORIZON=3d
services
check "with the former settings both continue: the recount agrees" oracle --exact-counts "$ROWS"
stop_services

broker commit "$(topic funnel-aggregator)" "$(topic bronze_events)" 0 5 "moved"
check "funnel-aggregator refuses a committed offset before rows that it has counted" \
    refused 78 "offset of 5 counted twice TOPIC_PREFIX" funnel-aggregator
broker commit "$(topic funnel-aggregator)" "$(topic bronze_events)" 0 \
    "$(end_of "$(topic bronze_events)" 0)" "not ours"
check "funnel-aggregator refuses restore metadata that it cannot read" \
    refused 78 "metadata" funnel-aggregator
broker delete-group "$(topic funnel-aggregator)"
check "funnel-aggregator refuses to start from the beginning if its output has records" \
    refused 78 "no committed offsets TOPIC_PREFIX" funnel-aggregator
cut_raw
check "bronze-sink refuses a restore from records that retention has deleted" \
    refused 78 "retention TOPIC_PREFIX" bronze-sink
broker delete-group "$(topic bronze-sink)"
check "bronze-sink refuses to start from the beginning if its output has records" \
    refused 78 "no committed offsets TOPIC_PREFIX" bronze-sink

processed
# The state of an interrupted run of the producer is for one input and for the topic of that time.
STATE=$E2E_WORK/producer.state
OTHER=$E2E_WORK/other.csv
{ head -n 1 "$ROWS"; tail -n 500 "$ROWS"; } >"$OTHER"
rows_are_saved() { jq -e '.rows > 0' "$STATE" >/dev/null 2>&1; }
interrupted_run() {
    rm -f "$STATE"
    program producer
    "${PROGRAM[@]}" --input "$ROWS" --rate 300 --state-file "$STATE" 3>&- 9>&- &
    wait_until "some rows are saved" rows_are_saved
    kill -TERM $!
    wait $!
}
interrupted_run
check "producer refuses the state of another input" \
    refused 78 "belongs $STATE --resume=false" producer --input "$OTHER" --state-file "$STATE"
head -c 100 "$STATE" >"$STATE.damaged"
check "producer refuses a damaged state" \
    refused 78 "$STATE.damaged" producer --input "$ROWS" --state-file "$STATE.damaged"
recreate raw_events
check "producer refuses the state of a topic that was created again" \
    refused 78 "created again --resume=false" producer --input "$ROWS" --state-file "$STATE"
cp "$STATE" "$STATE.former"
check "with --resume=false the producer sends the input from its beginning" \
    refused 0 "rows=3000" producer --input "$ROWS" --state-file "$STATE" --resume=false
check "--restart, the former name, does the same and logs its successor" \
    refused 0 "rows=3000 deprecated_setting RESTART RESUME=false" \
    producer --input "$ROWS" --state-file "$STATE.former" --restart
check "bronze-sink refuses a topic that was created again" \
    refused 78 "deleted created again TOPIC_PREFIX" bronze-sink
recreate bronze_events
check "pg-loader refuses a topic that was created again" \
    refused 78 "bronze_events deleted created again TOPIC_PREFIX" pg-loader
check "funnel-aggregator refuses a topic that was created again" \
    refused 78 "bronze_events deleted created again TOPIC_PREFIX" funnel-aggregator
interrupted_run
broker grow-topic "$(topic raw_events)" 6
check "producer refuses the state of a topic with another number of partitions" \
    refused 78 "partitions --resume=false" producer --input "$ROWS" --state-file "$STATE"
check "bronze-sink refuses an input with another number of partitions than its output" \
    refused 78 "same number" bronze-sink

# An older Kafka cannot read the data of a newer one, and would report this only in its own log.
MADE_BY=$LOCAL_DIR/kafka/formatted-by
refuses_newer_data() {
    local output status=0
    output=$(start kafka 2>&1) || status=$?
    printf '%s\n' "$output"
    same "exit code" 78 "$status" && [[ $output == *"made by Kafka 9.9.9"*clean-local* ]]
}
stack stop kafka
cp "$MADE_BY" "$E2E_WORK/formatted-by"
echo 9.9.9 >"$MADE_BY"
check "the stack refuses the data of a newer Kafka" refuses_newer_data
cp "$E2E_WORK/formatted-by" "$MADE_BY"
check "the stack starts with the data of its own Kafka" start kafka
