#!/usr/bin/env bash
# A sample of the real data, if the file is there. Its numbers were counted independently of this
# project.
source "$(dirname "$0")/lib.sh"

SAMPLE=$ROOT/../shared/data/2019-Oct-first-17434-rows.csv.gz
if [[ ! -r $SAMPLE ]]; then
    say "skip $SCENARIO: $SAMPLE does not exist" >&3
    exit 0
fi

known_numbers() {
    same "rows in, bronze, duplicates, dead" "17434|17429|5|0" \
        "$(sql "SELECT sum(records_in), sum(records_out), sum(duplicates), sum(dead)
            FROM processed.counts WHERE service = 'bronze-sink'")"
    same "events, users, revenue" "17429|4504|59442.63" \
        "$(sql "SELECT count(*), count(DISTINCT user_id),
            sum(price) FILTER (WHERE event_type = 'purchase') FROM raw.events")"
    same "revenue of the day" "59442.63" "$(sql "SELECT revenue FROM processed.funnel_aggregates WHERE rollup = '1d:all'")"
    same "visits" 5067 "$(count processed.session_funnels)"
}

# One look at the reports; nothing waits before it.
reports_are_complete() {
    same "events, revenue, visits, complete segments" "17429|59442.63|5067|1" "$(sql "
        SELECT sum(total_events), sum(total_revenue), (SELECT sum(visits) FROM reporting.visit_days),
               (SELECT count(*) FROM reporting.segments WHERE complete)
        FROM reporting.clickstream_metrics")"
}

fresh
services
replay --input "$SAMPLE"
all_reported
check "when \`make wait\` returns, the reports are complete" reports_are_complete
check "the recount agrees, no event is late" oracle --exact-counts --max-late 0 "$SAMPLE"
check "17,434 rows: 17,429 events, 5 duplicates, 0 dead, 5,067 visits, 59,442.63" known_numbers

# 135 of the 200 sessions that bought had no cart event before: counted from the file.
buyers() {
    same "orders, of them after a view, via the cart, without; drop-offs among them" "200|199|65|135|0" "$(sql "
        SELECT purchase_sessions, view_purchase_sessions, view_cart_purchase_sessions,
               purchase_sessions - view_cart_purchase_sessions,
               (SELECT count(*) FROM processed.session_funnels WHERE purchases > 0 AND drop_off_stage IS NOT NULL)
        FROM processed.funnel_aggregates WHERE rollup = '1d:all'")"
}
check "135 of 200 buying sessions bought without a cart, and none is a drop-off" buyers
check "the branches of the funnels add up" branches_add_up

snapshot "$E2E_WORK/before"
replay --input "$SAMPLE"
drain
snapshot "$E2E_WORK/after"
check "the same file again changes no row" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "the same file again is counted as duplicates" same "duplicates" $((5 + 17434)) "$(counts_duplicates)"
