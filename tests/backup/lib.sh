# shellcheck shell=bash
# Backups in scenarios. Sourced after tests/e2e/lib.sh.

BACKUPS=$E2E_WORK/backups

run_backup() { # PROGRAM [NAME=VALUE...]
    env "TO=$BACKUPS" "${@:2}" timeout "$LONG" "$ROOT/deploy/backup/$1"
}
backup() { run_backup backup "$@"; }   # [NAME=VALUE...]
restore() { run_backup restore "$@"; } # [NAME=VALUE...]

refused_run() { # PROGRAM CODE TEXT [NAME=VALUE...]
    local program=$1 want=$2 text=$3 status=0 out=$E2E_WORK/refused.$BASHPID
    shift 3
    run_backup "$program" "$@" >"$out" 2>&1 || status=$?
    cat "$out"
    same "exit code of $program" "$want" "$status" || return 1
    grep -qF -- "$text" "$out" || { warn "the output lacks '$text'"; return 1; }
}
backup_refused() { refused_run backup "$@"; }
restore_refused() { refused_run restore "$@"; }

# stop_after SIGNAL SECONDS backup|restore [NAME=VALUE...]: sends the signal to it and to all that it has
# started, as a terminal does. Succeeds if it ended by itself before.
stop_after() {
    local signal=$1 seconds=$2 program=$3 pid status=0
    shift 3
    # A shell without job control starts a command in the background with INT ignored.
    env --default-signal=INT "TO=$BACKUPS" "$@" setsid "$ROOT/deploy/backup/$program" &
    pid=$!
    sleep "$seconds"
    kill -s "$signal" -- "-$pid" 2>/dev/null || true
    wait "$pid" || status=$?
    printf '%s after %s s: exit code %d\n' "$program" "$seconds" "$status"
    return "$status"
}

backups() { find "$BACKUPS" -mindepth 1 -maxdepth 1 -name '[0-9]*Z' -type d | LC_ALL=C sort; }
newest() { backups | tail -n 1; }
manifest() { sed -n "s/^$1=//p" "$(newest)/MANIFEST"; } # NAME

# The rows of the file `before` are there again. Late events and dead letters are compared by the recount.
after_restore() {
    snapshot "$E2E_WORK/after"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
}
