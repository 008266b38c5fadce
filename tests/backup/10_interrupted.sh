#!/usr/bin/env bash
# Backups and restores that are killed, stopped by Ctrl-C or fail, two backups at the same time, and a restore
# that replaces a filled database.
source "$(dirname "$0")/../e2e/lib.sh"
source "$ROOT/tests/lake/lib.sh"
source "$ROOT/tests/backup/lib.sh"

small_batches

fresh
in_halves "$E2E_WORK/replay.csv"
services
start lake-1
replay --input "$FIRST"
drain
lake_catches_up
backup LAKE_FILES=copy

# ---- what is interrupted

stopped_backups() { # SIGNAL
    local number before
    before=$(find "$BACKUPS" -type f -not -path '*/.unfinished*' | LC_ALL=C sort)
    for ((number = 1; number <= 3; number++)); do
        stop_after "$1" "$(printf '0.%d' $((number * 3)))" backup && { warn "the backup ended before the signal"; return 1; }
        same "complete backups" 1 "$(backups | wc -l)"
        [[ $1 == KILL ]] || same "unfinished folders" "" "$(find "$BACKUPS" -maxdepth 1 -name '.unfinished-2*')"
    done
    same "files of backups" "$before" "$(find "$BACKUPS" -type f -not -path '*/.unfinished*' | LC_ALL=C sort)"
}
check "Ctrl-C leaves no folder, and the earlier backup" stopped_backups INT
check "kill -9 leaves no folder that looks complete, and the earlier backup" stopped_backups KILL
failed_backup() {
    backup_refused 78 "Kafka has no topics nothing_" TOPIC_PREFIX=nothing_
    same "folders" "$(backups)" "$(find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d)"
}
check "a backup that fails leaves no folder; what a kill had left is gone" failed_backup


kept_and_linked() {
    local number first second file
    for ((number = 1; number <= 3; number++)); do backup KEEP=2 LAKE_FILES=copy; done
    same "backups" 2 "$(backups | wc -l)"
    first=$(backups | head -n 1) second=$(newest)
    while IFS=$'\t' read -r file _; do
        cmp "$LAKE_URL/$file" "$second/lake/$file"
        same "inode of $file" "$(stat -c %i "$first/lake/$file")" "$(stat -c %i "$second/lake/$file")"
    done <"$second/lake_files.tsv"
    (($(wc -l <"$second/lake_files.tsv") > 3))
}
check "KEEP=2 keeps the newest two, and files of the lake are stored once" kept_and_linked
two_at_once() {
    local first status=0
    backup >"$E2E_WORK/first.log" 2>&1 &
    first=$!
    wait_until "the first has begun" unfinished
    backup_refused 75 "another backup" || status=1
    wait "$first" && same "backups" 3 "$(backups | wc -l)" && return "$status"
}
unfinished() { [[ -n "$(find "$BACKUPS" -maxdepth 1 -name '.unfinished-2*')" ]]; }
check "of two backups into one folder, the second is refused and the first is complete" two_at_once

# ---- restores

stop_services
snapshot "$E2E_WORK/before"
services
start lake-1
replay --input "$SECOND"
drain
lake_catches_up
stop_services
snapshot "$E2E_WORK/later"
same_rows_as() { # FILE
    snapshot "$E2E_WORK/now"
    same_snapshot "$1" "$E2E_WORK/now"
}
no_session() { same sessions 0 "$(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = 'funnel' AND pid <> pg_backend_pid()")"; }
killed_restores() {
    local number killed=0
    for ((number = 1; number <= 8; number++)); do
        # By Ctrl-C and by kill -9, each later than the one before.
        stop_after "$( ((number % 2)) && printf INT || printf KILL)" "$((number / 2)).$((number % 2 * 5 + 1))" \
            restore "FROM=$BACKUPS" PARTS=database FORCE=yes && break
        killed=$((killed + 1))
        wait_until "its session has ended" no_session
        same_rows_as "$E2E_WORK/later"
    done
    printf 'killed %d times\n' "$killed"
    ((killed > 2))
    restore "FROM=$BACKUPS" PARTS=database FORCE=yes
}
check "a restore that is killed leaves the filled database as it was; the same command succeeds" killed_restores
check "a filled database is replaced by the rows of the backup" same_rows_as "$E2E_WORK/before"
row_missing() { # in a backup whose checksums fit
    cp -r "$(newest)" "$E2E_WORK/other"
    awk -F'\t' -v OFS='\t' '$1 == "processed.visit_rows" { $2 += 1 } { print }' "$(newest)/tables.tsv" >"$E2E_WORK/other/tables.tsv"
    (cd "$E2E_WORK/other" && sed -i "s|^.*  ./tables.tsv$|$(sha256sum ./tables.tsv)|" SHA256SUMS)
    restore_refused 78 "table processed.visit_rows has" "FROM=$E2E_WORK/other" PARTS=database FORCE=yes
    same_rows_as "$E2E_WORK/before"
}
check "a restore that gives other numbers of rows is rolled back" row_missing
services
start lake-1
drain
check "the loader continues from there" same_rows_as "$E2E_WORK/later"
check "the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
"$BIN_DIR/producer" --source synthetic --events 300 --seed 9 --start-time "2019-10-01 21:30:00" --output "$E2E_WORK/late.csv"
replay --input "$E2E_WORK/late.csv" --replay
drain
lake_catches_up
stack stop lake-1
check "every record is in the lake once" lake_is_right
