#!/usr/bin/env bash
# The generator's events, with everything it can do wrong switched on, against the recount; then all of it once more.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/generated.csv
EVENTS=${E2E_EVENTS:-60000}

send_generated() {
    replay --source synthetic --events "$EVENTS" --seed 11 --start-time "2019-10-01 15:00:00" --duplicates 0.01 --disorder 5s \
        --malformed 0.002 --late 0.001 --missing-sessions 0.01 --checkouts --tee "$ROWS"
}

# Whether an event is too far ahead depends on the moment it came, which the recount cannot know: the generator's rows of
# the year 9999 lose their time here, so that the recount, too, takes each for one dead letter.
recountable() { sed -E 's/^9999-[^,]*//' "$1" >"$1.recountable"; }

some_are_late() { local n; n=$(count raw.late_events) && ((n > 0)); }

# Every service's counts, added up over partitions: nothing is lost from one stage to the next.
nothing_is_lost() {
    same "raw rows unlike bronze + duplicates + dead, events unlike bronze, events unlike the aggregator's" "0|0|0" "$(sql "
        SELECT (SELECT sum(records_in - records_out - duplicates - dead) FROM processed.counts WHERE service = 'bronze-sink'),
               (SELECT sum(records_out) FROM processed.counts WHERE service = 'bronze-sink') - (SELECT count(*) FROM raw.events),
               (SELECT sum(records_in) FROM processed.counts WHERE service = 'funnel-aggregator' AND topic LIKE '%bronze_events') -
               (SELECT count(*) FROM raw.events)")"
}

# Rows of the part, and of nothing else, were counted as repeats or dead letters; the tables are as they were.
replayed() { # FILE ROWS_BEFORE
    drain
    same "rows counted" $(($2 + $(rows_of "$1"))) "$(counts_in)"
    snapshot "$E2E_WORK/after"
    same_snapshot "$E2E_WORK/before" "$E2E_WORK/after"
}

fresh
services
send_generated
drain
recountable "$ROWS"
check "duplicates, disorder, late and malformed rows: the oracle holds" oracle --exact-counts "$ROWS.recountable"
check "some events were late" some_are_late
check "every layer holds the same events" reconciled
check "nothing is lost between the stages" nothing_is_lost
check "the last values in the topic of aggregates are the table's rows" topic_equals_table aggregated_events
check "the last values in the topic of visits are the table's rows" topic_equals_table session_funnels

snapshot "$E2E_WORK/before"
before=$(counts_in)
replay --input "$ROWS"
check "the same rows again: events, aggregates and visits stay, row for row" replayed "$ROWS" "$before"

# From the middle, so that nothing of it is new or newest.
{ head -n 1 "$ROWS"; sed -n "$((EVENTS / 4)),$((EVENTS / 2))p" "$ROWS"; } >"$E2E_WORK/part.csv"
recountable "$E2E_WORK/part.csv"
before=$(counts_in)
replay --input "$E2E_WORK/part.csv"
check "a part of the rows again: events, aggregates and visits stay, row for row" replayed "$E2E_WORK/part.csv" "$before"
check "after the replays the oracle still holds" oracle "$ROWS.recountable" "$ROWS.recountable" "$E2E_WORK/part.csv.recountable"
check "and every layer still holds the same events" reconciled
