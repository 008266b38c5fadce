#!/usr/bin/env bash
# Each part has a login with the rights that it needs. The rows are loaded as `loader`, and no login can do what it
# must not (tests/sql/logins). Passwords and other secrets are in no output, metric or command line.
source "$(dirname "$0")/lib.sh"

fresh

# ---- secrets: marks that can be found again

MARK=marked$RANDOM$RANDOM
export KAFKA_PROPERTIES=sasl.password=$MARK-kafka,ssl.key.password=$MARK-key
export ALERT_WEBHOOK_URL=http://$MARK-user:$MARK-hook@127.0.0.1:1/$MARK-path ALERT_WEBHOOK_SECRET=$MARK-signature

services
ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"
replay --input "$ROWS"
loaded() {
    drain
    oracle --exact-counts "$ROWS"
}
check "pg-loader loads all rows as loader, and the recount agrees" loaded
check "no login can do what it must not" env PGHOST=127.0.0.1 PGPORT="$POSTGRES_PORT" PGPASSFILE="$SECRET_DIR/pgpass" \
    "$ROOT/tests/sql/logins"

report_of_dashboards() {
    local out=$E2E_WORK/report.html
    "$ROOT/deploy/report/report" --dsn "$(dsn dashboards)" --output "$out"
    grep -q '<svg' "$out"
}
check "the dashboards can be drawn with the login dashboards" report_of_dashboards

# FILE...: none has a mark or a password.
has_no_secret() {
    local login found=0
    ! grep -alF -e "$MARK" "$@" || found=1
    for login in "${LOGINS[@]}"; do
        ! grep -alF -e "$(password_of "$login")" "$@" || { warn "the password of $login"; found=1; }
    done
    return "$found"
}

logs_have_none() {
    local -a logs=("$LOG_DIR"/*-[1-9].log "$LOG_DIR/migrate.log" "$LOG_DIR/postgres.log" "$LOG_DIR/kafka.log" "$LOG_DIR/registry.log")
    # A secret must be able to reach the logs: the search of another word finds something.
    grep -qF ALERT_WEBHOOK_SECRET "$LOG_DIR/pg-loader-1.log"
    has_no_secret "${logs[@]}"
}
check "no log has a secret" logs_have_none

metrics_have_none() {
    local name path
    for name in bronze-sink-1 funnel-aggregator-1 pg-loader-1; do
        for path in metrics livez readyz; do http_get "$name" "$path" >>"$E2E_WORK/served" || true; done
    done
    grep -q funnel_build_info "$E2E_WORK/served"
    has_no_secret "$E2E_WORK/served"
}
check "nothing that is served has a secret" metrics_have_none

texts_have_none() {
    local name flag
    for name in producer bronze-sink funnel-aggregator pg-loader topics redrive schemas funnel-tail; do
        for flag in --help --help-markdown --check-config --version; do
            POSTGRES_DSN="host=x user=y password=$MARK-dsn" POSTGRES_PASSWORD=$MARK-pg \
                "$BIN_DIR/$name" "$flag" >>"$E2E_WORK/texts" 2>&1 || true
        done
        # All errors are printed at once, so a wrong value stands next to the secrets.
        POSTGRES_DSN="password=$MARK-dsn nonsense" ALERT_WEBHOOK_URL="ftp://$MARK" KAFKA_PROPERTIES="acks=$MARK" \
            SCHEMA_REGISTRY_URL="ftp://$MARK:$MARK@x" BATCH_ROWS=0 SPEED=0 "$BIN_DIR/$name" >>"$E2E_WORK/texts" 2>&1 </dev/null || true
    done
    grep -q 'POSTGRES_PASSWORD=\*\*\*' "$E2E_WORK/texts"
    has_no_secret "$E2E_WORK/texts"
}
check "no text of a program has a secret" texts_have_none

# Command lines of all processes of this run, while its programs and psql run.
command_lines_have_none() {
    local file
    psql -X -q -d "$DSN" -c 'SELECT pg_sleep(5)' >/dev/null 3>&- 9>&- &
    wait_until "psql runs" psql_runs
    for file in /proc/[0-9]*/cmdline; do
        tr '\0' ' ' <"$file" >>"$E2E_WORK/command-lines" || true
        printf '\n' >>"$E2E_WORK/command-lines"
    done 2>/dev/null
    wait
    grep -q "$BIN_DIR/pg-loader" "$E2E_WORK/command-lines"
    has_no_secret "$E2E_WORK/command-lines"
}
psql_runs() { [[ $(count "pg_stat_activity WHERE wait_event = 'PgSleep'") == 1 ]]; }
check "no command line has a secret" command_lines_have_none

health_check() {
    local port
    port=$(http_port pg-loader-1)
    POSTGRES_DSN=$(dsn loader) HTTP_PORT=$port "$BIN_DIR/pg-loader" --healthcheck | grep -x ready
    stack stop pg-loader-1
    if POSTGRES_DSN=$(dsn loader) HTTP_PORT=$port "$BIN_DIR/pg-loader" --healthcheck; then return 1; fi
}
check "--healthcheck follows the service" health_check

password_by_file() {
    local by without="POSTGRES_DSN=host=127.0.0.1 port=$POSTGRES_PORT dbname=funnel user=loader"
    printf '%s\n' "$(password_of loader)" >"$E2E_WORK/password"
    for by in "POSTGRES_PASSWORD_FILE=$E2E_WORK/password" "POSTGRES_PASSWORD=$(password_of loader)"; do
        program pg-loader "$without" "$by" --wait-idle --wait-reports=false --wait-timeout "${LONG}s"
        "${PROGRAM[@]}"
    done
    refused 78 'password 28P01' pg-loader "$without" POSTGRES_PASSWORD=wrong MIGRATE=false
}
stop_services
unset ALERT_WEBHOOK_URL ALERT_WEBHOOK_SECRET KAFKA_PROPERTIES
check "the password comes from POSTGRES_PASSWORD or its file, and a wrong one is refused" password_by_file
