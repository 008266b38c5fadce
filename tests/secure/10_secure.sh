#!/usr/bin/env bash
# The stack with SECURE=1: every program works with TLS, a password and only the rights of deploy/kafka/acls, and the
# recount agrees. A wrong password, certificate, host name or a missing right ends a program with 78 and a message
# that names what to change. tests/secure/run starts it.
#
# Brokers, proxy and database are real. Where a server must have another certificate, it is `openssl s_server`: the
# handshake fails before a byte of another protocol is sent.
source "$(dirname "$0")/../e2e/lib.sh"
source "$ROOT/tests/backup/lib.sh"

[[ $SECURE == 1 ]] || { record FAIL "the stack is secure" 0 "run tests/secure/run"; exit 1; }
TLS=$SECRET_DIR/tls
OTHER=$E2E_WORK/other-ca
MAKE=$ROOT/deploy/kafka/certificates
PORT=$((HTTP_BASE_PORT + 62))

# be USER: programs that are started from now on are this user of Kafka.
be() { eval "$(stack env "$1")"; }
# as USER COMMAND...
as() { (be "$1"; shift; "$@"); }

# ---- everything works

export LAKE_URL=$E2E_WORK/lake
fresh
services
ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"
all_rows() {
    as producer replay --input "$ROWS" --fail-above 50%
    as operator drain
    oracle --exact-counts "$ROWS"
}
check "with TLS, passwords and least rights, the recount agrees; FAIL_ABOVE counts the dead letters" all_rows

# works USER NAME [SETTINGS]: ends with 0.
works() {
    local user=$1
    shift
    be "$user"
    program "$@"
    timeout "$LONG" "${PROGRAM[@]}"
}
topics_shown() { local command; for command in list lag plan positions create; do works topics topics "$command"; done; }
check "topics: list, lag, plan, positions, create; reset was called before" topics_shown
alert_sent() { [[ "$(sql "SELECT count(topic_sent_at) FROM processed.alert_outbox")" == 1 ]]; }
alerts_come() {
    sql "INSERT INTO reporting.alert_rules (rule, metric, subject, compared_with, direction, bound, hold)
        VALUES ('always', 'freshness', 'events', 'fixed', 'above', 0, '0')"
    sql "SELECT refreshed FROM reporting.refresh()"
    wait_until "pg-loader has sent the alert" alert_sent
    works funnel-tail funnel-tail TOPIC=alerts RECORDS=1
}
check "pg-loader sends an alert to its topic" alerts_come
topics_tailed() {
    local name
    for name in raw bronze aggregates visits late dead-letter counts alerts abandoned-carts; do
        works funnel-tail funnel-tail "TOPIC=$name" EXIT=true TAIL=2
    done
}
check "funnel-tail prints records of each topic" topics_tailed
redriven() {
    works operator redrive SEND_REFUSED=true YES=true | tee "$E2E_WORK/redrive"
    grep -q '^sent: [1-9]' "$E2E_WORK/redrive"
    works pg-loader pg-loader "POSTGRES_DSN=$(dsn loader)" MIGRATE=false WAIT_IDLE=true "WAIT_TIMEOUT=${LONG}s" WAIT_REPORTS=false
}
check "redrive sends dead letters again; pg-loader waits for them" redriven
check "schemas reads the topics" works operator schemas DRY_RUN=true
check "a client certificate is a login" works operator topics TOPICS_COMMAND=list "KAFKA_BROKERS=127.0.0.1:$KAFKA_MTLS_PORT" \
    KAFKA_SECURITY_PROTOCOL=SSL KAFKA_SASL_USERNAME= KAFKA_SASL_PASSWORD_FILE= \
    "KAFKA_SSL_CERTIFICATE_LOCATION=$TLS/operator.pem" "KAFKA_SSL_KEY_LOCATION=$TLS/operator.key"

events() { count raw.events; }
EVENTS=$(events)
check "a backup is made as the user topics, while the services run" backup
lake_as_lake() { # COMMAND...
    works lake lake "POSTGRES_DSN=$(dsn lake)" "$@"
}
lake_commands() {
    stack stop lake-1
    lake_as_lake write --until-end=true
    lake_as_lake compact --lake-grace=0s
    lake_as_lake expire --days=9999
    lake_as_lake register
    lake_as_lake verify --read=true
}
check "lake writes, compacts, expires, registers, and verifies with the markers of redrive" lake_commands
restored() {
    stop_services
    restore "FROM=$BACKUPS" FORCE=yes
    same "events" "$EVENTS" "$(events)"
}
check "the backup is restored" restored
rebuilt() {
    CONFIRM=yes timeout "$LONG" "$HERE/rebuild-from-lake"
    same "events" "$EVENTS" "$(events)"
}
check "the topics and the database are rebuilt from the lake, as the operator" rebuilt
# It reads the bronze topic for this, and the offsets topic.
check "bronze-sink without offsets finds that bronze has records" \
    as bronze-sink refused 78 "no committed offsets raw_events counted" bronze-sink

# ---- Kafka refuses

