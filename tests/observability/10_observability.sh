#!/usr/bin/env bash
# Our services, a real Kafka with its exporter, PostgreSQL with its exporter, and a Prometheus that scrapes all
# of them with the rules of deploy/observability. The numbers in Prometheus are those of a recount; each metric
# that a rule or a dashboard reads exists; an alert fires. Also: trace headers, and the summaries in the log.
source "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=prometheus.sh
source "$ROOT/tests/observability/prometheus.sh"

ROWS=$E2E_WORK/replay.csv
LATE=$E2E_WORK/late.csv # 20 hours before the end of ROWS: too late for every open window
KAFKA_METRICS=127.0.0.1:$((HTTP_BASE_PORT + 45))
POSTGRES_METRICS=127.0.0.1:$((HTTP_BASE_PORT + 46))
PARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01

# ---- files

check "rules, dashboards and runbook are valid without a Prometheus" "$ROOT/tests/observability/files"

# ---- the stack, with exporters

"$BIN_DIR/producer" --source synthetic --events 30 --seed 31 --start-time "2019-10-01 02:00:00" --output "$LATE"
stack stop kafka
KAFKA_JVM_OPTIONS="${KAFKA_JVM_OPTIONS:-} $("$OBSERVABILITY/kafka-agent" "$KAFKA_METRICS")" start kafka
fresh
services
# The exporter's library knows the file of passwords only by this variable.
PGPASSFILE=$(pass_file) DATA_SOURCE_NAME="${DSN% passfile=*} sslmode=disable" prometheus-postgres-exporter "--web.listen-address=$POSTGRES_METRICS" \
    >"$LOG_DIR/postgres-exporter.log" 2>&1 3>&- 9>&- &
STARTED+=($!)
export KAFKA_METRICS POSTGRES_METRICS
SCRAPE_INTERVAL=1s "$OBSERVABILITY/scrape-config" >"$E2E_WORK/prometheus.yml"
check "the scrape configuration is valid" promtool check config "$E2E_WORK/prometheus.yml"
begin_prometheus "$E2E_WORK/prometheus.yml"
wait_until "Prometheus scrapes five targets" is 'sum(up)' 5

# ---- rows: good, malformed, duplicate, late, traced; and bytes that pg-loader rejects

replay --input "$ROWS"
drain
send_rows "$LATE"
late_rows_are_loaded() { (($(count raw.late_events) > 0)); }
wait_until "late events are loaded" late_rows_are_loaded
raw_row() { # EVENT_TIME
    printf '{"event_time":"%s UTC","event_type":"view","product_id":7,"price":"1.00","user_id":77,"user_session":"traced"}' "$1"
}
raw_row "2019-10-02 05:00:00" >"$E2E_WORK/good"
raw_row "yesterday" >"$E2E_WORK/bad"
for file in good bad; do
    send_file raw_events "$E2E_WORK/$file" -k traced -H "tracestate=v=$file" -H "traceparent=$PARENT"
done
printf 'not avro' >"$E2E_WORK/bytes"
send_file bronze_events "$E2E_WORK/bytes" -p 1 -k s
rejects_are_stored() { (($(count "raw.dead_letters WHERE stage = 'loader'") == 1)); }
wait_until "the bytes in bronze are rejected" rejects_are_stored
drain

headers_of() { committed "$1" '%k|%h\n' | grep '^traced|' | tr '|' , | tr , '\n' | grep '^trace[ps]' | sort | xargs; } # TOPIC
check "traceparent and tracestate are in the bronze record" \
    same headers "traceparent=$PARENT tracestate=v=good" "$(headers_of bronze_events)"
check "and in the dead letter" same headers "traceparent=$PARENT tracestate=v=bad" "$(headers_of dead_letter)"
check "the event of the traced record is stored" same events 1 "$(count "raw.events WHERE user_session = 'traced'")"

# ---- the numbers in Prometheus, against a recount of topics and tables

RAW="topic=\"$(topic raw_events)\""
BRONZE="topic=\"$(topic bronze_events)\""
wait_until "the loader's count is scraped" is 'sum(funnel_end_to_end_seconds_count)' "$(count raw.events)"
wait_until "the aggregator's count is scraped" is "sum(funnel_rows_in_total{$BRONZE})" "$(($(count raw.events) + 1))"
equals() { same "$1" "$3" "$(values "$2")"; } # WHAT QUERY EXPECTED
check "rows in: the records of the raw topic" equals rows "sum(funnel_rows_in_total{$RAW})" "$(records_of raw_events)"
check "rows out: the stored events" equals rows "sum(funnel_rows_out_total{$RAW})" "$(count raw.events)"
per_partition() {
    local partition
    for partition in 0 1 2 3; do
        equals "partition $partition" "sum(funnel_rows_out_total{$RAW,partition=\"$partition\"})" \
            "$(count "raw.events WHERE raw_partition = $partition")"
    done
}
check "and by partition" per_partition
check "in = out + duplicates + dead, in each partition" same "partitions that differ" "" "$(values "
    funnel_rows_in_total{$RAW} != funnel_rows_out_total + funnel_rows_duplicate_total + funnel_rows_dead_total")"
