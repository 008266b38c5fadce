#!/usr/bin/env bash
# Kafka or PostgreSQL goes away in the middle of a replay and comes back. Services continue, or end
# with 75 and start again.
source "$(dirname "$0")/lib.sh"

# A killed client keeps its partitions for the session time-out. After a crash, the group coordinator
# may wait for members that no longer exist until their poll interval has passed (common/README.md):
# that is 5 minutes for pg-loader, longer than this scenario waits.
export KAFKA_PROPERTIES=session.timeout.ms=4000,max.poll.interval.ms=60000

ROWS=$E2E_WORK/replay.csv
in_halves "$ROWS"

all_run() {
    local name
    for name in bronze-sink-1 funnel-aggregator-1 pg-loader-1; do
        is_up "$name" || { warn "$name ended"; return 1; }
    done
    ! grep -hE 'event=(stopped|failed) .*exit=(70|78)' \
        "$LOG_DIR"/{bronze-sink,funnel-aggregator,pg-loader}-1.log
}

outage() { # BACKEND kill|stop
    local -a flags=(--max-late 0)
    # The producer cannot always know whether Kafka has stored a row, and sends it again.
    [[ $1 != kafka ]] || flags+=(--resent)
    fresh
    services
    replay_begin "$FIRST" 1250
    in_the_middle "$ROWS"
    stack "$2" "$1"
    sleep 2
    start "$1"
    replay_end
    replay_begin "$SECOND" 5000
    replay_end
    drain
    all_run
    oracle "${flags[@]}" "$FIRST" "$SECOND"
    reconciled
}

check "Kafka stopped and started again: the recount agrees" outage kafka stop
check "Kafka killed and started again: the recount agrees" outage kafka kill
check "PostgreSQL killed and started again: the recount agrees" outage postgres kill
check "PostgreSQL stopped and started again: the recount agrees" outage postgres stop
