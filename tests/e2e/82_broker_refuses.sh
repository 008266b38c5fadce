#!/usr/bin/env bash
# The broker runs and refuses requests: too few replicas, records too large, a missing right. The service
# reports the topic and the reason, waits without a busy loop (or ends, if a right is missing), loses
# nothing, and continues when the cause is gone.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

AUTHORIZER='authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true'
in_halves "$E2E_WORK/replay.csv"

# refused_until SERVICE TOPIC REASON SET UNSET: the log must name the topic and REASON.
refused_until() {
    local service=$1-1 topic=$2 reason=$3
    services
    replay --input "$FIRST"
    drain
    $4 "$topic"
    replay_begin "$SECOND" 2000
    wait_until "$service names the topic and the reason" says "$service" "$(topic "$topic")" "$reason"
    [[ $1 == producer ]] || wait_until "$service is not ready" not_ready "$service"
    waits_idly "$service"
    ${WHILE_REFUSED:-true}
    [[ $1 == producer ]] || not_ready "$service"
    $5 "$topic"
    replay_end
    holds
}

holds() {
    drain
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
    topic_equals_table aggregated_events
}

# ---- records too large

small_records() { topic_setting "$1" max.message.bytes=100; }
large_records() { topic_setting "$1" max.message.bytes=4194304; }
too_large() { # SERVICE TOPIC
    fresh
    refused_until "$1" "$2" "too large" small_records large_records
}

check "bronze-sink continues after bronze_events has refused records as too large" too_large bronze-sink bronze_events
if ! at_length; then
    say "skip $SCENARIO: all other refusals (make trouble runs them)" >&3
    exit 0
fi

# The outputs that wait for the next attempt are bounded: a full batch takes no more records.
folded() { http_get bronze-sink-1 metrics | awk '/^funnel_records_in_total/ {n += $2} END {print n + 0}'; }
folds_no_more() {
    local before
    before=$(folded)
    sleep 5
    same "records folded while nothing could be sent" "$before" "$(folded)"
}
too_large_with_small_batches() {
    local -x BATCH_RECORDS=100
    local WHILE_REFUSED=folds_no_more
    too_large bronze-sink bronze_events
}
check "bronze-sink folds no more records than one batch while the topic refuses them" too_large_with_small_batches
check "funnel-aggregator continues after aggregated_events has refused records as too large" \
    too_large funnel-aggregator aggregated_events

# ---- a missing right

deny_write() { broker deny "$(topic "$1")" write; }
deny_read() { broker deny "$(topic "$1")" read; }
allow() { broker allow "$(topic "$1")"; }
# An operator must grant the right, so the service ends and reports the topic.
no_right() { # SERVICE TOPIC read|write
    local service=$1-1 topic=$2
    fresh
    services
    replay --input "$FIRST"
    drain
    "deny_$3" "$topic"
    replay_begin "$SECOND" 2000
    wait_until "$service ends with 78" ended_with "$service" 78
    says "$service" "$(topic "$topic")" "authorization failed"
    says "$service" event=failed "authorization failed"
    allow "$topic"
    replay_end
    start "$service"
    holds
}

stack stop kafka
KAFKA_SETTINGS=$AUTHORIZER start kafka
check "bronze-sink without the right to write bronze_events ends with 78" \
    no_right bronze-sink bronze_events write
check "bronze-sink without the right to read raw_events ends with 78" \
    no_right bronze-sink raw_events read
check "funnel-aggregator without the right to write session_funnels ends with 78" \
    no_right funnel-aggregator session_funnels write
check "pg-loader without the right to read aggregated_events ends with 78" \
    no_right pg-loader aggregated_events read
# It reads its counts when partitions are assigned.
no_right_at_start() {
    fresh
    services
    replay --input "$FIRST"
    drain
    stop_services
    deny_read counts
    refused 78 "$(topic counts) authorization" funnel-aggregator
    allow counts
    services
    replay --input "$SECOND"
    holds
}
check "funnel-aggregator without the right to read counts does not start, exit 78" no_right_at_start
stack stop kafka
start kafka

# ---- too few replicas

lose_replica() { topic_setting "$1" min.insync.replicas=2; stop_second_broker; }
find_replica() { start_second_broker; }
too_few_replicas() { # SERVICE TOPIC
    fresh
    services # so that Kafka creates its internal topics on the first broker alone
    stop_services
    start_second_broker
    "$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --replication-factor 2
    wait_until "all replicas are in sync" all_in_sync
    refused_until "$1" "$2" "in-sync replicas" lose_replica find_replica
    stop_second_broker
}
all_in_sync() {
    kcat -b "$KAFKA_BROKERS" -L -J | jq -e --arg prefix "$TOPIC_PREFIX" '
        [.topics[] | select(.topic | startswith($prefix)) | .partitions[]]
        | length > 0 and all((.isrs | length) == 2)'
}
check "bronze-sink continues after bronze_events had too few replicas" \
    too_few_replicas bronze-sink bronze_events
check "funnel-aggregator continues after funnel_partials had too few replicas" \
    too_few_replicas funnel-aggregator funnel_partials
check "producer continues after raw_events had too few replicas" \
    too_few_replicas producer raw_events
! is_up kafka-second || stop_second_broker
