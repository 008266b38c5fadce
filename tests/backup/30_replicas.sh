#!/usr/bin/env bash
# One replica of each service becomes three while events come, and one again: by clean stops, and by kill -9 of
# one that is not started again.
source "$(dirname "$0")/../e2e/lib.sh"

export KAFKA_PROPERTIES=session.timeout.ms=4000 # a killed client keeps its partitions for this time

ROWS=$E2E_WORK/replay.csv
in_halves "$ROWS"
SERVICES=(bronze-sink funnel-aggregator pg-loader)

# Records that an instance has read so far.
read_by() { http_get "$1" metrics | awk '/^funnel_records_in_total\{|^funnel_loader_rows_total\{/ { n += $2 } END { print n + 0 }'; }
all_three_work() { # SERVICE
    local number
    for number in 1 2 3; do (($(read_by "$1-$number") > 0)) || return 1; done
}
fresh
services
replay_begin "$FIRST" 700
in_the_middle "$ROWS"
export REPLICAS_bronze_sink=3 REPLICAS_funnel_aggregator=3 REPLICAS_pg_loader=3
services
for name in "${SERVICES[@]}"; do
    check "three replicas of $name share its partitions while events come" \
        wait_until "all have read records" all_three_work "$name"
done
replay_end
replay_begin "$SECOND" 1500
for name in "${SERVICES[@]}"; do crash "$name-2"; done
sleep 1
for name in "${SERVICES[@]}"; do stack stop "$name-3"; done
replay_end
drain
check "one replica again: the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "every layer has the same events" reconciled
snapshot "$E2E_WORK/before"
services # three again
replay --input "$ROWS"
drain
snapshot "$E2E_WORK/after"
check "three again: the same rows change nothing" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "all replays were counted in full" same rows $((2 * $(rows_of "$ROWS"))) "$(counts_in)"
