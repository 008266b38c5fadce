#!/usr/bin/env bash
# The group coordinator returns committed offsets that are older than the last commit, or reports them
# as pending forever, as Kafka does after some crashes. The services do not write from such offsets:
# they read the offsets from the log that the coordinator itself loads them from.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
tail -n +2 "$ROWS" >"$E2E_WORK/rows"
parts=()
for part in 1 2 3; do
    parts+=("$E2E_WORK/part$part.csv")
    { head -n 1 "$ROWS"; split -n "l/$part/3" "$E2E_WORK/rows"; } >"${parts[-1]}"
done
bronze_events_once() { same "its records" "$(count raw.events)" "$(records_of bronze_events)"; }
said() { # EVENT: both services have logged it since their last start
    local name
    for name in bronze-sink funnel-aggregator; do
        tac "$LOG_DIR/$name-1.log" | sed '/event=start /q' | grep -q "event=$1" ||
            { warn "$name has not logged $1"; return 1; }
    done
}

fresh
proxy_begin
services
replay --input "${parts[0]}"
drain
check "through the proxy: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "${parts[0]}"

stop_services
touch "$PROXY_CONTROL/old"
services
check "the coordinator returns old offsets: both services notice" said committed_offset_stale
has_committed() { http_get bronze-sink-1 metrics | awk '/^funnel_commits_total/ {n += $2} END {exit n == 0}'; }
check "bronze-sink commits its offsets to the coordinator again, without new input" \
    wait_until "bronze-sink commits" has_committed
rm "$PROXY_CONTROL/old" # `stack wait` asks the coordinator too
replay --input "${parts[1]}"
drain
check "both continue from the log: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "${parts[@]:0:2}"
check "the topic of bronze events has each event once" bronze_events_once

if [[ ${E2E_TROUBLE:-} == 1 ]]; then
    stop_services
    touch "$PROXY_CONTROL/unstable"
    services
    rm "$PROXY_CONTROL/unstable"
    replay --input "${parts[2]}"
    drain
    check "the coordinator reports offsets as pending forever: both services continue from the log" said offsets_read_from_log
    check "offsets that stay pending: the recount and all counts agree" \
        oracle --exact-counts --max-late 0 "${parts[@]}"
    check "the topic of bronze events still has each event once" bronze_events_once
else
    say "skip $SCENARIO: offsets that stay pending; make trouble runs it" >&3
fi

# A broker that has just started lists no group, and refuses to delete a group until it has loaded it.
# If the committed offsets of the old topics stayed, the services would refuse the new topics.
broker() {
    KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"
}
groups_are_gone() {
    local name answer
    for name in bronze-sink funnel-aggregator pg-loader; do
        ! answer=$(broker delete-group "$(topic "$name")" 2>&1) ||
            { warn "the reset has left group $name"; return 1; }
        [[ $answer == *"group id does not exist"* ]] || { warn "$name: $answer"; return 1; }
    done
}
stop_services
touch "$PROXY_CONTROL/starting"
check "a reset succeeds while the broker still loads its groups" stack reset
rm "$PROXY_CONTROL/started" # the proxy has refused one request
check "the reset has deleted all groups of the set" groups_are_gone
proxy_end
