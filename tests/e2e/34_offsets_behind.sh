#!/usr/bin/env bash
# The group's coordinator tells committed offsets that are older than what was committed, or holds them for pending for ever, as
# Kafka does after some crashes. Nothing is written from there: the log that it was loaded from is asked.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
tail -n +2 "$ROWS" >"$E2E_WORK/rows"
parts=()
for part in 1 2 3; do
    parts+=("$E2E_WORK/part$part.csv")
    { head -n 1 "$ROWS"; split -n "l/$part/3" "$E2E_WORK/rows"; } >"${parts[-1]}"
done
bronze_events_once() { same "its records" "$(count raw.events)" "$(records_of bronze_events)"; }
said() { # EVENT: both have, since their last start
    local name
    for name in bronze-sink funnel-aggregator; do
        tac "$LOG_DIR/$name-1.log" | sed '/event=start /q' | grep -q "event=$1" || { warn "$name has not said $1"; return 1; }
    done
}

fresh
proxy_begin
services
replay --input "${parts[0]}"
drain
check "through the proxy: the recount and all counts agree" oracle --exact-counts --max-late 0 "${parts[0]}"

stop_services
touch "$PROXY_CONTROL/old"
services
check "told old offsets: both services notice" said committed_offset_stale
has_committed() { http_get bronze-sink-1 metrics | awk '/^funnel_commits_total/ {n += $2} END {exit n == 0}'; }
check "and the coordinator is told again, though nothing has come" wait_until "bronze-sink commits" has_committed
rm "$PROXY_CONTROL/old" # what waits for the end is told, too
replay --input "${parts[1]}"
drain
check "and go on from the log: the recount and all counts agree" oracle --exact-counts --max-late 0 "${parts[@]:0:2}"
check "the topic of bronze events has each event once" bronze_events_once

if [[ ${E2E_TROUBLE:-} == 1 ]]; then
    stop_services
    touch "$PROXY_CONTROL/unstable"
    services
    rm "$PROXY_CONTROL/unstable"
    replay --input "${parts[2]}"
    drain
    check "told that offsets are pending, for ever: both services go on from the log" said offsets_read_from_log
    check "the recount and all counts agree" oracle --exact-counts --max-late 0 "${parts[@]}"
    check "the topic of bronze events still has each event once" bronze_events_once
else
    say "skip $SCENARIO: offsets that stay pending; make trouble runs it" >&3
fi

# A broker that has just started lists no group, and refuses to delete a group until it has loaded
# it. With the committed offsets of the old topics the services would refuse the new ones.
broker() {
    KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"
}
groups_are_gone() {
    local name said
    for name in bronze-sink funnel-aggregator pg-loader; do
        ! said=$(broker delete-group "$(topic "$name")" 2>&1) ||
            { warn "the reset has left group $name"; return 1; }
        [[ $said == *"group id does not exist"* ]] || { warn "$name: $said"; return 1; }
    done
}
stop_services
touch "$PROXY_CONTROL/starting"
check "a reset while the broker still loads its groups ends well" stack reset
rm "$PROXY_CONTROL/started" # so one request was refused
check "and leaves no group of the set" groups_are_gone
proxy_end
