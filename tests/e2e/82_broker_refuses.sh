#!/usr/bin/env bash
# The broker lives and refuses: too few replicas, records too large, no right. The service says which topic and why, waits
# without a busy loop (or stops, where a right is missing), loses nothing, and goes on once the cause is gone.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

AUTHORIZER='authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true'
in_halves "$E2E_WORK/replay.csv"

# refused_until SERVICE TOPIC REASON SET UNSET: REASON is what the log must say beside the topic's name.
refused_until() {
    local service=$1-1 topic=$2 reason=$3
    services
    replay --input "$FIRST"
    drain
    $4 "$topic"
    replay_begin "$SECOND" 2000
    wait_until "$service names the topic and the reason" says "$service" "$(topic "$topic")" "$reason"
    [[ $1 == producer ]] || wait_until "$service is not ready" not_ready "$service"
    quiet "$service"
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

check "bronze-sink: bronze_events takes no record of this size" too_large bronze-sink bronze_events
if ! at_length; then
    say "skip $SCENARIO: all other refusals; make trouble runs them" >&3
    exit 0
fi

# What it keeps for the next attempt is bounded: a full batch takes nothing more.
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
check "bronze-sink: the same, and what waits is bounded" too_large_with_small_batches
check "funnel-aggregator: aggregated_events takes no record of this size" too_large funnel-aggregator aggregated_events

# ---- no right

deny_write() { broker deny "$(topic "$1")" write; }
deny_read() { broker deny "$(topic "$1")" read; }
allow() { broker allow "$(topic "$1")"; }
# A right is given by somebody's hand: the service stops and says which is missing.
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
check "bronze-sink: no right to write bronze_events" no_right bronze-sink bronze_events write
check "bronze-sink: no right to read raw_events" no_right bronze-sink raw_events read
check "funnel-aggregator: no right to write session_funnels" no_right funnel-aggregator session_funnels write
check "pg-loader: no right to read aggregated_events" no_right pg-loader aggregated_events read
# What it has counted it reads when partitions come.
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
check "funnel-aggregator: no right to read counts at its start" no_right_at_start
stack stop kafka
start kafka

# ---- too few replicas

lose_replica() { topic_setting "$1" min.insync.replicas=2; stop_second_broker; }
find_replica() { start_second_broker; }
too_few_replicas() { # SERVICE TOPIC
    fresh
    services # so that the internal topics lie on the first broker alone
    stop_services
    start_second_broker
    "$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --replication-factor 2
    wait_until "all replicas are in sync" all_in_sync
    refused_until "$1" "$2" "in-sync replicas" lose_replica find_replica
    stop_second_broker
}
all_in_sync() {
    kcat -b "$KAFKA_BROKERS" -L -J | jq -e '[.topics[] | select(.topic | startswith("'"$TOPIC_PREFIX"'")) | .partitions[]] | length > 0 and all((.isrs | length) == 2)'
}
check "bronze-sink: too few replicas of bronze_events" too_few_replicas bronze-sink bronze_events
check "funnel-aggregator: too few replicas of funnel_partials" too_few_replicas funnel-aggregator funnel_partials
check "producer: too few replicas of raw_events" too_few_replicas producer raw_events
! is_up kafka-second || stop_second_broker
