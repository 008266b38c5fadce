#!/usr/bin/env bash
# Users are forgotten while their events are loaded. The rows then equal those of a run without it, but
# for these users. Replaying again, new events of these users, and reading all topics again bring no id
# back.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/forget.csv
LATER=$E2E_WORK/later.csv # more events of the same users

"$BIN_DIR/producer" --source synthetic --events 16000 --seed 71 --start-time "2019-10-01 10:00:00" --late 0.02 \
    --disorder 5s --missing-sessions 0.08 --malformed 0.02 --checkouts --output "$ROWS.all"
grep -v '^9999-' "$ROWS.all" >"$ROWS" # refused as future_event_time; to the recount they are valid

# What a run leaves, without what differs from run to run.
rows_left() { # FILE
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" >"$1" <<'SQL'
SET TimeZone = 'UTC';
\copy (SELECT to_jsonb(t) - '{loaded_at,raw_time,raw_offset,raw_partition,source_file}'::text[] FROM raw.events t) TO STDOUT
\copy (SELECT to_jsonb(t) - '{loaded_at,final,revision}'::text[] FROM processed.funnel_aggregates t) TO STDOUT
\copy (SELECT to_jsonb(t) - '{loaded_at,final,revision}'::text[] FROM processed.session_funnels t) TO STDOUT
\copy (SELECT event_id, late_for, user_id AS late_user FROM raw.late_events) TO STDOUT
\copy (SELECT stage, reason, count(*) FROM raw.dead_letters GROUP BY 1, 2) TO STDOUT
\copy (SELECT measure, value FROM reporting.sales_summary('2019-10-01', '2019-10-31')) TO STDOUT
\copy (SELECT * FROM reporting.active_users) TO STDOUT
\copy (SELECT * FROM reporting.user_segments) TO STDOUT
\copy (SELECT * FROM reporting.rfm_segments('2019-10-01', '2019-10-31')) TO STDOUT
SQL
    LC_ALL=C sort -o "$1" "$1"
}

# Tables that have one of the users: the number, its text in bytes, or the session user:<id>.
traces() {
    local table
    for table in $(sql "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace::regnamespace::text IN ('raw', 'processed', 'mart', 'reporting')"); do
        sql "SELECT DISTINCT '$table has ' || u FROM $table t, unnest('{$(IFS=,; echo "${USERS[*]}")}'::bigint[]) AS u
             WHERE t::text ~ ('(^|[^0-9])' || u || '([^0-9]|\$)') OR t::text LIKE '%' || md5('user:' || u)::uuid || '%'
                   OR t::text LIKE '%' || encode(u::text::bytea, 'hex') || '%'"
    done
}
no_traces() { same "tables with a forgotten user" "" "$(traces)"; }

# The rows of the first run, with pseudonyms.
renamed() { # FILE
    local user script=()
    for user in "${USERS[@]}"; do
        script+=(-e "s/\"user_id\": $user\\b/\"user_id\": ${PSEUDONYM[$user]}/; s/\"user:$user\"/\"user:${PSEUDONYM[$user]}\"/"
            -e "s/\t$user\$/\t${PSEUDONYM[$user]}/")
    done
    sed "${script[@]}" "$1" | LC_ALL=C sort
}
equals_run_without() { # FILE
    renamed "$E2E_WORK/before" >"$E2E_WORK/wanted"
    rows_left "$1"
    cmp "$E2E_WORK/wanted" "$1" || { diff "$E2E_WORK/wanted" "$1" | head -n 6; return 1; }
}

# ---- a run without forgetting

