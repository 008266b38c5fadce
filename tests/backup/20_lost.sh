#!/usr/bin/env bash
# What is lost, and what a backup gives back: the schemas of the registry; a catalogue that is older than a lake
# whose files were merged and removed since; reports whose topics are lost; and everything, from the files of
# the lake in the backup.
source "$(dirname "$0")/../e2e/lib.sh"
source "$ROOT/tests/lake/lib.sh"
source "$ROOT/tests/backup/lib.sh"

small_batches

tail -n +2 "$E2E_WORK/replay.csv" >"$E2E_WORK/rows"
parts=()
for part in 1 2 3 4; do
    parts+=("$E2E_WORK/part$part.csv")
    { head -n 1 "$E2E_WORK/replay.csv"; split -n "l/$part/4" "$E2E_WORK/rows"; } >"${parts[-1]}"
done
LATE=$E2E_WORK/late.csv
"$BIN_DIR/producer" --source synthetic --events 300 --seed 9 --start-time "2019-10-01 21:30:00" --output "$LATE"

lake() { # COMMAND [FLAGS...]
    program lake "$@"
    "${PROGRAM[@]}"
}
lose_postgres() {
    crash postgres
    rm -rf "${LOCAL_DIR:?}/postgres"
    start postgres
}
lose_registry() {
    stack stop registry
    rm -rf "${LOCAL_DIR:?}/registry"
    start registry
}
register_stranger() { # NAME: prints its id
    jq -n --arg name "$1" '{schema: ({type: "record", name: $name, fields: []} | tostring)}' |
        curl -fsS -m 20 -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data-binary @- \
            "$SCHEMA_REGISTRY_URL/subjects/$1/versions" | jq -e .id
}
ids() { # of the newest backup
    jq -r '.[].id' "$(newest)/registry.json" | sort -n
}

fresh
services
start lake-1
replay --input "${parts[0]}"
drain

# ---- the registry

lake_catches_up
stop_services
# The programs in another place, as with Docker.
backup "PG_RUN=env LC_ALL=C" "TOPICS_RUN=env KAFKA_BROKERS=$KAFKA_BROKERS TOPIC_PREFIX=$TOPIC_PREFIX LOG_LEVEL=warn $BIN_DIR/topics"
lost_registry() {
    lose_registry
    refused 78 "schema id" bronze-sink
    restore_refused 64 "expected some of registry" "FROM=$BACKUPS" PARTS=schemas
    CHECK=only restore "FROM=$BACKUPS" PARTS=registry
    same "subjects" "[]" "$(curl -fsS -m 20 "$SCHEMA_REGISTRY_URL/subjects")"
    restore "FROM=$BACKUPS" PARTS=registry
    restore "FROM=$BACKUPS" PARTS=registry # again: nothing to do
    # An id is not given twice.
    (($(register_stranger Stranger) > $(ids | tail -n 1)))
}
check "an empty registry gets all schemas under their ids; the next id is new" lost_registry
other_registry() {
    lose_registry
    register_stranger Stranger
    restore_refused 78 "has other schemas under the ids of the backup" "FROM=$BACKUPS" PARTS=registry
    same "subjects" '["Stranger"]' "$(curl -fsS -m 20 "$SCHEMA_REGISTRY_URL/subjects")"
    lose_registry
    restore "FROM=$BACKUPS" PARTS=registry
}
check "a registry that gave the ids to other schemas is refused" other_registry
services
start lake-1
replay --input "${parts[1]}"
drain
check "then the recount and all counts agree" oracle --exact-counts --max-late 0 "${parts[@]:0:2}"

# ---- the catalogue, after the files were merged and removed

