#!/usr/bin/env bash
# PostgreSQL is slow or blocks pg-loader: locks, ended connections, statements that exceed their time-out.
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

in_halves "$E2E_WORK/replay.csv"

holds() {
    replay_end
    drain
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
    topic_equals_table aggregated_events
    same "rows that pg-loader refused" 0 "$(count "raw.dead_letters WHERE stage = 'loader'")"
}

# ---- another session holds a lock for longer than lock_timeout (10 s)

locked() {
    local holder
    fresh
    services
    replay --input "$FIRST"
    drain
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" \
        -c "BEGIN; LOCK TABLE raw.event_rows IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT" &
    holder=$!
    replay_begin "$SECOND" 4000
    wait_until "pg-loader says what it waits for" says pg-loader-1 "lock timeout" 55P03
    waits_idly pg-loader-1 5
    wait "$holder"
    holds
}
thorough "raw.event_rows is locked for 20 s: pg-loader waits, then loads all rows" locked

# ---- connections are ended repeatedly

terminated() {
    local i
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 1000
    for ((i = 0; i < 20; i++)); do
        loader_sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name LIKE 'pg-loader%'"
        sleep 0.3
    done
    holds
    says pg-loader-1 event=rewind
}
check "the connections of pg-loader are ended twenty times: all rows are loaded" terminated

# ---- a full batch takes longer than statement_timeout

slowly() {
    fresh
    services
    replay --input "$FIRST"
    drain
    stack stop pg-loader-1
    sql "CREATE FUNCTION raw.delay() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
         CREATE TRIGGER delay BEFORE INSERT ON raw.event_rows FOR EACH ROW EXECUTE FUNCTION raw.delay()"
    replay_begin "$SECOND" 100000
    replay_end
    sleep 2 # for bronze-sink, so that a full batch waits
    POSTGRES_STATEMENT_TIMEOUT=2s start pg-loader-1
    wait_until "a batch takes too long" says pg-loader-1 57014
    holds
}
thorough "a full batch exceeds the statement time-out: pg-loader makes smaller batches" slowly
