#!/usr/bin/env bash
# The schema registry comes back empty, and its ids belong to other schemas: no service writes, each
# reports the id and ends with 78, and `schemas` registers the schemas again under the ids that the
# topics use. A stray record with an unknown id ends no service.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv FIRST=$E2E_WORK/first.csv SECOND=$E2E_WORK/second.csv
head -n 6001 "$ROWS" >"$FIRST"
{ head -n 1 "$ROWS"; tail -n +6002 "$ROWS" | head -n 3000; } >"$SECOND"
OTHER_DB=other_$$
OTHER_DSN=${DSN/dbname=funnel/dbname=$OTHER_DB}

register() { # SUBJECT, with the schema on standard input; prints the id
    jq -R -s '{schema: rtrimstr("\n")}' |
        curl -fsS -m 20 -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data-binary @- \
            "$SCHEMA_REGISTRY_URL/subjects/$1/versions" | jq -e .id
}
stranger() { printf '{"type":"record","name":"Stranger%s","fields":[]}\n' "$1"; }
ours() { tr -d '\n' <"$ROOT/schemas/$1.avsc"; } # in the form in which it is registered
empty_registry() {
    stack stop registry
    rm -rf "$LOCAL_DIR/registry"
    start registry
}
# The schema id in the first record of a topic.
id_of() {
    committed "$1" '%s' 2>/dev/null | head -c 5 | od -An -tu1 |
        awk '{ print (($2 * 256 + $3) * 256 + $4) * 256 + $5 }'
}
ends() { # the log ends of all our topics
    local name p
    for name in bronze_events dead_letter late_events session_funnels funnel_partials \
        aggregated_events; do
        for p in $(partitions_of_topic "$(topic "$name")"); do
            printf '%s %s %s\n' "$name" "$p" "$(end_of "$(topic "$name")" "$p")"
        done
    done
    printf 'counts %s\n' "$(end_of "$(topic counts)" 0)"
}
schemas() {
    timeout "$LONG" "$BIN_DIR/schemas" --kafka-brokers "$KAFKA_BROKERS" \
        --schema-registry-url "$SCHEMA_REGISTRY_URL" "$@"
}
refused_saying() { # TEXT NAME [SETTINGS...]: exit code 78, and a line with exactly this text
    local text=$1 out
    shift
    out=$(refused 78 event= "$@") || { printf '%s\n' "$out"; return 1; }
    printf '%s\n' "$out"
    grep -F -- "$text" <<<"$out" | grep -qF 'schemas --yes' ||
        { warn "does not print '$text' and what to do"; return 1; }
}
nothing_written() {
    ends | diff "$E2E_WORK/ends" -
    snapshot "$E2E_WORK/now"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/now"
}
other_database() {
    sql "DROP DATABASE IF EXISTS $OTHER_DB"
    sql "CREATE DATABASE $OTHER_DB"
}

fresh
services
replay --input "$FIRST"
drain
declare -A TOPIC_OF=() # by the schema id of its records
for name in bronze_events counts session_funnels funnel_partials aggregated_events; do
    TOPIC_OF[$(id_of "$name")]=$name
done
bronze=$(id_of bronze_events) counts=$(id_of counts)
last=$(printf '%s\n' "${!TOPIC_OF[@]}" | sort -n | tail -n 1)
stop_services
snapshot "$E2E_WORK/before"
ends >"$E2E_WORK/ends"

# ---- the registry is empty, and other schemas were registered first

empty_registry
for ((id = 1; id <= last; id++)); do stranger "$id" | register "stranger$id"; done
lost="schema id $counts of $(topic counts)/0"
check "ids belong to other schemas: bronze-sink names the id and what to do" refused_saying "$lost" bronze-sink
check "ids belong to other schemas: funnel-aggregator names the id and what to do" \
    refused_saying "$lost" funnel-aggregator
other_database
check "ids belong to other schemas: pg-loader names the id, also with a fresh database" \
    refused_saying "$lost" pg-loader "POSTGRES_DSN=$OTHER_DSN"
check "nothing is written, no rollup is overwritten" nothing_written
check "schemas refuses if an id belongs to another schema" \
    refused 78 "schema id $bronze belongs to another schema" schemas YES=true

# ---- only bronze's id is lost: a restore cannot read records that were read before

