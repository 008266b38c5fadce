#!/usr/bin/env bash
# Memory: services start with a backlog and read it as fast as they can. More rows come while PostgreSQL
# is down for E2E_MEMORY_AWAY seconds; then all waiting rows are loaded at once. No service ever uses more
# memory than its cap, and the memory of pg-loader does not grow with the time it waits.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

AWAY=${E2E_MEMORY_AWAY:-10}
EVENTS=${E2E_MEMORY_EVENTS:-200000}
# MiB of resident memory, at default settings. They are the sum of: messages fetched in advance (512 KiB of each
# partition) and the current fetch (1 MiB compressed; librdkafka adds 0.7 KiB to each message, which is more
# than an event has), a batch (64 MiB of outputs; 32 MiB of rows and their binary form, and their messages), and
# the state. The state grows with the keys of open windows and of the de-duplication horizon, not with time or
# backlog.
declare -A CAP=([bronze-sink-1]=320 [funnel-aggregator-1]=320 [pg-loader-1]=256)

memory_of() { awk -v what="$2:" '$1 == what { print int($2 / 1024) }' "/proc/$(pid_of "$1")/status"; }
has_read() { # SERVICE TOPIC RECORDS
    http_get "$1" metrics | awk -v topic="$2\"" -v want="$3" \
        '/^funnel_records_in_total/ && index($0, topic) { n += $2 } END { exit !(n >= want) }'
}

under_cap() { # WHEN
    local name peak bad=0
    for name in "${!CAP[@]}"; do
        peak=$(memory_of "$name" VmHWM)
        say "     $SCENARIO: $1: $name has used $peak MiB of ${CAP[$name]}" >&3
        ((peak > 0 && peak <= CAP[$name])) || { warn "$name: $peak MiB"; bad=1; }
    done
    return "$bad"
}

not_grown() { # BEFORE
    local now
    now=$(memory_of pg-loader-1 VmRSS)
    printf 'pg-loader: %d MiB before, %d MiB now\n' "$1" "$now"
    ((now <= $1 + 32))
}

"$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed 11 \
    --start-time "2019-10-01 00:00:00" --output "$E2E_WORK/many.csv"
in_halves "$E2E_WORK/many.csv"
fresh
replay --input "$FIRST"
services
stack stop postgres
replay_begin "$SECOND" $((EVENTS / 2 / AWAY + 1))
sleep $((AWAY / 2))
early=$(memory_of pg-loader-1 VmRSS)
LONG=$((LONG + AWAY)) replay_end
wait_until "bronze-sink has read all" has_read bronze-sink-1 raw_events "$EVENTS"
wait_until "funnel-aggregator has read all" has_read funnel-aggregator-1 bronze_events $((EVENTS * 99 / 100))
check "PostgreSQL was down for $AWAY s: the memory of pg-loader has not grown" not_grown "$early"
check "each service uses less memory than its cap" under_cap "PostgreSQL down for $AWAY s, $EVENTS events"
start postgres
drain
check "each service still does when the backlog has been loaded" under_cap "after the backlog"
at_length || exit 0
check "the recount and all counts agree" oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
