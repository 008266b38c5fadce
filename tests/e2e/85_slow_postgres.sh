#!/usr/bin/env bash
# PostgreSQL is slow or in the way: locks, killed connections, statements that take longer than they may.
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

# ---- somebody holds a lock for longer than we wait for one (10 s)

locked() {
    local holder
    fresh
    services
    replay --input "$FIRST"
    drain
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" -c "BEGIN; LOCK TABLE raw.events IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT" &
    holder=$!
    replay_begin "$SECOND" 4000
    wait_until "pg-loader says what it waits for" says pg-loader-1 "lock timeout" 55P03
    quiet pg-loader-1 5
    wait "$holder"
    holds
}
thorough "somebody locks raw.events for 20 s: pg-loader waits, and everything comes in" locked

# ---- connections are ended one after the other

terminated() {
    local i
    fresh
    services
    replay --input "$FIRST"
    replay_begin "$SECOND" 1000
    for ((i = 0; i < 20; i++)); do
        sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'pg-loader%'"
        sleep 0.3
    done
    holds
    says pg-loader-1 event=rewind
}
check "pg-loader's connections are ended twenty times: everything comes in" terminated

# ---- a whole batch takes longer than a statement may

slowly() {
    fresh
    services
    replay --input "$FIRST"
    drain
    stack stop pg-loader-1
    sql "CREATE FUNCTION raw.dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
         CREATE TRIGGER dawdle BEFORE INSERT ON raw.events FOR EACH ROW EXECUTE FUNCTION raw.dawdle()"
    replay_begin "$SECOND" 100000
    replay_end
    sleep 2 # bronze-sink is through
    POSTGRES_STATEMENT_TIMEOUT=2s start pg-loader-1
    wait_until "a batch takes too long" says pg-loader-1 57014
    holds
}
thorough "a full batch takes longer than a statement may: pg-loader makes them smaller" slowly
