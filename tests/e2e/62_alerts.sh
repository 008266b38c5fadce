#!/usr/bin/env bash
# Conversion collapses in a replay, and recovers. The alert is opened within two refreshes and closed once.
# A loader that is killed after it has sent the alert, and before it has stored that, leaves one record in
# the topic. The webhook gets the alert although it fails, redirects and hangs, and loading does not wait.
# After a day of refusals, the loader gives up and says so. A registry that refuses the schema of alerts
# stops no loading.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

FALL=$E2E_WORK/fall.csv RISE=$E2E_WORK/rise.csv HOOK=$E2E_WORK/hook
HOOK_PORT=$((HTTP_BASE_PORT + 66))
SECRET="secret of the hook"
export REPORTING_INTERVAL=0s # the scenario calls the refreshes
export ALERT_WEBHOOK_URL=http://127.0.0.1:$HOOK_PORT/alerts ALERT_WEBHOOK_SECRET_FILE=$E2E_WORK/secret

# ---- two days: 8 views and 2 purchases a minute. On the second day from 12:00 to 14:00 no purchases.
# rows FIRST_MINUTE LAST_MINUTE
rows() {
    awk -v first="$1" -v last="$2" 'BEGIN {
        print "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
        for (m = first; m < last; m++) for (n = 0; n < 10; n++) {
            if (n >= 8 && m >= 2160 && m < 2280) continue
            printf "2019-10-%02d %02d:%02d:%02d UTC,%s,%d,1,a.b,x,5.00,%d,s%d-%d\n", 1 + int(m / 1440),
                int(m % 1440 / 60), m % 60, n * 6, n < 8 ? "view" : "purchase", n + 1, n + 1, m, n
        }
    }'
}
rows 0 2220 >"$FALL"
rows 2220 2520 >"$RISE"

mkdir -p "$HOOK"
printf '%s\n' "$SECRET" >"$ALERT_WEBHOOK_SECRET_FILE"
hook_mode() { printf '%s\n' "$1" >"$HOOK/mode.new" && mv "$HOOK/mode.new" "$HOOK/mode"; }
hook_mode 500
"$E2E/hook_server" "$HOOK_PORT" "$HOOK" "$SECRET" 3>&- 9>&- &
STARTED+=($!)
touch "$HOOK/requests"
# asked MODE [CONDITION]: requests that the hook got in this mode.
asked() { jq -c "select(.mode == \"$1\" and (${2:-true}))" "$HOOK/requests" | wc -l; }
asked_at_least() { (($(asked "$1" "${3:-true}") >= $2)); }

