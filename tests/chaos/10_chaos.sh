#!/usr/bin/env bash
# Faults at random, seeded moments while rows come; then quiet; then the oracle over everything, and every upserted topic
# against its table. CHAOS_SECONDS (default 900) and CHAOS_SEED say how long and which; a table says what was done.
source "$(dirname "$0")/../e2e/lib.sh"

CHAOS_SECONDS=${CHAOS_SECONDS:-900}
CHAOS_SEED=${CHAOS_SEED:-$(date +%s)}
RATE=${CHAOS_RATE:-2000}
ROWS=$E2E_WORK/chaos.csv
RANDOM=$((CHAOS_SEED % 32768))
export PARTITIONS=6 REPLICAS_bronze_sink=2 REPLICAS_funnel_aggregator=2 REPLICAS_pg_loader=2
DAEMONS=(bronze-sink-1 bronze-sink-2 funnel-aggregator-1 funnel-aggregator-2 pg-loader-1 pg-loader-2)
declare -A faults=()
longest_ms=0

pick() { printf '%s\n' "${@:RANDOM % $# + 1:1}"; }
told() { say "$*" >&3; printf '== %s\n' "$*"; }

# Any daemon that ended is started, as a supervisor would; then all must be ready again. Notes the longest time that took.
recover() {
    local began name
    began=$(now_ms)
    for name in "${DAEMONS[@]}"; do is_up "$name" || start "$name" || start "$name"; done
    for name in "${DAEMONS[@]}"; do wait_until "$name is ready" ready "$name"; done
    if (($(now_ms) - began > longest_ms)); then longest_ms=$(($(now_ms) - began)); fi
}
ready() { http_get "$1" readyz >/dev/null 2>&1; }

producer_on() { if replay_ended && ! producer_finished; then replay_begin "$ROWS" "$RATE"; fi; }
producer_finished() { grep -q 'event=finished' "$LOG_DIR"/producer-1.log 2>/dev/null; }

fault_kill() { crash "$(pick "${DAEMONS[@]}")"; }
fault_term() { stack stop "$(pick "${DAEMONS[@]}")"; }
# Longer than session and transaction time-outs: who comes back is a zombie, and must be refused.
fault_freeze() {
    local pid
    pid=$(pid_of "$(pick "${DAEMONS[@]}")") || return 0
    kill -STOP "$pid"
    sleep 14
    kill -CONT "$pid" 2>/dev/null || true
}
fault_kafka() { stack kill kafka; sleep 1; start kafka; }
fault_registry() { stack kill registry; sleep 2; start registry; }
fault_postgres_kill() { stack kill postgres; sleep 1; start postgres; }
fault_postgres_stop() { stack stop postgres; sleep 1; start postgres; }
fault_connections() { sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '%pg-loader%' AND pid <> pg_backend_pid()"; }
fault_rebalance() {
    local extra
    extra=$(pick bronze-sink-3 funnel-aggregator-3 pg-loader-3)
    start "$extra"
    sleep $((RANDOM % 4 + 1))
    stack stop "$extra"
}
fault_producer() { is_up producer-1 && crash producer-1; sleep 1; producer_on; }

KINDS=(kill kill kill term freeze kafka registry postgres_kill postgres_stop connections rebalance producer)

told "chaos: seed $CHAOS_SEED, $CHAOS_SECONDS s, $RATE rows a second over $PARTITIONS partitions"
# No malformed rows here: a row that is no event has no id, so one that the producer must send twice counts twice.
"$BIN_DIR/producer" --source synthetic --events $((CHAOS_SECONDS * RATE)) --seed "$CHAOS_SEED" --duplicates 0.01 --disorder 5s \
    --late 0.0005 --missing-sessions 0.01 --output "$ROWS"
fresh
services
replay_begin "$ROWS" "$RATE"
ends=$((SECONDS + CHAOS_SECONDS))
while ((SECONDS < ends)); do
    sleep $((RANDOM % 5 + 2))
    kind=$(pick "${KINDS[@]}")
    printf '== fault: %s\n' "$kind"
    "fault_$kind" || warn "fault $kind could not be made"
    faults[$kind]=$((${faults[$kind]:-0} + 1))
    recover
    producer_on
done
while ! producer_finished; do
    producer_on
    sleep 1
done
recover
LONG=600 drain

for kind in "${!faults[@]}"; do told "$(printf '  %-16s %4d' "$kind" "${faults[$kind]}")"; done
told "$(printf '  rows sent %s, counted %s, events in the database %s, late %s, longest recovery %d.%d s' "$(rows_of "$ROWS")" "$(counts_in)" \
    "$(count raw.events)" "$(count raw.late_events)" $((longest_ms / 1000)) $((longest_ms % 1000 / 100)))"
check "after the chaos: the oracle holds" oracle "$ROWS"
check "no row was lost before bronze-sink" test "$(counts_in)" -ge "$(rows_of "$ROWS")"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "the topic of visits agrees with its table" topic_equals_table session_funnels
check "no loader refused a row" same "the loader's own rejects" 0 "$(sql "SELECT count(*) FROM raw.dead_letters WHERE stage = 'loader'")"
