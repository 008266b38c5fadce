#!/usr/bin/env bash
# Another producer leaves a transaction open on partitions that we read. Kafka then holds back every
# record after its first one. Each reader reports this; the partitions count as lagging and not as
# idle; no window becomes final before their records are read.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

export PARTITIONS=5 # then funnel_partials has two
# The time without a new record after which a partition counts as idle, or as held.
export IDLE_TIMEOUT=2s
in_halves "$E2E_WORK/replay.csv"

# becomes NAME COMMAND...: a check that waits until the command succeeds. Within a condition, a command
# that fails does not end a function, so the functions below return explicitly.
becomes() {
    local name=$1
    shift
    check "$name" wait_until "$name" "$@"
}

# ---- the transaction

hold_begin() { # TOPIC: a record in each of its partitions 0 and 1
    local out=$E2E_WORK/hold.out
    rm -f "$out"
    KAFKA_BROKERS=$KAFKA_BROKERS "$(dirname "$BIN_DIR")/test/e2e-broker" hold "$(topic "$1")" \
        2 600 >"$out" 3>&- 9>&- &
    HOLD=$!
    wait_until "the transaction is open" grep -q holding "$out"
}
hold_end() { kill -TERM "$HOLD"; wait "$HOLD"; }

# ---- what the services report

metric() { # NAME METRIC LABEL: the sum of all series that have the label
    http_get "$1" metrics | awk -v name="^funnel_$2[{ ]" -v label="$3" \
        '$0 ~ name && index($0, label) {sum += $NF} END {print sum + 0}'
}
of_topic() { printf 'topic="%s"' "$(topic "$1")"; }
of_partition() { printf '%s,partition="%s"' "$(of_topic "$1")" "$2"; }
at_least() { [[ $3 -ge $2 ]] || { warn "$1: expected $2 or more, found $3"; return 1; }; }
readyz() { curl -sS -m 5 "http://127.0.0.1:$(http_port "$1")/readyz"; }
ready() { [[ "$(readyz "$1")" == ready ]] || { warn "$1: $(readyz "$1")"; return 1; }; }
readyz_has() { # NAME TEXT...
    local body text
    body=$(readyz "$1")
    shift
    for text in "$@"; do
        grep -qF -- "$text" <<<"$body" || { warn "no '$text' in: $body"; return 1; }
    done
}
# lag_is NAME TOPIC RECORDS: the lag is that or more
lag_is() { at_least lag "$3" "$(metric "$1" consumer_lag "$(of_topic "$2")")"; }
no_lag() { same "lag of $1" 0 "$(metric "$1" consumer_lag "")"; }
loader_lag_is() { at_least lag "$2" "$(metric pg-loader-1 loader_lag_records "$(of_topic "$1")")"; }

reports() { # NAME TOPIC RECORDS: at least RECORDS are held back
    local p
    not_ready "$1" || return 1
    readyz_has "$1" kafka-transactions.sh "--start-offset" transaction.timeout.ms || return 1
    for p in 0 1; do
        readyz_has "$1" "$(topic "$2")/$p: an open transaction" || return 1
        at_least seconds 2 "$(metric "$1" partition_held_seconds "$(of_partition "$2" "$p")")" ||
            return 1
        says "$1" level=warn event=partition_held "topic=$(topic "$2")" "partition=$p" ||
            return 1
    done
    at_least records "$3" "$(metric "$1" partition_held_records "$(of_topic "$2")")"
}
released() { # NAME TOPIC
    local p
    for p in 0 1; do
        says "$1" level=info event=partition_released "topic=$(topic "$2")" "partition=$p" ||
            return 1
    done
    same records 0 "$(metric "$1" partition_held_records "$(of_topic "$2")")" &&
        same seconds 0 "$(metric "$1" partition_held_seconds "$(of_topic "$2")")"
}
idle_are() { # 1|0 PARTITION...: of bronze, as funnel-aggregator has announced
    local want=$1 p
    shift
    for p in "$@"; do
        same "partition $p is idle" "$want" \
            "$(metric funnel-aggregator-1 partition_idle "$(of_partition bronze_events "$p")")" ||
            return 1
    done
}
idle_is_held_back() {
    local p
    for p in 0 1; do
        says funnel-aggregator-1 event=idle_withheld "topic=$(topic bronze_events)" \
            "partition=$p" || return 1
    done
}

