#!/usr/bin/env bash
# Old and new versions at the same time: records of newer and of older schemas, schemas that would break
# readers, and a list of rollups that changes replica by replica while events come.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/upgrade.csv      # while replicas change
NEWER=$E2E_WORK/newer.csv OLDER=$E2E_WORK/older.csv # bronze records as other versions write them
MORE=$E2E_WORK/more.csv         # when all replicas have changed
AFTER=$E2E_WORK/after.csv       # days later, so that all windows close
KEPT="1m:all 1h:category" REMOVED="3m:all 1d:brand" ADDED="2m:all 10m:category1"

generate() { "$BIN_DIR/producer" --source synthetic "$@"; }
rows="${E2E_EVENTS:-16000}"
generate --events "$rows" --seed 41 --start-time "2019-10-01 10:00:00" --output "$ROWS"
generate --events 150 --seed 42 --start-time "2019-10-01 17:00:00" --output "$NEWER"
generate --events 150 --seed 43 --start-time "2019-10-01 17:03:00" --output "$OLDER"
generate --events 6000 --seed 44 --start-time "2019-10-01 17:10:00" --output "$MORE"
generate --events 2000 --seed 45 --start-time "2019-10-05 10:00:00" --output "$AFTER"

# ---- schemas

# Adds a version to the subject of a topic. Prints the answer of the registry and its HTTP code.
register() { # TOPIC SCHEMA-FILE
    jq -n --rawfile s "$2" '{schema: $s}' |
        curl -sS -m 20 -w '\n%{http_code}\n' -H 'Content-Type: application/vnd.schemaregistry.v1+json' --data-binary @- \
            "$SCHEMA_REGISTRY_URL/subjects/$(topic "$1")-value/versions"
}
registered() { # TOPIC SCHEMA-FILE: its id
    local answer
    answer=$(register "$@")
    printf '%s\n' "$answer" >&2
    [[ $(tail -n 1 <<<"$answer") == 200 ]] || return 1
    head -n 1 <<<"$answer" | jq -e .id
}
not_registered() { # TOPIC SCHEMA-FILE
    local answer
    answer=$(register "$@")
    printf '%s\n' "$answer"
    same "HTTP code" 409 "$(tail -n 1 <<<"$answer")"
}
schema() { # NAME JQ-PROGRAM: our schema with this change
    jq -c "$2" "$ROOT/schemas/$1.avsc"
}
schema bronze_events '.fields = [{name: "channel", type: "string", default: "web"}] + .fields +
    [{name: "tags", type: {type: "array", items: "string"}, default: []}]' >"$E2E_WORK/bronze.newer"
schema bronze_events 'del(.fields[] | select(.name == "source_row" or .name == "source_file"))' \
    >"$E2E_WORK/bronze.older"
schema aggregated_events '.fields += [{name: "buyers", type: "long", default: 0}]' \
    >"$E2E_WORK/aggregate.newer"
schema aggregated_events 'del(.fields[] | select(.name == "funnel_checkout_sessions"))' \
    >"$E2E_WORK/aggregate.older"
schema bronze_events '.fields += [{name: "channel", type: "string"}]' >"$E2E_WORK/bronze.needs"
schema aggregated_events '(.fields[] | select(.name == "views")).type = "string"' \
    >"$E2E_WORK/aggregate.other"

send_bronze() { # SCHEMA-FILE ID CSV RAW_OFFSET
    "$E2E/avro_events" "$1" "$2" "$4" <"$3" |
        timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -K '|KEY|' -D '|END|' \
            -X partitioner=murmur2_random -t "$(topic bronze_events)"
}
send_aggregate() { # SCHEMA-FILE ID GROUP [FIELD=VALUE...]
    local file=$1 id=$2 group=$3
    shift 3
    "$E2E/avro_events" --one "$file" "$id" rollup=1m:all "window_start=2001-01-01 00:00:00" \
        "window_end=2001-01-01 00:01:00" "group_value=$group" views=5 carts=2 removes=0 checkouts=1 \
        purchases=1 revenue=12.34 sessions=3 view_sessions=3 cart_sessions=2 purchase_sessions=1 \
        funnel_cart_sessions=2 funnel_purchase_sessions=1 final=true revision=7 "$@" \
        >"$E2E_WORK/aggregate"
    send_file aggregated_events "$E2E_WORK/aggregate" -k "$group"
}
aggregate_of() {
    sql "SELECT views, revenue, funnel_checkout_sessions, funnel_purchase_sessions, final, revision
        FROM processed.funnel_aggregates
        WHERE window_start = '2001-01-01 00:00:00Z' AND group_value = '$1'"
}
aggregate_is() { [[ "$(aggregate_of "$1")" == "$2" ]]; }

# ---- replicas

rollups() { export ROLLUPS=$1; }
old_list() { rollups "$KEPT $REMOVED"; }
new_list() { rollups "$ADDED $KEPT"; }

