#!/usr/bin/env bash
# With ABANDONED_CARTS, each closed visit with a cart and without a purchase is in its topic once: after a
# kill of funnel-aggregator, and after a second replay. The rows of the visits in PostgreSQL are the
# comparison. Pseudonyms are those of the reports. By default the topic stays empty.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/carts.csv
"$BIN_DIR/producer" --source synthetic --events 60000 --seed 63 --start-time "2019-10-01 08:00:00" \
    --output "$ROWS"

is_refused() { refused 64 "PSEUDONYM_SALT ABANDONED_CARTS" funnel-aggregator ABANDONED_CARTS=pseudonymous; }
check "pseudonyms without a salt are refused" is_refused

tail_of() {
    program funnel-tail
    timeout "$LONG" "${PROGRAM[@]}" --topic "$1" --from beginning --exit
}
carts() { tail_of abandoned-carts | jq -r '.value | [.session, .user, .visit_start, .carts] | @tsv'; }

fresh
services
replay --input "$ROWS"
drain
off_by_default() {
    same "carts" 0 "$(records_of abandoned_carts)"
    (($(sql "SELECT count(*) FROM processed.session_funnels WHERE final AND carts > 0 AND purchases = 0") > 20))
}
check "off by default" off_by_default

fresh
program pg-loader MIGRATE=only
timeout "$LONG" "${PROGRAM[@]}"
SALT=$(sql "SELECT salt FROM mart.secret")
export ABANDONED_CARTS=pseudonymous PSEUDONYM_SALT=$SALT
services
replay_begin "$ROWS" 10000
wait_until "some events are loaded" loaded_at_least 15000
crash funnel-aggregator-1
start funnel-aggregator-1
replay_end
drain
once() {
    local want
    want=$(sql "SELECT mart.pseudonym('session', user_session), mart.pseudonym('user', user_id::text),
            to_char(visit_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS'), carts
        FROM processed.session_funnels WHERE final AND carts > 0 AND purchases = 0" |
        tr '|' '\t' | LC_ALL=C sort)
    (($(wc -l <<<"$want") > 20))
    diff <(printf '%s\n' "$want") <(carts | sed -E 's/Z\t/\t/; s/\.000+\t/\t/' | LC_ALL=C sort) | head -n 6
    same "carts" "$want" "$(carts | sed -E 's/Z\t/\t/; s/\.000+\t/\t/' | LC_ALL=C sort)"
}
check "after a kill, each of these visits is in the topic once" once
joins() {
    local users
    users=$(carts | cut -f 2 | sort -u)
    all_reported
    same "users that the reports do not have" 0 "$(comm -23 <(printf '%s\n' "$users") \
        <(sql "SELECT user_key FROM reporting.dim_users" | sort -u) | wc -l)"
}
check "the pseudonyms of users are those of the reports" joins
twice() {
    replay --input "$ROWS"
    drain
    once
}
check "a second replay adds none" twice
