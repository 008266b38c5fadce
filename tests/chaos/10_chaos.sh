#!/usr/bin/env bash
# Injects faults at random moments while rows come. Then everything is drained, all rows are recounted, and
# every topic is compared with its table. CHAOS_SECONDS, CHAOS_RATE (rows a second) and CHAOS_SEED set the
# run; CHAOS_FAULTS selects kinds of faults ("kafka_kill kafka_stop"; without it, all). A table shows what
# was done.
#
# The seed determines rows, faults and their order. The state in which a fault finds the system depends on
# the machine. No check depends on time; the durations of recoveries are reported.
source "$(dirname "$0")/../e2e/lib.sh"
source "$ROOT/tests/lake/lib.sh"

CHAOS_SECONDS=${CHAOS_SECONDS:-900}
CHAOS_SEED=${CHAOS_SEED:-$(date +%s)}
CHAOS_RATE=${CHAOS_RATE:-2000}
# After a crash of Kafka, its group coordinator may wait for members that no longer exist until their
# max.poll.interval.ms has passed: 5 minutes for pg-loader (common/README.md). Without that wait, recoveries
# take less than a minute; the table shows the longest.
LONG=${E2E_LONG:-480}
ROWS=$E2E_WORK/chaos.csv
RANDOM=$((CHAOS_SEED % 32768))
export LOG_LEVEL=debug # each commit is logged, for tests/chaos/history
export PARTITIONS=6 REPLICAS_bronze_sink=2 REPLICAS_funnel_aggregator=2 REPLICAS_pg_loader=2 REPLICAS_lake=2
export LAKE_URL=$E2E_WORK/lake LAKE_BATCH_INTERVAL=2s LAKE_MIN_FREE=1m
DAEMONS=(bronze-sink-1 bronze-sink-2 funnel-aggregator-1 funnel-aggregator-2 pg-loader-1 pg-loader-2 lake-1 lake-2)
declare -A faults=() longest=()