check "some duplicates" is "sum(funnel_rows_duplicate_total{$RAW}) > bool 0" 1
dead_by_reason() {
    api query --data-urlencode "query=sum by (reason) (funnel_dead_letters_total{$RAW})" |
        jq -r '.data.result[] | "\(.metric.reason) \(.value[1])"' | sort >"$E2E_WORK/reasons.metrics"
    sql "SELECT reason || ' ' || count(*) FROM raw.dead_letters WHERE stage = 'bronze-sink' GROUP BY reason" |
        LC_ALL=C sort >"$E2E_WORK/reasons.table"
    [[ -s $E2E_WORK/reasons.table ]]
    diff "$E2E_WORK/reasons.table" <(LC_ALL=C sort "$E2E_WORK/reasons.metrics")
}
check "dead letters by reason: those of the table" dead_by_reason
check "late rows: the stored late events" equals rows "sum(funnel_rows_late_total{$BRONZE})" "$(count raw.late_events)"
check "rejects of pg-loader" equals rejects "sum(funnel_loader_rejects_total)" 1
check "event ids in the state of bronze-sink: the stored events" \
    equals entries "sum(funnel_state_entries{$RAW})" "$(count raw.events)"
check "the newest stored event time" equals time "max(funnel_loader_event_timestamp_seconds)" \
    "$(sql "SELECT extract(epoch FROM max(event_time))::bigint FROM raw.events")"
watermark_is_before_the_clock() {
    equals partitions "count(funnel_clock_timestamp_seconds{$BRONZE} - funnel_watermark_timestamp_seconds{$BRONZE} == 5)" 4
}
check "the watermark is the clock less the allowed disorder" watermark_is_before_the_clock
no_lag() { [[ "$(values 'sum(kafka_consumergroup_lag)')" == 0 ]]; }
wait_until "nothing lags" no_lag
check "three groups show their lag in each partition of what they read" equals series "count(kafka_consumergroup_lag)" \
    "$(sql "SELECT 4 + 4 + 1 + count(*) FROM processed.loader_offsets")"

# ---- each metric that is read exists

metric_names() { # reads expressions; without labels, durations and functions
    sed -E 's/\{[^}]*\}//g; s/\[[^]]*\]//g; s/"[^"]*"//g; s/(by|on|group_right|without) *\([^)]*\)//g' |
        grep -oE '\b(up|ALERTS|(funnel|kafka|pg|process)_[a-z0-9_]+)\b' | sort -u
}
expressions_of_rules() { api rules | jq -r '.data.groups[].rules[].query'; }
# These exist only when something is wrong. Unit tests have them.
RARE="funnel_alerts_open funnel_metrics_refused_total"
metrics_exist() { # EXPRESSIONS...
    local name missing=""
    api label/__name__/values | jq -r '.data[]' | sort >"$E2E_WORK/names"
    for name in $("$@" | metric_names); do
        [[ " $RARE " == *" $name "* ]] || grep -qx "$name" "$E2E_WORK/names" || missing+=" $name"
    done
    same "metrics that no target has" "" "$missing"
}
check "each metric of the rules exists" metrics_exist expressions_of_rules
check "each metric of the dashboards exists" metrics_exist "$OBSERVABILITY/dashboards" --list
each_panel_has_values() {
    local board panel expression rows=0
    while IFS=$'\t' read -r board panel expression; do
        rows=$((rows + 1))
        (($(values "${expression//\$__rate_interval/5m}" | wc -l) > 0)) ||
            { warn "$board, $panel: no value: $expression"; return 1; }
    done < <("$OBSERVABILITY/dashboards" --list)
    ((rows > 50))
}
check "each expression of the dashboards has a value" each_panel_has_values
check "no rule fails" same "rules that fail" "" "$(api rules | jq -r '.data.groups[].rules[] | select(.health != "ok") | .name')"

# ---- alerts fire (20_runbook has their ends)

wait_until "the reject fires an alert" firing FunnelLoaderRejects
check "the alert names the reason" same reason "$(sql "SELECT reason FROM raw.dead_letters WHERE stage = 'loader'")" \
    "$(label_of FunnelLoaderRejects reason)"
check "nothing else fires" same alerts FunnelLoaderRejects \
    "$(api query --data-urlencode 'query=ALERTS{alertstate="firing",severity="critical"}' | jq -r '.data.result[].metric.alertname')"

# ---- summaries in the log

check "a running service logs a line each minute" \
    wait_until "a minute has passed" grep -q 'event=summary period=minute' "$LOG_DIR/bronze-sink-1.log"
stop_services
# summary INSTANCE KEY: of the complete run, of the newest process that counted rows.
summary() { grep -h 'event=summary period=run' "$LOG_DIR/$1.log" | tail -n 1 | tr ' ' '\n' | sed -n "s/^$2=//p"; }
check "bronze-sink logs its rows at its end" same rows "$(records_of raw_events)" "$(summary bronze-sink-1 rows_in)"
check "and its dead letters" same letters "$(count "raw.dead_letters WHERE stage = 'bronze-sink'")" \
    "$(summary bronze-sink-1 dead_letters)"
listed() { summary bronze-sink-1 reasons | tr , '\n' | tr : ' ' | LC_ALL=C sort | diff "$E2E_WORK/reasons.table" -; }
check "by reason" listed
check "funnel-aggregator logs its late rows" same rows "$(count raw.late_events)" "$(summary funnel-aggregator-1 late)"