# The rows of a rollup are compared with the tables that the recount has made.
shown_rows() { # ROLLUP CONDITION
    sql "SELECT count(*) FROM processed.funnel_aggregates a WHERE rollup = '$1' AND $2"
}
final_rows_agree() { # ROLLUP
    local odd
    odd=$(sql "SELECT count(*) FROM processed.funnel_aggregates a
         LEFT JOIN oracle.rollup_row e USING (rollup, window_start, window_end, group_value)
         WHERE rollup = '$1' AND a.final
           AND (a.views, a.carts, a.removes, a.checkouts, a.purchases, a.revenue, a.sessions,
                a.view_sessions, a.cart_sessions, a.purchase_sessions, a.funnel_cart_sessions,
                a.funnel_purchase_sessions)
           IS DISTINCT FROM (e.views, e.carts, e.removes, e.checkouts, e.purchases, e.revenue, e.sessions,
                e.view_sessions, e.cart_sessions, e.purchase_sessions, e.funnel_cart_sessions,
                e.funnel_purchase_sessions)")
    printf '%s: %s rows, %s of them final, %s of these differ\n' \
        "$1" "$(shown_rows "$1" true)" "$(shown_rows "$1" final)" "$odd"
    same "final rows of $1 that differ from the recount" 0 "$odd"
}
kept_agrees() {
    oracle --rollups "$KEPT $REMOVED $ADDED" "$ROWS" "$NEWER" "$OLDER" "$MORE" "$AFTER" || true
    same "events, visits and kept rollups that differ" 0 "$(sql "
        SELECT sum(missing + unexpected + differing) FROM oracle.result
        WHERE what IN ('raw.events', 'visits', 'late events', 'dead letters', 'other rollups',
            'rollup 1m:all', 'rollup 1h:category')")"
    same "kept rollups compared" 2 "$(sql "SELECT count(*) FROM oracle.result
        WHERE what IN ('rollup 1m:all', 'rollup 1h:category') AND actual > 20")"
}
added_agrees() {
    local rollup
    for rollup in $ADDED; do
        final_rows_agree "$rollup"
        (($(shown_rows "$rollup" final) > 10))
        # When all replicas have the new list, no window is missing.
        same "windows of $rollup that are missing" 0 "$(sql "SELECT count(*) FROM oracle.rollup_row e
            WHERE rollup = '$rollup' AND window_start BETWEEN '2019-10-01 17:10:00Z' AND '2019-10-02'
              AND NOT EXISTS (SELECT FROM processed.funnel_aggregates a WHERE a.rollup = e.rollup
                AND a.window_start = e.window_start AND a.group_value = e.group_value AND a.final)")"
        (($(shown_rows "$rollup" "window_start < '2019-10-01 10:05:00Z'") == 0))
    done
}
removed_agrees() {
    local rollup
    for rollup in $REMOVED; do
        final_rows_agree "$rollup"
        same "rows of $rollup after its end" 0 "$(shown_rows "$rollup" "window_start >= '2019-10-01 17:10:00Z'")"
    done
    (($(shown_rows 3m:all final) > 0))
    same "days of brands that became final" 0 "$(shown_rows 1d:brand final)"
    (($(shown_rows 1d:brand true) > 0))
}

fresh
export REPLICAS_funnel_aggregator=2
old_list
services
replay_begin "$ROWS" "${E2E_ROLL_RATE:-250}"
in_the_middle "$ROWS"

# One replica after the other gets the new list. Once, the new one stops again, and its partitions return
# to the old one.
stack stop funnel-aggregator-1
new_list
start funnel-aggregator-1
sleep 2
stack stop funnel-aggregator-1
sleep 2
start funnel-aggregator-1
sleep 2
stack stop funnel-aggregator-2
start funnel-aggregator-2
replay_end
drain

bronze_newer() {
    local newer older
    newer=$(registered bronze_events "$E2E_WORK/bronze.newer")
    older=$(registered bronze_events "$E2E_WORK/bronze.older")
    send_bronze "$E2E_WORK/bronze.newer" "$newer" "$NEWER" 1000000
    send_bronze "$E2E_WORK/bronze.older" "$older" "$OLDER" 2000000
    drain
    same "events of both" 300 "$(count "raw.events WHERE raw_offset >= 1000000")"
    same "dead letters" 0 "$(count raw.dead_letters)"
}
check "bronze records of a newer and of an older version: aggregator and loader read both" bronze_newer
# Old replicas start again after a newer version has registered its schema: theirs is still valid.
stop_services
check "services start if a newer schema is the latest" services
replay --input "$MORE"
drain
replay --input "$AFTER"
drain
check "events, visits and kept rollups agree with the recount" kept_agrees
check "an added rollup has only complete windows, from its start" added_agrees
check "a removed rollup ends: final rows agree with the recount, open ones stay not final" removed_agrees

aggregates() {
    local newer older
    newer=$(registered aggregated_events "$E2E_WORK/aggregate.newer")
    older=$(registered aggregated_events "$E2E_WORK/aggregate.older")
    send_aggregate "$E2E_WORK/aggregate.newer" "$newer" newer funnel_checkout_sessions=1 buyers=9
    send_aggregate "$E2E_WORK/aggregate.older" "$older" older
    wait_until "the newer one is loaded" aggregate_is newer "5|12.34|1|1|t|7"
    wait_until "the older one is loaded, with the default" aggregate_is older "5|12.34|0|1|t|7"
}
check "aggregates of a newer and of an older version: the loader reads both" aggregates
check "the registry refuses a new field without a default" \
    not_registered bronze_events "$E2E_WORK/bronze.needs"
check "the registry refuses another type of a field" \
    not_registered aggregated_events "$E2E_WORK/aggregate.other"
backward() {
    local name
    for name in bronze_events late_events counts session_funnels funnel_partials aggregated_events; do
        same "compatibility of $name" BACKWARD "$(curl -fsS -m 20 \
            "$SCHEMA_REGISTRY_URL/config/$(topic "$name")-value" | jq -r .compatibilityLevel)"
    done
}
check "each of our subjects has compatibility BACKWARD" backward
