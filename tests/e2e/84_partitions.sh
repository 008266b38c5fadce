#!/usr/bin/env bash
# Topics that are not there, or whose number of partitions is not what it was: refused with an explanation, also under
# running services, which notice when the client next looks at the topic (every 30 s; here sooner).
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

export KAFKA_PROPERTIES=topic.metadata.refresh.interval.ms=2000
ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"

for service in bronze-sink funnel-aggregator pg-loader; do
    check "$service refuses to start without topics" refused 78 "topic ${TOPIC_PREFIX}none_ does not exist" "$service" "TOPIC_PREFIX=${TOPIC_PREFIX}none_"
done
check "producer refuses to start without topics" refused 78 "topic ${TOPIC_PREFIX}none_ does not exist" producer "TOPIC_PREFIX=${TOPIC_PREFIX}none_" \
    --input "$ROWS" --state-file none

grown_under() { # TOPIC SERVICE: refuses within a bounded time, and says which topic
    fresh
    services
    replay --input "$ROWS"
    drain
    broker grow-topic "$(topic "$1")" 6
    wait_until "$2 notices" ended_with "$2-1" 78
    says "$2-1" event=failed "$(topic "$1")" partitions "fresh set"
}

check "bronze-sink notices that raw_events has grown, and refuses" grown_under raw_events bronze-sink
thorough "funnel-aggregator notices that bronze_events has grown, and refuses" grown_under bronze_events funnel-aggregator
thorough "pg-loader notices that aggregated_events has grown, and refuses" grown_under aggregated_events pg-loader

grown_between() { # TOPIC SERVICE
    fresh
    services
    replay --input "$ROWS"
    drain
    stop_services
    broker grow-topic "$(topic "$1")" 6
    refused 78 "$1 partitions fresh set TOPIC_PREFIX" "$2"
}
thorough "bronze-sink refuses raw_events that has grown between two runs" grown_between raw_events bronze-sink
thorough "funnel-aggregator refuses funnel_partials that has grown between two runs" grown_between funnel_partials funnel-aggregator
check "funnel-aggregator refuses aggregated_events that has grown between two runs" grown_between aggregated_events funnel-aggregator
thorough "pg-loader refuses aggregated_events that has grown between two runs" grown_between aggregated_events pg-loader