fresh
services
in_halves "$ROWS"
replay --input "$FIRST"
replay --input "$SECOND"
all_reported
check "all rows equal the recount" oracle --exact-counts "$FIRST" "$SECOND"
rows_left "$E2E_WORK/before"
# Users with late events, with events without a session, and with dead letters.
mapfile -t USERS < <(sql "
    (SELECT DISTINCT user_id FROM raw.late_events ORDER BY 1 LIMIT 4)
    UNION (SELECT user_id FROM processed.session_funnels WHERE user_session LIKE 'user:%'
           GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 4)
    UNION (SELECT DISTINCT (regexp_match(encode(value, 'escape'), '\"user_id\": *\"?([0-9]{9})[^0-9]'))[1]::bigint
           FROM raw.dead_letters ORDER BY 1 LIMIT 3)" | grep .)
printf 'users to forget: %s\n' "${USERS[*]}"
enough_users() {
    ((${#USERS[@]} >= 8))
    local found
    found=$(traces)
    printf '%s\n' "$found"
    local table
    for table in raw.event_rows raw.late_events raw.dead_letters processed.visit_rows mart.session_days mart.dim_users; do
        grep -q "^$table has" <<<"$found" || { warn "$table has none of the users"; return 1; }
    done
}
check "the users are in all kinds of tables" enough_users

# ---- the same run, and users are forgotten in the middle of it

fresh
services
declare -A PSEUDONYM
forget() { # USER
    local request
    request=$(sql "CALL reporting.forget_user($1)" | cut -d'|' -f1)
    sql "SELECT pseudonym FROM reporting.forget_requests WHERE request = $request"
}
waits_for() { [[ $(count "pg_locks WHERE NOT granted AND relation = '$1'::regclass") != 0 ]]; }
call_waits_or_ends() { waits_for processed.loader_offsets || [[ -s $E2E_WORK/call ]]; }

# The first user, while a load is stopped in its transaction after it has copied its events.
coproc HOLD { psql -X -q -A -t -d "$DSN" 3>&-; }
printf 'BEGIN; LOCK TABLE processed.bronze_loads IN EXCLUSIVE MODE;\n' >&"${HOLD[1]}"
replay_begin "$FIRST" 1500
wait_until "a load is stopped in its transaction" waits_for processed.bronze_loads
forget "${USERS[0]}" >"$E2E_WORK/call" &
CALL=$!
wait_until "the call waits for the load" call_waits_or_ends
printf 'COMMIT;\n\\q\n' >&"${HOLD[1]}"
wait "$CALL"
in_the_middle "$ROWS"
PSEUDONYM[${USERS[0]}]=$(<"$E2E_WORK/call")
for user in "${USERS[@]:1}"; do
    PSEUDONYM[$user]=$(forget "$user")
done
check "loading goes on while users are forgotten" wait_until "the first half is loaded" loaded_at_least $(($(rows_of "$FIRST") * 9 / 10))
replay_end
replay --input "$SECOND"
all_reported
check "each request is done" same "requests done" "${#USERS[@]}" "$(count "reporting.forget_requests WHERE done_at IS NOT NULL")"
check "no table has a forgotten user" no_traces
check "all rows equal those without it, but for these users" equals_run_without "$E2E_WORK/after"
check "the layers agree" reconciled

# ---- again

replay --input "$ROWS"
all_reported
check "a replay brings no user back" no_traces
check "a replay changes no event, visit or rollup" same "events" "$(grep -c '"event_id"' "$E2E_WORK/after")" "$(count raw.events)"

# All topics again: bronze, visits and their removals, late events, dead letters. As after a restore.
read_again() {
    stack stop pg-loader-1
    sql "UPDATE processed.loader_offsets SET next_offset = 0, last_record = NULL"
    start pg-loader-1
    all_reported
}
emptied() { count "raw.dead_letters WHERE value IS NULL AND stage = 'bronze-sink'"; }
DEAD=$(emptied)
read_again
check "reading all topics again brings no user back" no_traces
# The numbers of dead letters have changed: the replay has sent them again.
same_rows() { # FILE
    rows_left "$1"
    diff <(grep -v '^bronze-sink' "$E2E_WORK/after") <(grep -v '^bronze-sink' "$1") | head -n 6 | (! grep .)
}
check "and changes nothing" same_rows "$E2E_WORK/again"
check "dead letters stay as they are" same "dead letters without bytes" "$DEAD" "$(emptied)"

# Into empty tables, so that each row is stored by the loader with its pseudonym.
load_into_empty_tables() {
    stack stop pg-loader-1
    sql "TRUNCATE raw.event_rows, raw.late_events, raw.dead_letters, processed.visit_rows, processed.load_batches;
         TRUNCATE processed.visit_deltas, processed.late_deltas; UPDATE processed.loader_offsets SET next_offset = 0, last_record = NULL"
    start pg-loader-1
    drain
    sql "SELECT reporting.rebuild()"
    all_reported
}
load_into_empty_tables
check "empty tables are filled without these users" no_traces
check "with the same rows" same_rows "$E2E_WORK/filled"
check "dead letters lose their bytes in the load too" same "dead letters without bytes" "$DEAD" "$(emptied)"

# ---- new events of these users

awk -F, -v OFS=, -v users="${USERS[*]}" 'BEGIN { n = split(users, u, " ") }
    NR == 1 { print; next } NF == 9 && $8 ~ /^[0-9]+$/ && NR <= 200 { sub(/^2019-10-01 /, "2019-10-03 ", $1); $8 = u[NR % n + 1]; print }' "$ROWS" >"$LATER"
EVENTS=$(count raw.events)
replay --input "$LATER"
all_reported
check "new events of forgotten users are stored" test "$(count raw.events)" -gt $((EVENTS + 50))
check "without these users" no_traces
check "under their pseudonyms" same "users of new events" "${#USERS[@]}" \
    "$(sql "SELECT count(DISTINCT user_id) FROM raw.events WHERE event_date = '2019-10-03' AND user_id < 0")"
check "the layers agree with them" reconciled
