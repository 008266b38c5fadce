#!/usr/bin/env bash
# Every program names all invalid settings at once and ends with 64. Also: a producer without a broker,
# and one whose input is cut short.
source "$(dirname "$0")/lib.sh"

# This takes 30 s, so the other checks run in parallel with it.
check "topics gives up if it finds no broker, exit 75" refused 75 "127.0.0.1:1" topics list --brokers 127.0.0.1:1 &
GIVES_UP=$!

check "bronze-sink names all invalid settings at once, exit 64" \
    refused 64 "BATCH_RECORDS DEDUP_KEY COMMIT_INTERVAL" \
    bronze-sink BATCH_RECORDS=many DEDUP_KEY=colour COMMIT_INTERVAL=-3
check "funnel-aggregator names all invalid settings at once, exit 64" \
    refused 64 "BATCH_BYTES GRACE HTTP_PORT" funnel-aggregator BATCH_BYTES=1 GRACE=soon HTTP_PORT=70000
check "an invalid rollup: exit 64" refused 64 "1x:all" funnel-aggregator ROLLUPS=1x:all
check "pg-loader names all invalid settings at once, exit 64" \
    refused 64 "POSTGRES_DSN BATCH_ROWS MIGRATE" pg-loader POSTGRES_DSN= BATCH_ROWS=0 MIGRATE=perhaps
check "producer names all invalid settings at once, exit 64" \
    refused 64 "SOURCE RATE LIMIT" producer SOURCE=ether RATE=-1 LIMIT=few
check "an unknown flag: exit 64" refused 64 "--colour" bronze-sink --colour green
check "an input that does not exist: exit 64" refused 64 "nowhere.csv" producer --input /nowhere.csv
check "a client property that our guarantees depend on cannot be set: exit 64" \
    refused 64 "isolation.level" bronze-sink KAFKA_PROPERTIES=isolation.level=read_uncommitted

# ---- settings with a syntax of their own: reported together with all others, also by --check-config
for flag in --check-config --http-port=0; do
    check "funnel-aggregator names invalid rollups, stages and other settings at once ($flag), exit 64" \
        refused 64 "ROLLUPS 1x:all STAGES stare GRACE SCHEMA_REGISTRY_URL KAFKA_PROPERTIES expected" \
        funnel-aggregator ROLLUPS=1x:all STAGES=view,stare GRACE=soon \
        SCHEMA_REGISTRY_URL=registry:8081 KAFKA_PROPERTIES=acks=1 "$flag"
    check "bronze-sink refuses a registry that is not a URL ($flag), exit 64" \
        refused 64 "SCHEMA_REGISTRY_URL http:// DEDUP_KEY" \
        bronze-sink SCHEMA_REGISTRY_URL=registry:8081 DEDUP_KEY=colour "$flag"
    check "pg-loader refuses an invalid connection string ($flag), exit 64" \
        refused 64 "POSTGRES_DSN postgresql:// SCHEMA_REGISTRY_URL BATCH_ROWS" \
        pg-loader POSTGRES_DSN=nonsense SCHEMA_REGISTRY_URL=ftp://registry BATCH_ROWS=0 "$flag"
    check "producer names invalid shares, speed, time and other settings at once ($flag), exit 64" \
        refused 64 "SPEED START_TIME DUPLICATES MALFORMED LATE MISSING_SESSIONS SCHEMA_REGISTRY_URL RATE" \
        producer SPEED=fast START_TIME=noon DUPLICATES=2 MALFORMED=some LATE=-1 MISSING_SESSIONS=1e-3 \
        SCHEMA_REGISTRY_URL=registry RATE=-1 "$flag"
    check "redrive names an invalid selection and other settings at once ($flag), exit 64" \
        refused 64 "REASONS no_such_reason SINCE yesterday UNTIL SOURCE LETTERS SCHEMA_REGISTRY_URL RATE" \
        redrive REASONS=no_such_reason SINCE=yesterday UNTIL=1 SOURCE=x LETTERS=1:9-2 \
        SCHEMA_REGISTRY_URL=registry RATE=-1 --dry-run "$flag"
done

# ---- topics reads the client properties that the services read
echo 'debug=cgrp,topic,linger.ms=4' >"$E2E_WORK/properties"
echo isolation.level=read_committed >"$E2E_WORK/guarded"
topics_with_services_properties() {
    KAFKA_PROPERTIES='debug=cgrp,topic,client.rack=a\,b' \
        "$BIN_DIR/topics" list --brokers "$KAFKA_BROKERS" --prefix "$TOPIC_PREFIX" >"$E2E_WORK/listed"
    cat "$E2E_WORK/listed"
    grep 'raw_events ' "$E2E_WORK/listed"
    KAFKA_PROPERTIES_FILE=$E2E_WORK/properties \
        "$BIN_DIR/topics" list --brokers "$KAFKA_BROKERS" | grep raw_events
}
check "topics accepts the client properties that the services accept" topics_with_services_properties
check "topics reads KAFKA_PROPERTIES_FILE: a property in it that must not be set ends it with 64" \
    refused 64 "KAFKA_PROPERTIES isolation.level" topics "KAFKA_PROPERTIES_FILE=$E2E_WORK/guarded" list
check "topics names all invalid settings at once, exit 64" \
    refused 64 "TOPICS_COMMAND make PARTITIONS KAFKA_PROPERTIES no.such.property" \
    topics KAFKA_PROPERTIES=no.such.property=1 PARTITIONS=many make
check "topics without a command: exit 64" refused 64 "TOPICS_COMMAND create" topics
check "topics refuses a replication factor of 0, exit 64" refused 64 "REPLICATION_FACTOR" topics create --replication-factor 0

