#!/usr/bin/env bash
# A second instance starts with the name of one that still runs, as after a pause in which the first was
# replaced. The first is fenced and ends with 75, and nothing is written twice.
source "$(dirname "$0")/lib.sh"

# The second half is sent when both instances run, so that the first has something to commit, however
# slow the machine is.
in_halves "$E2E_WORK/replay.csv"

# Started by the scenario and not by the stack, so that it can read the exit code. It has the name that
# the stack gives its own instance.
begin_former() { # NAME
    program "$1" RESTART_IN_PLACE=false
    "${PROGRAM[@]}" 3>&- 9>&- >>"$LOG_DIR/own-$1.$SCENARIO.own.log" 2>&1 &
    FORMER=$!
}

former_ended() { ! kill -0 "$FORMER" 2>/dev/null; }

former_is_fenced() {
    local status
    status=$(cat "$E2E_WORK/exit.former")
    same "exit code" 75 "$status"
    grep -q 'class=fenced' "$LOG_DIR/own-$1.$SCENARIO.own.log"
}

for name in bronze-sink funnel-aggregator; do
    fresh
    services
    stack stop "$name-1"
    begin_former "$name"
    replay --input "$FIRST"
    drain
    start "$name-1"
    replay --input "$SECOND"
    wait_until "the former $name ends" former_ended
    status=0
    wait "$FORMER" || status=$?
    printf '%s\n' "$status" >"$E2E_WORK/exit.former"
    check "$name: another instance of the same name takes over, the first ends with 75" former_is_fenced "$name"
    drain
    check "$name: the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
done
