#!/usr/bin/env bash
# The rules of validity change between restarts of bronze-sink. A row that was refused does not count as
# seen: when it is redriven, it becomes an event, once. A row that was accepted still counts as seen, even
# if the present rules would refuse it.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/rules.csv
CHEAP=$E2E_WORK/cheap.csv # the same rows, each with another price

"$BIN_DIR/producer" --source synthetic --events 3000 --seed 59 --start-time "2019-10-01 10:00:00" \
    --disorder 5s --checkouts --output "$ROWS"
# Every fifth row has that price in both files.
awk -F, -v OFS=, 'NR > 1 && NR % 5 == 0 { $7 = "0.50" } { print }' "$ROWS" >"$ROWS.new"
mv "$ROWS.new" "$ROWS"
awk -F, -v OFS=, 'NR > 1 { $7 = "0.50" } { print }' "$ROWS" >"$CHEAP"

redrive() { program redrive; timeout "$LONG" "${PROGRAM[@]}" "$@"; }
letters() { count "raw.dead_letters WHERE stage = 'bronze-sink' AND reason = '$1'"; }
refused_rows() { count "raw.dead_letters WHERE stage = 'bronze-sink'"; }
events() { count raw.events; }
sink_is_ready() { http_get bronze-sink-1 readyz >/dev/null 2>&1; }

# restart_with [NAME=VALUE...]: kills bronze-sink, and starts it with these rules only.
restart_with() {
    crash bronze-sink-1
    env "$@" "$STACK" start bronze-sink-1 3>&-
    wait_until "bronze-sink is ready" sink_is_ready
}
# The sum of a field over the lines of an event in bronze-sink's log since its last start.
logged() { # EVENT FIELD
    tac "$LOG_DIR/bronze-sink-1.log" | sed '/event=start /q' | grep "event=$1 " |
        grep -o " $2=[0-9]*" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}

# ---- relaxed
fresh
export ALLOWED_EVENT_TYPES=view,cart MAX_PRICE=300
services
unset ALLOWED_EVENT_TYPES MAX_PRICE
replay --input "$ROWS"
drain
REFUSED=$(refused_rows)
refused_by_both_rules() {
    (($(letters event_type_not_allowed) > 20))
    (($(letters price_out_of_bounds) > 20))
    same "letters" "$REFUSED" $(($(letters event_type_not_allowed) + $(letters price_out_of_bounds)))
    same "events" $(($(rows_of "$ROWS") - REFUSED)) "$(events)"
}
check "strict rules refuse rows by their type and by their price" refused_by_both_rules

restart_with
same_refusals_found() { same "refused rows found" "$REFUSED" "$(logged rules_changed refused)"; }
check "relaxed rules: the restore finds each refused row in the dead letters" same_refusals_found
redriven_once() {
    redrive --yes >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    grep -qx "sent: $REFUSED" "$E2E_WORK/out"
    drain
    same "events" "$(rows_of "$ROWS")" "$(events)"
    same "duplicates" 0 "$(counts_duplicates)"
    same "dead letters" "$REFUSED" "$(refused_rows)"
}
check "each redriven row is an event" redriven_once
same_rows() { # the recount of totals is for rows in order; these are late
    awk -F, -v OFS=, 'NR > 1 { sub(" UTC", "", $1); print $1, $2, $3, $7, $8, $9 }' "$ROWS" |
        LC_ALL=C sort >"$E2E_WORK/rows.sent"
    sql "SELECT concat_ws(',', to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
            event_type, product_id, coalesce(price::text, ''), user_id, coalesce(user_session, ''))
        FROM raw.events" | LC_ALL=C sort >"$E2E_WORK/rows.found"
    diff "$E2E_WORK/rows.sent" "$E2E_WORK/rows.found" | head -n 6
    cmp "$E2E_WORK/rows.sent" "$E2E_WORK/rows.found"
}
check "all rows of the file are events, and no others" same_rows
not_twice() {
    redrive --yes | grep -qx "sent: 0"
    send_rows "$ROWS"
    wait_until "the rows arrive again" duplicates_are "$1"
    drain
    same "events" "$(rows_of "$ROWS")" "$(events)"
    same "duplicates" "$1" "$(counts_duplicates)"
}
duplicates_are() { (($(counts_duplicates) >= $1)); }
check "a second redrive sends nothing, and a second replay adds duplicates only" \
    not_twice "$(rows_of "$ROWS")"

restart_with
again() {
    same "refused rows found" "$REFUSED" "$(logged earlier_rules refused)"
    not_twice $((2 * $(rows_of "$ROWS")))
}
check "after a restart with the same rules too" again

# ---- tightened
restart_with MAX_PRICE=1
tightened() {
    local all
    all=$(rows_of "$ROWS")
    same "refused rows found" "$REFUSED" "$(logged rules_changed refused)"
    send_rows "$CHEAP"
    wait_until "the rows arrive again" duplicates_are $((3 * all))
    drain
    same "events" "$all" "$(events)"
    same "duplicates" $((3 * all)) "$(counts_duplicates)"
}
check "stricter rules: rows accepted before are still known, whatever their price" tightened
# The first copy of a row has the price of ROWS; all copies under the stricter rules have 0.50.
other_prices() { awk -F, 'NR > 1 && $7 + 0 != 0.5' "$ROWS" | wc -l; }
repeats_with_another_price() {
    local other
    other=$(other_prices)
    ((other > 100 && other < $(rows_of "$ROWS")))
    same "repeats with another price" "$other" "$(counts_of_sink duplicates_other_price)"
    replay --input "$CHEAP"
    drain
    same "repeats with another price, of two replays" $((2 * other)) "$(counts_of_sink duplicates_other_price)"
    sql "SELECT reporting.reconcile()"
    same "duplicates of the segment, and those with another price" "$(rows_of "$CHEAP")|$other|0" \
        "$(sql "SELECT duplicates, duplicates_other_price, rejects FROM reporting.ingestion
            WHERE segment LIKE 'cheap.csv-%' AND complete")"
}
balance() {
    same "rows in - bronze - duplicates - dead" 0 "$(sql "
        SELECT sum(records_in - records_out - duplicates - dead)
        FROM processed.counts WHERE service = 'bronze-sink'")"
}
check "repeats with another price are counted apart, also after a restart with other rules" \
    repeats_with_another_price
check "the counts balance" balance

# ---- the dead letters are gone
crash bronze-sink-1
cut_letters() {
    local partition end
    for ((partition = 0; partition < $1; partition++)); do
        end=$(end_of "$(topic dead_letter)" "$partition")
        ((end == 0)) || KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" \
            "$(dirname "$BIN_DIR")/test/e2e-broker" cut "$(topic dead_letter)" "$partition" "$end"
    done
    refused 78 "rules dead retention.ms former" bronze-sink
}
check "without the dead letters bronze-sink refuses to start, and explains why" cut_letters \
    "$(kcat -b "$KAFKA_BROKERS" -L -J -t "$(topic dead_letter)" | jq '.topics[0].partitions | length')"
