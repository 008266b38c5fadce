#!/usr/bin/env bash
# A backup is made while events come. Then PostgreSQL loses all data, and the backup restores it: the loader
# and the lake continue from the restored offsets, and the recount agrees. Nothing is restored from a damaged
# backup, or into a database that is not empty. tests/backup has the other cases.
source "$(dirname "$0")/lib.sh"
source "$ROOT/tests/lake/lib.sh"
source "$ROOT/tests/backup/lib.sh"

small_batches

fresh
in_halves "$E2E_WORK/replay.csv"
services
start lake-1
replay_begin "$FIRST" 1500
in_the_middle "$E2E_WORK/replay.csv"
check "a backup is made while events come" backup
AT_BACKUP=$(manifest database_at)
online() { # the snapshot is neither empty nor complete, and events came meanwhile
    local events
    events=$(awk -F'\t' '$1 ~ /raw.events_/ { n += $2 } END { print n + 0 }' "$(newest)/tables.tsv")
    printf '%s: %s events, now %s\n' "$AT_BACKUP" "$events" "$(count raw.events)"
    ((events > 0 && events < $(rows_of "$FIRST")))
    committed_before_database
}
# No committed offset of the backup is past what its database has.
committed_before_database() {
    same "committed offsets past the database" "" "$(awk -F'\t' -v group="$(topic pg-loader)" '
        NR == FNR { at[$1 "/" $2] = $3; next }
        $1 == "committed" && $2 == group && $5 > at[$3 "/" $4] { print $3 "/" $4 ": " $5 " > " at[$3 "/" $4] }' \
        "$(newest)/loader_offsets.tsv" "$(newest)/topics.tsv")"
}
check "it is of a moment in the middle, and its positions are not past its rows" online
replay_end
drain
lake_catches_up

# ---- what is refused

refusals() {
    restore_refused 64 "FROM is not set"
    restore_refused 64 "no such folder" FROM=/nowhere
    restore_refused 64 'invalid value "more" in PARTS' "FROM=$BACKUPS" PARTS=more
    restore_refused 64 "TOPIC_PREFIX is \"other_\"" "FROM=$BACKUPS" TOPIC_PREFIX=other_
    restore_refused 78 "the database is not empty" "FROM=$BACKUPS"
    restore_refused 78 "Stop the services first" "FROM=$BACKUPS" FORCE=yes
    backup_refused 64 'invalid value "x" for KEEP' KEEP=x
    backup_refused 64 'invalid value "all" for LAKE_FILES' LAKE_FILES=all
    backup_refused 75 "the registry at http://127.0.0.1:1 does not answer" SCHEMA_REGISTRY_URL=http://127.0.0.1:1
}
check "wrong settings, another registry, a database with rows and running services are refused" refusals
stop_services
snapshot "$E2E_WORK/before"
damaged() {
    cp -r "$(newest)" "$E2E_WORK/damaged"
    printf x | dd of="$E2E_WORK/damaged/database.dump" bs=1 seek=5000 conv=notrunc status=none
    restore_refused 78 "is damaged" "FROM=$E2E_WORK/damaged" FORCE=yes
    rm "$E2E_WORK/damaged/database.dump"
    restore_refused 78 "is damaged" "FROM=$E2E_WORK/damaged" FORCE=yes
    mv "$E2E_WORK/damaged" "$BACKUPS/.unfinished-x"
    restore_refused 78 "is not complete" "FROM=$BACKUPS/.unfinished-x" FORCE=yes
    snapshot "$E2E_WORK/now"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/now"
}
check "a damaged and an unfinished backup are refused, and change nothing" damaged

# ---- PostgreSQL is lost

crash postgres
rm -rf "${LOCAL_DIR:?}/postgres"
start postgres
restored() {
    restore "FROM=$BACKUPS"
    same "rows" "$(awk -F'\t' '$1 ~ /raw.events_/ { n += $2 } END { print n + 0 }' "$(newest)/tables.tsv")" "$(count raw.events)"
    (($(count raw.events) < $(rows_of "$FIRST")))
    restore_refused 78 "the database is not empty" "FROM=$BACKUPS"
}
check "the restore of the empty database has the rows of the backup" restored
services
start lake-1
drain
check "the loader continues from the restored offsets: the rows of before" after_restore
replay_begin "$SECOND" 5000
replay_end
drain
check "then more events come: the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "every layer has the same events" reconciled
"$BIN_DIR/producer" --source synthetic --events 300 --seed 9 --start-time "2019-10-01 21:30:00" --output "$E2E_WORK/late.csv"
replay --input "$E2E_WORK/late.csv" --replay
drain
check "the catalogue was older than its files: the lake catches up" lake_catches_up
stack stop lake-1
check "every record is in the lake once, its rows are those of PostgreSQL" lake_is_right
check "batches have neither gaps nor overlaps" lake_batches_fit
