#!/usr/bin/env bash
# The lake holds every bronze event, control, dead letter, late event and count exactly once: while its writer is killed, frozen
# and doubled, and while PostgreSQL is away. Others read it: DuckDB by the catalogue, pyarrow by the files. A sample of the real data
# is in the lake as DuckDB reads it from the CSV file.
source "$(dirname "$0")/lib.sh"
source "$ROOT/tests/lake/lib.sh"

small_batches
has_files() { [[ -n "$(find "$LAKE_URL" -name '*.parquet' -not -path '*/_*' -print -quit 2>/dev/null)" ]]; }

# ---- a writer that is killed

fresh
lake_rows
services
start lake-1
replay_begin "$FIRST" 4000
wait_until "there are files" has_files
for _ in 1 2 3; do
    sleep 0.5
    crash lake-1
    start lake-1
done
replay_end
drain
check "a killed writer: the lake has all" lake_catches_up

# ---- two at once, and one that is frozen

start lake-2
frozen=$(pid_of lake-1)
replay_begin "$SECOND" 4000
sleep 1
kill -STOP "$frozen"
sleep 2
kill -CONT "$frozen"
replay_end
drain
crash lake-2
check "two writers, of which one is frozen for a while and one killed: the lake has all" lake_catches_up

# ---- PostgreSQL away

replay_begin "$FIRST" 8000
stack stop postgres
sleep 1
start postgres
replay_end
drain
check "PostgreSQL was away: the lake has all" lake_catches_up
stack stop lake-1
check "every record is in the lake once, its rows are those of PostgreSQL, and others read the same" lake_is_right
check "batches have neither gaps nor overlaps" lake_batches_fit
# shellcheck disable=SC2317 # check calls it
verified() {
    program lake verify
    "${PROGRAM[@]}"
}
check "lake verify finds nothing wrong" verified
compacted() {
    program lake compact --lake-grace 0s
    "${PROGRAM[@]}"
    lake_is_right
    verified
}
check "after lake compact the rows are the same" compacted
# The catalogue is lost, the files are not.
empty_catalogue_is_refused() {
    local root files
    root=$(sql "DELETE FROM lake.ducklake_metadata WHERE key = 'data_path' RETURNING value")
    files=$(find "$LAKE_URL" -name '*.parquet' | LC_ALL=C sort | sha256sum)
    refused 78 "lake register LAKE_URL" lake UNTIL_END=true write
    refused 78 "lake register LAKE_URL" lake compact
    same "files" "$files" "$(find "$LAKE_URL" -name '*.parquet' | LC_ALL=C sort | sha256sum)"
    sql "INSERT INTO lake.ducklake_metadata (key, value) VALUES ('data_path', '$root')"
}
check "with an empty catalogue no file of a lake is removed" empty_catalogue_is_refused
examples_run() { lake_readers examples <"$ROOT/bronze-sink/README.md"; }
check "the examples of bronze-sink/README.md find rows, the same as in PostgreSQL" examples_run

# All files have the bytes that were written, and events and dead letters are those that bronze-sink has counted.
# shellcheck disable=SC2317 # check calls it
verified() {
    program lake READ=true verify
    timeout "$LONG" "${PROGRAM[@]}" 2>"$E2E_WORK/verify.log" || { tail -n 20 "$E2E_WORK/verify.log"; return 1; }
    grep -q "files_without_checksum=0 counts_compared=$((2 * ${PARTITIONS:-4})) differences=0 " "$E2E_WORK/verify.log" ||
        { tail -n 20 "$E2E_WORK/verify.log"; return 1; }
}
check "lake verify: checksums, and the counts of bronze-sink" verified

# ---- the real sample

SAMPLE=$ROOT/../shared/data/2019-Oct-first-17434-rows.csv.gz
if [[ ! -r $SAMPLE ]]; then
    say "skip $SCENARIO: $SAMPLE does not exist" >&3
    exit 0
fi
export LAKE_URL=$E2E_WORK/sample
fresh
services
start lake-1
replay --input "$SAMPLE"
drain
check "the sample: the lake catches up" lake_catches_up
stack stop lake-1
check "the sample: the lake and raw.events have the rows of the CSV file" lake_readers csv "$SAMPLE"
check "the sample: lake verify" verified
