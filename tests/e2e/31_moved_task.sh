#!/usr/bin/env bash
# Two replicas share four partitions; one is killed and stays dead: the other takes over.
source "$(dirname "$0")/lib.sh"

export KAFKA_PROPERTIES=session.timeout.ms=4000 # for so long the dead keep their partitions

ROWS=$E2E_WORK/replay.csv

# Partitions that an instance has folded records of.
partitions_of() { http_get "$1" metrics | awk '/^funnel_records_in_total\{.*topic="[^"]*'"$2"'"/ && $2 > 0' | wc -l; }

shared() { # SERVICE TOPIC
    local one two
    one=$(partitions_of "$1-1" "$2") two=$(partitions_of "$1-2" "$2")
    ((one == 2 && two == 2))
}

fresh
export REPLICAS_bronze_sink=2 REPLICAS_funnel_aggregator=2
services
replay_begin "$ROWS" 2000
in_the_middle "$ROWS"
check "the replicas share the partitions of bronze-sink" wait_until "they do" shared bronze-sink raw_events
check "the replicas share the partitions of funnel-aggregator" wait_until "they do" shared funnel-aggregator bronze_events
crash bronze-sink-1
crash funnel-aggregator-2
replay_end
drain
check "one of each was killed, the other took over: the oracle and all counts hold" oracle --exact-counts --max-late 0 "$ROWS"
check "the survivor of bronze-sink has all partitions" same partitions 4 "$(partitions_of bronze-sink-2 raw_events)"
check "the survivor of funnel-aggregator has all partitions" same partitions 4 "$(partitions_of funnel-aggregator-1 bronze_events)"
check "the topic of aggregates agrees" topic_equals_table aggregated_events

# Back again and away in good order, while rows come: partitions move twice more.
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
check "partitions moved by clean stops: the same rows again change nothing" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "every layer holds the same events" reconciled
check "and were all counted" same rows $((2 * $(rows_of "$ROWS"))) "$(counts_in)"
