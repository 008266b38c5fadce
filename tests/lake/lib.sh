# shellcheck shell=bash
# Checks of a lake that scenarios share. Sourced after tests/e2e/lib.sh; LAKE_URL is the folder.

# An empty lake, in batches that are small and frequent. A scenario before this one in the same run may have left files.
small_batches() {
    export LAKE_URL=$E2E_WORK/lake LAKE_MIN_FREE=1m LAKE_BATCH_INTERVAL=700ms LAKE_BATCH_ROWS=2500
    rm -rf "$LAKE_URL"
}

# Rows of every kind, over midnight, as the files FIRST and SECOND.
lake_rows() {
    "$BIN_DIR/producer" --source synthetic --events 16000 --seed 67 --start-time "2019-10-01 20:00:00" --late 0.02 \
        --disorder 5s --duplicates 0.01 --missing-sessions 0.05 --malformed 0.01 --checkouts --output "$E2E_WORK/lake.csv"
    in_halves "$E2E_WORK/lake.csv"
}

lake_readers() { "$ROOT/tests/lake/python" "$ROOT/tests/lake/readers" "$@" --lake "$LAKE_URL" --dsn "$DSN"; }

# The positions of the lake are the ends of the topics. Held records do not count: nothing is open any more.
lake_lags() {
    local name partition position end
    while IFS='|' read -r name partition position; do
        end=$(end_of "$name" "$partition")
        ((position >= end)) || printf '%s/%s: %s of %s\n' "$name" "$partition" "$position" "$end"
    done < <(sql "SELECT topic, partition, next_offset FROM lake.positions ORDER BY 1, 2")
}
lake_has_all() {
    local all=${PARTITIONS:-4}
    local partitions=$((2 * all + (all + 3) / 4 + 1)) # bronze, dead letters; late events; counts
    same "partitions in the lake" "$partitions" "$(count lake.positions)" && same "partitions that lag" "" "$(lake_lags)"
}
lake_catches_up() { wait_until "the lake has all records" lake_has_all; }

# Every record of the topics once, the rows of PostgreSQL, and the files as others read them.
lake_is_right() {
    local name
    for name in bronze_events dead_letter late_events counts; do
        committed "$name" '%p %o\n' | lake_readers topic "$name"
    done
    lake_readers postgres
    lake_readers files
}

# Batches have neither gaps nor overlaps, and each partition's position is the end of its newest batch.
lake_batches_fit() {
    same "gaps and overlaps between batches" "" "$(sql "SELECT topic, partition, first_offset, previous FROM (
        SELECT *, lag(next_offset) OVER (PARTITION BY topic, partition ORDER BY first_offset) AS previous FROM lake.batches) b
        WHERE previous <> first_offset")"
    same "positions that are not the end of the newest batch" "" "$(sql "
        SELECT topic, partition FROM lake.positions p WHERE next_offset <> coalesce(
        (SELECT max(next_offset) FROM lake.batches b WHERE (b.topic, b.partition) = (p.topic, p.partition)), 0)")"
}
