#!/usr/bin/env bash
# SOURCE=fakestore: a shop that is polled, by a web server that answers well, and by one that does not.
source "$(dirname "$0")/lib.sh"
source "$E2E/web.sh"

cp "$E2E/products.json" "$WEB/products"
PRODUCTS=$(jq length "$WEB/products")
poll() { # [FLAGS...]: the producer, without its stack
    timeout "$LONG" "$BIN_DIR/producer" --kafka-brokers "$KAFKA_BROKERS" --http-port 0 --source fakestore \
        --url "$WEB_URL/products" "$@"
}

# CATEGORY DAY VIEWS, recounted from the raw topic.
raw_by_category() {
    committed raw_events '%s\n' | jq -r 'select(.event_type != null) |
        "\(.category_code)|\(.event_time | tonumber | strftime("%Y-%m-%d"))"' | LC_ALL=C sort | uniq -c |
        sed -E 's/^ *([0-9]+) (.*)/\2|\1/'
}
reported_by_category() {
    sql "SELECT category, event_date, total_events FROM reporting.clickstream_metrics
        WHERE total_revenue = 0 ORDER BY category COLLATE \"C\", event_date"
}

three_polls() {
    fresh
    services
    poll --poll-every 1s --polls 3
    drain
    same "rows in the raw topic" $((3 * PRODUCTS)) "$(records_of raw_events)"
    same "events" $((3 * PRODUCTS)) "$(count raw.events)"
    same "rows counted" $((3 * PRODUCTS)) "$(counts_in)"
    same "duplicates and dead letters" "0 0" "$(counts_duplicates) $(counts_of_sink dead)"
    sql "SELECT reporting.reconcile()"
    same "complete segments" 1 "$(sql "SELECT count(*) FROM reporting.segments WHERE complete")"
    same "times that are not the time of the poll" 0 "$(count "raw.events
        WHERE 'fakestore:' || extract(epoch FROM event_time)::bigint <> user_session")"
    same "other prices than the shop has" "$(jq -r '.[] | "\(.id)|\(.price)"' "$WEB/products")" \
        "$(sql "SELECT DISTINCT product_id, trim_scale(price) FROM raw.events ORDER BY 1")"
    same "views by category and day" "$(raw_by_category)" "$(reported_by_category)"
    same "categories" "$(jq -r '[.[].category] | unique | .[]' "$WEB/products")" \
        "$(sql "SELECT DISTINCT category COLLATE \"C\" FROM reporting.clickstream_metrics ORDER BY 1")"
}
check "three polls: a view per product and poll, and right numbers by category and day" three_polls

# ---- a server that misbehaves

failed_polls() { http_get producer-1 metrics | awk '/^funnel_producer_polls_failed_total / { print $2 }'; }
failed_more_than() { (($(failed_polls) > $1)); }
logged() { grep -F event=poll_failed "$LOG_DIR/producer-1.log" | grep -qF -- "$1"; }
ready() { [[ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$(http_port producer-1)/readyz")" == "$1" ]]; }

misbehaves() { # MODE TEXT: a failed poll whose line in the log has this text
    local before
    web_mode "$1"
    before=$(failed_polls)
    wait_until "a poll fails ($1)" failed_more_than "$before"
    wait_until "the log has the reason ($1)" logged "$2"
}
good_polls() {
    http_get producer-1 metrics | awk '/^funnel_producer_polls_total / { n += $2 }
        /^funnel_producer_polls_failed_total / { n -= $2 } END { print n }'
}
more_good_polls_than() { (($(good_polls) > $1)); }
recovers() { # the polls continue
    local before
    before=$(good_polls)
    web_mode ok
    wait_until "polls succeed again" more_good_polls_than "$before"
}

every_failure() {
    fresh
    services
    web_mode ok
    start producer -- --source fakestore --url "${WEB_URL/\/\////user:geheim@}/products?key=leise" \
        --poll-every 1s --poll-timeout 2s
    wait_until "the first poll is loaded" has_events "$PRODUCTS"
    misbehaves 500 "HTTP 500"
    misbehaves away "Empty reply"
    misbehaves slow "not complete within 2000 ms"
    wait_until "the producer is not ready" ready 503
    recovers
    wait_until "the producer is ready" ready 200
    misbehaves truncated "bytes remaining"
    recovers
    misbehaves html "not JSON"
    recovers
    misbehaves huge "more than 10485760 bytes"
    recovers
    misbehaves shape "expected a JSON array"
    misbehaves empty "no product"
    recovers
    stack stop producer-1
    drain
    same "rows that are not of complete polls" 0 $(($(count raw.events) % PRODUCTS))
    same "rows in the raw topic" "$(records_of raw_events)" "$(count raw.events)"
    sql "SELECT reporting.reconcile()"
    same "complete segments" 1 "$(sql "SELECT count(*) FROM reporting.segments WHERE complete")"
    ! grep -E 'geheim|leise' "$LOG_DIR/producer-1.log"
}
has_events() { (($(count raw.events) >= $1)); }
check "each failure is logged and counted, its poll is left out, and the process continues" every_failure

nothing_succeeds() {
    local status=0
    web_mode 500
    poll --poll-every 1s --polls 1 --poll-timeout 500ms || status=$?
    same "exit code" 75 "$status"
}
check "polls that all fail are not a success" nothing_succeeds

web_mode ok
SHARED=$ROOT/../shared/data/fakestore_products.json
real_list() {
    cp "$SHARED" "$WEB/products"
    fresh
    services
    poll --polls 1
    drain
    same "events" "$(jq length "$SHARED")" "$(count raw.events)"
    sql "SELECT reporting.reconcile()"
    same "views by category" "$(jq -r '.[].category' "$SHARED" | LC_ALL=C sort | uniq -c | sed -E 's/^ *([0-9]+) (.*)/\2|\1/')" \
        "$(sql "SELECT category, sum(total_events) FROM reporting.clickstream_metrics GROUP BY 1 ORDER BY category COLLATE \"C\"")"
}
if [[ -r $SHARED ]]; then
    check "the list of a public shop" real_list
else
    say "skip $SCENARIO: the list of a public shop ($SHARED does not exist)" >&3
fi
