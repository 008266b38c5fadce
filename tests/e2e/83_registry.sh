#!/usr/bin/env bash
# The schema registry has a schema that is incompatible with ours, or is down: at the start, and later.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"

# ---- an incompatible schema

OTHER=${TOPIC_PREFIX}other_
# The schema of another program, without our fields.
STRANGER=$(jq -cn --arg name Stranger '{schema: ({type: "record", name: $name,
    fields: [{name: "only", type: "string"}]} | tojson)}')
registry() { # METHOD PATH [BODY]
    curl -fsS -m 20 -X "$1" -H 'Content-Type: application/vnd.schemaregistry.v1+json' \
        ${3:+-d "$3"} "$SCHEMA_REGISTRY_URL$2"
}
ends_of() { # TOPIC: the sum of the log ends of its partitions
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
json='{"event_time":"2019-10-01 10:00:00 UTC","event_type":"view","product_id":1,"category_id":1,'
json+='"category_code":"a.b","brand":"b","price":1.5,"user_id":7,"user_session":"s"}'
printf 's:%s\n' "$json" |
    kcat -b "$KAFKA_BROKERS" -P -K : -X partitioner=murmur2_random -t "${OTHER}raw_events"
check "bronze-sink refuses a subject with an incompatible schema, and writes nothing" \
    incompatible bronze-sink bronze_events
check "funnel-aggregator refuses a subject with an incompatible schema, and writes nothing" \
    incompatible funnel-aggregator aggregated_events
"$BIN_DIR/topics" delete --brokers "$KAFKA_BROKERS" --prefix "$OTHER"

# ---- the registry is down at the start

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
        waits_idly "$service" 5
    done
    start registry
    wait "${jobs[@]}"
    services
    replay --input "$ROWS"
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
}
check "registry down at the start: services wait for it, then load all rows" away_at_start

# ---- the registry is down later: a service that knows the schemas continues, another one waits

away_later() {
    local starting
    fresh
    services
    replay --input "$ROWS"
    drain
    stack stop registry
    snapshot "$E2E_WORK/before"
    stack stop pg-loader-1
    replay --input "$ROWS"
    wait_until "bronze-sink continues without the registry" drained_bronze
    READY_TIMEOUT=$LONG start pg-loader-1 & # ready when it can read the waiting records
    starting=$!
    replay --input "$ROWS"
    wait_until "pg-loader says what it waits for" says pg-loader-1 event=retrying "schema registry"
    waits_idly pg-loader-1 5
    start registry
    wait "$starting"
    drain
    snapshot "$E2E_WORK/after"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
    same "rows counted" $((3 * $(rows_of "$ROWS"))) "$(counts_in)"
    same "rows that pg-loader refused" 0 "$(count "raw.dead_letters WHERE stage = 'loader'")"
}
drained_bronze() {
    http_get bronze-sink-1 metrics | awk -v want=$((2 * $(rows_of "$ROWS"))) \
        '/^funnel_records_in_total/ { n += $2 } END { exit !(n >= want) }'
}
check "registry down later: services that know the schemas continue, pg-loader waits and loses nothing" away_later

# A record with an unknown schema id holds its partition until the registry is up again. The records
# before it are committed, and a service that is stopped meanwhile ends.
unknown_schema_waits() {
    local pid before i
    fresh
    services
    replay --input "$ROWS"
    drain
    before=$(counts_in)
    pid=$(pid_of bronze-sink-1)
    kill -STOP "$pid" # so that all records come in one batch
    for ((i = 1; i <= 500; i++)); do printf 's:%s\n' "${json/\"product_id\":1/\"product_id\":$i}"; done |
        kcat -b "$KAFKA_BROKERS" -P -K : -X partitioner=murmur2_random -t "$(topic raw_events)"
    printf '\x00\x00\x0f\x42\x3f' >"$E2E_WORK/stranger"
    send_file raw_events "$E2E_WORK/stranger" -k s
    stack stop registry
    kill -CONT "$pid"
    wait_until "the records before it are committed" counted_is $((before + 500))
    wait_until "bronze-sink says what it waits for" says bronze-sink-1 event=retrying "schema registry"
    waits_idly bronze-sink-1 5
    stack stop bronze-sink-1
    says bronze-sink-1 event=stopped exit=0
    start registry
    services
    drain
    same "rows counted" $((before + 501)) "$(counts_in)"
    same "dead letters of unknown schemas" 1 "$(count "raw.dead_letters WHERE reason = 'unknown_schema_id'")"
}
counted_is() { (($(counts_in) == $1)); }
check "an unknown schema id, registry down: earlier records are committed, and a stop does not wait" unknown_schema_waits
