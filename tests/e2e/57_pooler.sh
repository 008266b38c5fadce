#!/usr/bin/env bash
# A pooler (PgBouncer) is between pg-loader and PostgreSQL. pg-loader refuses transaction and statement
# pooling before it sets, locks or creates anything on the pooler's connections. Session pooling works.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

ROWS=$E2E_WORK/few.csv
head -n 3001 "$E2E_WORK/replay.csv" >"$ROWS"
REFUSAL="POSTGRES_DSN pooler transaction session directly"
SECRET=hunter2 # PgBouncer ignores it; it must not appear in any output

# ---- PgBouncer

POOLER_PORT=$((HTTP_BASE_PORT + 61))
POOLED="host=127.0.0.1 port=$POOLER_PORT dbname=funnel user=funnel_owner password=$SECRET"
PGBOUNCER=$(PATH=$PATH:/usr/sbin command -v pgbouncer)
AS=()
((EUID != 0)) || AS=(setpriv --reuid=postgres --regid=postgres --init-groups) # PgBouncer refuses to run as root

pooler_conf() { # MODE SIZE [LINE...]
    (umask 077 && printf '%s\n' '[databases]' \
        "funnel = host=127.0.0.1 port=$POSTGRES_PORT dbname=funnel user=funnel_owner password=$(password_of funnel_owner)" \
        '[pgbouncer]' 'listen_addr = 127.0.0.1' "listen_port = $POOLER_PORT" \
        'unix_socket_dir =' 'auth_type = any' "pool_mode = $1" "default_pool_size = $2" "${@:3}" >"$E2E_WORK/pooler.ini")
    ((EUID != 0)) || chown postgres: "$E2E_WORK/pooler.ini"
}
pooler_answers() { PGCONNECT_TIMEOUT=5 psql -X -q -d "$POOLED" -c 'SELECT 1' >/dev/null; }
pooler_begin() { # MODE SIZE [LINE...]
    pooler_conf "$@"
    "${AS[@]}" "$PGBOUNCER" "$E2E_WORK/pooler.ini" >>"$LOG_DIR/$SCENARIO.pgbouncer.log" 2>&1 3>&- 9>&- &
    POOLER=$!
    wait_until "PgBouncer answers" pooler_answers
}
pooler_end() {
    kill "$POOLER"
    wait "$POOLER" || true
}

# ---- what other clients see

# The settings of a new session, without those of extensions: these exist once an extension was used.
settings() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "SELECT name, setting FROM pg_settings, pg_sleep(0.1)
        WHERE name <> 'application_name' AND name NOT LIKE '%.%'"
}
# Enough clients at once for each connection of the pool to serve some of them.
others_see_defaults() {
    local i
    local -a jobs=()
    settings "$DSN" >"$E2E_WORK/settings.want"
    for i in {1..12}; do
        settings "$POOLED" >"$E2E_WORK/settings.$i" &
        jobs+=($!)
        ((i % 6 != 0)) || { wait "${jobs[@]}"; jobs=(); }
    done
    for i in {1..12}; do
        diff "$E2E_WORK/settings.want" "$E2E_WORK/settings.$i" ||
            { warn "call $i of 12 sees the settings of another client"; return 1; }
    done
}
nothing_is_left() {
    same "advisory locks" 0 "$(count "pg_locks WHERE locktype = 'advisory'")"
    same "temporary tables" 0 "$(count "pg_class WHERE relpersistence = 't'")"
    others_see_defaults
}

through_pooler() { # CODE TEXT NAME=VALUE... [--flags]
    local code=$1 text=$2
    shift 2
    refused "$code" "$text" pg-loader "POSTGRES_DSN=$POOLED" REPORTING_INTERVAL=0s \
        POSTGRES_CONNECT_TIMEOUT=2s "$@" || return 1
    ! grep -F "$SECRET" "$E2E_WORK/refused.$BASHPID" || { warn "the output has the password"; return 1; }
}
leaves_nothing() { # NAME=VALUE... [--flags]
    through_pooler 78 "$REFUSAL" "$@"
    nothing_is_left
}

# ---- transactions share connections

fresh
pooler_begin transaction 3
nothing_is_made() { same "schemas" 0 "$(count "pg_namespace WHERE nspname IN ('raw', 'processed')")"; }
migrating() {
    leaves_nothing
    nothing_is_made
}
check "transaction pooling: migrations end with 78 before anything is created" migrating
check "transaction pooling: --wait-idle ends with 78" leaves_nothing --wait-idle
check "transaction pooling: a rebuild ends with 78" leaves_nothing MIGRATE=false REBUILD=true
loading() {
    refused 0 migrated pg-loader MIGRATE=only
    leaves_nothing MIGRATE=false
}
check "transaction pooling: loading ends with 78" loading
check "a parameter that the pooler refuses is named, with what to do" \
    through_pooler 78 "pooler options ignore_startup_parameters" \
    "POSTGRES_DSN=$POOLED options='-c work_mem=8MB'" MIGRATE=only

# Other clients take and return connections all the time, so it is random which one a client gets.
churn() {
    local i
    local -a jobs=()
    for i in 1 2; do
        yes 'SELECT pg_sleep(0.002);' | psql -X -q -d "$POOLED" >/dev/null 2>&1 3>&- 9>&- &
        jobs+=($!)
    done
    for i in {1..8}; do
        through_pooler 78 "$REFUSAL" MIGRATE=only || { kill "${jobs[@]}"; return 1; }
    done
    kill "${jobs[@]}"
}
check "transaction pooling is refused while other clients use the pool" churn
pooler_end

pooler_begin transaction 3 'server_round_robin = 1'
round_robin() {
    others_see_defaults # opens all connections of the pool
    leaves_nothing
}
check "transaction pooling is refused if connections are used in turn" round_robin
pooler_end

