#!/usr/bin/env bash
# Processes are frozen for longer than the session and transaction time-outs and then continue: the broker,
# PostgreSQL's connections, and each service while a replica takes over.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

in_halves "$E2E_WORK/replay.csv"
PAUSE=15 # s; sessions and transactions time out after 10 s

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

check "a frozen bronze-sink, replaced by its replica, doubles nothing" zombie bronze-sink
thorough "a frozen funnel-aggregator, replaced by its replica, doubles nothing" zombie funnel-aggregator
thorough "a frozen pg-loader, replaced by its replica, doubles nothing" zombie pg-loader

backends_pause() {
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 500
    # shellcheck disable=SC2046 # one argument each
    freeze $(sql "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg-loader%'")
    holds --exact-counts
}
thorough "frozen PostgreSQL connections: the recount agrees" backends_pause

broker_pauses() {
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 500
    sleep 2
    freeze "$(pid_of kafka)"
    holds --resent
}
thorough "a frozen Kafka: the recount agrees" broker_pauses
