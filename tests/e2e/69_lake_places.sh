#!/usr/bin/env bash
# Where a lake may be: on a disk that becomes full, which stops nothing but the lake; in a folder without PostgreSQL, with
# manifests; in a bucket of a real S3 server, which is away for a while.
if [[ -z ${E2E_OWN_MOUNTS:-} ]] && unshare --mount true 2>/dev/null; then
    E2E_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"
source "$ROOT/tests/lake/lib.sh"

export LAKE_BATCH_INTERVAL=500ms LAKE_BATCH_ROWS=2500 LAKE_MIN_FREE=1m
lake_rows

# ---- a full disk

export LAKE_URL=$E2E_WORK/small/lake
small_lake() { mkdir -p "$E2E_WORK/small"; mount -t tmpfs -o size=16m tmpfs "$E2E_WORK/small"; }
fill() { dd if=/dev/zero of="$E2E_WORK/small/ballast" bs=64k status=none 2>/dev/null || true; }

full_disk() {
    fresh
    services
    start lake-1
    replay --input "$FIRST"
    drain
    lake_catches_up
    fill
    replay --input "$SECOND"
    drain # the stream goes on
    wait_until "the lake says why it waits" says lake-1 event=retrying "MiB of free space"
    wait_until "the lake is not ready" not_ready lake-1
    waits_idly lake-1
    rm "$E2E_WORK/small/ballast"
    lake_catches_up
    stack stop lake-1
    lake_is_right
    lake_batches_fit
}
if small_lake 2>/dev/null; then
    check "a full disk stops the lake alone; with room again, the lake has all" full_disk
else
    # Without the right to mount.
    say "skip $SCENARIO: a full disk (needs mount)" >&3
    fresh
    services
    replay --input "$E2E_WORK/lake.csv"
    drain
fi

# ---- without PostgreSQL

export LAKE_URL=$E2E_WORK/plain
write_plain() { program lake POSTGRES_DSN= UNTIL_END=true write; timeout "$LONG" "${PROGRAM[@]}"; }
topics_are_in() { # FOLDER
    local name
    for name in bronze_events dead_letter counts; do
        committed "$name" '%p %o\n' | "$ROOT/tests/lake/python" "$ROOT/tests/lake/readers" topic "$name" --lake "$1"
    done
}
has_manifest() { compgen -G "$LAKE_URL/_manifests/*.json" >/dev/null; }
by_manifests() {
    program lake POSTGRES_DSN= LAKE_BATCH_ROWS=700 write
    "${PROGRAM[@]}" &
    local writer=$!
    wait_until "there is a manifest" has_manifest
    kill -KILL "$writer"
    wait "$writer" || true
    write_plain
    topics_are_in "$LAKE_URL"
    local before
    before=$(find "$LAKE_URL" -name '*.parquet' | wc -l)
    write_plain # nothing is left to write
    same "files" "$before" "$(find "$LAKE_URL" -name '*.parquet' | wc -l)"
}
check "without PostgreSQL, a killed writer continues by its manifests" by_manifests

# ---- a bucket

export LAKE_S3_ACCESS_KEY=writeraccess LAKE_S3_SECRET_KEY=writersecret0123456789
S3=$E2E_WORK/s3
s3_begin() {
    rm -f "$S3/endpoint"
    "$ROOT/tests/lake/s3_server" serve "$S3" 3>&- 9>&- &
    SERVER=$!
    wait_until "the S3 server answers" test -s "$S3/endpoint"
    LAKE_S3_ENDPOINT=$(<"$S3/endpoint")
    export LAKE_S3_ENDPOINT
}
s3_end() { kill "$SERVER"; wait "$SERVER" || true; }
in_a_bucket() {
    sql "TRUNCATE lake.positions, lake.batches"
    sql "DELETE FROM lake.ducklake_metadata WHERE key = 'data_path'"
    start lake-1
    for _ in 1 2; do
        sleep 1
        crash lake-1
        start lake-1
    done
    lake_catches_up
    stack stop lake-1
    "$ROOT/tests/lake/s3_server" get "$S3" here "$E2E_WORK/copy"
    topics_are_in "$E2E_WORK/copy"
    lake_batches_fit
}
wrong_key() { LAKE_S3_SECRET_KEY=wrong refused 78 "LAKE_S3_SECRET_KEY" lake UNTIL_END=true write; }
export LAKE_URL=s3://lake/here
mkdir -p "$S3"
s3_begin
check "a bucket: a killed writer leaves each record once" in_a_bucket
check "a wrong key is refused, with the name of the setting" wrong_key
s3_end
