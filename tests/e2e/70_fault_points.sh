#!/usr/bin/env bash
# Each service kills itself, as kill -9 would, at each of its fault points (common/service/fault.h) while
# rows come, and is started again. After each crash, all rows so far are recounted. Only the flavour
# `fault` has fault points: make e2e-faults. FAULTS='pg-loader:after_copy producer:before_save' selects
# some of them.
source "$(dirname "$0")/lib.sh"
source "$ROOT/tests/lake/lib.sh"

if [[ $FLAVOUR != fault ]]; then
    check "the programs have no fault points" \
        same "programs with fault points" "" "$(grep -l 'fault point' "$BIN_DIR"/* || true)"
    exit 0
fi

LOOP="before_produce after_produce before_send_offsets after_send_offsets before_commit after_commit
    before_restore in_restore"
LOAD="after_entries before_copy after_copy after_load_batches after_bronze_loads after_upsert before_offsets
    before_pg_commit after_pg_commit"
# While events are loaded that are stored already: with the pass of the point that is in the second try,
# which takes the staging table.
COLLISION="after_collision:1 after_copy:2 after_upsert:1 before_pg_commit:2 after_pg_commit:2"
LAKE="after_write after_put after_lock after_files before_commit after_commit"
SEND="before_send before_save after_save before_end"
chunk=0 parts=() exact=(--exact-counts)
export LAKE_URL=$E2E_WORK/fault-lake LAKE_BATCH_INTERVAL=300ms LAKE_MIN_FREE=1m
export KAFKA_PROPERTIES=session.timeout.ms=4000 # a killed client keeps its partitions for this time

faults() {
    local point
    for point in $LOOP; do printf 'bronze-sink:%s funnel-aggregator:%s ' "$point" "$point"; done
    for point in $LOAD; do printf 'pg-loader:%s ' "$point"; done
    for point in $LAKE; do printf 'lake:%s ' "$point"; done
    for point in $COLLISION; do printf 'pg-loader:%s ' "collision:$point"; done
    for point in $SEND; do printf 'producer:%s ' "$point"; done
}

# Each fault gets as many rows as all others, at most 600.
read -r -a FAULT_LIST <<<"${FAULTS:-$(faults)}"
CHUNK=$(($(rows_of "$E2E_WORK/replay.csv") / (${#FAULT_LIST[@]} + 1)))
((CHUNK <= 600)) || CHUNK=600

# The next rows as a file of their own.
next_chunk() {
    local file=$E2E_WORK/chunk-$((++chunk)).csv from=$(((chunk - 1) * CHUNK + 2))
    { head -n 1 "$E2E_WORK/replay.csv"; sed -n "$from,$((from + CHUNK - 1))p" "$E2E_WORK/replay.csv"; } >"$file"
    (($(rows_of "$file") > 0))
    parts+=("$file")
}

dead() { ! is_up "$1"; }

# The service dies when it reaches the point the third time, so that there are commits before and after
# the crash. A restore happens once per start.
crash_at() { # SERVICE POINT
    local name=$1-1 pass=3
    [[ $2 != *restore ]] || pass=1
    stack stop "$name"
    FAULT=$2:$pass start "$name" || true # at a point of the restore it dies before it is ready
    replay --input "${parts[-1]}" --rate 600
    wait_until "$name dies at $2" dead "$name"
    grep -q "fault point $2: killed" "$LOG_DIR/$name.log"
    start "$name"
}

# The loader reads all of bronze again, and then the new rows.
crash_after_collision_at() { # POINT:PASS
    local point=${1%:*}
    stack stop pg-loader-1
    sql "DELETE FROM processed.loader_offsets WHERE topic = '$(topic bronze_events)'"
    replay --input "${parts[-1]}"
    FAULT=$1 start pg-loader-1 || true
    wait_until "pg-loader-1 dies at $1" dead pg-loader-1
    grep -q "fault point $point: killed" "$LOG_DIR/pg-loader-1.log"
    start pg-loader-1
}

# The end of a segment comes once. The state is saved once a second.
crash_producer_at() { # POINT
    local pass=2
    local -a flags=(--input "${parts[-1]}" --rate 250 --state-file "$E2E_WORK/$1.state" --timeout "${LONG}s")
    case $1 in before_send) pass=300 ;; before_end) pass=1 ;; esac
    FAULT=$1:$pass start producer -- "${flags[@]}"
    wait_until "the producer dies at $1" dead producer-1
    grep -q "fault point $1: killed" "$LOG_DIR/producer-1.log"
    start producer -- "${flags[@]}"
    replay_end
}

# Each record of bronze is in the lake once.
lake_survives() {
    lake_catches_up
    committed bronze_events '%p %o\n' | lake_readers topic bronze_events
    lake_batches_fit
}

survives() { # SERVICE POINT
    case $1:$2 in
    producer:*) crash_producer_at "$2" ;;
    *:collision:*) crash_after_collision_at "${2#collision:}" ;;
    *) crash_at "$1" "$2" ;;
    esac
    drain
    oracle "${exact[@]}" --max-late 0 "${parts[@]}"
    topic_equals_table aggregated_events
    topic_equals_table session_funnels
    [[ $1 != lake ]] || lake_survives
    same "stored events without sums" 0 "$(sql "
        SELECT (SELECT count(*) FROM raw.events) - (SELECT coalesce(sum(events), 0) FROM mart.hour_totals)
            - (SELECT coalesce(sum(events), 0) FROM processed.load_batches)")"
}

fresh
services
[[ " ${FAULT_LIST[*]}" != *" lake:"* ]] || start lake-1
next_chunk
replay --input "${parts[0]}"
for fault in "${FAULT_LIST[@]}"; do
    next_chunk
    # A row that was sent and not saved yet comes twice.
    [[ $fault != producer:* ]] || exact=(--resent)
    check "${fault%%:*} dies at ${fault#*:}: nothing is lost or doubled" survives "${fault%%:*}" "${fault#*:}"
done