backup
replay --input "${parts[2]}"
drain
lake_catches_up
stack stop lake-1
lake compact --lake-grace 0s --lake-compact-bytes 1m
lake compact --lake-grace 0s
start lake-1
replay --input "$LATE" --replay
drain
lake_catches_up
stop_services
gone() { # files that the backup names and the lake has not
    local path count=0
    while IFS=$'\t' read -r path _; do [[ -e $LAKE_URL/$path ]] || count=$((count + 1)); done <"$(newest)/lake_files.tsv"
    printf '%s\n' "$count"
}
merged() {
    printf '%s files are gone\n' "$(gone)"
    (($(gone) > 3))
    lose_postgres
    restore "FROM=$BACKUPS" | tee "$E2E_WORK/restore.log"
    grep -q "the lake has changed since the backup" "$E2E_WORK/restore.log"
    lake verify --read=true
}
check "files were merged and removed since the backup: the catalogue is made again from the files" merged
services
start lake-1
drain
lake_catches_up
check "the loader has everything again: the recount agrees" oracle "${parts[@]:0:3}" "$LATE"
stack stop lake-1
check "every record is in the lake once, its rows are those of PostgreSQL" lake_is_right
lost_file() {
    local file status=0
    stop_services
    backup
    file=$(awk -F'\t' '$1 ~ /^bronze/ { print $1; exit }' "$(newest)/lake_files.tsv")
    mv "$LAKE_URL/$file" "$E2E_WORK/kept.parquet"
    restore_refused 78 "restore them from a backup with LAKE_FILES=copy" "FROM=$BACKUPS" FORCE=yes PARTS=database || status=1
    # Nothing continues over the gap, and the same command succeeds when the file is there again.
    refused 78 "lake register" lake write || status=1
    mv "$E2E_WORK/kept.parquet" "$LAKE_URL/$file"
    lake register
    lake verify --read=true && return "$status"
}
check "a file of the lake that is lost is reported, and not replaced by a gap" lost_file

# ---- the topics

services
start lake-1
replay --input "${parts[3]}"
drain
all_reported
lake_catches_up
stop_services
lost_batch() { # all of its files; the backup is older than the newest rows, which must not hide the loss
    local file status=0
    file=$(awk -F'\t' '$1 ~ /_counts-0-[0-9]+[.]parquet$/ { print $1; exit }' "$(newest)/lake_files.tsv")
    printf 'lost: %s\n' "$file"
    mv "$LAKE_URL/$file" "$E2E_WORK/kept.parquet"
    restore_refused 78 "  ${TOPIC_PREFIX}counts/0: " "FROM=$BACKUPS" FORCE=yes PARTS=database || status=1
    mv "$E2E_WORK/kept.parquet" "$LAKE_URL/$file"
    lake register
    lake verify --read=true && return "$status"
}
check "a batch that is lost is reported, although more rows came since the backup" lost_batch
services
start lake-1
drain
all_reported
lake_catches_up
stop_services
sql "SELECT reporting.measure_quality()"
backup LAKE_FILES=copy
snapshot "$E2E_WORK/before"
"$ROOT/tests/lake/tables" save "$DSN" "$E2E_WORK/tables.before"
lost_topics() {
    mv "$LAKE_URL" "$E2E_WORK/lake.before"
    stack reset
    restore_refused 78 "it was deleted and created again" "FROM=$BACKUPS" "PARTS=registry database" FORCE=yes
    same "tables" 0 "$(sql "SELECT count(*) FROM pg_tables WHERE schemaname = 'raw'")"
    restore "FROM=$BACKUPS" TOPICS=lost FORCE=yes # a reset leaves the schema mart
    after_restore
    "$ROOT/tests/lake/tables" save "$DSN" "$E2E_WORK/tables.after"
    "$ROOT/tests/lake/tables" compare "$E2E_WORK/tables.before" "$E2E_WORK/tables.after"
    refused 78 "ecommerce_ loader_offsets deleted again" pg-loader
    diff -r -x _locks -x _tmp "$E2E_WORK/lake.before" "$LAKE_URL"
}
check "the topics are lost: the reports are those of the backup, the lake has its files, the loader refuses" lost_topics

# ---- everything

everything_lost() {
    stop_services
    rm -rf "$LAKE_URL"
    stack stop kafka
    rm -rf "${LOCAL_DIR:?}/kafka"
    start kafka
    lose_registry
    lose_postgres
    "$BIN_DIR/topics" create --brokers "$KAFKA_BROKERS" --prefix "$TOPIC_PREFIX"
    restore "FROM=$BACKUPS" "PARTS=registry lake"
    CONFIRM=yes timeout $((4 * LONG)) "$HERE/rebuild-from-lake"
    all_reported
    rm -rf "$E2E_WORK/tables.after"
    "$ROOT/tests/lake/tables" save "$DSN" "$E2E_WORK/tables.after"
    "$ROOT/tests/lake/tables" compare "$E2E_WORK/tables.before" "$E2E_WORK/tables.after"
}
check "everything is lost: registry and lake from the backup, and topics and database from the lake" everything_lost
check "its recount agrees" oracle "${parts[@]:0:3}" "$LATE" "${parts[3]}"
