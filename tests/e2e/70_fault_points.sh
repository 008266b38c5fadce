#!/usr/bin/env bash
# A crash at every arrow: each service is killed by itself at each of its fault points (common/runtime/fault.h) while rows
# come, and started again; behind all of them one oracle. Only the flavour `fault` has these points: make e2e-faults.
source "$(dirname "$0")/lib.sh"

if [[ $FLAVOUR != fault ]]; then
    say "skip $SCENARIO: make e2e-faults runs it" >&3
    exit 0
fi

LOOP="before_produce after_produce before_send_offsets after_send_offsets before_commit after_commit before_restore in_restore"
LOAD="before_copy after_copy after_upsert before_offsets before_pg_commit after_pg_commit"
CHUNK=600
chunk=0 parts=()

# The next rows as a file of their own.
next_chunk() {
    local file=$E2E_WORK/chunk-$((++chunk)).csv from=$(((chunk - 1) * CHUNK + 2))
    { head -n 1 "$E2E_WORK/replay.csv"; sed -n "$from,$((from + CHUNK - 1))p" "$E2E_WORK/replay.csv"; } >"$file"
    (($(rows_of "$file") > 0))
    parts+=("$file")
}

dead() { ! is_up "$1"; }

# crash_at SERVICE POINT: at the third pass, so that there is something behind it and something before it.
crash_at() {
    local name=$1-1 pass=3
    # A rebuild happens once per start.
    [[ $2 != *restore ]] || pass=1
    stack stop "$name"
    FAULT=$2:$pass start "$name" || true # at a point of the rebuild it dies before it is ready
    replay --input "${parts[-1]}" --rate 600
    wait_until "$name dies at $2" dead "$name"
    start "$name"
}

fresh
services
next_chunk
replay --input "${parts[0]}"
for service in bronze-sink funnel-aggregator pg-loader; do
    points=$LOOP
    [[ $service != pg-loader ]] || points=$LOAD
    for point in $points; do
        next_chunk
        check "$service dies at $point and starts again" crash_at "$service" "$point"
    done
done
drain
check "behind all these crashes the oracle and all counts hold" oracle --exact-counts --max-late 0 "${parts[@]}"
check "the topic of aggregates agrees" topic_equals_table aggregated_events
check "the topic of visits agrees" topic_equals_table session_funnels
