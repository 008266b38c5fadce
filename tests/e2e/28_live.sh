#!/usr/bin/env bash
# Live traffic without our producer. 1,000 users click at random rates, and the clocks of some are years
# off: none of the others' events is refused or late. Then an event 30 days ahead of its partition, and one
# of years ahead: the first is accepted and holds back no restore after its day, the second is refused.
source "$(dirname "$0")/lib.sh"

broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }
send() { timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -K $'\t' -X partitioner=murmur2_random -t "$(topic raw_events)"; }

# ---- 1,000 users
TRUTH=$E2E_WORK/live.truth
export PARTITIONS=12
fresh
services
"$E2E/live_feed" 1000 10 1 "$TRUTH" | send
drain
psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" <<SQL
CREATE TABLE public.sent (product_id bigint PRIMARY KEY, user_id bigint, good boolean);
\\copy public.sent FROM '$TRUTH'
SQL
GOOD=$(count "public.sent WHERE good")

some_clocks_are_wrong() {
    printf 'events: %d with the right time, %d with a wrong one\n' "$GOOD" "$(count "public.sent WHERE NOT good")"
    same "users" "28 wrong, 972 right" "$(sql "SELECT count(DISTINCT user_id) FILTER (WHERE NOT good) || ' wrong, '
        || count(DISTINCT user_id) FILTER (WHERE good) || ' right' FROM public.sent")"
    (($(count "raw.dead_letters WHERE reason = 'future_event_time'") > 0))
}
none_is_lost() {
    same "events of users with the right time" "$GOOD" \
        "$(count "raw.events JOIN public.sent USING (product_id, user_id) WHERE good")"
    same "refused users with the right time" "" "$(sql "SELECT DISTINCT user_id FROM raw.dead_letters d
        JOIN public.sent s ON s.product_id = (convert_from(d.value, 'UTF8')::jsonb ->> 'product_id')::bigint
        WHERE good")"
    same "events and dead letters" "$(count public.sent)" "$(($(count raw.events) + $(count raw.dead_letters)))"
}
none_is_late() {
    same "late events" 0 "$(count "raw.late_events JOIN public.sent USING (product_id) WHERE good")"
    same "events in the totals of their minutes and days" "$GOOD $GOOD" "$(sql "
        SELECT string_agg(views::text, ' ') FROM (
            SELECT sum(views) AS views FROM processed.funnel_aggregates
            WHERE rollup IN ('1m:all', '1d:all') AND window_start >= (
                SELECT date_trunc('day', min(event_time), 'UTC') FROM raw.events JOIN public.sent USING (product_id) WHERE good)
            GROUP BY rollup) AS r")"
}
check "1,000 users: some clocks are years off" some_clocks_are_wrong
check "no event of the other users is lost" none_is_lost
check "no event of the other users is late" none_is_late

# ---- one event 30 days ahead, and one 3 years ahead

# Sixty days, an event every five minutes, in one partition.
FAR=$E2E_WORK/far
awk 'BEGIN { for (n = 0; n < 60 * 288; n++) printf "s\t{\"event_time\":%d,\"event_type\":\"view\",\"product_id\":%d," \
    "\"brand\":\"b\",\"user_id\":%d,\"user_session\":\"s\"}\n", 1569888000 + n * 300, n + 1, 1 + n % 5 }' >"$FAR"
ahead() { # DAYS PRODUCT
    printf 's\t{"event_time":%d,"event_type":"view","product_id":%d,"brand":"b","user_id":77,"user_session":"s"}\n' \
        $((1569888000 + 300 * 300 + $1 * 86400)) "$2"
}
restore_from() { # SERVICE TOPIC
    broker committed "$(topic "$1")" "$(topic "$2")" 0 | sed 's/.* r=\([0-9]*\) .*/\1/'
}
killed_and_started() { # [NAME=VALUE...]
    crash bronze-sink-1
    crash funnel-aggregator-1
    start bronze-sink-1
    env "$@" "$STACK" start funnel-aggregator-1 3>&-
}
# A block of the restore index has 4,096 records, which are 14 days.
held_for_its_days() {
    same "bronze-sink restores from" 0 "$(restore_from bronze-sink raw_events)"
    same "funnel-aggregator restores from" 0 "$(restore_from funnel-aggregator bronze_events)"
}
held_no_more() {
    local service topic at
    for service in bronze-sink:raw_events funnel-aggregator:bronze_events; do
        topic=${service#*:} service=${service%:*}
        at=$(restore_from "$service" "$topic")
        printf '%s restores from %s\n' "$service" "$at"
        ((at >= 2 * 4096)) || { warn "$service still restores from $at"; return 1; }
    done
}
refused_with_detail() {
    same "dead letters" 1 "$(count raw.dead_letters)"
    same "of the one years ahead" 99999 "$(sql "SELECT convert_from(value, 'UTF8')::jsonb ->> 'product_id'
        FROM raw.dead_letters WHERE reason = 'future_event_time' AND detail LIKE '%more than 31 days after%'")"
    same "events of the one 30 days ahead" 1 "$(count "raw.events WHERE product_id = 88888")"
}
still_known() { # NUMBER of records on standard input: all are duplicates
    local before
    before=$(counts_duplicates)
    send
    drain
    same "duplicates" $((before + $1)) "$(counts_duplicates)"
}
totals() { # ROLLUP
    sql "SELECT sum(views) FROM processed.funnel_aggregates WHERE rollup = '$1'"
}

export PARTITIONS=1
fresh
services
{ head -n 300 "$FAR"; ahead 30 88888; ahead 1100 99999; sed -n '301,8640p' "$FAR"; } | send
drain
check "30 days ahead is accepted, years ahead is a dead letter with a detail" refused_with_detail
check "until day 30 a restore needs it" held_for_its_days
killed_and_started ROLLUPS="1m:all 1h:category 1d:all 1h:brand"
check "killed (kill -9) and started: the event 30 days ahead is still known" still_known 1 < <(ahead 30 88888)
tail -n +8641 "$FAR" | send
drain
check "after its day, no restore reads that far back" held_no_more
all_events() {
    same "events" $((60 * 288 + 1)) "$(count raw.events)"
    same "late events" 0 "$(count raw.late_events)"
    same "events by day" $((60 * 288 + 1)) "$(totals 1d:all)"
}
check "all events are in the totals, none is late" all_events
# It begins after the windows that the event 30 days ahead is in, on 2019-11-01 at 01:00.
rollup_began() {
    local hours="processed.funnel_aggregates WHERE rollup = '1h:brand'"
    sql "SELECT min(window_start), count(*), sum(views) FROM $hours"
    same "hours of the added rollup with other than 12 events" 0 \
        "$(count "$hours AND views <> 12 + (window_start = '2019-11-01 01:00 UTC')::int")"
    same "hours from the second day of November on" $((27 * 24)) \
        "$(count "$hours AND window_start >= '2019-11-02 UTC' AND window_start < '2019-11-29 UTC'")"
}
check "a rollup that was added at the restart has begun" rollup_began

# Retention deletes what no restore needs.
broker cut "$(topic raw_events)" 0 "$(restore_from bronze-sink raw_events)"
broker cut "$(topic bronze_events)" 0 "$(restore_from funnel-aggregator bronze_events)"
killed_and_started ROLLUPS="1m:all 1h:category 1d:all 1h:brand"
check "after retention and kill -9 both start, and know the last week" still_known 2016 < <(tail -n 2016 "$FAR")
check "no event is counted twice" all_events
