#!/usr/bin/env bash
# Two replicas share four partitions. One is killed and not started again: the other takes over.
source "$(dirname "$0")/lib.sh"

export KAFKA_PROPERTIES=session.timeout.ms=4000 # a killed client keeps its partitions for this time

ROWS=$E2E_WORK/replay.csv
in_halves "$ROWS"

# Partitions that an instance has folded records of.
partitions_of() { # INSTANCE TOPIC
    http_get "$1" metrics |
        awk '/^funnel_records_in_total\{.*topic="[^"]*'"$2"'"/ && $2 > 0' | wc -l
}

shared() { # SERVICE TOPIC
    local one two
    one=$(partitions_of "$1-1" "$2") two=$(partitions_of "$1-2" "$2")
    ((one == 2 && two == 2))
}

fresh
export REPLICAS_bronze_sink=2 REPLICAS_funnel_aggregator=2
services
replay_begin "$FIRST" 1250
in_the_middle "$ROWS"
check "the replicas of bronze-sink have two partitions each" \
    wait_until "they have" shared bronze-sink raw_events
check "the replicas of funnel-aggregator have two partitions each" \
    wait_until "they have" shared funnel-aggregator bronze_events
crash bronze-sink-1
crash funnel-aggregator-2
replay_end
replay_begin "$SECOND" 5000
replay_end
drain
check "one of each was killed, the other took over: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
check "the other bronze-sink has all partitions" \
    same partitions 4 "$(partitions_of bronze-sink-2 raw_events)"
check "the other funnel-aggregator has all partitions" \
    same partitions 4 "$(partitions_of funnel-aggregator-1 bronze_events)"
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events

# The killed ones start again, then the others are stopped while rows come: partitions move twice.
start bronze-sink-1
start funnel-aggregator-2
snapshot "$E2E_WORK/before"
replay_begin "$ROWS" 4000
sleep 1
stack stop bronze-sink-2
stack stop funnel-aggregator-1
replay_end
drain
snapshot "$E2E_WORK/after"
check "partitions moved by clean stops: the same rows again change nothing" \
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "every layer has the same events" reconciled
check "both replays were counted in full" same rows $((2 * $(rows_of "$ROWS"))) "$(counts_in)"
