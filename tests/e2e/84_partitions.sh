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
# Before, such a topic had the partitions of raw_events.
check "funnel-aggregator refuses one topic with the partitions of an older set" \
    grown_between session_funnels funnel-aggregator 4
