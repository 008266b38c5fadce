#!/usr/bin/env bash
# redrive sends each selected dead letter once: by reason, time and place, when it is killed in the
# middle, and when two of them run at once.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
LATER=$E2E_WORK/later.csv     # 50 days ahead, of one user: future_event_time until the clock is near
ASTRAY=$E2E_WORK/astray.csv   # all rows are sent to partition 0, regardless of their key
FORGOTTEN=$E2E_WORK/forgotten.csv
BRIDGE=$E2E_WORK/bridge.csv   # moves the clock 50 days ahead
FAR=$E2E_WORK/far.csv         # moves the clock far past the horizon
BAD=$E2E_WORK/bad.csv OLD=$E2E_WORK/old.csv

generate() { # FILE EVENTS SEED START
    "$BIN_DIR/producer" --source synthetic --events "$2" --seed "$3" --start-time "$4" --output "$1"
}

redrive() { program redrive; timeout "$LONG" "${PROGRAM[@]}" "$@"; }
letters() { count "raw.dead_letters WHERE stage = 'bronze-sink' AND reason = '$1'"; }
letters_are() { (($(letters "$1") == $2)); }
redriven_places() { committed raw_events '%h\n' | grep -o 'redriven_from=[0-9/]*' || true; }
redriven() { redriven_places | wc -l; }
# While redrive sends, no reader reaches the end of the topic. So they are counted in the database.
arrived_at_least() { (($(count raw.events) >= BEFORE + $1)); }
sizes() { printf '%s %s\n' "$(committed raw_events '.\n' | wc -l)" "$(committed dead_letter '.\n' | wc -l)"; }
says() { grep -qF -- "$1" "$2" || { warn "does not print '$1'"; cat "$2" >&2; return 1; }; }
recount_agrees() {
    oracle --ignore-reasons \
        wrong_partition,future_event_time,too_late_to_deduplicate,unknown_magic_byte "$@"
}

generate "$LATER.many" 600 21 "2019-11-20 01:00:00"
awk -F, -v OFS=, 'NR > 1 { $8 = 5 } { print }' "$LATER.many" >"$LATER"
generate "$ASTRAY" 120 22 "2019-10-02 00:30:00"
generate "$FORGOTTEN" 40 23 "2019-10-02 00:40:00"
generate "$BRIDGE" 2000 24 "2019-11-19 23:00:00"
generate "$FAR" 2000 25 "2019-12-06 12:00:00"
generate "$OLD" 8 26 "2019-09-01 00:00:00"
generate "$BAD.good" 6 27 "2019-10-01 23:00:00"
sed 's/,view,/,stare,/; s/,cart,/,stare,/; s/,purchase,/,stare,/' "$BAD.good" >"$BAD"

fresh
services
replay --input "$ROWS"
drain
send_rows "$LATER"
send_rows "$ASTRAY" -p 0
send_rows "$BAD"
send_rows "$OLD"
wait_until "the future rows are refused" letters_are future_event_time 600
wait_until "the old rows are refused" letters_are too_late_to_deduplicate 8
printf 'not avro at all' >"$E2E_WORK/bronze"
send_file bronze_events "$E2E_WORK/bronze" -p 1 -k s
bronze_is_rejected() { (($(count "raw.dead_letters WHERE stage = 'funnel-aggregator'") == 1)); }
wait_until "the bytes in bronze are refused" bronze_is_rejected
drain
ASTRAYED=$(letters wrong_partition)

# ---- nothing is sent yet
redrive_needs_a_flag() {
    local status=0
    redrive >"$E2E_WORK/out" 2>&1 || status=$?
    same "exit code" 64 "$status"
    says --dry-run "$E2E_WORK/out"
}
check "without --dry-run or --yes redrive sends nothing: exit 64" redrive_needs_a_flag
check "a reason that does not exist is named: exit 64" refused 64 "invalid_prize reason" redrive --dry-run --reasons invalid_prize
check "a set of topics that does not exist: exit 78" refused 78 "does not exist" redrive TOPIC_PREFIX=nowhere_ --dry-run

