# shellcheck shell=bash
# Sourced by tests/bench/peers/run and tests/bench/peers/loaders: the programs of the peers, the raw
# topic, and waiting for a program.

# shellcheck source=../lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
PEERS_DIR=$ROOT/tests/bench/peers
PARTITIONS=${PARTITIONS:-4}
WORK=$LOCAL_DIR/peers
CLASSES=$WORK/classes
# shellcheck disable=SC2034 # for the scripts that source this file
JVM=(-Xms1g -Xmx2g -XX:+UseParallelGC -Duser.timezone=UTC
    -Dorg.slf4j.simpleLogger.defaultLogLevel=error)
LIMIT_S=900

peers_begin() {
    mkdir -p "$WORK"
    "$STACK" up >/dev/null
    JAVA=$(find_java)
    compile streams
    fill_raw_topic
}

declare -A JARS=()
# compile FOLDER: sets JARS, and writes the classes to a folder of that name.
compile() {
    local javac
    [[ -z ${JARS[$1]:-} ]] || return 0
    JARS[$1]=$("$PEERS_DIR/jars" "$1")
    javac=${JAVA%/*}/javac
    [[ -x $javac ]] || die "there is no $javac; run: make deps, or set JAVA_HOME to a JDK"
    "$javac" -proc:none -cp "${JARS[$1]}/*" -d "$CLASSES/$1" \
        "$PEERS_DIR"/common/*.java "$PEERS_DIR/$1"/*.java
}

# prepare TOPIC...: deletes all topics and groups but the raw topic, and makes these.
prepare() {
    "$JAVA" -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
        -cp "$CLASSES/streams:${JARS[streams]}/*" Topics "$KAFKA_BROKERS" "$TOPIC_PREFIX" \
        "${TOPIC_PREFIX}raw_events" "$PARTITIONS" "$@"
}

committed() { # TOPIC FORMAT
    kcat -b "$KAFKA_BROKERS" -C -q -e -o beginning -X isolation.level=read_committed -t "$1" -f "$2"
}

fill_raw_topic() {
    "$STACK" reset >/dev/null
    LOG_LEVEL=warn "$BIN_DIR/topics" create --brokers "$KAFKA_BROKERS" --prefix "$TOPIC_PREFIX" \
        --partitions "$PARTITIONS" >/dev/null
    "$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed 42 --disorder 5s \
        --state-file none --rate 0 </dev/null >>"$LOG_DIR/producer.log" 2>&1 ||
        die "the producer failed: $(tail -n 3 "$LOG_DIR/producer.log")"
    # shellcheck disable=SC2034 # for the scripts that source this file
    read -r RECORDS _ < <("$BENCH_BIN/consume")
}

# await NAME PID COMMAND...
await() {
    local name=$1 pid=$2 deadline=$((SECONDS + LIMIT_S))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [[ -d /proc/$pid && $SECONDS -lt $deadline ]] || {
            tail -n 30 "$WORK/$name.log" >&2
            kill -KILL "$pid" 2>/dev/null || true
            die "$name has ended or takes longer than $LIMIT_S s"
        }
        sleep 0.05
    done
}
said() { grep -q "^$2 " "$1"; }
