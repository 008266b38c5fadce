#!/usr/bin/env bash
# The raw topic is deleted and created again under running services, and filled past the offset that
# bronze-sink has reached. Its position is meaningless in the new log: bronze-sink ends with 78, says
# what happened, and takes no row of the new log. The same for the bronze topic and its readers.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

ROWS=$E2E_WORK/replay.csv
FEW=$E2E_WORK/few.csv
head -n 3001 "$ROWS" >"$FEW"

topic_exists() {
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -L -J |
        jq -e --arg t "$1" '.topics[] | select(.topic == $t)' >/dev/null
}
topic_is_gone() { ! topic_exists "$1"; }
past() { (($(end_of "$1" "$2") > $3)); }

delete_topic() { # TOPIC
    broker delete-topic "$(topic "$1")"
    wait_until "$1 is gone" topic_is_gone "$(topic "$1")"
}
create_topic() { # TOPIC
    broker create-topic "$(topic "$1")" 4
    wait_until "$1 exists" topic_exists "$(topic "$1")"
}

# recreate TOPIC SECONDS: the topic does not exist for that time.
recreate() {
    delete_topic "$1"
    sleep "$2"
    create_topic "$1"
}

loaded() {
    fresh
    services
    replay --input "$FEW"
    drain
    BEFORE=$(count raw.events)
}

refused_new_log() { # SERVICE
    wait_until "$1 ends" ended_with "$1" 78
    says "$1" event=failed "deleted and created again" TOPIC_PREFIX
    says "$1" event=failed "$(topic raw_events)"
    if says "$1" event=shutdown_timeout; then warn "$1 did not end in time"; return 1; fi
    same "rows that were loaded" "$BEFORE" "$(count raw.events)"
    same "rows that were counted" 3000 "$(counts_in)"
}

at_once() {
    loaded
    recreate raw_events 0
    replay --input "$ROWS"
    refused_new_log bronze-sink-1
}

after_seconds() {
    loaded
    recreate raw_events 5
    replay --input "$ROWS"
    refused_new_log bronze-sink-1
}

# The topic does not exist until bronze-sink has given its partitions back.
missed() {
    local -x KAFKA_PROPERTIES=topic.metadata.refresh.interval.ms=1000
    loaded
    delete_topic raw_events
    wait_until "bronze-sink has given its partitions back" says bronze-sink-1 event=partitions_revoked
    create_topic raw_events
    replay --input "$ROWS"
    refused_new_log bronze-sink-1
}

frozen() {
    local pid ends p
    loaded
    pid=$(pid_of bronze-sink-1)
    ends=()
    for p in 0 1 2 3; do ends+=("$(end_of "$(topic raw_events)" "$p")"); done
    kill -STOP "$pid"
    recreate raw_events 0
    replay --input "$ROWS"
    for p in 0 1 2 3; do past "$(topic raw_events)" "$p" "${ends[p]}"; done
    kill -CONT "$pid"
    refused_new_log bronze-sink-1
}

# Kafka deletes the offsets of the group with the topic. If they still exist, their metadata show which
# record was read.
stopped() {
    local p
    local -a ends
    loaded
    stack stop bronze-sink-1
    for p in 0 1 2 3; do
        ends+=("$(broker committed "$(topic bronze-sink)" "$(topic raw_events)" "$p")")
    done
    recreate raw_events 0
    replay --input "$ROWS"
    refused 78 "no committed offsets deleted created again TOPIC_PREFIX" bronze-sink
    for p in 0 1 2 3; do
        broker commit "$(topic bronze-sink)" "$(topic raw_events)" "$p" \
            "${ends[p]%%$'\t'*}" "${ends[p]#*$'\t'}"
    done
    refused 78 "does not hold the record deleted created again TOPIC_PREFIX" bronze-sink
    same "rows that were loaded" "$BEFORE" "$(count raw.events)"
}

# The readers of the bronze topic, while bronze-sink writes into the new one. pg-loader is frozen
# meanwhile, funnel-aggregator is not.
bronze() {
    local pid ends p service
    loaded
    pid=$(pid_of pg-loader-1)
    ends=()
    for p in 0 1 2 3; do ends+=("$(end_of "$(topic bronze_events)" "$p")"); done
    kill -STOP "$pid"
    recreate bronze_events 0
    replay --input "$ROWS"
    for p in 0 1 2 3; do
        wait_until "the new log of partition $p is past the old end" \
            past "$(topic bronze_events)" "$p" "${ends[p]}"
    done
    kill -CONT "$pid"
    for service in pg-loader-1 funnel-aggregator-1; do
        wait_until "$service ends" ended_with "$service" 78
        says "$service" event=failed "deleted and created again" TOPIC_PREFIX
        says "$service" event=failed "$(topic bronze_events)"
        if says "$service" event=shutdown_timeout; then warn "$service did not end in time"; return 1; fi
    done
    same "rows that were loaded" "$BEFORE" "$(count raw.events)"
    refused 78 "does not hold the record deleted created again TOPIC_PREFIX" pg-loader
    same "rows that were loaded" "$BEFORE" "$(count raw.events)"
}

check "raw topic created again at once: bronze-sink ends with 78 and takes no row" at_once
check "raw topic created again after 5 s: bronze-sink ends with 78 and takes no row" after_seconds
check "raw topic created again after a rebalance: bronze-sink ends with 78 in time and takes no row" missed
check "raw topic created again while bronze-sink is frozen: it ends with 78 and takes no row" frozen
check "raw topic created again while bronze-sink is stopped: its next start ends with 78" stopped
check "bronze topic created again: funnel-aggregator and pg-loader end with 78" bronze
