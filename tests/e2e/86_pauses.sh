#!/usr/bin/env bash
# Processes that stand still for longer than session and transaction time-outs, and then go on as if nothing had happened:
# the broker, PostgreSQL's connections, and each service beside a replica that takes over meanwhile.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

in_halves "$E2E_WORK/replay.csv"
PAUSE=15 # sessions and transactions end after 10 s

holds() { # [ORACLE FLAGS]
    replay_end
    drain
    oracle "$@" --max-late 0 "$FIRST" "$SECOND"
    topic_equals_table aggregated_events
    topic_equals_table session_funnels
}

# freeze PID...
freeze() {
    kill -STOP "$@"
    sleep "$PAUSE"
    kill -CONT "$@"
}

zombie() { # SERVICE
    local -x "REPLICAS_${1//-/_}=2"
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 500
    sleep 2
    freeze "$(pid_of "$1-1")"
    holds --exact-counts
    for service in "$1-1" "$1-2"; do is_up "$service" || { warn "$service ended"; return 1; }; done
}

check "bronze-sink stands still beside its replica: nothing is doubled" zombie bronze-sink
thorough "funnel-aggregator stands still beside its replica" zombie funnel-aggregator
thorough "pg-loader stands still beside its replica" zombie pg-loader

backends_pause() {
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 500
    # shellcheck disable=SC2046 # one argument each
    freeze $(sql "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg-loader%'")
    holds --exact-counts
}
thorough "PostgreSQL's connections stand still" backends_pause

broker_pauses() {
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 500
    sleep 2
    freeze "$(pid_of kafka)"
    holds --resent
}
thorough "Kafka stands still" broker_pauses
