#!/usr/bin/env bash
# A service that gets TERM in the middle commits what it has and ends with 0. A start without new
# input emits nothing.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
in_halves "$ROWS"
# The records that make totals of idle partitions final come soon, before the comparison.
export IDLE_TIMEOUT=2s

# Started by the scenario and not by the stack, so that it can read the exit code.
own() { # NAME
    program "$1"
    "${PROGRAM[@]}" 3>&- 9>&- >>"$LOG_DIR/own-$1.$SCENARIO.own.log" 2>&1 &
    OWN[$1]=$!
}
declare -A OWN=()

ends_with_0() { # NAME: one TERM only, as a second one ends the service at once
    local status=0
    kill -TERM "${OWN[$1]}"
    timeout "$LONG" tail --pid="${OWN[$1]}" -f /dev/null
    wait "${OWN[$1]}" || status=$?
    printf '%s\n' "$status" >"$E2E_WORK/exit.$1"
}

said_0() { # NAME
    same "exit code of $1" 0 "$(cat "$E2E_WORK/exit.$1")"
    ! grep -E 'event=(shutdown_timeout|forced_exit)' "$LOG_DIR/own-$1.$SCENARIO.own.log"
}

records() { # the number of committed records of each of our topics
    local name
    for name in bronze_events dead_letter late_events counts session_funnels funnel_partials \
        aggregated_events; do
        printf '%s %s\n' "$name" "$(committed "$name" '.\n' | wc -l)"
    done
}

# Waits until no topic grows for longer than IDLE_TIMEOUT.
wait_idle() { wait_until "no topic grows" idle; }
idle() {
    local before
    before=$(records)
    sleep 4
    [[ "$(records)" == "$before" ]]
}

# Public topics have not one record more. In the internal topic each idle partition announces again
# to the one merge partition that it is idle, as this depends on the wall clock: 4 progress records, without
# values.
nothing_new() {
    local grown
    diff <(grep -v funnel_partials "$E2E_WORK/records.before") <(grep -v funnel_partials "$E2E_WORK/records.after")
    grown=$(($(partials_in records.after) - $(partials_in records.before)))
    ((grown == 0 || grown == 4)) || { warn "funnel_partials has $grown new records"; return 1; }
}

partials_in() { awk '/funnel_partials/ {print $2}' "$E2E_WORK/$1"; }

fresh
services # makes topics and tables
stop_services
for name in bronze-sink funnel-aggregator pg-loader; do own "$name"; done
replay_begin "$FIRST" 1250
in_the_middle "$ROWS"
for name in bronze-sink funnel-aggregator pg-loader; do ends_with_0 "$name"; done
for name in bronze-sink funnel-aggregator pg-loader; do
    check "$name: TERM in the middle ends it with 0" said_0 "$name"
done

services
replay_end
replay_begin "$SECOND" 5000
replay_end
drain
check "stopped in the middle, started again: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"

wait_idle
snapshot "$E2E_WORK/before"
records >"$E2E_WORK/records.before"
stop_services
services
wait_idle
records >"$E2E_WORK/records.after"
snapshot "$E2E_WORK/after"
check "a start without new input emits nothing" nothing_new
check "a start without new input changes no row" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"

replay --input "$ROWS"
drain
wait_idle
snapshot "$E2E_WORK/after"
check "after a restart the same rows are still known: nothing changes" \
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
