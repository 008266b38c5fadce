#!/usr/bin/env bash
# The everyday commands: make psql, topics, lag and why. Their answers are compared with Kafka, with the tables,
# and with windows that this scenario computes itself.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
LATE=$E2E_WORK/late.csv # 20 hours before the end of ROWS: too late for every open window
FILE_NAME=$(basename "$ROWS")

mk() { make -s -C "$ROOT" "FLAVOUR=$FLAVOUR" "$@"; }
# refused_by TEXT ARGUMENTS...: make ends with an error, and its message has the text.
refused_by() {
    local text=$1 out
    shift
    ! out=$(mk "$@" 2>&1) || { warn "make $* succeeded: $out"; return 1; }
    [[ $out == *"$text"* ]] || { warn "the message lacks '$text': $out"; return 1; }
}

"$BIN_DIR/producer" --source synthetic --events 30 --seed 31 --start-time "2019-10-01 02:00:00" --output "$LATE"
fresh
services
replay --input "$ROWS"
drain

# ---- topics, lag, psql

topics_of_kafka() {
    kcat -b "$KAFKA_BROKERS" -L -J | jq -r '.topics[] | "\(.topic) \(.partitions | length)"' | grep "^$TOPIC_PREFIX" | LC_ALL=C sort
}
topics_are_listed() { diff <(topics_of_kafka) <(mk topics | awk '{ print $1, $2 }' | LC_ALL=C sort); }
check "make topics lists the topics and their partitions" topics_are_listed
lag_of() { mk lag | awk -v group="$TOPIC_PREFIX$1" -v topic="$(topic "$2")" '$1 == group && $2 == topic { print $5 }'; } # GROUP TOPIC
# The lake does not run here: its four lines lag.
nothing_lags() { [[ "$(mk lag | awk -v lake="${TOPIC_PREFIX}lake" 'NR > 1 && $1 != lake { sum += $5; n++ } END { print sum + 0, n, NR }')" == "0 9 14" ]]; }
wait_until "nothing lags" nothing_lags
check "make lag: nothing lags, in nine lines" nothing_lags
stack stop pg-loader-1
send_rows "$LATE"
# What funnel-aggregator has counted, pg-loader has not stored.
aggregator_is_done() { [[ "$(lag_of funnel-aggregator bronze_events)" == 0 && "$(records_of late_events)" -gt 0 ]]; }
wait_until "the aggregator has read the late rows" aggregator_is_done
lag_is_that_of_the_table() {
    local partition ends=0
    for partition in 0 1 2 3; do ends=$((ends + $(end_of "$(topic bronze_events)" "$partition"))); done
    same "lag" $((ends - $(sql "SELECT sum(next_offset) FROM processed.loader_offsets WHERE topic = '$(topic bronze_events)'"))) \
        "$(lag_of pg-loader bronze_events)"
    (($(lag_of pg-loader bronze_events) > 0))
}
check "make lag: of a stopped loader, the log ends less the offsets in PostgreSQL" lag_is_that_of_the_table
start pg-loader-1
drain
positions() { "$BIN_DIR/topics" positions --kafka-brokers "$KAFKA_BROKERS" --topic-prefix "$TOPIC_PREFIX" 2>/dev/null; }
positions_agree() { # with other clients, while bronze-sink and pg-loader stand still
    local name
    diff <(positions | awk -F'\t' '$1 == "topic" { print $2, $3 }' | LC_ALL=C sort) <(topics_of_kafka)
    for name in raw_events bronze_events; do
        diff <(positions | awk -F'\t' -v t="$(topic "$name")" '$1 == "log" && $2 == t { print $3, $5 }') \
            <(for partition in 0 1 2 3; do printf '%s %s\n' "$partition" "$(end_of "$(topic "$name")" "$partition")"; done)
    done
    # The loader copies its offsets to the group.
    diff <(positions | awk -F'\t' -v OFS='|' -v g="$(topic pg-loader)" '$1 == "committed" && $2 == g { print $3, $4, $5 }' | LC_ALL=C sort) \
        <(sql "SELECT topic, partition, next_offset FROM processed.loader_offsets WHERE next_offset > 0" | LC_ALL=C sort)
    positions | grep -qP "^setting\t$(topic counts)\tcleanup.policy\tcompact$"
}
check "topics positions: settings, bounds and committed offsets" positions_agree
nothing_of_other_sets() { same lines "" "$("$BIN_DIR/topics" positions --kafka-brokers "$KAFKA_BROKERS" --topic-prefix nothing_ 2>/dev/null)"; }
check "topics positions of a set without topics: nothing" nothing_of_other_sets
check "make psql runs a query" same answer 42 "$(mk psql Q='SELECT 6 * 7 AS answer' | sed -n 3p | tr -d ' ')"

# ---- what the services show of their work (tests/observability has the rest)

metric() { http_get "$1" metrics | awk -v name="$2" -F '[{ ]' '$1 == name { sum += $NF } END { print sum + 0 }'; } # INSTANCE NAME
check "bronze-sink counts the rows of the raw topic" same rows "$(records_of raw_events)" "$(metric bronze-sink-1 funnel_rows_in_total)"
check "and its dead letters" same letters "$(count "raw.dead_letters WHERE stage = 'bronze-sink'")" \
    "$(metric bronze-sink-1 funnel_dead_letters_total)"
