#!/usr/bin/env bash
# A real PostgreSQL with an expired certificate, or with one for another host: pg-loader ends with 78, and the message
# says what to examine. libpq reports an expired certificate and an unknown CA with the same words, so the message names
# both. tests/secure/run starts it.
source "$(dirname "$0")/../e2e/lib.sh"

[[ $SECURE == 1 ]] || { record FAIL "the stack is secure" 0 "run tests/secure/run"; exit 1; }
TLS=$SECRET_DIR/tls
MAKE=$ROOT/deploy/kafka/certificates
DAYS=-1 "$MAKE" "$TLS" server postgres-expired 127.0.0.1 localhost
"$MAKE" "$TLS" server postgres-elsewhere elsewhere.example
fresh # pg-loader asks Kafka for its topics first
eval "$(stack env pg-loader)"

# The stack copies postgres.pem and postgres.key to the server at each start.
restart_with() { # NAME
    cp "$TLS/$1.pem" "$TLS/postgres.pem"
    cp "$TLS/$1.key" "$TLS/postgres.key"
    stack stop postgres
    stack start postgres
}
# The certificate that the server sends has this subject.
server_shows() { # NAME
    openssl s_client -connect "127.0.0.1:$POSTGRES_PORT" -starttls postgres </dev/null 2>/dev/null |
        openssl x509 -noout -subject | grep -qx "subject=CN *= *$1"
}
# with_certificate NAME COMMAND...: while PostgreSQL has this certificate.
with_certificate() {
    local name=$1 status=0
    shift
    restart_with "$name"
    { server_shows "$name" && "$@"; } || status=$?
    restart_with postgres-good
    return "$status"
}
refused_with() { refused 78 "$1" pg-loader MIGRATE=false "POSTGRES_DSN=$(dsn loader) $2"; }
accepted() { timeout "$LONG" psql -X -A -t -c "SELECT 'accepted'" "$(dsn loader) $1" | grep -qx accepted; }

cp "$TLS/postgres.pem" "$TLS/postgres-good.pem"
cp "$TLS/postgres.key" "$TLS/postgres-good.key"
check "the certificate of the stack is accepted" accepted ""
check "an expired certificate of PostgreSQL" with_certificate postgres-expired refused_with \
    "certificate sslrootcert expired s_client" ""
check "another host name in the certificate of PostgreSQL" with_certificate postgres-elsewhere refused_with \
    "elsewhere.example match verify-full" ""
# Only the host name was wrong.
check "the same certificate under its own host name is accepted" with_certificate postgres-elsewhere accepted \
    "host=elsewhere.example hostaddr=127.0.0.1"
check "afterwards the certificate of the stack is accepted again" accepted ""
