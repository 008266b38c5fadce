#!/usr/bin/env bash
# Topics that do not exist, or whose number of partitions has changed: services refuse them with an
# explanation. Running services notice a change when the client next reads the metadata of the topic
# (every 30 s; here every 2 s).
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

export KAFKA_PROPERTIES=topic.metadata.refresh.interval.ms=2000
ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"

for service in bronze-sink funnel-aggregator pg-loader; do
    check "$service refuses to start without topics" \
        refused 78 "topic ${TOPIC_PREFIX}none_ does not exist" \
        "$service" "TOPIC_PREFIX=${TOPIC_PREFIX}none_"
done
check "producer refuses to start without topics" \
    refused 78 "topic ${TOPIC_PREFIX}none_ does not exist" \
    producer "TOPIC_PREFIX=${TOPIC_PREFIX}none_" --input "$ROWS" --state-file none

grown_under() { # TOPIC SERVICE: it ends within a bounded time and names the topic
    fresh
    services
    replay --input "$ROWS"
    drain
    broker grow-topic "$(topic "$1")" 6
    wait_until "$2 notices" ended_with "$2-1" 78
    says "$2-1" event=failed "$(topic "$1")" partitions "fresh set"
}

check "bronze-sink ends when partitions are added to raw_events" grown_under raw_events bronze-sink
thorough "funnel-aggregator ends when partitions are added to bronze_events" \
    grown_under bronze_events funnel-aggregator
thorough "pg-loader ends when partitions are added to aggregated_events" \
    grown_under aggregated_events pg-loader

grown_between() { # TOPIC SERVICE [PARTITIONS]
    fresh
    services
    replay --input "$ROWS"
    drain
    stop_services
    broker grow-topic "$(topic "$1")" "${3:-6}"
    refused 78 "$1 partitions fresh set TOPIC_PREFIX" "$2"
}
thorough "bronze-sink refuses to start after partitions were added to raw_events" \
    grown_between raw_events bronze-sink
thorough "funnel-aggregator refuses to start after partitions were added to funnel_partials" \
    grown_between funnel_partials funnel-aggregator
check "funnel-aggregator refuses to start after partitions were added to aggregated_events" \
    grown_between aggregated_events funnel-aggregator
thorough "pg-loader refuses to start after partitions were added to aggregated_events" \
    grown_between aggregated_events pg-loader
# In the sets that earlier versions created, these topics have the partitions of raw_events.
check "funnel-aggregator refuses one topic with the partitions of an older set" \
    grown_between session_funnels funnel-aggregator 4
names_both() { # the topic that differs comes first
    grown_between late_events funnel-aggregator 4
    refused 78 "$(topic late_events) has 4" funnel-aggregator
}
thorough "the refusal names both topics that differ" names_both

OF_AGGREGATOR="funnel_partials session_funnels aggregated_events late_events abandoned_carts"
older_set() {
    local name
    fresh
    for name in $OF_AGGREGATOR; do broker grow-topic "$(topic "$name")" 4; done
    broker delete-topic "$(topic aggregated_events)"
    wait_until "the topic is gone" gone aggregated_events
    "$BIN_DIR/topics" create --brokers "$KAFKA_BROKERS" --prefix "$TOPIC_PREFIX"
    same "partitions of the new topic" 4 \
        "$(partitions_of_topic "$(topic aggregated_events)" | wc -l)"
    services
    replay --input "$ROWS"
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
}
gone() { # TOPIC
    local all
    all=$(kcat -b "$KAFKA_BROKERS" -L -J | jq -r '.topics[].topic')
    if grep -qx "$(topic "$1")" <<<"$all"; then return 1; fi
}
check "an older set gets a missing topic with all partitions, and the recount agrees" older_set

four_times() { # only the restore metadata shows it
    local name
    fresh
    for name in $OF_AGGREGATOR; do broker grow-topic "$(topic "$name")" 4; done
    services
    replay --input "$ROWS"
    drain
    stop_services
    for name in raw_events bronze_events dead_letter; do broker grow-topic "$(topic "$name")" 16; done
    refused 78 "4 partitions" bronze-sink
    refused 78 "4 partitions" funnel-aggregator
}
thorough "an older set with four times the partitions does not pass for a new set" four_times
fresh