fresh
"$MAKE" "$OTHER" ca
DAYS=-1 "$MAKE" "$TLS" server expired 127.0.0.1
"$MAKE" "$TLS" server elsewhere elsewhere.example
be operator
wrong_password() {
    local name
    local -A with=([producer]="SOURCE=synthetic STATE_FILE=none" [topics]=TOPICS_COMMAND=list [redrive]=DRY_RUN=true
        [schemas]=DRY_RUN=true)
    for name in producer bronze-sink funnel-aggregator pg-loader topics funnel-tail redrive schemas; do
        # shellcheck disable=SC2086 # settings without blanks
        refused 78 'KAFKA_SASL_PASSWORD operator' "$name" "KAFKA_SASL_PASSWORD_FILE=$SECRET_DIR/kafka-lake" ${with[$name]:-}
    done
}
check "a wrong password ends each program with 78" wrong_password
check "a broker of another CA" refused 78 "KAFKA_SSL_CA_LOCATION known CA" bronze-sink "KAFKA_SSL_CA_LOCATION=$OTHER/ca.pem"
no_certificate() {
    refused 78 "KAFKA_SSL_CERTIFICATE_LOCATION" topics TOPICS_COMMAND=list "KAFKA_BROKERS=127.0.0.1:$KAFKA_MTLS_PORT" \
        KAFKA_SECURITY_PROTOCOL=SSL KAFKA_SASL_USERNAME= KAFKA_SASL_PASSWORD_FILE=
}
check "no certificate where the broker wants one" no_certificate

# with_server NAME COMMAND...: while a server has this certificate at PORT.
with_server() {
    local name=$1 pid status=0
    shift
    openssl s_server -accept "127.0.0.1:$PORT" -cert "$TLS/$name.pem" -key "$TLS/$name.key" -quiet </dev/null >/dev/null 2>&1 3>&- 9>&- &
    pid=$!
    wait_until "a server has the certificate $name" port_taken "$PORT"
    "$@" || status=$?
    kill "$pid"
    wait "$pid" || true
    return "$status"
}
check "an expired certificate of a broker" with_server expired refused 78 expired bronze-sink "KAFKA_BROKERS=127.0.0.1:$PORT"
check "another host name in the certificate of a broker" \
    with_server elsewhere refused 78 "host name KAFKA_BROKERS" bronze-sink "KAFKA_BROKERS=127.0.0.1:$PORT"

# ---- rights

# denied USER KCAT_FLAGS...: kcat with the certificate of this user gets no right.
denied() {
    local user=$1 out status=0
    shift
    out=$(KCAT_CONFIG=/dev/null timeout "$LONG" kcat -b "127.0.0.1:$KAFKA_MTLS_PORT" -X security.protocol=ssl \
        -X ssl.ca.location="$TLS/ca.pem" -X ssl.certificate.location="$TLS/$user.pem" -X ssl.key.location="$TLS/$user.key" \
        -X message.timeout.ms=20000 "$@" 2>&1 <<<x) || status=$?
    printf '%s\n' "$out"
    ((status != 0)) && [[ $out == *'authorization failed'* ]]
}
check "the producer cannot read events" denied producer -C -e -t "$(topic bronze_events)" -p 0
check "the producer cannot write bronze events" denied producer -P -t "$(topic bronze_events)" -p 0
check "pg-loader cannot write aggregates" denied pg-loader -P -t "$(topic aggregated_events)" -p 0
check "the lake cannot write" denied lake -P -t "$(topic raw_events)" -p 0
check "funnel-tail cannot write" denied funnel-tail -P -t "$(topic raw_events)" -p 0
check "bronze-sink as the producer: 78, and the message names the right" \
    as producer refused 78 "right deploy/kafka/acls" bronze-sink
check "funnel-aggregator as pg-loader: 78, and the message names the right" \
    as pg-loader refused 78 "right deploy/kafka/acls" funnel-aggregator
check "topics as the lake cannot create: 78, and the message names the right" \
    as lake refused 78 "right topic other_raw_events deploy/kafka/acls" topics TOPIC_PREFIX=other_ create
check "a backup as the lake: 78, and the message names the right" \
    as lake backup_refused 78 "lacks a right to this topic; deploy/kafka/acls"

# ---- registry

check "a wrong password of the registry" refused 78 "401 SCHEMA_REGISTRY_PASSWORD" bronze-sink \
    "SCHEMA_REGISTRY_PASSWORD_FILE=$SECRET_DIR/kafka-lake"
check "a registry of another CA" refused 78 SCHEMA_REGISTRY_SSL_CA_LOCATION bronze-sink \
    "SCHEMA_REGISTRY_SSL_CA_LOCATION=$OTHER/ca.pem"
registry_with() { with_server "$1" refused 78 "SCHEMA_REGISTRY_URL $2" bronze-sink "SCHEMA_REGISTRY_URL=https://127.0.0.1:$PORT"; }
check "an expired certificate of the registry" registry_with expired expired
check "another host name in the certificate of the registry" registry_with elsewhere "host name"

# ---- PostgreSQL

# loader_with DSN_PART WORDS: pg-loader with a changed connection string.
loader_with() { refused 78 "$2" pg-loader MIGRATE=false "POSTGRES_DSN=$(dsn loader) $1"; }
check "a PostgreSQL of another CA" loader_with "sslrootcert=$OTHER/ca.pem" "certificate sslrootcert"
check "another host name in the certificate of PostgreSQL" \
    loader_with "host=elsewhere.example hostaddr=127.0.0.1" "host name verify-full"
check "PostgreSQL without TLS" loader_with sslmode=disable "no encryption 28000"
check "a wrong password of PostgreSQL" loader_with password=wrong "28P01"
