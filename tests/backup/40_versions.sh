#!/usr/bin/env bash
# Upgrade and roll back under load: the services of another build are replaced by those of this one, service by
# service, and back. If this version has migrated the database, the other pg-loader must refuse it; then the
# backup of before the upgrade brings it back.
#   OLD_BIN_DIR=/srv/old/build/release/bin    programs of the former version, in its checkout
source "$(dirname "$0")/../e2e/lib.sh"
source "$ROOT/tests/backup/lib.sh"

if [[ -z ${OLD_BIN_DIR:-} ]]; then
    say "skip $SCENARIO: OLD_BIN_DIR is not set (git worktree add ../old REF && make -C ../old)" >&3
    exit 0
fi
in_halves "$E2E_WORK/replay.csv"
NEW_BIN_DIR=$BIN_DIR
NAMES=(bronze-sink-1 funnel-aggregator-1 pg-loader-1)

start_of() { BIN_DIR=$1 start "$2"; } # BIN_DIR NAME
runs() { # NAME BIN_DIR
    same "program of $1" "$2/${1%-*}" "$(readlink "/proc/$(pid_of "$1")/exe")"
}
replace() { # BIN_DIR HOW NAME: by stop, or by kill
    stack "$2" "$3"
    start_of "$1" "$3"
    runs "$3" "$1"
}
table_files() { find "$1/../../../sql/tables" -name '*.sql' -printf '%f\n' | LC_ALL=C sort; } # BIN_DIR
say "$SCENARIO: $("$OLD_BIN_DIR/pg-loader" --version), then $("$NEW_BIN_DIR/pg-loader" --version)" >&3

BIN_DIR=$OLD_BIN_DIR fresh
BIN_DIR=$OLD_BIN_DIR services
replay_begin "$FIRST" 600
in_the_middle "$E2E_WORK/replay.csv"
backup
upgraded() { local name; for name in "${NAMES[@]}"; do replace "$NEW_BIN_DIR" stop "$name"; done; }
check "each service is replaced by the new version while events come" upgraded
replay_end
drain
check "upgraded under load: the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST"

replay_begin "$SECOND" 600
rolled_back() { local name; for name in bronze-sink-1 funnel-aggregator-1; do replace "$OLD_BIN_DIR" stop "$name"; done; }
check "bronze-sink and funnel-aggregator go back while events come" rolled_back
loader_back() {
    stack stop pg-loader-1
    if [[ "$(table_files "$OLD_BIN_DIR")" == "$(table_files "$NEW_BIN_DIR")" ]]; then
        printf 'both versions have the same tables\n'
        start_of "$OLD_BIN_DIR" pg-loader-1
        return
    fi
    printf 'the new version has other tables\n'
    if start_of "$OLD_BIN_DIR" pg-loader-1; then warn "the former pg-loader has accepted a newer database"; return 1; fi
    tail -n 20 "$LOG_DIR/migrate.log" | grep -q "newer version has migrated it"
    restore "FROM=$BACKUPS" FORCE=yes PARTS=database
    start_of "$OLD_BIN_DIR" pg-loader-1
}
check "pg-loader goes back: at once if no table is new, else with the backup of before the upgrade" loader_back
check "pg-loader is the former one" runs pg-loader-1 "$OLD_BIN_DIR"
replay_end
drain
check "rolled back under load: the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
again() { local name; for name in "${NAMES[@]}"; do replace "$NEW_BIN_DIR" kill "$name"; done; }
snapshot "$E2E_WORK/before"
replay_begin "$SECOND" 4000
check "upgraded again, by kill -9, while the same rows come again" again
replay_end
drain
check "they change nothing" after_restore
check "every layer has the same events" reconciled
