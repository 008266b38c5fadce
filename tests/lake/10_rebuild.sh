#!/usr/bin/env bash
# `lake rebuild`: from an empty Kafka and an empty PostgreSQL, the lake alone gives the same topics and the
# same tables. It refuses topics that are not empty, and continues after kill -9.
source "$(dirname "$0")/../e2e/lib.sh"

LAKE_TESTS=$ROOT/tests/lake
export LAKE_URL=$E2E_WORK/lake
export REPLICAS_lake=0 # the test writes the lake itself, when everything is loaded

lake() { # COMMAND [NAME=VALUE...] [FLAGS...]
    local command=$1
    shift
    local -a set=()
    while (($#)) && [[ $1 =~ ^[A-Z_]+= ]]; do set+=("$1"); shift; done
    timeout --signal "${KILL_SIGNAL:-TERM}" "${KILL_AFTER:-$LONG}" env "KAFKA_BROKERS=$KAFKA_BROKERS" "SCHEMA_REGISTRY_URL=$SCHEMA_REGISTRY_URL" HTTP_PORT=0 \
        "INSTANCE_ID=lake-1" "${set[@]}" "$BIN_DIR/lake" "$command" "$@"
}
lake_refuses() { # CODE TEXT COMMAND [...]
    local want=$1 text=$2 status=0 out=$E2E_WORK/refused.$BASHPID
    shift 2
    lake "$@" >"$out" 2>&1 || status=$?
    cat "$out"
    same "exit code" "$want" "$status" || return 1
    grep -qF -- "$text" "$out" || { warn "the output lacks '$text'"; return 1; }
}
records() { # PREFIX NAME KIND FILE
    TOPIC_PREFIX=$1 committed "$2" '%p %T %K %S\n%k%s%h\n' | "$LAKE_TESTS/topic_records" "$3" >"$4"
}
save_topics() { # PREFIX FOLDER
    mkdir "$2"
    records "$1" bronze_events framed "$2/bronze_events"
    records "$1" dead_letter plain "$2/dead_letter"
    records "$1" counts framed "$2/counts"
}
same_file() { cmp "$1" "$2" || { diff "$1" "$2" | head -n 6 | cut -c1-600; return 1; }; }
of_sink() { grep -a "__connect.errors.connector.name=bronze-sink" "$1"; }
# The newest counts of bronze-sink for each key, without their number in the partition.
newest_counts() {
    awk '{ newest[$4] = $1 " " $3 " " $4 " " $5 } END { for (key in newest) print newest[key] }' "$1" |
        grep " .$(printf 'bronze-sink|' | xxd -p)" | LC_ALL=C sort
}
without_numbers() { awk '{ $2 = ""; print }' "$1"; }

# ---- before
fresh
services
LATE=$E2E_WORK/late.csv
"$BIN_DIR/producer" --source synthetic --events 300 --seed 9 --start-time "2019-10-01 21:30:00" --output "$LATE"
replay --input "$E2E_WORK/replay.csv"
drain
replay --input "$LATE" --replay # too late for their windows
# Not from bronze-sink: a record in bronze that nobody can read.
printf 'not Avro' >"$E2E_WORK/junk"
send_file bronze_events "$E2E_WORK/junk" -p 1 -k junk
drain
all_reported
save_topics "$TOPIC_PREFIX" "$E2E_WORK/topics.before"
# Two users are forgotten: one with purchases, one without a session.
FORGOTTEN="user_id IN ((SELECT min(user_id) FROM raw.events WHERE event_type = 'purchase' AND user_session IS NOT NULL),
    (SELECT max(user_id) FROM raw.events WHERE user_session IS NULL))"
EVENTS_FORGOTTEN=$(count "raw.events WHERE $FORGOTTEN")
for user in $(sql "SELECT DISTINCT user_id FROM raw.events WHERE $FORGOTTEN"); do sql "CALL reporting.forget_user($user)"; done
all_reported
sql "SELECT reporting.measure_quality()"
"$LAKE_TESTS/tables" save "$DSN" "$E2E_WORK/tables.before"
lake write "POSTGRES_DSN=$DSN" --until-end --lake-batch-rows 1000
same_bronze() { # FOLDER: the same records in the same order; only those of forgotten users have other bytes
    ((EVENTS_FORGOTTEN > 1))
    same "records" "$(wc -l <"$E2E_WORK/topics.before/bronze_events")" "$(wc -l <"$1/bronze_events")"
    same "records that differ" "$EVENTS_FORGOTTEN" \
        "$(diff "$E2E_WORK/topics.before/bronze_events" "$1/bronze_events" | grep -c '^>')"
    same_file <(cut -d' ' -f1-3 "$E2E_WORK/topics.before/bronze_events") <(cut -d' ' -f1-3 "$1/bronze_events")
}
there_is_something() {
    (($(wc -l <"$E2E_WORK/topics.before/bronze_events") > 15000))
    (($(of_sink "$E2E_WORK/topics.before/dead_letter" | wc -l) > 10))
    (($(count raw.late_events) > 100))
    (($(count "raw.dead_letters WHERE stage = 'funnel-aggregator'") == 1))
    find "$LAKE_URL" -name '*.parquet' | grep -q /bronze/
}
check "before: events, dead letters of two services, late events, and a lake" there_is_something

# ---- refusals
check "topics that are not empty are refused by name" \
    lake_refuses 78 "_events is not empty: a rebuild needs a set of empty topics" rebuild
check "a lake without our topics is refused" \
    lake_refuses 78 "check LAKE_URL and SOURCE_PREFIX" rebuild SOURCE_PREFIX=other_
mkdir "$E2E_WORK/empty"
check "an empty folder is refused" \
    lake_refuses 78 "check LAKE_URL and SOURCE_PREFIX" rebuild "LAKE_URL=$E2E_WORK/empty"
"$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --prefix narrow_ --partitions 2
check "another number of partitions is refused" lake_refuses 78 "narrow_bronze_events has 2 partitions" \
    rebuild TOPIC_PREFIX=narrow_ "SOURCE_PREFIX=$TOPIC_PREFIX"
"$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --prefix wide_ --partitions 8
check "more partitions than before are refused" lake_refuses 78 "another number of partitions" \
    rebuild TOPIC_PREFIX=wide_ "SOURCE_PREFIX=$TOPIC_PREFIX"
check "missing topics are refused" lake_refuses 78 "topics create" \
    rebuild TOPIC_PREFIX=nowhere_ "SOURCE_PREFIX=$TOPIC_PREFIX"

first_file() { # TABLE: of the first batch of partition 0 of bronze, which is not its last
    find "$E2E_WORK/broken/$1" -name "${TOPIC_PREFIX}bronze_events-0-0.parquet" | head -n 1
}
without_a_file() {
    cp -r "$LAKE_URL" "$E2E_WORK/broken"
    rm "$(first_file controls)"
    lake_refuses 78 "the lake lacks the file controls/" rebuild TOPIC_PREFIX=wide_ "SOURCE_PREFIX=$TOPIC_PREFIX" \
        "LAKE_URL=$E2E_WORK/broken"
}
check "a lake that lacks a file of a batch is refused" without_a_file
overlapping() {
    cp "$(first_file bronze)" "$(first_file bronze | sed 's/-0-0.parquet/-0-7.parquet/')"
    cp -r "$LAKE_URL/controls" "$E2E_WORK/broken"
    "$LAKE_TESTS/python" "$LAKE_TESTS/footer" funnel.first=7 "$(first_file bronze | sed 's/-0-0.parquet/-0-7.parquet/')"
    lake_refuses 78 "overlap" rebuild TOPIC_PREFIX=wide_ "SOURCE_PREFIX=$TOPIC_PREFIX" "LAKE_URL=$E2E_WORK/broken"
}
check "batches that overlap are refused" overlapping

# ---- another set, killed again and again
"$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --prefix again_
killed_and_continued() {
    local kills=0 status log=$E2E_WORK/again.log
    for ((run = 1; run <= 40; run++)); do
        status=0
        # Each run lives longer than the one before, so they are killed at different places.
        KILL_SIGNAL=KILL KILL_AFTER=$(awk -v n="$run" 'BEGIN { print 0.8 + n * 0.1 }') \
            lake rebuild TOPIC_PREFIX=again_ "SOURCE_PREFIX=$TOPIC_PREFIX" --window-records 1000 \
            >"$log.$run" 2>&1 || status=$?
        cat "$log.$run"
        ((status != 0)) || break
        kills=$((kills + 1))
    done
    printf 'killed %d times\n' "$kills"
    ((status == 0 && kills > 0))
    grep -q 'event=rebuild_continues' "$log.$run"
}
check "after kill -9 the same command continues" killed_and_continued
save_topics again_ "$E2E_WORK/topics.again"
check "kill -9: bronze has each record once, in the old order, with its time, key, headers and value" \
    same_bronze "$E2E_WORK/topics.again"
check "a complete rebuild has nothing left to do" lake rebuild TOPIC_PREFIX=again_ "SOURCE_PREFIX=$TOPIC_PREFIX"
restarts() { # no registry answers
    KILL_AFTER=15 lake rebuild TOPIC_PREFIX=again_ "SOURCE_PREFIX=$TOPIC_PREFIX" RESTART_IN_PLACE=true \
        SCHEMA_REGISTRY_URL=http://127.0.0.1:9 >"$E2E_WORK/restarts" 2>&1 || true
    cat "$E2E_WORK/restarts"
    grep -q 'event=restarting count=2' "$E2E_WORK/restarts"
}
check "a restart in place runs the same command" restarts
# Another lake at the same place: the same rows, but one ms later.
another_lake() {
    cp -r "$LAKE_URL" "$E2E_WORK/other-lake"
    find "$E2E_WORK/other-lake/bronze" "$E2E_WORK/other-lake/controls" -name '*.parquet' \
        -exec "$LAKE_TESTS/python" "$LAKE_TESTS/footer" later {} +
    lake_refuses 78 "has records of a rebuild from another lake" rebuild TOPIC_PREFIX=again_ \
        "SOURCE_PREFIX=$TOPIC_PREFIX" "LAKE_URL=$E2E_WORK/other-lake"
}
check "a rebuild is not continued from another lake" another_lake
renamed() { # the name of the raw topic is that of the new set
    sed "s/__connect.errors.topic=${TOPIC_PREFIX}raw_events/__connect.errors.topic=again_raw_events/" "$1"
}
same_letters_again() {
    same_file <(of_sink "$E2E_WORK/topics.before/dead_letter" | without_numbers - | renamed -) \
        <(without_numbers "$E2E_WORK/topics.again/dead_letter")
}
check "dead letters name the raw topic of the new set" same_letters_again

# ---- Ctrl-C
interrupted() {
    "$BIN_DIR/topics" reset --brokers "$KAFKA_BROKERS" --prefix again_
    for ((run = 1; run <= 40; run++)); do
        KILL_SIGNAL=INT KILL_AFTER=$(awk -v n="$run" 'BEGIN { print 0.8 + n * 0.1 }') \
            lake rebuild TOPIC_PREFIX=again_ "SOURCE_PREFIX=$TOPIC_PREFIX" --window-records 1000 \
            >"$E2E_WORK/interrupted" 2>&1 && break
        cat "$E2E_WORK/interrupted"
        if grep 'class=' "$E2E_WORK/interrupted"; then return 1; fi # stopped with an error
    done
    ((run > 1 && run <= 40))
    rm -rf "$E2E_WORK/topics.again"
    save_topics again_ "$E2E_WORK/topics.again"
    same_bronze "$E2E_WORK/topics.again"
}
check "Ctrl-C ends it between two transactions; the same command continues" interrupted

# ---- the drill, with files that were compacted twice
lake compact "POSTGRES_DSN=$DSN" --lake-grace 0s --lake-compact-bytes 1m
lake compact "POSTGRES_DSN=$DSN" --lake-grace 0s
drill() {
    CONFIRM=yes timeout $((4 * LONG)) "$HERE/rebuild-from-lake"
    all_reported
}
check "the drill runs" drill
save_topics "$TOPIC_PREFIX" "$E2E_WORK/topics.after"
check "bronze has the same records" same_bronze "$E2E_WORK/topics.after"
same_letters_of_sink() {
    same_file <(of_sink "$E2E_WORK/topics.before/dead_letter" | without_numbers -) \
        <(of_sink "$E2E_WORK/topics.after/dead_letter" | without_numbers -)
}
check "the dead letters of bronze-sink are the same" same_letters_of_sink
check "the counts of bronze-sink are the same" same_file \
    <(newest_counts "$E2E_WORK/topics.before/counts") <(newest_counts "$E2E_WORK/topics.after/counts")
"$LAKE_TESTS/tables" save "$DSN" "$E2E_WORK/tables.after"
check "all tables and reports are the same" "$LAKE_TESTS/tables" compare "$E2E_WORK/tables.before" "$E2E_WORK/tables.after"