# ---- the password of the registry
no_password() { # PROGRAM [FLAGS...]: neither --check-config nor a start prints it
    local name=$1 out=$E2E_WORK/password.$BASHPID
    shift
    program "$name" SCHEMA_REGISTRY_URL=http://user:hunter2@127.0.0.1:1 KAFKA_BROKERS=127.0.0.1:1
    "${PROGRAM[@]}" "$@" --check-config >"$out"
    grep -F 'SCHEMA_REGISTRY_URL=http://***@127.0.0.1:1' "$out"
    "${PROGRAM[@]}" "$@" >>"$out" 2>&1 3>&- 9>&- &
    wait_until "it has started" grep -q 'event=start ' "$out"
    kill -KILL $! 2>/dev/null || true # it may have ended already
    wait $! || true
    ! grep hunter2 "$out"
}
SYNTHETIC="--source synthetic --events 10 --state-file none"
for name in bronze-sink funnel-aggregator pg-loader "redrive --dry-run" schemas "producer $SYNTHETIC"; do
    # shellcheck disable=SC2086
    check "${name%% *} never prints the registry's password" no_password $name
done

# ---- a librdkafka that our guarantees exclude. Only a shared library can be made to report 2.8.0.
old_library() { # PROGRAM [FLAGS...]
    local name=$1
    shift
    cc -shared -fPIC -o "$E2E_WORK/old.so" -x c - <<<'int rd_kafka_version(void) { return 0x020800ff; }'
    refused 78 "2.8.0 #5213 2.13.2" "$name" LD_PRELOAD="$E2E_WORK/old.so" "$@"
}
if ldd "$BIN_DIR/bronze-sink" | grep -q librdkafka; then
    for name in bronze-sink funnel-aggregator pg-loader; do
        check "$name refuses librdkafka 2.8.0, exit 78" old_library "$name"
    done
    # shellcheck disable=SC2086
    check "producer refuses librdkafka 2.8.0, exit 78" old_library producer $SYNTHETIC
    check "topics refuses librdkafka 2.8.0, exit 78" old_library topics list
fi

# ---- a producer without a broker or with a damaged input
ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"
NOWHERE=(KAFKA_BROKERS=127.0.0.1:1) # no program listens there

cut_short_input() {
    local status=0
    gzip -c "$ROWS" | head -c 20000 >"$E2E_WORK/cut.csv.gz"
    program producer
    timeout "$LONG" "${PROGRAM[@]}" --input "$E2E_WORK/cut.csv.gz" --dry-run --state-file none \
        >"$E2E_WORK/cut.json" 2>"$E2E_WORK/cut.log" || status=$?
    cat "$E2E_WORK/cut.log"
    same "exit code" 78 "$status"
    grep -q 'cut.csv.gz: the gzip stream ends early' "$E2E_WORK/cut.log"
    "${PROGRAM[@]}" --input "$ROWS" --dry-run --state-file none >"$E2E_WORK/all.json"
    # The last line is the row that was cut. It is sent as it is, and becomes a dead letter.
    head -n -1 "$E2E_WORK/cut.json" >"$E2E_WORK/before.json"
    cmp "$E2E_WORK/before.json" <(head -n "$(wc -l <"$E2E_WORK/before.json")" "$E2E_WORK/all.json")
    (($(wc -l <"$E2E_WORK/before.json") > 100))
    tail -n 1 "$E2E_WORK/cut.json" | grep '^2019-'
}
check "an input cut short: all complete rows and the cut one are sent, then exit 78 with the cause" cut_short_input

paced() {
    local flags=(--source synthetic --events 400 --seed 3 --state-file none)
    program producer
    "${PROGRAM[@]}" "${flags[@]}" --output "$E2E_WORK/at-once"
    "${PROGRAM[@]}" "${flags[@]}" --rate 1000 --output - >"$E2E_WORK/paced"
    cmp "$E2E_WORK/at-once" "$E2E_WORK/paced"
}
check "a rate limit does not change the rows" paced

check "no broker: the producer gives up after TIMEOUT, exit 75" \
    refused 75 "no broker" producer "${NOWHERE[@]}" --input "$ROWS" --timeout 1s --state-file none
stopped_while_waiting() {
    local pid
    program producer "${NOWHERE[@]}"
    "${PROGRAM[@]}" --input "$ROWS" --state-file none >"$E2E_WORK/waiting" 2>&1 3>&- 9>&- &
    pid=$!
    wait_until "it waits for a broker" grep -q 'event=retrying' "$E2E_WORK/waiting"
    kill -TERM "$pid"
    wait "$pid"
    grep 'event=interrupted .*nothing was sent' "$E2E_WORK/waiting"
}
check "no broker: a producer that is stopped while it waits ends with 0" stopped_while_waiting

# librdkafka 2.15.1 logs "brokers are down" at every attempt to connect, 20 times a second.
tried_twice() { (($(grep -c FAIL "$E2E_WORK/topics") >= 2)); }
topics_without_broker() {
    local pid
    "$BIN_DIR/topics" list --brokers 127.0.0.1:1 >"$E2E_WORK/topics" 2>&1 3>&- 9>&- &
    pid=$!
    wait_until "it has tried to connect twice" tried_twice
    kill -KILL "$pid"
    wait "$pid" || true
    cat "$E2E_WORK/topics"
    ! grep 'brokers are down' "$E2E_WORK/topics"
}
check "no broker: topics does not log repeatedly that brokers are down" topics_without_broker
wait "$GIVES_UP"