SIZES=$(sizes)
dry_run() {
    redrive --dry-run >"$E2E_WORK/plan"
    cat "$E2E_WORK/plan"
    same "records in raw and dead letters" "$SIZES" "$(sizes)"
    ((ASTRAYED > 40))
    says "to be sent: $((600 + ASTRAYED))" "$E2E_WORK/plan"
    says "reason wrong_partition: $ASTRAYED" "$E2E_WORK/plan"
    says "reason future_event_time: 600" "$E2E_WORK/plan"
    says "still too far ahead of their partition's clock: 600;" "$E2E_WORK/plan"
    says "source $(topic raw_events): $((600 + ASTRAYED))" "$E2E_WORK/plan"
    says "event times from 2019-10-02T00:30:" "$E2E_WORK/plan"
    says "de-duplication horizon: 7d" "$E2E_WORK/plan"
    says "from bronze_events: 1;" "$E2E_WORK/plan"
    says "kept without bytes: 8;" "$E2E_WORK/plan"
    says "refused again as unknown_event_type" "$E2E_WORK/plan"
    says "example: dead letter " "$E2E_WORK/plan"
    says "nothing was sent" "$E2E_WORK/plan"
}
check "a dry run shows what would be sent and what would be refused, and writes nothing" dry_run

# ---- by reason and place
some_of_them() {
    local middle
    middle=$(sql "SELECT source_offset FROM raw.dead_letters WHERE reason = 'wrong_partition'
        ORDER BY 1 OFFSET 9 LIMIT 1")
    redrive --yes --reasons wrong_partition --source "0:0-$middle" >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "sent: 10" "$E2E_WORK/out"
    redrive --yes --reasons wrong_partition --until 2001-01-01T00:00:00Z | grep -x "sent: 0"
    redrive --yes --reasons wrong_partition --since 2001-01-01T00:00:00Z >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "redriven before: 10;" "$E2E_WORK/out"
    says "sent: $((ASTRAYED - 10))" "$E2E_WORK/out"
    redrive --yes --reasons wrong_partition | grep -x "sent: 0"
    redrive --yes --reasons wrong_partition --source 0 | grep -x "sent: 0"
}
check "rows of a wrong partition are sent again, by place and by reason, and none twice" some_of_them
drain
check "their events are in the right partition: the recount agrees, no event is late" \
    recount_agrees --max-late 0 "$ROWS" "$LATER" "$ASTRAY" "$BAD"
marked() { same "rows marked as redriven" "$1" "$(count "raw.dead_letters WHERE redriven_at IS NOT NULL")"; }
check "their dead letters are marked as redriven" marked "$ASTRAYED"
balance() {
    local rows
    rows=$(($(rows_of "$ROWS") + 600 + 120 + 6 + 8 + $1))
    same "rows in" "$rows" "$(counts_in)"
    same "rows in - bronze - duplicates - dead" 0 "$(sql "
        SELECT sum(records_in - records_out - duplicates - dead)
        FROM processed.counts WHERE service = 'bronze-sink'")"
}
check "redriven rows are counted again, and the counts balance" balance "$ASTRAYED"

# ---- the clock has moved on
send_rows "$FORGOTTEN" -p 0
replay --input "$BRIDGE"
drain
BEFORE=$(count raw.events)
# The marks after the open transaction of another producer cannot be read before it has ended. The next
# run has to wait for them.
kill_half_way() {
    local pid holder
    program redrive # slow, so that it is killed in the middle on any machine
    "${PROGRAM[@]}" --yes --reasons future_event_time --batch-records 1 --rate 15 \
        >/dev/null 2>&1 3>&- 9>&- &
    pid=$!
    wait_until "some are sent" arrived_at_least 30
    KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" hold \
        "$(topic dead_letter)" 4 55 >"$E2E_WORK/holding" 3>&- 9>&- &
    holder=$!
    printf '%s\n' "$holder" >"$E2E_WORK/holder"
    wait_until "a transaction is open" grep -s -q holding "$E2E_WORK/holding"
    wait_until "some are sent after it has begun" arrived_at_least 75
    kill -KILL "$pid"
    wait "$pid" || true
    kill -0 "$holder" # the transaction is still open
    printf 'killed after %d were sent\n' $(($(redriven) - ASTRAYED))
    (($(redriven) < ASTRAYED + 600))
}
check "redrive is killed in the middle, with marks after an open transaction" kill_half_way
HALF=$(redriven)
two_at_once() {
    local pid status=0
    program redrive
    "${PROGRAM[@]}" --yes --reasons future_event_time --batch-records 1 --rate 15 \
        >"$E2E_WORK/first" 2>&1 3>&- 9>&- &
    pid=$!
    sleep 5 # a run that did not wait would send letters again whose marks it cannot read
    same "sent while the marks cannot be read" 0 $(($(redriven) - HALF))
    kill -TERM "$(cat "$E2E_WORK/holder")"
    wait_until "some more are sent" arrived_at_least $((HALF - ASTRAYED + 60))
    kill -STOP "$pid" # so that the second one overtakes it on any machine
    redrive --yes --reasons future_event_time >"$E2E_WORK/second"
    kill -CONT "$pid"
    cat "$E2E_WORK/second"
    wait "$pid" || status=$?
    cat "$E2E_WORK/first"
    same "exit code of the first run" 75 "$status"
    grep -E '^sent: [1-9]' "$E2E_WORK/second"
}
check "a second run overtakes the first one, which ends with 75" two_at_once
once_each() {
    redriven_places | sort >"$E2E_WORK/places"
    same "redriven records" $((ASTRAYED + 600)) "$(wc -l <"$E2E_WORK/places")"
    same "different letters of these records" $((ASTRAYED + 600)) "$(uniq "$E2E_WORK/places" | wc -l)"
}
check "every letter was sent once" once_each
SIZES=$(sizes)
again() {
    redrive --yes --reasons future_event_time,invalid_price --since 2001-01-01T00:00:00Z >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "redriven before: 600;" "$E2E_WORK/out"
    says "sent: 0" "$E2E_WORK/out"
    same "records in raw and dead letters" "$SIZES" "$(sizes)"
}
check "a further run sends nothing" again
drain
check "the clock has reached the future rows: the recount agrees" \
    recount_agrees --max-late 0 "$ROWS" "$LATER" "$ASTRAY" "$BAD" "$FORGOTTEN" "$BRIDGE"
check "all redriven dead letters are marked" marked $((ASTRAYED + 600))
check "none of them was refused again" letters_are future_event_time 600

# ---- past the horizon
replay --input "$FAR"
drain
too_old() {
    local left
    left=$(($(letters wrong_partition) - ASTRAYED))
    ((left > 5))
    SIZES=$(sizes)
    redrive --yes --reasons wrong_partition >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "beyond the de-duplication horizon: $left;" "$E2E_WORK/out"
    says "sent: 0" "$E2E_WORK/out"
    same "records in raw and dead letters" "$SIZES" "$(sizes)"
}
check "redrive refuses letters older than the horizon, and reports their number" too_old
refused_again() {
    redrive --yes --reasons unknown_event_type --send-refused >"$E2E_WORK/out"
    grep -E '^sent: [1-9]' "$E2E_WORK/out"
    SENT=$(sed -n 's/^sent: //p' "$E2E_WORK/out")
    wait_until "they are refused again" letters_are unknown_event_type $((2 * SENT))
    same "marked letters" "$SENT" \
        "$(count "raw.dead_letters WHERE reason = 'unknown_event_type' AND redriven_at IS NOT NULL")"
}
check "letters that are still invalid are sent only with --send-refused, and refused again" refused_again

# ---- a dead letter with a foreign timestamp that does not fit 64 bits in microseconds
broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }
absurd_time() {
    local partition offset
    read -r partition offset < <(committed dead_letter '%p %o %h\n' | grep unknown_event_type |
        grep -v redriven= | sed -n 1p | cut -d' ' -f1,2)
    broker repeat "$(topic dead_letter)" "$partition" "$offset" -9223372036854776
    offset=$(($(end_of "$(topic dead_letter)" "$partition") - 1))
    redrive --dry-run --send-refused --letters "$partition:$offset" >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "to be sent: 1" "$E2E_WORK/out"
    redrive --dry-run --send-refused --letters "$partition:$offset" \
        --since 2001-01-01T00:00:00Z >"$E2E_WORK/out"
    cat "$E2E_WORK/out"
    says "to be sent: 0" "$E2E_WORK/out"
}
check "a dead letter with an impossible timestamp counts as written in 1970" absurd_time
