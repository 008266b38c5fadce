#!/usr/bin/env bash
# Each named fault point of each service, once: the process kills itself there, is started again, and the oracle holds.
# Needs the build of FLAVOUR=fault, in which alone the points exist.
source "$(dirname "$0")/../e2e/lib.sh"

ROWS=$E2E_WORK/few.csv
"$BIN_DIR/producer" --source synthetic --events 4000 --seed 11 --duplicates 0.01 --disorder 5s --malformed 0.005 --start-time "2019-10-01 23:00:00" --output "$E2E_WORK/few.all.csv"
grep -av '^9999-' "$E2E_WORK/few.all.csv" >"$ROWS"

ended() { ! is_up "$1"; }

# At a point that every batch passes: the third batch dies.
die_at() { # SERVICE POINT
    local instance=$1-1
    fresh
    services
    stack stop "$instance"
    FAULT=$2:3 start "$instance" || true # it may die before it is ready
    replay_begin "$ROWS" 2000
    wait_until "$instance dies at $2" ended "$instance"
    grep -q "fault point $2: killed" "$LOG_DIR/$instance.log"
    start "$instance"
    replay_end
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
    topic_equals_table aggregated_events
}

# At a point of a rebuild: there must be something to rebuild.
die_rebuilding() { # SERVICE POINT
    local instance=$1-1
    fresh
    services
    replay_begin "$ROWS" 2000
    wait_until "something is loaded" loaded_at_least 800
    crash "$instance"
    FAULT=$2 start "$instance" || true
    wait_until "$instance dies at $2" ended "$instance"
    grep -q "fault point $2: killed" "$LOG_DIR/$instance.log"
    start "$instance"
    replay_end
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
    topic_equals_table aggregated_events
}

for service in bronze-sink funnel-aggregator; do
    for point in before_produce after_produce before_send_offsets after_send_offsets before_commit after_commit; do
        check "$service dies $point: the oracle and all counts hold" die_at "$service" "$point"
    done
    for point in before_restore in_restore; do
        check "$service dies $point: the oracle and all counts hold" die_rebuilding "$service" "$point"
    done
done
for point in before_copy after_copy after_upsert before_offsets before_pg_commit after_pg_commit; do
    check "pg-loader dies $point: the oracle and all counts hold" die_at pg-loader "$point"
done
check "every point of the source was tried" same points \
    "$(grep -rhoE 'FAULT_POINT\("[a-z_]+"\)' "$ROOT"/common/runtime/*.c "$ROOT"/pg-loader/*.c | sort -u | wc -l)" 14
