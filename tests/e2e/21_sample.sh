#!/usr/bin/env bash
# The real sample, where it is at hand: its numbers were counted by others, apart from this project.
source "$(dirname "$0")/lib.sh"

SAMPLE=$ROOT/../shared/data/2019-Oct-first-17434-rows.csv.gz
if [[ ! -r $SAMPLE ]]; then
    say "skip $SCENARIO: there is no $SAMPLE" >&3
    exit 0
fi

known_numbers() {
    same "rows in, bronze, duplicates, dead" "17434|17429|5|0" \
        "$(sql "SELECT sum(records_in), sum(records_out), sum(duplicates), sum(dead) FROM processed.counts WHERE service = 'bronze-sink'")"
    same "events, users, revenue" "17429|4504|59442.63" \
        "$(sql "SELECT count(*), count(DISTINCT user_id), sum(price) FILTER (WHERE event_type = 'purchase') FROM raw.events")"
    same "revenue of the day" "59442.63" "$(sql "SELECT revenue FROM processed.funnel_aggregates WHERE rollup = '1d:all'")"
    same "visits" 5067 "$(count processed.session_funnels)"
}

fresh
services
replay --input "$SAMPLE"
drain
check "the oracle holds, nothing is late" oracle --exact-counts --max-late 0 "$SAMPLE"
check "17,434 rows: 17,429 events, 5 duplicates, 0 dead, 5,067 visits, 59,442.63" known_numbers

snapshot "$E2E_WORK/before"
replay --input "$SAMPLE"
drain
snapshot "$E2E_WORK/after"
check "the same file again changes nothing" same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
check "only counts grow" same "duplicates" $((5 + 17434)) "$(counts_duplicates)"
