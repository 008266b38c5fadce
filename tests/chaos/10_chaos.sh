#!/usr/bin/env bash
# Faults at random, seeded moments while rows come; then quiet; then the oracle over everything, and every topic against
# its table. CHAOS_SECONDS, CHAOS_SEED and CHAOS_RATE say how long, which faults, and how fast, CHAOS_FAULTS of which kinds
# ("kafka_kill kafka_stop"; without it, all); a table says what was done.
#
# The seed fixes rows, faults and their order; what each of them meets depends on the machine. Nothing judges by time: the
# recoveries are reported.
source "$(dirname "$0")/../e2e/lib.sh"

CHAOS_SECONDS=${CHAOS_SECONDS:-900}
CHAOS_SEED=${CHAOS_SEED:-$(date +%s)}
CHAOS_RATE=${CHAOS_RATE:-2000}
LONG=${E2E_LONG:-300}
ROWS=$E2E_WORK/chaos.csv
RANDOM=$((CHAOS_SEED % 32768))
export PARTITIONS=6 REPLICAS_bronze_sink=2 REPLICAS_funnel_aggregator=2 REPLICAS_pg_loader=2
DAEMONS=(bronze-sink-1 bronze-sink-2 funnel-aggregator-1 funnel-aggregator-2 pg-loader-1 pg-loader-2)
declare -A faults=() longest=()