pooler_begin transaction 1
check "transaction pooling is refused with a single connection" leaves_nothing
pooler_end

pooler_begin statement 3
check "statement pooling: pg-loader ends with 78" leaves_nothing
pooler_end

# ---- session pooling: a session keeps its connection

loader_begin() { # NAME=VALUE...: in the background, until it is ready to load
    program pg-loader "$@"
    : >"$E2E_WORK/loader.log" # empties the log of an earlier loader
    "${PROGRAM[@]}" >>"$E2E_WORK/loader.log" 2>&1 3>&- 9>&- &
    LOADER=$!
    wait_until "pg-loader has its partitions" grep -q event=partitions_positioned "$E2E_WORK/loader.log"
}
loader_ends() { # CODE [SIGNAL]
    local status=0
    [[ $# -lt 2 ]] || kill "-$2" "$LOADER"
    wait "$LOADER" || status=$?
    cat "$E2E_WORK/loader.log"
    same "exit code" "$1" "$status"
}
nothing_waits() { (($(count processed.load_batches) + $(count processed.visit_deltas) == 0)); }

in_halves "$ROWS"
fresh
pooler_begin session 20
session() {
    start bronze-sink-1
    start funnel-aggregator-1
    loader_begin "POSTGRES_DSN=$POOLED" REPORTING_INTERVAL=200ms
    replay --input "$FIRST"
    through_pooler 0 drained --wait-idle --wait-timeout "${LONG}s"
    oracle --exact-counts --max-late 0 "$FIRST"
    wait_until "the reports have everything" nothing_waits
    loader_ends 0 TERM
    nothing_is_left
}
check "session pooling: all rows are loaded, and other clients see no change" session

# Other clients take all connections of the pool, among them that of pg-loader. So pg-loader gets one
# without its staging tables.
changed_meanwhile() {
    local i
    local -a others=()
    loader_begin "POSTGRES_DSN=$POOLED" REPORTING_INTERVAL=0s MIGRATE=false
    pooler_conf transaction 20
    kill -HUP "$POOLER"
    wait_until "PgBouncer has read its settings" \
        grep -q "RELOAD\|re-reading" "$LOG_DIR/$SCENARIO.pgbouncer.log"
    { head -n 1 "$FIRST"; tail -n 100 "$FIRST"; } >"$E2E_WORK/again.csv"
    replay --input "$E2E_WORK/again.csv"
    wait_until "pg-loader has loaded them, or has noticed the change" loaded_or_ended
    for ((i = $(count "pg_stat_activity WHERE datname = 'funnel'"); i > 0; i--)); do
        psql -X -q -d "$POOLED" -c "BEGIN" -c "SELECT pg_sleep($LONG)" >/dev/null 3>&- 9>&- &
        others+=($!)
    done
    wait_until "other clients have all connections" transactions_sleep "${#others[@]}"
    replay --input "$SECOND"
    loader_ends 78
    kill "${others[@]}"
    grep -F "transaction or statement mode" "$E2E_WORK/loader.log"
}
# A second connection of pg-loader itself may already take the first one's place.
loaded_or_ended() {
    grep -q event=stopped "$E2E_WORK/loader.log" ||
        stack wait --wait-timeout 0s --wait-reports=false
}
transactions_sleep() { [[ $(count "pg_stat_activity WHERE wait_event = 'PgSleep'") == "$1" ]]; }
check "a pooler that changes to transaction pooling during a run is named, exit 78" changed_meanwhile
pooler_end
caught_up() {
    start pg-loader-1
    drain
    oracle --exact-counts --max-late 0 "$FIRST" "$E2E_WORK/again.csv" "$SECOND"
    same "rows that pg-loader refused" 0 "$(count "raw.dead_letters WHERE stage = 'loader'")"
    stop_services
}
check "connected directly, pg-loader continues from there" caught_up

pooler_begin session 1
check "session pooling with a single connection: pg-loader gives up with 75" \
    through_pooler 75 "gives no second connection" --wait-idle --wait-timeout 0s
pooler_end

# ---- the staging tables cannot be created: the message names the cause

pooler_begin session 5 'server_reset_query ='
lock_released() {
    fresh
    through_pooler 0 migrated MIGRATE=only
    same "locks of migrations" 0 "$(count "pg_locks WHERE locktype = 'advisory' AND
        (classid::bigint << 32 | objid::bigint) = hashtextextended('funnel migrations', 0)")"
}
check "migrations release their lock themselves, without a reset by the pooler" lock_released
used_session() {
    loader_begin "POSTGRES_DSN=$POOLED" REPORTING_INTERVAL=0s MIGRATE=false
    loader_ends 0 TERM
    through_pooler 78 "server_reset_query" MIGRATE=false
}
check "session pooling without a reset of sessions is named as the cause" used_session
pooler_end

read_only() {
    sql "ALTER DATABASE funnel SET default_transaction_read_only = on"
    program pg-loader MIGRATE=false
    "${PROGRAM[@]}" >"$E2E_WORK/loader.log" 2>&1 3>&- 9>&- &
    LOADER=$!
    wait_until "pg-loader says what it waits for" waits_for 'read-only.*25006'
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" -c "SET default_transaction_read_only = off" \
        -c "ALTER DATABASE funnel RESET default_transaction_read_only"
    loader_ends 0 TERM
    ! waits_for 'migrat'
}
waits_for() { grep event=retrying "$E2E_WORK/loader.log" | grep -i "$1"; }
check "a read-only database is named as the cause, and migrations are not" read_only
fresh
check "a missing table is named, with the way to create it" \
    refused 78 "raw.events migration MIGRATE=only" pg-loader MIGRATE=false
