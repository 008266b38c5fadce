#!/usr/bin/env bash
# A second instance with the name of one that still runs, as after a pause long enough for it to be replaced: the first is fenced,
# ends with 75 and has written nothing beside the second.
source "$(dirname "$0")/lib.sh"

# Two halves: the second comes when both instances are there, so that the first has something to commit however slow all is.
HALF=$(($(rows_of "$E2E_WORK/replay.csv") / 2))
ONE=$E2E_WORK/one.csv TWO=$E2E_WORK/two.csv
head -n $((HALF + 1)) "$E2E_WORK/replay.csv" >"$ONE"
{ head -n 1 "$E2E_WORK/replay.csv"; tail -n "+$((HALF + 2))" "$E2E_WORK/replay.csv"; } >"$TWO"

# Ours, not the stack's, to see the exit code; it runs under the name that the stack gives its own.
begin_first() { # NAME
    program "$1" RESTART_IN_PLACE=false
    "${PROGRAM[@]}" 3>&- 9>&- >>"$LOG_DIR/own-$1.$SCENARIO.own.log" 2>&1 &
    FIRST=$!
}

first_ended() { ! kill -0 "$FIRST" 2>/dev/null; }

first_is_fenced() {
    local status
    status=$(cat "$E2E_WORK/exit.first")
    same "exit code" 75 "$status"
    grep -q 'class=fenced' "$LOG_DIR/own-$1.$SCENARIO.own.log"
}

for name in bronze-sink funnel-aggregator; do
    fresh
    services
    stack stop "$name-1"
    begin_first "$name"
    replay --input "$ONE"
    drain
    start "$name-1"
    replay --input "$TWO"
    wait_until "the first $name ends" first_ended
    status=0
    wait "$FIRST" || status=$?
    printf '%s\n' "$status" >"$E2E_WORK/exit.first"
    check "$name: another of the same name takes over, the first ends with 75" first_is_fenced "$name"
    drain
    check "$name: the recount and all counts agree" oracle --exact-counts --max-late 0 "$ONE" "$TWO"
done