# ---- final marks

MINUTES="processed.funnel_aggregates WHERE rollup = '1m:all'"
final_minutes() { count "$MINUTES AND final"; }
# Minutes that no event can change any more: older than the newest event by ten minutes of grace, five
# seconds of disorder, and a minute because the clock is the newest time that two users have reached.
minutes_over() {
    count "$MINUTES AND window_end + interval '11 minutes 5 seconds' <=
        (SELECT max(event_time) FROM raw.events)"
}
all_over_are_final() { local over; over=$(minutes_over); ((over > 0 && $(final_minutes) >= over)); }
last_final() { sql "SELECT coalesce(max(window_end)::text, 'none') FROM $MINUTES AND final"; }
nothing_final() {
    same "final minutes" "$FINAL_BEFORE" "$(final_minutes)"
    same "end of the last final minute" "$LAST_BEFORE" "$(last_final)"
}
changed_finals() { # FILE: the keys that were final and changed
    committed aggregated_events '%K %k%R%s' |
        "$E2E/last_values" --changed "$ROOT/schemas/aggregated_events.avsc" | LC_ALL=C sort >"$1"
}
# Since the first transaction was opened. Before that, a replay at full speed may pass the grace between two
# checks for idle partitions, which is a limit of idleness (common/task_loop/task_loop_idle.c).
no_final_changed() {
    changed_finals "$E2E_WORK/changed"
    same "keys that were final and changed" 0 "$(LC_ALL=C comm -13 "$E2E_WORK/changed.before" "$E2E_WORK/changed" | wc -l)"
}
recount_agrees() { oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"; }

# ---- a transaction on raw: bronze-sink cannot continue

fresh
services
replay --input "$FIRST"
drain
# Every partition is idle, so the highest watermark counts.
wait_until "what is over is final" all_over_are_final
becomes "after the first half all partitions are idle" idle_are 1 0 1 2 3 4
drain
changed_finals "$E2E_WORK/changed.before"
LAST_BEFORE=$(last_final) FINAL_BEFORE=$(final_minutes) LOADED_BEFORE=$(count raw.events)

# The partitions are idle when the transaction is opened. With its record they are not.
hold_begin raw_events
becomes "transaction on raw: idle partitions of bronze are announced as active" idle_are 0 0 1
replay --input "$SECOND"
HELD=$(($(rows_of "$SECOND") / 5))
# The records of the other partitions are read; they are ahead by more than an hour of event time.
wait_until "they are loaded" loaded_at_least $((LOADED_BEFORE + HELD))
becomes "transaction on raw: the other partitions become idle" idle_are 1 2 3 4
check "transaction on raw: the held partitions do not become idle" idle_are 0 0 1
becomes "transaction on raw: funnel-aggregator logs why" idle_is_held_back
becomes "bronze-sink reports the partitions, records, time and what to do" \
    reports bronze-sink-1 raw_events "$HELD"
becomes "the lag of bronze-sink counts up to the high watermark" lag_is bronze-sink-1 raw_events "$HELD"
check "transaction on raw: no window has become final" nothing_final
hold_end
drain
check "released: the recount and all counts agree" recount_agrees
becomes "released: bronze-sink is ready" ready bronze-sink-1
becomes "released: bronze-sink logs the end, and its metrics are 0" released bronze-sink-1 raw_events
becomes "released: the lag of bronze-sink is 0" no_lag bronze-sink-1
becomes "released: windows that are over become final" all_over_are_final
check "released: no final window has changed" no_final_changed

# ---- transactions on the topics that the other services read

hold_begin bronze_events
becomes "transaction on bronze: funnel-aggregator reports it" \
    reports funnel-aggregator-1 bronze_events 2
becomes "transaction on bronze: pg-loader reports it" reports pg-loader-1 bronze_events 2
becomes "transaction on bronze: the lag of pg-loader counts up to the high watermark" \
    loader_lag_is bronze_events 2
hold_end
hold_begin funnel_partials
becomes "transaction on partials: funnel-aggregator reports it" \
    reports funnel-aggregator-1 funnel_partials 2
hold_end
drain
becomes "released: funnel-aggregator is ready" ready funnel-aggregator-1
becomes "released: pg-loader is ready" ready pg-loader-1
becomes "released: pg-loader logs the end" released pg-loader-1 bronze_events
check "released: the recount and all counts still agree" recount_agrees