# Random numbers are drawn in this shell only: a subshell has another RANDOM, which no seed repeats.
pick() { PICKED=${*:RANDOM % $# + 1:1}; }
report() { say "$*" >&3; printf '%s\n' "$*"; }

# ---- rows: four quarters, with more than a day between them (each jump closes all open windows), with
# repeated, disordered, late and malformed rows and rows without a session. Without the year 9999, as in
# tests/e2e/run.
make_rows() {
    local part start
    local -a starts=("2019-10-01 21:00:00" "2019-10-03 05:00:00" "2019-10-04 22:30:00" "2019-10-06 23:00:00")
    : >"$ROWS"
    for part in 0 1 2 3; do
        start=${starts[part]}
        "$BIN_DIR/producer" --source synthetic --events $((CHAOS_SECONDS * CHAOS_RATE / 4)) \
            --seed $((CHAOS_SEED + part)) --start-time "$start" --duration 4h --duplicates 0.01 \
            --disorder 5s --late 0.0005 --malformed 0.001 --missing-sessions 0.01 --checkouts \
            --output "$ROWS.part"
        grep -av '^9999-' "$ROWS.part" | if ((part)); then tail -n +2; else cat; fi >>"$ROWS"
        rm "$ROWS.part"
    done
}

producer_on() { if replay_ended && ! producer_finished; then replay_begin "$ROWS" "$CHAOS_RATE"; fi; }
producer_finished() { grep -q 'event=finished' "$LOG_DIR"/producer-1.log 2>/dev/null; }

# ---- recovery

# Starts what has ended, as a supervisor would.
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

# Which services are not ready, why, and what they logged last.
say_unready() {
    local name
    for name in "${DAEMONS[@]}"; do
        ! ready "$name" || continue
        report "  $name is not ready: $(curl -sS -m 5 "http://127.0.0.1:$(http_port "$name")/readyz" 2>&1)"
        tail -n 5 "$LOG_DIR/$name.log" >&3
    done
}

# The records that a service has counted, as loaded into PostgreSQL: they grow only if all services work.
counted() {
    sql "SELECT coalesce(sum(records_in) FILTER (WHERE service = '$1'), 0) FROM processed.counts"
}
moved_on() {
    local now
    producer_finished && return 0
    supervise
    now=$(counted "$1" 2>/dev/null) && ((now > $2))
}

# Sets the counts that the caller compares with. PostgreSQL may be ending at the first query.
counted_before() { supervise; bronze=$(counted bronze-sink) && funnel=$(counted funnel-aggregator); }

# Waits until all services are ready and rows sent after the fault have passed all of them.
recover() { # KIND
    local began bronze funnel took
    began=$(now_ms)
    wait_until "PostgreSQL answers" counted_before
    wait_until "all services are ready" all_ready || { say_unready; return 1; }
    wait_until "rows go through bronze-sink" moved_on bronze-sink "$bronze"
    wait_until "rows go through funnel-aggregator" moved_on funnel-aggregator "$funnel"
    took=$(($(now_ms) - began))
    if ((took > ${longest[$1]:-0})); then longest[$1]=$took; fi
}

# ---- faults; the table uses their names

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
# Longer than the session and transaction time-outs: the service continues as a zombie and must be fenced.
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
# An immediate shutdown, without a checkpoint.
fault_postgres_quit() { kill -QUIT "$(pid_of postgres)"; sleep $((RANDOM % 3)); }
fault_connections() {
    local pid pause=0.$((RANDOM % 10))
    for pid in $(sql "SELECT pid FROM pg_stat_activity
        WHERE application_name LIKE 'pg-loader%' AND pid <> pg_backend_pid()"); do
        loader_sql "SELECT pg_terminate_backend($pid)"
        sleep "$pause"
    done
}
fault_rebalance() {
    pick bronze-sink-3 funnel-aggregator-3 pg-loader-3 lake-3
    start "$PICKED"
    sleep $((RANDOM % 4 + 1))
    if ((RANDOM % 2)); then stack stop "$PICKED"; else crash "$PICKED"; fi
}
# ---- faults of the network, in a network namespace of our own (private_network)

# packets PORT RULE...: what happens to the packets to and from this port, until packets_pass.
packets() {
    local port=$1 side
    shift
    for side in dport sport; do iptables -A INPUT -p tcp "--$side" "$port" "$@"; done
}
packets_pass() { iptables -F INPUT; }
# A tenth of the packets is lost, so answers come late and in another order.
fault_lossy() {
    packets "$KAFKA_PORT" -m statistic --mode random --probability 0.1 -j DROP
    sleep $((RANDOM % 8 + 4))
    packets_pass
}
# All connections to Kafka or PostgreSQL are silent for some time, and then continue.
fault_silence() {
    pick "$KAFKA_PORT" "$POSTGRES_PORT"
    packets "$PICKED" -j DROP
    sleep $((RANDOM % 12 + 3))
    packets_pass
}
# All connections to Kafka are reset, and new ones are refused for a moment.
fault_reset() {
    packets "$KAFKA_PORT" -j REJECT --reject-with tcp-reset
    sleep $((RANDOM % 3))
    packets_pass
}

fault_producer() { ! replay_ended && crash producer-1; }
# Kafka and one of the services are killed at the same time.
fault_kafka_and_one() {
    pick "${DAEMONS[@]}"
    stack kill kafka
    crash "$PICKED"
    start kafka
}

ALL_KINDS="kill kill kill two_killed term freeze kafka_kill kafka_kill kafka_stop kafka_freeze kafka_and_one
    registry postgres_kill postgres_stop postgres_quit connections rebalance rebalance producer"
[[ ${CHAOS_NETWORK:-} != private ]] || ALL_KINDS+=" lossy silence silence reset"
read -r -d '' -a KINDS <<<"${CHAOS_FAULTS:-$ALL_KINDS}" || true
for kind in "${KINDS[@]}"; do
    declare -F "fault_$kind" >/dev/null ||
        { report "invalid fault \"$kind\" in CHAOS_FAULTS: expected some of $ALL_KINDS"; exit 78; }
done

# ---- the run

report "chaos: CHAOS_SEED=$CHAOS_SEED, $CHAOS_SECONDS s, $CHAOS_RATE rows a second," \
    "$PARTITIONS partitions, two replicas of each service"
make_rows
fresh
services
replay_begin "$ROWS" "$CHAOS_RATE"
ends=$((SECONDS + CHAOS_SECONDS))
round=0
while ((SECONDS < ends)) && ! producer_finished; do
    sleep $((RANDOM % 4 + 1)).$((RANDOM % 10))
    # Each kind once in a random order, then again in another order.
    if ((round % ${#KINDS[@]} == 0)); then
        drawn=()
        for kind in "${KINDS[@]}"; do drawn+=("$RANDOM $kind"); done
        mapfile -t order < <(printf '%s\n' "${drawn[@]}" | sort -n | cut -d' ' -f2)
    fi
    kind=${order[round++ % ${#KINDS[@]}]}
    printf 'fault %s fault=%d kind=%s\n' "$(date -u +%FT%T.%3NZ)" "$round" "$kind"
    if "fault_$kind"; then
        faults[$kind]=$((${faults[$kind]:-0} + 1))
    else
        printf 'the fault was not possible now, or it failed\n'
    fi
    recover "$kind"
done
until producer_finished; do
    supervise
    sleep 1
done
wait_until "all services are ready" all_ready
# shellcheck disable=SC2034 # read by lib.sh
LONG=1800 # a recount of millions of rows is slow
drain

refused_writes() {
    cat "$LOG_DIR"/*-[1-9].log | grep -cE 'event=(restarting|rewind|retrying .*transaction lost)' || true
}
report "$(printf '  %-16s %6s %18s' fault times 'longest recovery')"
while read -r kind; do
    took=${longest[$kind]:-0}
    report "$(printf '  %-16s %6d %16d.%d s' \
        "$kind" "${faults[$kind]}" $((took / 1000)) $((took % 1000 / 100)))"
done < <(printf '%s\n' "${!faults[@]}" | sort)
report "  transactions aborted, batches rewound, restarts in place: $(refused_writes)"
# Rows of the first table of the recount: what | expected | actual | missing | unexpected | differing
compare() {
    local status=0
    oracle --resent "$ROWS" >"$E2E_WORK/recount" || status=$?
    cat "$E2E_WORK/recount"
    report "$(awk -F'|' -v sent="$(rows_of "$ROWS")" -v read="$(counts_in)" -v events="$(count raw.events)" '
        /^ *what .* differing/ { table = 1; next }
        table && NF < 6 && !/---/ { table = 0 }
        table && NF == 6 { checked += $3; differences += $4 + $5 + $6 }
        END {
            printf "  rows sent %d (%d read by bronze-sink), events %d, rows checked %d, differences %d",
                sent, read, events, checked, differences
        }' "$E2E_WORK/recount")"
    return "$status"
}
check "at least one fault was injected" test "${#faults[@]}" -gt 0
check "after $round faults (seed $CHAOS_SEED) the recount agrees" compare
check "no row was lost before bronze-sink" test "$(counts_in)" -ge "$(rows_of "$ROWS")"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "the topic of visits agrees with its table" topic_equals_table session_funnels
check "the topic of counts agrees with its table" topic_equals_table counts
check "the topic of bronze events has each event once" \
    same "its records" "$(count raw.events)" "$(records_of bronze_events)"
check "the topic of late events agrees with its table" \
    same "its records" "$(count raw.late_events)" "$(records_of late_events)"
check "the topic of dead letters agrees with its table" same "its records" \
    "$(count "raw.dead_letters WHERE stage <> 'loader'")" "$(records_of dead_letter)"
# Kafka 4.3.0 to 4.4.0 omit the markers of partitions without a leader. That can cause differences above.
check "Kafka has written the end of every transaction" same "omitted markers" 0 \
    "$(cat "$LOG_DIR"/kafka.log* | grep -c "Couldn't find leader endpoint" || true)"
check "every layer has the same events" reconciled
check "the lake has all records" lake_catches_up
for name in lake-1 lake-2; do stack stop "$name"; done
check "every record is in the lake once, its rows are those of PostgreSQL, and others read the same" lake_is_right
check "batches of the lake have neither gaps nor overlaps" lake_batches_fit
check "pg-loader rejected no row" same "its dead letters" 0 \
    "$(count "raw.dead_letters WHERE stage = 'loader'")"