refresh() { sql "SELECT refreshed FROM reporting.refresh()"; }
alerts() {
    sql "SELECT to_char(opened_at AT TIME ZONE 'UTC', 'DD HH24:MI'),
        to_char(closed_at AT TIME ZONE 'UTC', 'DD HH24:MI') FROM reporting.alerts ORDER BY opened_at"
}
records() { records_of alerts; }
records_are() { [[ "$(records)" == "$1" ]]; }
unsent() { sql "SELECT count(*) FROM processed.alert_outbox WHERE $1 IS NULL"; }
all_sent() { [[ "$(unsent "$1")" == 0 ]]; }
not_marking() { ! marking; }
marking() { (($(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") > 0)); }

fresh
services
sql "UPDATE mart.state SET alerts_settle = '0'; DELETE FROM reporting.alert_rules;
    INSERT INTO reporting.alert_rules (rule, metric, compared_with, direction, bound, span, minimum_volume, hold)
    VALUES ('conversion_collapsed', 'conversion', 'day before', 'below', 0.5, '30 minutes', 200, '10 minutes')"
# Storing that an alert was sent waits for the lock 62.
sql "CREATE FUNCTION public.wait_for_62() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(62); RETURN NEW; END';
    GRANT EXECUTE ON FUNCTION public.wait_for_62() TO PUBLIC;
    CREATE TRIGGER wait_for_62 BEFORE UPDATE OF topic_sent_at ON processed.alert_outbox
    FOR EACH ROW EXECUTE FUNCTION public.wait_for_62()"
coproc LOCK { psql -X -q -A -t -d "$DSN" 3>&- 9>&-; }
printf 'SELECT pg_advisory_lock(62);\n' >&"${LOCK[1]}"
read -r _ <&"${LOCK[0]}"

# ---- the collapse. A span of 30 minutes has 60 purchases the day before. The condition is met when fewer
# than 30 are left: with the minute 12:15, whose end is 12:16. Ten minutes later it opens.
replay --input "$FALL"
drain
opened_within_two_refreshes() {
    same "before the first refresh" "" "$(alerts)"
    refresh
    refresh
    same "alerts" "02 12:26|" "$(alerts)"
}
check "the alert is opened within two refreshes" opened_within_two_refreshes

killed_before_the_mark() {
    wait_until "the record is in the topic" records_are 1
    wait_until "the loader stores that" marking
    crash pg-loader-1
    # Its statement would go on in the server.
    loader_sql "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    wait_until "its statement has ended" not_marking
    same "openings that are not known as sent" 1 "$(unsent topic_sent_at)"
}
check "the loader is killed after it has sent the alert, and before it has stored that" \
    killed_before_the_mark
printf '\\q\n' >&"${LOCK[1]}"
wait "$LOCK_PID" || true
found_again() {
    start pg-loader-1
    start pg-loader-2
    wait_until "the next loader has found it" all_sent topic_sent_at
    same "records" 1 "$(records)"
    same "lines of the log" 1 "$(grep -c 'event=alerts_found' "$LOG_DIR"/pg-loader-[12].log | awk -F: '{ n += $2 } END { print n }')"
}
check "the next loader finds the record in the topic, and does not send it again" found_again

hook_fails() {
    wait_until "two errors" asked_at_least 500 2
    hook_mode redirect
    wait_until "a redirect" asked_at_least redirect 1
    hook_mode hang
    wait_until "a request without an answer" asked_at_least hang 1
    same "requests to the target of the redirect" 0 "$(jq -r .path "$HOOK/requests" | grep -cv '^/alerts$' || true)"
    same "requests with a wrong signature" 0 "$(jq -c 'select(.signed | not)' "$HOOK/requests" | wc -l)"
}
check "the webhook fails: the loader tries again, with the same key" hook_fails

# ---- the recovery, while the webhook hangs
closed_once() {
    replay --input "$RISE"
    drain
    refresh
    refresh
    # 30 of 60 purchases are not below half: with the minute 14:14, whose end is 14:15.
    same "alerts" "02 12:26|02 14:25" "$(alerts)"
    wait_until "the closing is in the topic" records_are 2
}
check "while the webhook hangs, all rows are loaded, and the alert is closed once" closed_once

hook_recovers() {
    local id
    id=$(sql "SELECT alert_id FROM reporting.alerts")
    hook_mode ok
    wait_until "the webhook has both" all_sent webhook_sent_at
    same "keys of accepted requests" "$id $id-closed" \
        "$(jq -r 'select(.mode == "ok") | .key' "$HOOK/requests" | tr '\n' ' ' | sed 's/ $//')"
    same "keys of all openings" "$id" \
        "$(jq -r 'select(.body.state == "opened") | .key' "$HOOK/requests" | sort -u)"
    same "numbers of the opening" "conversion_collapsed 0.125 null" \
        "$(jq -r 'select(.mode == "ok" and .body.state == "opened") |
            [.body.rule, .body.limit_value, .body.closed_at] | map(tostring) | join(" ")' "$HOOK/requests")"
}
check "the webhook recovers: it accepts the opening once, then the closing once" hook_recovers
# The opening becomes one that was refused and is a day old.
gives_up() {
    local id requests
    id=$(sql "SELECT alert_id FROM reporting.alerts")
    requests=$(wc -l <"$HOOK/requests")
    same "rows" 1 "$(sql "WITH old AS (UPDATE processed.alert_outbox SET webhook_sent_at = NULL,
        webhook_tries = 1, webhook_next_at = now(), created_at = now() - interval '25 hours'
        WHERE state = 'opened' RETURNING 1) SELECT count(*) FROM old")"
    wait_until "the loader has given up" given_up
    sleep 2 # longer than a look at the outbox
    grep -h event=alert_given_up "$LOG_DIR"/pg-loader-[12].log | tee "$E2E_WORK/given-up"
    same "lines of the log" 1 "$(grep -c "level=error.*alert_id=$id state=opened rule=conversion_collapsed age_s=900" \
        "$E2E_WORK/given-up")"
    same "counted" 1 "$({ http_get pg-loader-1 metrics; http_get pg-loader-2 metrics; } |
        awk '/^funnel_alerts_given_up_total.*webhook/ { n += $2 } END { print n }')"
    same "requests" "$requests" "$(wc -l <"$HOOK/requests")"
}
given_up() { [[ $(sql "SELECT count(*) FROM reporting.alert_deliveries WHERE webhook_given_up") == 1 ]]; }
check "a day after the opening, the loader gives up, and says so once" gives_up
no_secret_in_the_logs() {
    ! grep -lF -e "$SECRET" -e "$HOOK_PORT/alerts" "$LOG_DIR"/pg-loader-[12].log
}
check "no log has the secret or the URL" no_secret_in_the_logs

in_the_topic() {
    program funnel-tail
    timeout "$LONG" "${PROGRAM[@]}" --topic alerts --from beginning --exit >"$E2E_WORK/records"
    cat "$E2E_WORK/records"
    same "records" "conversion_collapsed opened 0.125000000000000000000 null
conversion_collapsed closed 0.125000000000000000000 recovered" \
        "$(jq -r '[.value.rule, .value.state, .value.limit_value, .value.closed_by] | map(tostring) | join(" ")' "$E2E_WORK/records")"
}
check "the topic has the opening and the closing, in Avro" in_the_topic

gauge() { http_get "$1" metrics | awk '/^funnel_alerts_open/ { print $1, $2 }'; }
nothing_new() {
    replay --input "$FALL"
    replay --input "$RISE"
    drain
    refresh
    refresh
    same "alerts" "02 12:26|02 14:25" "$(alerts)"
    same "messages" 2 "$(count processed.alert_outbox)"
    same "records" 2 "$(records)"
}
check "a second replay opens nothing" nothing_new
gauge_is() { [[ "$(gauge pg-loader-1)" == "$1" ]]; }
gauges() {
    crash pg-loader-1
    stack stop pg-loader-2
    REPORTING_INTERVAL=200ms "$STACK" start pg-loader-1 3>&-
    wait_until "the gauge is there" gauge_is 'funnel_alerts_open{rule="conversion_collapsed"} 0'
}
check "a gauge shows whether an alert of the rule is open" gauges

# ---- a registry that refuses

registry() { # METHOD PATH [BODY]
    curl -fsS -m 20 -X "$1" -H 'Content-Type: application/vnd.schemaregistry.v1+json' \
        ${3:+-d "$3"} "$SCHEMA_REGISTRY_URL/subjects/$(topic alerts)-value$2"
}
failures_to_the_topic() {
    http_get pg-loader-1 metrics | awk '/^funnel_alerts_failures_total.*topic/ { print $2 }'
}
registry_refuses() {
    stack stop pg-loader-1
    registry DELETE ""
    registry POST /versions "$(jq -cn '{schema: ({type: "record", name: "Stranger",
        fields: [{name: "only", type: "string"}]} | tojson)}')"
    sql "UPDATE processed.alert_outbox SET topic_sent_at = NULL WHERE state = 'closed'"
    start pg-loader-1
    wait_until "the loader says why" says pg-loader-1 event=alerts_not_sent receiver=topic incompatible
    rows 2520 2530 >"$E2E_WORK/more.csv"
    replay --input "$E2E_WORK/more.csv"
    drain
    same "rows of raw.events" $(($(rows_of "$FALL") + $(rows_of "$RISE") + $(rows_of "$E2E_WORK/more.csv"))) \
        "$(count raw.events)"
    (($(failures_to_the_topic) >= 1))
    same "what is not sent" 1 "$(unsent topic_sent_at)"
    registry DELETE ""
    wait_until "the loader sends again" all_sent topic_sent_at
    same "records" 2 "$(records)"
}
check "a registry that refuses the schema of alerts: rows are loaded, and the alert is sent later" \
    registry_refuses