# All chance is drawn in this shell: a subshell has a RANDOM of its own, which no seed repeats.
pick() { PICKED=${*:RANDOM % $# + 1:1}; }
told() { say "$*" >&3; printf '%s\n' "$*"; }

# ---- rows: four stretches of a quarter of them each, a day and more between (each such jump closes what was open before),
# with repeats, disorder, late, malformed and sessionless rows. The year 9999 is no matter for a recount: see lib.sh.
make_rows() {
    local part start
    local -a starts=("2019-10-01 21:00:00" "2019-10-03 05:00:00" "2019-10-04 22:30:00" "2019-10-06 23:00:00")
    : >"$ROWS"
    for part in 0 1 2 3; do
        start=${starts[part]}
        "$BIN_DIR/producer" --source synthetic --events $((CHAOS_SECONDS * CHAOS_RATE / 4)) --seed $((CHAOS_SEED + part)) --start-time "$start" \
            --duration 4h --duplicates 0.01 --disorder 5s --late 0.0005 --malformed 0.001 --missing-sessions 0.01 --checkouts --output "$ROWS.part"
        grep -av '^9999-' "$ROWS.part" | if ((part)); then tail -n +2; else cat; fi >>"$ROWS"
        rm "$ROWS.part"
    done
}

producer_on() { if replay_ended && ! producer_finished; then replay_begin "$ROWS" "$CHAOS_RATE"; fi; }
producer_finished() { grep -q 'event=finished' "$LOG_DIR"/producer-1.log 2>/dev/null; }

# ---- recovery

# What ended is started, as a supervisor would.
supervise() {
    local name
    for name in kafka registry postgres "${DAEMONS[@]}"; do is_up "$name" || start "$name" || true; done
    producer_on
}
ready() { http_get "$1" readyz >/dev/null 2>&1; }
all_ready() {
    local name
    supervise
    for name in "${DAEMONS[@]}"; do ready "$name" || return 1; done
}

# What both Kafka services have counted, as it stands in PostgreSQL: it moves only if all of the pipeline does.
counted() { sql "SELECT coalesce(sum(records_in) FILTER (WHERE service = '$1'), 0) FROM processed.counts"; }
moved_on() {
    local now
    producer_finished && return 0
    supervise
    now=$(counted "$1" 2>/dev/null) && ((now > $2))
}

# Sets what the caller compares with. PostgreSQL may be about to end when it is first looked at.
counted_before() { supervise; bronze=$(counted bronze-sink) && funnel=$(counted funnel-aggregator); }

# All are ready again, and rows that came after the fault have gone through all of it.
recover() { # KIND
    local began bronze funnel took
    began=$(now_ms)
    wait_until "PostgreSQL answers" counted_before
    wait_until "all services are ready" all_ready
    wait_until "rows go through bronze-sink" moved_on bronze-sink "$bronze"
    wait_until "rows go through funnel-aggregator" moved_on funnel-aggregator "$funnel"
    took=$(($(now_ms) - began))
    if ((took > ${longest[$1]:-0})); then longest[$1]=$took; fi
}

# ---- faults; the names are those of the table

fault_kill() { pick "${DAEMONS[@]}"; crash "$PICKED"; }
fault_two_killed() {
    local first
    pick "${DAEMONS[@]}"
    first=$PICKED
    while [[ $PICKED == "$first" ]]; do pick "${DAEMONS[@]}"; done
    crash "$first"
    crash "$PICKED"
}
fault_term() { pick "${DAEMONS[@]}"; stack stop "$PICKED"; }
# Longer than session and transaction time-outs: who comes back is a zombie, and must be refused.
fault_freeze() {
    local pid
    pick "${DAEMONS[@]}"
    pid=$(pid_of "$PICKED") || return 1
    kill -STOP "$pid"
    sleep 14
    kill -CONT "$pid" 2>/dev/null || true
}
fault_kafka_kill() { stack kill kafka; sleep $((RANDOM % 3)); start kafka; }
fault_kafka_stop() { stack stop kafka; sleep $((RANDOM % 3)); start kafka; }
fault_kafka_freeze() {
    local pid
    pid=$(pid_of kafka)
    kill -STOP "$pid"
    sleep $((RANDOM % 12 + 3))
    kill -CONT "$pid"
}
fault_registry() { stack kill registry; sleep 2; start registry; }
fault_postgres_kill() { stack kill postgres; sleep $((RANDOM % 3)); start postgres; }
fault_postgres_stop() { stack stop postgres; sleep $((RANDOM % 3)); start postgres; }
fault_postgres_quit() { kill -QUIT "$(pid_of postgres)"; sleep $((RANDOM % 3)); } # an immediate stop: no checkpoint, sessions cut
fault_connections() {
    local pid pause=0.$((RANDOM % 10))
    for pid in $(sql "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg-loader%' AND pid <> pg_backend_pid()"); do
        sql "SELECT pg_terminate_backend($pid)"
        sleep "$pause"
    done
}
fault_rebalance() {
    pick bronze-sink-3 funnel-aggregator-3 pg-loader-3
    start "$PICKED"
    sleep $((RANDOM % 4 + 1))
    if ((RANDOM % 2)); then stack stop "$PICKED"; else crash "$PICKED"; fi
}
fault_producer() { ! replay_ended && crash producer-1; }
# Kafka goes away, and while it does one of the services, too.
fault_kafka_and_one() {
    pick "${DAEMONS[@]}"
    stack kill kafka
    crash "$PICKED"
    start kafka
}

read -r -a KINDS <<<"${CHAOS_FAULTS:-kill kill kill two_killed term freeze kafka_kill kafka_kill kafka_stop kafka_freeze kafka_and_one registry \
    postgres_kill postgres_stop postgres_quit connections rebalance rebalance producer}"
for kind in "${KINDS[@]}"; do declare -F "fault_$kind" >/dev/null || { told "CHAOS_FAULTS: there is no fault '$kind'"; exit 78; }; done

# ---- the run

told "chaos: CHAOS_SEED=$CHAOS_SEED, $CHAOS_SECONDS s, $CHAOS_RATE rows a second over $PARTITIONS partitions, two replicas of each service"
make_rows
fresh
services
replay_begin "$ROWS" "$CHAOS_RATE"
ends=$((SECONDS + CHAOS_SECONDS))
round=0
while ((SECONDS < ends)) && ! producer_finished; do
    sleep $((RANDOM % 4 + 1)).$((RANDOM % 10))
    # Every kind once, in a shuffled order, before any comes again by chance.
    if ((round % ${#KINDS[@]} == 0)); then
        drawn=()
        for kind in "${KINDS[@]}"; do drawn+=("$RANDOM $kind"); done
        mapfile -t order < <(printf '%s\n' "${drawn[@]}" | sort -n | cut -d' ' -f2)
    fi
    kind=${order[round++ % ${#KINDS[@]}]}
    printf '== %s fault %d: %s\n' "$(date +%T)" "$round" "$kind"
    if "fault_$kind"; then faults[$kind]=$((${faults[$kind]:-0} + 1)); else printf 'there was nothing to do it to, or it failed\n'; fi
    recover "$kind"
done
until producer_finished; do
    supervise
    sleep 1
done
wait_until "all services are ready" all_ready
# shellcheck disable=SC2034 # read by lib.sh
LONG=1800 # a recount of millions of rows takes its time
drain

refused_writes() { cat "$LOG_DIR"/*-[1-9].log | grep -cE 'event=(restarting|rewind|retrying .*transaction lost)' || true; }
told "$(printf '  %-16s %6s %18s' fault times 'longest recovery')"
while read -r kind; do
    told "$(printf '  %-16s %6d %16d.%d s' "$kind" "${faults[$kind]}" $((${longest[$kind]:-0} / 1000)) $((${longest[$kind]:-0} % 1000 / 100)))"
done < <(printf '%s\n' "${!faults[@]}" | sort)
told "  transactions aborted, batches rewound, restarts in place: $(refused_writes)"
# rows of the oracle's first table: what | expected rows | actual rows | missing | unexpected | differing
compare() {
    local status=0
    oracle --resent "$ROWS" >"$E2E_WORK/recount" || status=$?
    cat "$E2E_WORK/recount"
    told "$(awk -F'|' -v sent="$(rows_of "$ROWS")" -v read="$(counts_in)" -v events="$(count raw.events)" '
        /^ *what .* differing/ { table = 1; next }
        table && NF < 6 && !/---/ { table = 0 }
        table && NF == 6 { checked += $3; differences += $4 + $5 + $6 }
        END { printf "  rows sent %d (read %d times by bronze-sink), events %d, rows checked %d, differences %d", sent, read, events, checked, differences }' "$E2E_WORK/recount")"
    return "$status"
}
check "there were faults" test "${#faults[@]}" -gt 0
check "after $round faults (seed $CHAOS_SEED) the recount agrees" compare
check "no row was lost before bronze-sink" test "$(counts_in)" -ge "$(rows_of "$ROWS")"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "the topic of visits agrees with its table" topic_equals_table session_funnels
check "the topic of counts agrees with its table" topic_equals_table counts
check "the topic of bronze events has each event once" same "its records" "$(count raw.events)" "$(records_of bronze_events)"
check "the topic of late events agrees with its table" same "its records" "$(count raw.late_events)" "$(records_of late_events)"
check "the topic of dead letters agrees with its table" same "its records" "$(sql "SELECT count(*) FROM raw.dead_letters WHERE stage <> 'loader'")" "$(records_of dead_letter)"
# Kafka 4.3.0 to 4.4.0 leave out markers of partitions that have no leader just then; what differs above comes from there.
check "Kafka has written the end of every transaction" same "its markers left out" 0 "$(cat "$LOG_DIR"/kafka.log* | grep -c "Couldn't find leader endpoint" || true)"
check "every layer holds the same events" reconciled
check "no loader refused a row" same "the loader's own rejects" 0 "$(sql "SELECT count(*) FROM raw.dead_letters WHERE stage = 'loader'")"