empty_registry
lost_bronze() {
    local id name
    for ((id = 1; id <= last; id++)); do
        name=${TOPIC_OF[$id]:-bronze_events}
        if [[ $name == bronze_events ]]; then
            stranger "$id" | register "stranger$id"
        else
            ours "$name" | register "$(topic "$name")-value"
        fi
    done
    same "id of counts" "$counts" "$(ours counts | register "$(topic counts)-value")"
    refused_saying "schema id $bronze of $(topic bronze_events)/" funnel-aggregator
    nothing_written
}
check "a restore of funnel-aggregator cannot read bronze: exit 78, and nothing is written" lost_bronze
loader_not_ready() {
    local port=$((HTTP_BASE_PORT + 49)) pid status=0
    program pg-loader "POSTGRES_DSN=$OTHER_DSN" "HTTP_PORT=$port"
    "${PROGRAM[@]}" >"$E2E_WORK/loader.log" 2>&1 &
    pid=$!
    wait_until "pg-loader is not ready, and names the id" \
        unready "$port" "schema id, first $bronze at $(topic bronze_events)/" || status=1
    kill "$pid"
    wait "$pid" || true
    cat "$E2E_WORK/loader.log"
    grep -q "level=error .*event=schema_refused" "$E2E_WORK/loader.log" && ((status == 0))
}
unready() { # PORT TEXT
    local answer
    answer=$(curl -s -m 5 -w ' %{http_code}' "http://127.0.0.1:$1/readyz") || return 1
    [[ $answer == *"$2"* && $answer == *503 ]]
}
check "pg-loader with a fresh database is not ready while it rejects records for that reason" loader_not_ready

# ---- registered again

empty_registry
restored() {
    refused 78 "schema id does not know" schemas DRY_RUN=true
    schemas --yes
    schemas --dry-run
    same "id of bronze" "$bronze" "$(ours bronze_events | register "$(topic bronze_events)-value")"
    same "id of counts" "$counts" "$(ours counts | register "$(topic counts)-value")"
}
check "schemas registers the schemas again under the same ids" restored
services
replay --input "$SECOND"
drain
tail -n +2 "$SECOND" | cat "$FIRST" - >"$E2E_WORK/both.csv"
check "then the second half is loaded too: the recount and all counts agree" \
    oracle --exact-counts --max-late 0 "$E2E_WORK/both.csv"

# ---- a stray record, while all schemas are registered

dead_strays() { count "raw.dead_letters WHERE reason = 'unknown_schema_id' AND stage = '$1'"; }
stray_ends_nothing() {
    local name
    printf '\x00\x00\x0f\x42\x3f' >"$E2E_WORK/stray"
    # With the body of a real event, so that only the id is wrong.
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -c 1 -t "$(topic bronze_events)" -p 0 -o 1 -f '%s' |
        tail -c +6 >>"$E2E_WORK/stray"
    send_file bronze_events "$E2E_WORK/stray" -p 0 -k s
    drain
    same "dead letters of it" "1 1" "$(dead_strays funnel-aggregator) $(dead_strays loader)"
    for name in funnel-aggregator-1 pg-loader-1; do
        wait_until "$name is not ready, and names the id" \
            unready "$(http_port "$name")" "schema id, first 999999 at"
    done
    stack stop funnel-aggregator-1
    start funnel-aggregator-1 # the record is before the committed offset now: a restore reads it again
    replay --input "$SECOND"
    drain
    same "dead letters of it" "1 1" "$(dead_strays funnel-aggregator) $(dead_strays loader)"
}
check "a stray record in bronze: a dead letter, /readyz is 503, and a restore passes it" stray_ends_nothing

left_out() {
    refused 78 "999999 MAX_FILLERS LEAVE_OUT=999999" schemas YES=true
    schemas --yes --leave-out 999999
}
check "schemas does not register a million fillers for its id: LEAVE_OUT skips it" left_out

# ---- counts under another id

newer_counts() {
    local id offset=900000000 schema=$E2E_WORK/counts.newer
    stop_services
    jq -c '.fields += [{name: "more", type: "long", default: 0}]' "$ROOT/schemas/counts.avsc" >"$schema"
    id=$(register "$(topic counts)-value" <"$schema")
    [[ $id != "$counts" ]]
    "$E2E/avro_events" --one "$schema" "$id" service=bronze-sink "topic=$(topic raw_events)" \
        partition=0 records_in=1 records_out=1 duplicates=0 late=0 dead=0 dead_by_reason= \
        "revision=$offset" more=1 >"$E2E_WORK/counts"
    send_file counts "$E2E_WORK/counts" -k "bronze-sink|$(topic raw_events)|0"
    refused 78 "counted its rows up to offset $offset" bronze-sink
}
check "counts with a newer schema id: the check of committed offsets reads them" newer_counts
sql "DROP DATABASE IF EXISTS $OTHER_DB"
