#!/usr/bin/env bash
# A folder of seven months (dense, sparse, overlapping parts, shuffled) is replayed by --every, with an
# interval of one second. The producer is killed (kill -9) in the third month and continues. Later it
# continues on another host, without its state file. Every segment completes, and its batch reports equal a recount. A run whose rows are
# too old for the topic stops before it sends anything.
source "$(dirname "$0")/lib.sh"

MONTHS=$E2E_WORK/months
STATE=$E2E_WORK/schedule.state
NAMES=(2019-10 2019-11 2019-12 2020-01 2020-02 2020-03 2020-04)

generate() { # FILE EVENTS SEED START DURATION [FLAGS...]
    local file=$MONTHS/$1
    "$BIN_DIR/producer" --source synthetic --events "$2" --seed "$3" --start-time "$4" \
        --duration "$5" --output "$file" --log-level error "${@:6}"
}

make_months() {
    mkdir -p "$MONTHS"
    generate 2019-Oct.csv 600 1 "2019-10-30 10:00:00" 6h --duplicates 0.01 --checkouts
    generate 2019-Nov.csv 60 2 "2019-11-02 03:00:00" 25d # sparse
    generate 2019-Dec.csv 2000 3 "2019-12-10 22:00:00" 5h --missing-sessions 0.01
    generate 2020-Jan.csv 300 4 "2020-01-31 12:00:00" 5h
    generate 2020-Feb.csv 300 5 "2020-02-01 00:00:01" 1h --disorder 5s
    generate 2020-Mar.csv 40 6 "2020-03-01 12:00:00" 25d
    generate 2020-Apr.csv 300 7 "2020-04-11 10:00:00" 2h
    gzip "$MONTHS/2020-Apr.csv"
    # A shuffled month: --order time sorts it.
    { head -n 1 "$MONTHS/2020-Feb.csv"; tail -n +2 "$MONTHS/2020-Feb.csv" | shuf --random-source=<(yes); } \
        >"$E2E_WORK/shuffled"
    mv "$E2E_WORK/shuffled" "$MONTHS/2020-Feb.csv"
    # Two parts of December that overlap by minutes.
    { head -n 1 "$MONTHS/2019-Dec.csv"; tail -n +1200 "$MONTHS/2019-Dec.csv"; } >"$MONTHS/2019-12-part2.csv"
    head -n 1209 "$MONTHS/2019-Dec.csv" >"$MONTHS/2019-12-part1.csv"
    rm "$MONTHS/2019-Dec.csv"
}

begin_schedule() { # [FLAGS...]
    start producer -- --input "$MONTHS" --every 1s --order time --rate 500 --state-file "$STATE" \
        --timeout "${LONG}s" "$@"
}
states() { committed producer_state '%s\n' | jq -r '"\(.month) \(.status)"'; }
has_state() { states | grep -qx "$1"; }
has_saved_rows() { jq -e '(.complete | not) and .rows > 0' "$STATE"; }

killed_in_december() {
    begin_schedule
    wait_until "December is sent" has_state "2019-12 running"
    wait_until "rows of December are acknowledged" has_saved_rows
    crash producer-1
    same "the saved segment is complete" false "$(jq .complete "$STATE")"
    same "months that are complete" $'2019-10 complete\n2019-11 complete' "$(states | grep complete)"
    begin_schedule
    wait_until "January is complete" has_state "2020-01 complete"
    grep -q 'event=resumed .*segment=.*2019-12' "$LOG_DIR/producer-1.log"
}

on_another_host() {
    stack stop producer
    replay_end
    rm "$STATE"
    begin_schedule
    replay_end
    grep -q 'event=schedule_complete months=7' "$LOG_DIR/producer-1.log"
    same "complete months, in order" "$(printf '%s complete\n' "${NAMES[@]}")" "$(states | grep complete)"
    same "attempts that December needed" 2 "$(states | grep -c '^2019-12 running')"
    same "attempts that January needed" 1 "$(states | grep -c '^2020-01 running')"
}

