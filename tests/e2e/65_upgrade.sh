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
# The version before buyers were counted.
for name in aggregated_events funnel_partials; do
    schema "$name" 'del(.fields[] | select(.name == "buying_view_sessions" or .name == "view_purchase_sessions"
        or .name == "view_cart_purchase_sessions"))' >"$E2E_WORK/$name.former"
done
schema session_funnels 'del(.fields[] | select(.name == "view_purchase" or .name == "view_cart_purchase"))' \
    >"$E2E_WORK/session_funnels.former"
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
    sql "SELECT views, revenue, funnel_checkout_sessions, funnel_purchase_sessions, final, revision,
            buying_view_sessions, view_purchase_sessions, view_cart_purchase_sessions
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
    odd=$(sql "SELECT a.window_start, a.group_value, a.views, e.views, a.sessions, e.sessions
         FROM processed.funnel_aggregates a
         LEFT JOIN oracle.rollup_row e USING (rollup, window_start, window_end, group_value)
         WHERE rollup = '$1' AND a.final
           AND (a.views, a.carts, a.removes, a.checkouts, a.purchases, a.revenue, a.sessions,
                a.view_sessions, a.cart_sessions, a.purchase_sessions, a.funnel_cart_sessions,
                a.funnel_purchase_sessions)
           IS DISTINCT FROM (e.views, e.carts, e.removes, e.checkouts, e.purchases, e.revenue, e.sessions,
                e.view_sessions, e.cart_sessions, e.purchase_sessions, e.funnel_cart_sessions,
                e.funnel_purchase_sessions)
         ORDER BY 1, 2")
    printf '%s: %s rows, %s of them final\n' "$1" "$(shown_rows "$1" true)" "$(shown_rows "$1" final)"
    same "final rows of $1 that differ (start, group, views and sessions, each with the recount's)" "" \
        "$odd"
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
former_registered() {
    for name in aggregated_events funnel_partials session_funnels; do
        registered "$name" "$E2E_WORK/$name.former" >"$E2E_WORK/$name.former.id"
    done
}
check "the schemas of the version before are registered first" former_registered
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
    send_aggregate "$E2E_WORK/aggregate.newer" "$newer" newer funnel_checkout_sessions=1 buyers=9 \
        buying_view_sessions=3 view_purchase_sessions=2 view_cart_purchase_sessions=0
    send_aggregate "$E2E_WORK/aggregate.older" "$older" older
    send_aggregate "$E2E_WORK/aggregated_events.former" "$(cat "$E2E_WORK/aggregated_events.former.id")" former \
        funnel_checkout_sessions=2
    wait_until "the newer one is loaded" aggregate_is newer "5|12.34|1|1|t|7|3|2|0"
    wait_until "the older one is loaded, with the default" aggregate_is older "5|12.34|0|1|t|7|||"
    wait_until "the former one is loaded, without buyers" aggregate_is former "5|12.34|2|1|t|7|||"
}
check "aggregates of a newer and of older versions: the loader reads all" aggregates

send_partial() { # SCHEMA-FILE ID SOURCE [FIELD=VALUE...]
    local file=$1 id=$2 source=$3 key="1m:all|2040-01-01T00:00:00Z|2040-01-01T00:01:00Z|former"
    shift 3
    "$E2E/avro_events" --one "$file" "$id" rollup=1m:all "window_start=2040-01-01 00:00:00" \
        "window_end=2040-01-01 00:01:00" group_value=former "source_partition=$source" \
        "watermark=2019-10-05 00:00:00" idle=false views=1 carts=0 removes=0 checkouts=0 purchases=1 \
        revenue=1.00 sessions=1 view_sessions=1 cart_sessions=0 purchase_sessions=1 funnel_cart_sessions=0 \
        funnel_purchase_sessions=0 revision=1 "$@" >"$E2E_WORK/partial"
    send_file funnel_partials "$E2E_WORK/partial" -k "$key"
}
total_of_former() {
    sql "SELECT sessions, purchase_sessions, buying_view_sessions, view_purchase_sessions,
            view_cart_purchase_sessions
        FROM processed.funnel_aggregates WHERE group_value = 'former' AND window_start = '2040-01-01 00:00:00Z'"
}
total_is() { [[ "$(total_of_former)" == "$1" ]]; }
partials() {
    local counts=(buying_view_sessions=1 view_purchase_sessions=1 view_cart_purchase_sessions=0) id
    id=$(registered funnel_partials "$ROOT/schemas/funnel_partials.avsc")
    send_partial "$ROOT/schemas/funnel_partials.avsc" "$id" 0 "${counts[@]}"
    wait_until "the buyers of one source are counted" total_is "1|1|1|1|0"
    send_partial "$E2E_WORK/funnel_partials.former" "$(cat "$E2E_WORK/funnel_partials.former.id")" 1
    wait_until "those of two are not, as one is of the former version" total_is "2|2|||"
    send_partial "$ROOT/schemas/funnel_partials.avsc" "$id" 1 "${counts[@]}"
    wait_until "they are again when it has counted them" total_is "2|2|2|2|0"
}
check "a total has no buyers while a partial is of a version that did not count them" partials

# The former version wrote that a buyer without a cart has left after the view.
former_visit() {
    "$E2E/avro_events" --one "$E2E_WORK/session_funnels.former" "$(cat "$E2E_WORK/session_funnels.former.id")" \
        user_session=former "visit_start=2001-01-01 00:00:00" "visit_end=2001-01-01 00:01:00" user_id=1 \
        views=1 carts=0 removes=0 checkouts=0 purchases=1 products=1 revenue=1.00 furthest_stage=1 \
        drop_off_stage=view view_to_purchase_ms=60000 final=true revision=1 >"$E2E_WORK/visit"
    send_file session_funnels "$E2E_WORK/visit" -k "former"
    wait_until "the visit is loaded" sql "SELECT 1 / count(*) FROM processed.session_funnels
        WHERE user_session = 'former'"
    same "drop-off stage, flags, and where it ended" "|||bought without cart" "$(sql "
        SELECT v.drop_off_stage, v.view_purchase, v.view_cart_purchase, d.left_after
        FROM processed.session_funnels v, reporting.drop_off d
        WHERE user_session = 'former' AND d.day = '2001-01-01'")"
}
check "a visit of the former version that bought is not a drop-off" former_visit
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
follows_former() { # ours is a later version of the same subject
    local name versions
    for name in aggregated_events funnel_partials session_funnels; do
        versions=$(curl -fsS -m 20 "$SCHEMA_REGISTRY_URL/subjects/$(topic "$name")-value/versions" | jq -c .)
        printf '%s: versions %s\n' "$name" "$versions"
        ((${#versions} > 3)) # not [1]
        register "$name" "$ROOT/schemas/$name.avsc" | tail -n 1 | grep -qx 200
    done
}
check "our schemas are compatible with those of the version before" follows_former
