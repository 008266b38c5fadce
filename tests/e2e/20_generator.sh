#!/usr/bin/env bash
# The generator's events, with all of its defects switched on, agree with the recount. Then all rows and
# a part of them are sent again.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/generated.csv
EVENTS=${E2E_EVENTS:-20000}

send_generated() {
    replay --source synthetic --events "$EVENTS" --seed 11 --start-time "2019-10-01 15:00:00" \
        --duplicates 0.01 --disorder 5s --malformed 0.002 --late 0.001 --missing-sessions 0.01 \
        --checkouts --tee "$ROWS"
}

# Whether an event is too far in the future depends on its time of arrival, which the recount does not
# know. So the generator's rows of the year 9999 lose their time here: a row without a time is a dead
# letter for the recount too.
recountable() { sed -E 's/^9999-[^,]*//' "$1" >"$1.recountable"; }

some_are_late() { local n; n=$(count raw.late_events) && ((n > 0)); }

# The counts of all partitions, added up per service, balance from one stage to the next.
nothing_is_lost() {
    same "differences: raw to bronze + duplicates + dead, bronze to events, events to aggregator" \
        "0|0|0" "$(sql "
        WITH sink AS (SELECT * FROM processed.counts WHERE service = 'bronze-sink'),
        aggregator AS (SELECT * FROM processed.counts
            WHERE service = 'funnel-aggregator' AND topic LIKE '%bronze_events')
        SELECT (SELECT sum(records_in - records_out - duplicates - dead) FROM sink),
               (SELECT sum(records_out) FROM sink) - (SELECT count(*) FROM raw.events),
               (SELECT sum(records_in) FROM aggregator) - (SELECT count(*) FROM raw.events)")"
}

# The counts have grown by the rows of FILE only, and the tables are as they were.
replayed() { # FILE ROWS_BEFORE
    drain
    same "rows counted" $(($2 + $(rows_of "$1"))) "$(counts_in)"
    snapshot "$E2E_WORK/after"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
}

# One look at the reports; nothing waits before it.
reports_are_complete() {
    local reports
    reports=$(sql "SELECT (SELECT sum(total_events) FROM reporting.clickstream_metrics),
        (SELECT sum(total_revenue) FROM reporting.clickstream_metrics), (SELECT sum(visits) FROM reporting.visit_days),
        (SELECT count(*) FROM reporting.segments WHERE complete)")
    same "events, revenue, visits, complete segments" "$(sql "
        SELECT count(*), sum(price) FILTER (WHERE event_type = 'purchase'),
            (SELECT count(*) FROM processed.session_funnels), 1 FROM raw.events")" "$reports"
}

fresh
services
send_generated
all_reported
check "when \`make wait\` returns, the reports are complete" reports_are_complete
recountable "$ROWS"
check "duplicates, disorder, late and malformed rows: the recount agrees" oracle --exact-counts "$ROWS.recountable"
check "some events were late" some_are_late
check "every layer has the same events" reconciled
check "the branches of the funnels add up" branches_add_up
check "nothing is lost between the stages" nothing_is_lost
check "the topic of aggregates agrees with its table" topic_equals_table aggregated_events
check "the topic of visits agrees with its table" topic_equals_table session_funnels

snapshot "$E2E_WORK/before"
before=$(counts_in)
replay --input "$ROWS"
check "the same rows again change no event, aggregate or visit" replayed "$ROWS" "$before"

# From the middle: no row of the part is new or the newest.
{ head -n 1 "$ROWS"; sed -n "$((EVENTS / 4)),$((EVENTS / 2))p" "$ROWS"; } >"$E2E_WORK/part.csv"
recountable "$E2E_WORK/part.csv"
before=$(counts_in)
replay --input "$E2E_WORK/part.csv"
check "a part of the rows again changes no event, aggregate or visit" \
    replayed "$E2E_WORK/part.csv" "$before"
check "after the replays the recount still agrees" \
    oracle "$ROWS.recountable" "$ROWS.recountable" "$E2E_WORK/part.csv.recountable"
check "after the replays every layer still has the same events" reconciled