nothing_left() {
    begin_schedule
    replay_end
    same "records of states" "$1" "$(states | wc -l)"
}

segments_complete() {
    same "segments that are not complete, and complete ones" "0|7" \
        "$(sql "SELECT count(*) FILTER (WHERE NOT complete), count(DISTINCT segment) FILTER (WHERE complete)
            FROM reporting.segments")"
    same "segments without rejects, with the rows of a recount" 7 "$(sql "SELECT count(*) FROM reporting.segments s
        WHERE rejects = 0 AND stored = (SELECT count(*) FROM raw.events
            WHERE to_char(event_time, 'YYYY-MM') = substring(s.segment FROM '-(\d{4}-\d\d)-'))")"
}

# The batch report of a table: what a recount has, and the report does not, and the opposite.
report_equals() { # TABLE DAY_OR_MONTH
    same "rows of $1 that are missing or unexpected" "0|0" "$(sql "
        WITH recount AS (
            SELECT date_trunc('$2', event_date::timestamp)::date AS at, count(*),
                sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END),
                count(DISTINCT user_id), count(DISTINCT coalesce(user_session, 'user:' || user_id))
            FROM raw.events GROUP BY 1),
        shown AS (SELECT $2, events, revenue, users, sessions FROM reporting.$1)
        SELECT (SELECT count(*) FROM (SELECT * FROM recount EXCEPT ALL SELECT * FROM shown) AS a),
               (SELECT count(*) FROM (SELECT * FROM shown EXCEPT ALL SELECT * FROM recount) AS b)")"
}

reports_equal_a_recount() {
    oracle --resent "$MONTHS"/2019-Oct.csv "$MONTHS"/2019-Nov.csv "$MONTHS"/2019-12-part{1,2}.csv \
        "$MONTHS"/2020-{Jan,Feb,Mar}.csv "$MONTHS"/2020-Apr.csv.gz
    report_equals segment_days day
    report_equals segment_months month
}

ends() { for p in 0 1 2 3; do end_of "$(topic raw_events)" "$p"; done; }

too_old() {
    local before
    before=$(ends)
    refused 78 "2019-10-30 2020-04-11 too_late_to_deduplicate --replay TOPIC_PREFIX" producer \
        --input "$MONTHS/2019-Oct.csv" --state-file none
    same "ends of the topic" "$before" "$(ends)"
    replay --input "$MONTHS/2020-Apr.csv.gz" # within the horizon
    replay --input "$MONTHS/2019-Oct.csv" --replay
    [[ "$before" != "$(ends)" ]]
}

logged() { grep -q "$1" "$LOG_DIR/producer-1.log"; }

stopped_while_waiting() {
    begin_schedule --every 1h --month 2020-03..2020-04 --resume=false --replay
    wait_until "the producer waits for April" logged 'event=run_waiting month=2020-04 run=2 of=2'
    http_get producer-1 readyz
    stack stop producer
    replay_end
}

# The run fails when nothing is acknowledged for TIMEOUT, and is tried again until Kafka is back.
tried_again() {
    begin_schedule --month 2020-03 --resume=false --replay --rate 10 --timeout 2s
    wait_until "rows of March are acknowledged" has_saved_rows
    stack stop kafka
    wait_until "the run fails" logged 'event=run_failed month=2020-03 .*attempt=1 class=retry'
    start kafka
    replay_end
    logged 'event=run_complete month=2020-03'
    logged 'event=resumed .*2020-03'
}

fresh
services
make_months
check "killed in the third month: the producer continues with that month" killed_in_december
check "without its state file it continues at the next month, until the last one" on_another_host
check "when every month is complete, a further start sends nothing" nothing_left "$(states | wc -l)"
drain
sql "SELECT reporting.reconcile()"
check "every month is a complete segment" segments_complete
check "all layers agree" reconciled
check "the batch reports of all segments equal a recount" reports_equal_a_recount
check "rows too old for the topic: nothing is sent, unless --replay is given" too_old
stop_services
check "a stop between two months ends the producer with 0" stopped_while_waiting
check "a run that fails because Kafka is away is tried again, and continues" tried_again
