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
    for p in $(partitions_of_topic "$1"); do sum=$((sum + $(end_of "$1" "$p"))); done
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

# ---- the schema of the raw topic

RAW=${TOPIC_PREFIX}raw_events-value
versions() { registry GET "/subjects/$RAW/versions" | jq -r length; }
latest() { registry GET "/subjects/$RAW/versions/latest" | jq -r .schema | jq -cS .; }

# The schema that earlier versions registered with FRAMING=confluent.
# shellcheck disable=SC2016 # $schema is a name
FORMER='{"$schema":"http://json-schema.org/draft-07/schema#","title":"RawEvent","description":"One clickstream event as its source had it. Validity is judged by bronze-sink, with a reason for each refusal.","type":"object","properties":{
"event_time":{"type":["string","null"]},
"event_type":{"type":["string","null"]},
"product_id":{"type":["integer","string","null"]},
"category_id":{"type":["integer","string","null"]},
"category_code":{"type":["string","null"]},
"brand":{"type":["string","null"]},
"price":{"type":["number","string","null"]},
"user_id":{"type":["integer","string","null"]},
"user_session":{"type":["string","null"]}
},"additionalProperties":true}
'

contract() {
    fresh
    services
    registry DELETE "/subjects/$RAW" || true
    registry POST "/subjects/$RAW/versions" "$(jq -cn --arg s "$FORMER" '{schemaType: "JSON", schema: $s}')"
    registry PUT "/config/$RAW" '{"compatibility":"BACKWARD"}'
    replay --input "$ROWS"
    same "schema of the raw topic" "$(jq -cS . "$ROOT/schemas/raw_events.schema.json")" "$(latest)"
    same "versions" 2 "$(versions)"
    replay --input "$ROWS" --framing confluent
    same "versions after a replay with frames" 2 "$(versions)"
    drain
    same "rows counted" $((2 * $(rows_of "$ROWS"))) "$(counts_in)"
    same "compatibility" BACKWARD "$(registry GET "/config/$RAW" | jq -r '.compatibilityLevel // .compatibility')"
}
check "a replay of plain JSON registers the schema of the raw topic, which evolves the former one" contract

valid_raw() { # every value without source_error fits the schema
    committed raw_events '%h\t%s\n' | awk -F '\t' '$1 !~ /source_error/ { print $2 }' >"$E2E_WORK/values"
    python3 - "$ROOT/schemas/raw_events.schema.json" "$E2E_WORK/values" <<'PY'
import json, sys
types = {'string': str, 'number': (int, float), 'null': type(None)}
properties = json.load(open(sys.argv[1]))['properties']
for line in open(sys.argv[2], encoding='utf-8', errors='replace'):
    if not line.startswith('{'):
        continue  # framed
    for name, value in json.loads(line).items():
        allowed = properties.get(name, {}).get('type', list(types))
        if isinstance(value, bool) or not isinstance(value, tuple(types[t] for t in allowed if t != 'null') + (type(None),)):
            sys.exit(f'{name} is {value!r}')
PY
}
check "every value in the raw topic that was split fits the schema" valid_raw

foreign_contract() {
    local status=0
    registry DELETE "/subjects/$RAW"
    registry POST "/subjects/$RAW/versions" "$(jq -cn '{schemaType: "JSON", schema: ({type: "object",
        properties: {event_time: {type: "boolean"}}} | tojson)}')"
    replay --input "$ROWS" >"$E2E_WORK/foreign.log" 2>&1 || status=$?
    registry DELETE "/subjects/$RAW"
    cat "$E2E_WORK/foreign.log"
    same "exit code" 78 "$status"
    grep -qF "$RAW" "$E2E_WORK/foreign.log"
}
check "a replay refuses a subject with an incompatible schema" foreign_contract

away_for_plain() {
    local status=0
    stack stop registry
    replay --input "$ROWS" 2>&1 | tee "$E2E_WORK/away.log"
    replay --input "$ROWS" --framing confluent --timeout 2s >"$E2E_WORK/away-framed.log" 2>&1 || status=$?
    start registry
    grep -qF event=schema_not_registered "$E2E_WORK/away.log"
    same "exit code with frames" 75 "$status"
    drain
}
check "registry down: a replay of plain JSON continues, one with frames waits until its time-out" away_for_plain

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
