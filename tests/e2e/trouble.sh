# shellcheck shell=bash
# Shared by the scenarios of real trouble (80 to 89), in addition to lib.sh: long checks, the behaviour of
# a blocked service, topic settings and rights, a second broker.

broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }

at_length() { [[ ${E2E_TROUBLE:-0} == 1 ]]; }
# thorough NAME COMMAND...: a check that takes too long for every run.
thorough() {
    if at_length; then
        check "$@"
    else
        say "skip $SCENARIO: $1 (make trouble runs it)" >&3
    fi
}

# ---- the behaviour of a blocked service

not_ready() {
    local code
    code=$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$(http_port "$1")/readyz")
    [[ $code == 503 ]]
}

cpu_ms() { # PID: user and system time so far
    awk -v hz="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz)}' "/proc/$1/stat"
}
log_lines() { wc -l <"$LOG_DIR/$1.log"; }
says() { # NAME TEXT...: its log has a line with all of these
    local name=$1 lines text
    shift
    [[ -r $LOG_DIR/$name.log ]] || return 1
    lines=$(<"$LOG_DIR/$name.log")
    for text in "$@"; do lines=$(grep -iF -- "$text" <<<"$lines") || return 1; done
}

# waits_idly NAME [SECONDS]: it waits without a busy loop and without a flood of log lines. The bounds are
# generous: a loop without a pause uses a full core and writes hundreds of lines a second.
waits_idly() {
    local name=$1 seconds=${2:-10} pid cpu lines
    pid=$(pid_of "$name") || { warn "$name ended"; return 1; }
    cpu=$(cpu_ms "$pid") lines=$(log_lines "$name")
    sleep "$seconds"
    is_up "$name" || { warn "$name ended"; return 1; }
    cpu=$(($(cpu_ms "$pid") - cpu)) lines=$(($(log_lines "$name") - lines))
    printf 'idle: %s used %d ms of CPU and wrote %d lines in %d s\n' "$name" "$cpu" "$lines" "$seconds"
    ((cpu < seconds * 350)) ||
        { warn "$name was blocked and used $cpu ms of CPU in $seconds s"; return 1; }
    ((lines < seconds * ${LINES_A_SECOND:-4})) ||
        { warn "$name was blocked and wrote $lines lines in $seconds s"; return 1; }
}

# It has ended by itself with this exit code.
ended_with() { # NAME CODE
    ! is_up "$1" && tail -n 3 "$LOG_DIR/$1.log" | grep -q "event=stopped .*exit=$2"
}

# ---- the broker's settings

# topic_setting TOPIC NAME=VALUE, or NAME for the default. With Kafka's own tool: librdkafka can only set
# all settings of a topic at once.
topic_setting() {
    local name change=--add-config
    name=$(topic "$1")
    [[ $2 == *=* ]] || change=--delete-config
    timeout "$LONG" "$(readlink "/proc/$(pid_of kafka)/exe")" -XX:TieredStopAtLevel=1 \
        -cp "$ARTIFACTS/kafka/*" kafka.admin.ConfigCommand --bootstrap-server "$KAFKA_BROKERS" \
        --alter --entity-type topics --entity-name "$name" "$change" "$2"
}

# A second broker in addition to that of the stack. It has replicas until it is stopped.
start_second_broker() {
    local conf=$RUN_DIR/kafka-second.properties listener=BROKER://127.0.0.1:$((KAFKA_PORT + 49)) data=$LOCAL_DIR/kafka-second
    local -a run
    run=("$(readlink "/proc/$(pid_of kafka)/exe")"
        "-Dlog4j2.configurationFile=file:$HERE/kafka/log4j2.properties" -Xmx256m
        -XX:TieredStopAtLevel=1 -cp "$ARTIFACTS/kafka/*")
    sed -e 's/^process.roles=.*/process.roles=broker/' -e 's/^node.id=.*/node.id=2/' \
        -e "s|^listeners=.*|listeners=$listener|" \
        -e "s|^advertised.listeners=.*|advertised.listeners=$listener|" \
        -e "s|^log.dirs=.*|log.dirs=$data|" "$RUN_DIR/kafka.properties" >"$conf"
    [[ -d $data ]] || "${run[@]}" kafka.tools.StorageTool format \
        -t "$(sed -n 's/^cluster.id=//p' "$LOCAL_DIR/kafka/meta.properties")" -c "$conf"
    spawn kafka-second "${run[@]}" kafka.Kafka "$conf"
    wait_until "there are two brokers" brokers_are 2
}
stop_second_broker() { stop_daemon kafka-second TERM 60; }
brokers_are() { same brokers "$1" "$(kcat -b "$KAFKA_BROKERS" -L -J | jq '.brokers | length')"; }
