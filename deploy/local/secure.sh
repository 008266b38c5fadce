# shellcheck shell=bash
# What SECURE=1 adds to the local stack: certificates, users and their rights in Kafka, the proxy in front of the
# registry, and the settings of programs. Sourced by deploy/local/stack after lib.sh, never run.

TLS_DIR=$SECRET_DIR/tls
NGINX_DIR=$LOCAL_DIR/nginx
KAFKA_USERS=(producer bronze-sink funnel-aggregator pg-loader lake topics funnel-tail operator)
REGISTRY_USER=funnel
# The names in the certificates of the servers: those that the stack uses.
SERVER_NAMES=(127.0.0.1 localhost)

is_secure() { [[ $SECURE == 1 ]]; }
secure_parts_up() { ! is_secure || { is_up registry-proxy && [[ -e $LOCAL_DIR/kafka/rights ]]; }; }

# The CA and all certificates, once.
make_certificates() {
    local name
    local -a make=("$HERE/../kafka/certificates" "$TLS_DIR")
    "${make[@]}" ca
    for name in broker registry postgres; do "${make[@]}" server "$name" "${SERVER_NAMES[@]}"; done
    for name in admin "${KAFKA_USERS[@]}"; do "${make[@]}" client "$name"; done
}

# secure_settings USER: sets SETTINGS to the settings of a program, as NAME=value, for `env`. No value is a secret.
secure_settings() {
    SETTINGS=()
    is_secure || return 0
    # shellcheck disable=SC2034 # deploy/local/stack uses it
    SETTINGS=(KAFKA_SECURITY_PROTOCOL=SASL_SSL "KAFKA_SSL_CA_LOCATION=$TLS_DIR/ca.pem"
        "KAFKA_SASL_USERNAME=$1" "KAFKA_SASL_PASSWORD_FILE=$SECRET_DIR/kafka-$1"
        "SCHEMA_REGISTRY_SSL_CA_LOCATION=$TLS_DIR/ca.pem" "SCHEMA_REGISTRY_USERNAME=$REGISTRY_USER"
        "SCHEMA_REGISTRY_PASSWORD_FILE=$SECRET_DIR/registry")
}

# For kcat, and for tools of Kafka as an administrator. kcat of Debian 12, with librdkafka 2.0.2, was refused with
# SCRAM-SHA-512 and the right password. So it has a certificate: kcat -b 127.0.0.1:$KAFKA_MTLS_PORT.
write_client_files() {
    (
        umask 077
        printf '%s\n' security.protocol=ssl ssl.ca.location="$TLS_DIR/ca.pem" ssl.certificate.location="$TLS_DIR/operator.pem" \
            ssl.key.location="$TLS_DIR/operator.key" >"$SECRET_DIR/kcat.conf"
        printf '%s\n' security.protocol=SSL ssl.truststore.type=PEM ssl.truststore.location="$TLS_DIR/ca.pem" \
            ssl.keystore.type=PEM ssl.keystore.location="$TLS_DIR/admin-chain.pem" \
            default.api.timeout.ms=300000 request.timeout.ms=120000 >"$SECRET_DIR/admin.properties"
        printf 'machine 127.0.0.1 login %s password %s\n' "$REGISTRY_USER" "$(password_of registry)" >"$SECRET_DIR/netrc"
    )
}

# ---- Kafka

# A new storage is formatted with the users. Their passwords are in a file, not in the command line.
write_format_arguments() { # FILE
    local user
    (
        umask 077
        for user in "${KAFKA_USERS[@]}"; do
            printf '%s\n' --add-scram "SCRAM-SHA-512=[name=$user,password=$(password_of "kafka-$user")]"
        done >"$1"
    )
}

# The administrator logs in with a certificate.
kafka_admin_ready() {
    KCAT_CONFIG=/dev/null kcat -b "127.0.0.1:$KAFKA_MTLS_PORT" -X security.protocol=ssl -X ssl.ca.location="$TLS_DIR/ca.pem" \
        -X ssl.certificate.location="$TLS_DIR/admin.pem" -X ssl.key.location="$TLS_DIR/admin.key" -L -m 2 -q
}

