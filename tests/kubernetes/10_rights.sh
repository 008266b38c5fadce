#!/usr/bin/env bash
# The rights of deploy/kubernetes/kafka/users.yaml are enough for each program, and refuse what it must not do. Kafka
# denies everything else. Only the way to log in differs from Strimzi's (a password instead of a certificate): the
# authorizer is the same class.
source "$(dirname "$0")/../e2e/lib.sh"

USERS=(producer bronze-sink funnel-aggregator pg-loader lake operator keda)
CLIENTS=127.0.0.1:$((HTTP_BASE_PORT + 48))
PYTHON=$("$ROOT/tests/kubernetes/tools" python)

# ---- a Kafka with two listeners: ours, whose clients may do everything, and one whose clients log in

logins() { local user; for user in "${USERS[@]}"; do printf ' user_%s="%s"' "$user" "$user"; done; }
broker_settings() {
    cat <<SETTINGS
listeners=BROKER://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT,CLIENT://$CLIENTS
advertised.listeners=BROKER://127.0.0.1:$KAFKA_PORT,CLIENT://$CLIENTS
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:SASL_PLAINTEXT
listener.name.client.sasl.enabled.mechanisms=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required$(logins);
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
SETTINGS
}
stack stop kafka
KAFKA_SETTINGS=$(broker_settings) start kafka
fresh
"$PYTHON" "$ROOT/tests/kubernetes/grant" "$KAFKA_BROKERS" "$TOPIC_PREFIX" "$ROOT"/deploy/kubernetes/kafka/users.yaml \
    "$ROOT/deploy/kubernetes/components/keda/user.yaml" >"$E2E_WORK/granted"
check "the users of the manifests are those of this test" same users "$(printf '%s\n' "${USERS[@]}" | sort)" "$(sort "$E2E_WORK/granted")"

# ---- the programs, each as its user

properties() { printf 'security.protocol=sasl_plaintext,sasl.mechanism=PLAIN,sasl.username=%s,sasl.password=%s' "$1" "$1"; }
as_user() { # USER PROGRAM [NAME=VALUE...] [--flags]: sets PROGRAM
    program "$2" "KAFKA_BROKERS=$CLIENTS" "KAFKA_PROPERTIES=$(properties "$1")" "TOPIC_PREFIX=$TOPIC_PREFIX" "${@:3}"
}
service() { # NAME [NAME=VALUE...] [WORD]
    as_user "$@"
    "${PROGRAM[@]}" >>"$LOG_DIR/$1.log" 2>&1 3>&- 9>&- &
    STARTED+=($!)
}
begin() {
    service bronze-sink bronze-sink
    service funnel-aggregator funnel-aggregator
    service pg-loader pg-loader "POSTGRES_DSN=$(dsn loader)" MIGRATE=false
    service lake lake "LAKE_URL=$E2E_WORK/lake" write
}
# Stops the services. Sets CODES, their exit codes. Not in a check: only this shell can wait for them.
end() {
    local pid code
    CODES=""
    kill "${STARTED[@]}" || true
    for pid in "${STARTED[@]}"; do
        code=0
        wait "$pid" || code=$?
        CODES+="$code "
    done
    STARTED=()
}
ended_well() { same "exit codes of bronze-sink, funnel-aggregator, pg-loader and lake" "0 0 0 0 " "$CODES"; }
send() { # FILE
    as_user producer producer FAIL_ABOVE=5% --input "$1" --state-file none --timeout "${LONG}s"
    timeout "$LONG" "${PROGRAM[@]}" >>"$LOG_DIR/producer.log" 2>&1
}
idle() {
    program pg-loader WAIT_IDLE=true "WAIT_TIMEOUT=${LONG}s" WAIT_REPORTS=false "TOPIC_PREFIX=$TOPIC_PREFIX"
    "${PROGRAM[@]}"
}

program pg-loader MIGRATE=only
"${PROGRAM[@]}"
in_halves "$E2E_WORK/replay.csv"
begin
check "the producer sends as its user" send "$FIRST"
check "all rows are loaded" idle
end
check "all services end with 0" ended_well
# A start with committed offsets reads more: counts, outputs, and the log of the offsets if it must.
begin
check "the producer sends again" send "$SECOND"
check "all rows are loaded after a second start" idle
check "the recount agrees" oracle --exact-counts "$FIRST" "$SECOND"
end
check "all services end with 0 again" ended_well
DENIED='authorization|lacks a right'
no_right_is_missing() {
    local name
    for name in producer bronze-sink funnel-aggregator pg-loader lake; do
        same "runs of $name" 2 "$(grep -c 'event=stopped' "$LOG_DIR/$name.log")" || return 1
        if grep -iE "$DENIED" "$LOG_DIR/$name.log"; then return 1; fi
    done
}
check "no program lacks a right" no_right_is_missing
operate() { # PROGRAM [SETTINGS...]
    as_user operator "$@"
    timeout "$LONG" "${PROGRAM[@]}"
}
check "the operator sees all topics" operate topics list
check "the operator reads records" operate funnel-tail TOPIC=bronze RECORDS=3
check "the operator plans a replay of dead letters" operate redrive DRY_RUN=true
check "the operator reads the schemas of the topics" operate schemas DRY_RUN=true

# ---- refused

as_kcat() { # USER TOPIC FLAGS...: must be refused
    local status=0
    timeout "$LONG" kcat -b "$CLIENTS" -X security.protocol=sasl_plaintext -X sasl.mechanism=PLAIN -X "sasl.username=$1" \
        -X "sasl.password=$1" -t "$(topic "$2")" "${@:3}" >"$E2E_WORK/refused" 2>&1 <<<x || status=$?
    cat "$E2E_WORK/refused"
    ((status != 0)) && grep -qi 'authorization' "$E2E_WORK/refused"
}
may_not_read() { as_kcat "$1" "$2" -C -q -e -o beginning -c 1; }
may_not_write() { as_kcat "$1" "$2" -P; }
check "the producer cannot read bronze events" may_not_read producer bronze_events
check "bronze-sink cannot write aggregates" may_not_write bronze-sink aggregated_events
check "pg-loader cannot write aggregates" may_not_write pg-loader aggregated_events
check "pg-loader cannot read raw events" may_not_read pg-loader raw_events
check "the lake cannot write bronze events" may_not_write lake bronze_events
check "KEDA cannot read anything" may_not_read keda raw_events
