#!/usr/bin/env bash
# The schema registry holds a schema that ours does not fit, or is away: at start, and later.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"

# ---- a schema that does not fit

OTHER=${TOPIC_PREFIX}other_
# Somebody else's record, without our fields.
STRANGER='{"schema":"{\"type\":\"record\",\"name\":\"Stranger\",\"fields\":[{\"name\":\"only\",\"type\":\"string\"}]}"}'
registry() { # METHOD PATH [BODY]
    curl -fsS -m 20 -X "$1" -H 'Content-Type: application/vnd.schemaregistry.v1+json' ${3:+-d "$3"} "$SCHEMA_REGISTRY_URL$2"
}
ends_of() { # TOPIC: the sum of its partitions' ends
    local p sum=0
    for p in 0 1 2 3; do sum=$((sum + $(end_of "$1" "$p"))); done
    printf '%d\n' "$sum"
}

incompatible() { # SERVICE TOPIC
    registry POST "/subjects/$OTHER$2-value/versions" "$STRANGER"
    refused 78 "incompatible $OTHER$2-value" "$1" "TOPIC_PREFIX=$OTHER"
    same "records of $OTHER$2" 0 "$(ends_of "$OTHER$2")"
    registry DELETE "/subjects/$OTHER$2-value"
}

"$BIN_DIR/topics" create --brokers "$KAFKA_BROKERS" --prefix "$OTHER"
json='{"event_time":"2019-10-01 10:00:00 UTC","event_type":"view","product_id":1,"category_id":1,"category_code":"a.b","brand":"b","price":1.5,"user_id":7,"user_session":"s"}'
printf 's:%s\n' "$json" | kcat -b "$KAFKA_BROKERS" -P -K : -X partitioner=murmur2_random -t "${OTHER}raw_events"
check "bronze-sink refuses a subject with a schema that ours does not fit, and writes nothing" incompatible bronze-sink bronze_events
check "funnel-aggregator refuses the same, and writes nothing" incompatible funnel-aggregator aggregated_events
"$BIN_DIR/topics" delete --brokers "$KAFKA_BROKERS" --prefix "$OTHER"

# ---- away at start

away_at_start() {
    local service
    local -a jobs=()
    fresh
    stack stop registry
    for service in bronze-sink-1 funnel-aggregator-1; do
        READY_TIMEOUT=$LONG start "$service" &
        jobs+=($!)
    done
    for service in bronze-sink-1 funnel-aggregator-1; do
        wait_until "$service says what it waits for" says "$service" event=retrying "schema registry"
        not_ready "$service"
        quiet "$service" 5
    done
    start registry
    wait "${jobs[@]}"
    services
    replay --input "$ROWS"
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
}
check "the registry is away at the start: services wait for it, then all comes in" away_at_start

# ---- away later: who knows the schemas goes on; who does not waits

away_later() {
    local starting
    fresh
    services
    replay --input "$ROWS"
    drain
    stack stop registry
    snapshot "$E2E_WORK/before"
    stack stop pg-loader-1
    replay --input "$ROWS" # knows all schemas: goes on
    wait_until "bronze-sink goes on without the registry" drained_bronze
    READY_TIMEOUT=$LONG start pg-loader-1 & # ready once it can read what waits
    starting=$!
    replay --input "$ROWS"
    wait_until "pg-loader says what it waits for" says pg-loader-1 event=retrying "schema registry"
    quiet pg-loader-1 5
    start registry
    wait "$starting"
    drain
    snapshot "$E2E_WORK/after"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
    same "rows counted" $((3 * $(rows_of "$ROWS"))) "$(counts_in)"
    same "rows that pg-loader refused" 0 "$(count "raw.dead_letters WHERE stage = 'loader'")"
}
drained_bronze() { http_get bronze-sink-1 metrics | awk '/^funnel_records_in_total/ { n += $2 } END { exit !(n >= '$((2 * $(rows_of "$ROWS")))') }'; }
check "the registry is away later: who knows the schemas goes on, pg-loader waits and loses nothing" away_later

# A record of a schema that is not known yet holds its partition until the registry is back. What came before it is committed all the same,
# and who is told to end does.
behind_a_stranger() {
    local pid before i
    fresh
    services
    replay --input "$ROWS"
    drain
    before=$(counts_in)
    pid=$(pid_of bronze-sink-1)
    kill -STOP "$pid" # so that all of it comes in one batch
    for ((i = 1; i <= 500; i++)); do printf 's:%s\n' "${json/\"product_id\":1/\"product_id\":$i}"; done |
        kcat -b "$KAFKA_BROKERS" -P -K : -X partitioner=murmur2_random -t "$(topic raw_events)"
    printf '\x00\x00\x0f\x42\x3f' >"$E2E_WORK/stranger"
    send_file raw_events "$E2E_WORK/stranger" -k s
    stack stop registry
    kill -CONT "$pid"
    wait_until "what came before it is committed" counted_by_now $((before + 500))
    wait_until "bronze-sink says what it waits for" says bronze-sink-1 event=retrying "schema registry"
    quiet bronze-sink-1 5
    stack stop bronze-sink-1
    says bronze-sink-1 event=stopped exit=0
    start registry
    services
    drain
    same "rows counted" $((before + 501)) "$(counts_in)"
    same "dead letters of unknown schemas" 1 "$(count "raw.dead_letters WHERE reason = 'unknown_schema_id'")"
}
counted_by_now() { (($(counts_in) == $1)); }
check "a schema that is not known yet: what came before is committed, a stop need not wait, then it comes in" behind_a_stranger
