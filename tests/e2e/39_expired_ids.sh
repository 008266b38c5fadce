#!/usr/bin/env bash
# Transactional ids and producer ids expire while nothing is written, as after a week without input. The
# next transaction gets a new client. That is not an error: one line at level info, and nothing is lost
# or doubled.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

EXPIRY_S=4
in_halves "$E2E_WORK/replay.csv"
# The stack is emptied before Kafka starts again: for some time after a start Kafka does not list the
# groups that a reset must delete.
fresh
stack stop kafka
KAFKA_SETTINGS="transactional.id.expiration.ms=$((EXPIRY_S * 1000))
transaction.remove.expired.transaction.cleanup.interval.ms=500
producer.id.expiration.ms=$((EXPIRY_S * 1000))" start kafka

# The state log has a tombstone for each id that has expired.
expired() { # SERVICE
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e -o beginning -t __transaction_state -f '%S %k\n' |
        grep -a -- "$TOPIC_PREFIX$1" | tail -n 1 | grep -qa '^-1 '
}

SERVICES=(bronze-sink funnel-aggregator pg-loader)
declare -A BEGUN
begun() { local name; for name in "${SERVICES[@]}"; do BEGUN[$name]=$(log_lines "$name-1"); done; }
# Warnings and errors since `begun`. Those of the start are left out: it may wait for a coordinator.
trouble_since_then() {
    local name
    for name in "${SERVICES[@]}"; do
        tail -n "+$((BEGUN[$name] + 1))" "$LOG_DIR/$name-1.log"
    done | grep -E 'level=(warn|error)'
}

info_and_right() {
    local service
    services
    replay --input "$FIRST"
    drain
    begun
    for service in bronze-sink funnel-aggregator; do
        wait_until "the id of $service has expired" expired "$service"
    done
    replay --input "$SECOND"
    drain
    for service in bronze-sink funnel-aggregator; do
        says "$service-1" level=info event=transactional_id_expired
    done
    if trouble_since_then; then warn "there are warnings or errors"; return 1; fi
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
}
check "expired transactional ids: one line at level info, and each row comes once" info_and_right
fresh
stack stop kafka
start kafka