check "funnel-aggregator counts late rows" same rows "$(count raw.late_events)" "$(metric funnel-aggregator-1 funnel_rows_late_total)"
check "a service is ready" same ready 1 "$(metric pg-loader-1 funnel_ready)"

# ---- why

why() { mk why "$@"; }
findings() { why "$@" | awk -F'|' 'NR > 2 { gsub(/^ +| +$/, "", $1); if ($1 != "") print $1 }' | sort | uniq -c | xargs; }
every_refused_row_is_explained() {
    local row reason seen=0
    while read -r row reason; do
        seen=$((seen + 1))
        why "FILE=$FILE_NAME" "ROW=$row" | grep -qE "^ refused +\| $reason by bronze-sink" || { warn "row $row: $reason"; return 1; }
    done < <(sql "SELECT headers->>'source_row' || ' ' || reason FROM raw.dead_letters WHERE headers ? 'source_row' ORDER BY 1 LIMIT 5")
    ((seen == 5))
}
check "make why FILE ROW gives the reason of a refused row" every_refused_row_is_explained
ID=$(sql "SELECT event_id FROM raw.events WHERE source_file = '$FILE_NAME' AND brand IS NOT NULL ORDER BY event_time, event_id LIMIT 1")
ROW=$(sql "SELECT source_row FROM raw.events WHERE event_id = '$ID'")
# The default rollups have six windows for each event. Their bounds, without our SQL.
windows_of() { # EVENT_TIME
    local second rollup size start
    second=$(date -u -d "$1" +%s)
    for rollup in 1m:all 1m:category1 1h:category 1d:all 1d:category 1d:brand; do
        case $rollup in 1m*) size=60 ;; 1h*) size=3600 ;; *) size=86400 ;; esac
        start=$((second - second % size))
        printf '%s %s %s\n' "$rollup" "$(date -u -d "@$start" '+%F %T+00')" "$(date -u -d "@$((start + size))" '+%F %T+00')"
    done | LC_ALL=C sort
}
windows_are_those() { # TIME ARGUMENTS...
    local time=$1
    shift
    diff <(windows_of "$time") <(why "$@" | sed -nE 's/^ (not )?counted +\| ([^ ]+) .*, (.*) to (.*[0-9]\+00) +\|.*/\2 \3 \4/p' | LC_ALL=C sort)
}
TIME=$(sql "SET timezone = 'UTC'; SELECT event_time FROM raw.events WHERE event_id = '$ID'")
check "make why ID: stored, and counted in six windows" same findings "6 counted 1 stored" "$(findings "ID=$ID")"
check "in the windows of its time" windows_are_those "$TIME" "ID=$ID"
check "by file and row: the same answer" diff <(why "ID=$ID") <(why "FILE=$FILE_NAME" "ROW=$ROW")
# Late for some rollups, and in time for those of the day.
LATE_ID=$(sql "SELECT event_id FROM raw.late_events WHERE '1m:all' = ANY (late_for) AND '1d:all' <> ALL (late_for)
    ORDER BY 1 LIMIT 1")
late_is_explained() {
    local rollup entries
    [[ -n $LATE_ID ]]
    entries=$(sql "SELECT unnest(late_for) FROM raw.late_events WHERE event_id = '$LATE_ID'" | grep -v '^visit$')
    for rollup in $entries; do
        why "ID=$LATE_ID" | grep -qE "^ not counted +\| ${rollup%%<=*} " || { warn "$rollup is not there"; return 1; }
    done
    same "windows that do not count it" "$(wc -l <<<"$entries")" "$(why "ID=$LATE_ID" | grep -c '^ not counted ')"
    why "ID=$LATE_ID" | grep -qE '^ counted +\| 1d:all '
    why "ID=$LATE_ID" | grep -q '^ late '
}
check "make why ID of a late event: the windows that do not count it" late_is_explained
# The replay has duplicates: rows of the file that are neither stored nor refused.
DUPLICATE=$(comm -23 <(seq "$(rows_of "$ROWS")" | LC_ALL=C sort) <({
    sql "SELECT source_row FROM raw.events WHERE source_file = '$FILE_NAME'"
    sql "SELECT headers->>'source_row' FROM raw.dead_letters WHERE headers->>'source_file' = '$FILE_NAME'"
} | LC_ALL=C sort) | head -n 1)
check "make why of a duplicate" same finding "1 neither stored nor refused" "$(findings "FILE=$FILE_NAME" "ROW=$DUPLICATE")"
check "an unknown id is not stored" same finding "1 not stored" "$(findings ID=00000000-0000-0000-0000-000000000000)"
unknown_file() { why FILE=nowhere.csv ROW=1 | grep -q "no event of this file is stored. Files that are: .*$FILE_NAME"; }
check "of an unknown file the known ones are named" unknown_file
check "no argument is refused" refused_by 'ID="" FILE="" ROW=""; expected ID=<event id>' why
check "a row that is not a number is refused" refused_by 'invalid value "x" for ROW' why FILE=a ROW=x
check "an id that is not one is refused" refused_by "invalid value \"1'2\" for ID" why "ID=1'2"
check "a file name is never a part of the query" same finding "1 neither stored nor refused" "$(findings "FILE=a' OR ''='" ROW=1)"
