#!/usr/bin/env bash
# TERM in the middle: the service commits what it has and ends with 0. A start with nothing to do emits nothing.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
# So that final marks of a quiet system come soon, and not behind the comparison.
export IDLE_TIMEOUT=2s

# Ours, not the stack's, to see the exit code.
own() { # NAME
    program "$1"
    "${PROGRAM[@]}" 3>&- 9>&- >>"$LOG_DIR/own-$1.$SCENARIO.own.log" 2>&1 &
    OWN[$1]=$!
}
declare -A OWN=()

ends_with_0() { # NAME: the second TERM would be a refusal to wait, so there is only one
    local status=0
    kill -TERM "${OWN[$1]}"
    timeout "$LONG" tail --pid="${OWN[$1]}" -f /dev/null
    wait "${OWN[$1]}" || status=$?
    printf '%s\n' "$status" >"$E2E_WORK/exit.$1"
}

said_0() { same "exit code of $1" 0 "$(cat "$E2E_WORK/exit.$1")"; ! grep -E 'event=(shutdown_timeout|forced_exit)' "$LOG_DIR/own-$1.$SCENARIO.own.log"; }

records() { # how many committed records each of our topics has
    local name
    for name in bronze_events dead_letter late_events counts session_funnels funnel_partials aggregated_events; do
        printf '%s %s\n' "$name" "$(committed "$name" '.\n' | wc -l)"
    done
}

# Nothing moved for longer than the idle time.
settle() {
    wait_until "the topics are quiet" settled
}
settled() {
    local before
    before=$(records)
    sleep 4
    [[ "$(records)" == "$before" ]]
}

# Public topics stay as they are, to the record. In the internal one a partition that is quiet says so once more to each
# partition of the merge half, since quiet is a matter of the clock on the wall: 4 x 4 progress records, without values.
nothing_new() {
    local grown
    diff <(grep -v funnel_partials "$E2E_WORK/records.before") <(grep -v funnel_partials "$E2E_WORK/records.after")
    grown=$(($(awk '/funnel_partials/ {print $2}' "$E2E_WORK/records.after") - $(awk '/funnel_partials/ {print $2}' "$E2E_WORK/records.before")))
    ((grown == 0 || grown == 16)) || { warn "funnel_partials has $grown new records"; return 1; }
}

fresh
services # makes topics and tables
stop_services
for name in bronze-sink funnel-aggregator pg-loader; do own "$name"; done
replay_begin "$ROWS" 2500
in_the_middle "$ROWS"
for name in bronze-sink funnel-aggregator pg-loader; do ends_with_0 "$name"; done
for name in bronze-sink funnel-aggregator pg-loader; do check "$name: TERM in the middle ends with 0" said_0 "$name"; done

services
replay_end
drain
check "stopped in the middle, started again: the oracle and all counts hold" oracle --exact-counts --max-late 0 "$ROWS"

settle
snapshot "$E2E_WORK/before"
records >"$E2E_WORK/records.before"
stop_services
services
settle
records >"$E2E_WORK/records.after"
snapshot "$E2E_WORK/after"
check "a start with nothing to do emits nothing" nothing_new
check "and changes no row" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"

replay --input "$ROWS"
drain
settle
snapshot "$E2E_WORK/after"
check "after a restart the same rows are still known: nothing changes" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