ensure_tools() { # sets KAFKA_TOOLS: a folder
    KAFKA_TOOLS=$CACHE_DIR/kafka-tools-$(sha256sum "$HERE/kafka/tools.sha256" | cut -c1-12)
    (
        exec 8>"$CACHE_DIR/lock"
        flock 8
        [[ ! -d $KAFKA_TOOLS ]] || exit 0
        rm -rf "$KAFKA_TOOLS.new"
        mvn -B -q -C -f "$HERE/kafka/tools.pom.xml" -Dstack.out="$KAFKA_TOOLS.new" generate-resources >"$LOG_DIR/maven.log" 2>&1 ||
            { tail -n 20 "$LOG_DIR/maven.log" >&2; die "the download of Kafka's tools failed; see $LOG_DIR/maven.log and try again"; }
        (cd "$KAFKA_TOOLS.new" && sha256sum --quiet --strict -c "$HERE/kafka/tools.sha256") ||
            die "a downloaded file does not have the pinned checksum; examine it in $KAFKA_TOOLS.new"
        mv "$KAFKA_TOOLS.new" "$KAFKA_TOOLS"
    )
}

# Once per storage, and again after a change of the script, the prefix or a password.
grant_rights() {
    local stamp=$LOCAL_DIR/kafka/rights want user run java
    local -a with=()
    want=$(for user in "${KAFKA_USERS[@]}"; do password_of "kafka-$user"; say; done |
        cat - "$HERE/../kafka/acls" <(say "$TOPIC_PREFIX") | sha256sum)
    [[ "$(cat "$stamp" 2>/dev/null)" != "$want" ]] || return 0
    ensure_tools
    java=$(find_java)
    run="$java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile=file:$HERE/kafka/log4j2.properties -cp $KAFKA_TOOLS/*:$ARTIFACTS/kafka/*"
    # Formatting has set the passwords of a new storage.
    if [[ ! -e $LOCAL_DIR/kafka/formatted-with-users || -e $stamp ]]; then
        mkdir -p "$SECRET_DIR/kafka-users"
        for user in "${KAFKA_USERS[@]}"; do ln -sf "../kafka-$user" "$SECRET_DIR/kafka-users/$user"; done
        with=("PASSWORDS=$SECRET_DIR/kafka-users")
    fi
    env "${with[@]}" KAFKA_BROKERS="127.0.0.1:$KAFKA_MTLS_PORT" ADMIN_CONFIG="$SECRET_DIR/admin.properties" TOPIC_PREFIX="$TOPIC_PREFIX" \
        KAFKA_ACLS="$run org.apache.kafka.tools.AclCommand" KAFKA_CONFIGS="$run kafka.admin.ConfigCommand" "$HERE/../kafka/acls" \
        >"$LOG_DIR/acls.log" 2>&1 || { show_end acls; die "the rights of Kafka's users could not be granted"; }
    printf '%s\n' "$want" >"$stamp"
}

# ---- the proxy of the registry

proxy_ready() { curl -fsS -m 2 --cacert "$TLS_DIR/ca.pem" --netrc-file "$SECRET_DIR/netrc" "$SCHEMA_REGISTRY_URL/subjects"; }

start_proxy() {
    ! is_up registry-proxy || return 0
    command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
    command -v nginx >/dev/null || die "SECURE=1 needs nginx; run: deploy/local/deps secure"
    mkdir -p "$NGINX_DIR"
    # The workers run as another user if root runs nginx.
    chmod 711 "$NGINX_DIR"
    printf '%s:%s\n' "$REGISTRY_USER" "$(password_of registry | openssl passwd -6 -stdin)" >"$NGINX_DIR/users"
    chmod 644 "$NGINX_DIR/users"
    # shellcheck disable=SC2034 # fill reads them by their names
    local CERTIFICATE=$TLS_DIR/registry USERS=$NGINX_DIR/users RESOLVER=127.0.0.1
    # shellcheck disable=SC2034 # as above
    local LISTEN=127.0.0.1:$REGISTRY_PORT BACKEND=127.0.0.1:$REGISTRY_BACKEND_PORT
    fill "$HERE/nginx/nginx.conf.in" NGINX_DIR CERTIFICATE USERS RESOLVER LISTEN BACKEND >"$NGINX_DIR/nginx.conf"
    spawn registry-proxy nginx -p "$NGINX_DIR" -c "$NGINX_DIR/nginx.conf"
    wait_ready registry-proxy "$READY_TIMEOUT" proxy_ready
}

# ---- PostgreSQL

# The server wants files of its own that only it can read.
write_postgres_tls() {
    as_pg_user tee "$PG_DATA/server.crt" <"$TLS_DIR/postgres.pem" >/dev/null
    as_pg_user tee "$PG_DATA/server.key" </dev/null >/dev/null
    as_pg_user chmod 600 "$PG_DATA/server.key"
    as_pg_user tee "$PG_DATA/server.key" <"$TLS_DIR/postgres.key" >/dev/null
}
