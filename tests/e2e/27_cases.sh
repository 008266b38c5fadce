#!/usr/bin/env bash
# Inputs that people have (tests/cases), each into an empty system: events, duplicates and dead letters,
# what the values became, and a recount of the files that the recount can read. `make test` runs the short
# list; `make cases` (E2E_CASES=all) runs every case on 1, 4 and 12 partitions, compares the rows of these,
# and prints a table. E2E_CASES="prices.csv refused" runs these.
source "$(dirname "$0")/lib.sh"

CASES=$ROOT/tests/cases
OTHER_SCHEMA="user_id=UserID,user_session=SessionID,event_time=Timestamp,event_type=EventType"
OTHER_SCHEMA+=",product_id=ProductID,price=Amount;view=product_view,cart=add_to_cart"

# LABEL|FLAGS OF THE PRODUCER|EVENTS DUPLICATES DEAD, of bronze-sink|INPUT OF THE RECOUNT
# The label begins with the name of the file. EXPECT has the functions that check more.
ALL_CASES="
sparse-shop.csv||629 655 0|sparse-shop.csv
small-shop-every-8h.csv||90 0 0|small-shop-every-8h.csv
one-user-every-6h.csv||17 0 0|one-user-every-6h.csv
last-row-after-two-days.csv||4 0 0|last-row-after-two-days.csv
bom-crlf.csv||3 0 0|
pandas-index.csv||3 0 0|
kaggle.csv.zip||3 0 0|
zip-named.csv||3 0 0|
semicolon.csv||3 0 0|
upper-case-header.csv||3 0 0|
spaced-header.csv||3 0 0|
six-columns.csv||1 0 0|
latin1.csv||0 0 3|
latin1.csv/encoding|--encoding latin1|3 0 0|
utf16.csv/encoding|--encoding utf-16|3 0 0|
near-repeats.csv||3 2 0|near-repeats.csv
over-midnight.csv||3 0 0|over-midnight.csv
overlapping-parts||629 655 0|in-order
newest-first.csv/by-time|--order time|144 156 0|in-order
time-formats.csv||16 0 2|time-formats.csv
float-ids.csv||10 0 1|float-ids.csv
null-words.csv||13 0 0|null-words.csv
prices.csv||9 0 6|prices.csv
python-nan.jsonl||16 0 0|
other-schema.csv/mapping|--mapping $OTHER_SCHEMA|5 0 5|
other-schema.csv/skip|--mapping $OTHER_SCHEMA;skip=page_view|5 0 4|
one-row-a-day.csv||6939 0 0|one-row-a-day.csv
"
# LABEL|EXIT CODE|WORDS OF THE MESSAGE: nothing is sent.
REFUSED_CASES="
newest-first.csv|65|backwards --order time nothing was sent
orders-table.csv|64|event_type
other-schema.csv|64|event_time, event_type, product_id, user_id user_id=UserID
utf16.csv|64|UTF-16 iconv
lone-cr.csv|64|carriage return tr
"
SHORT_LIST="sparse-shop.csv:12 overlapping-parts:4 newest-first.csv/by-time:4 live-first-old.jsonl:4
    kaggle.csv.zip:1 other-schema.csv/mapping:1 null-words.csv:12"

# ---- what single cases must show

letters() { # REASON: their details
    sql "SELECT detail FROM raw.dead_letters WHERE reason = '$1' ORDER BY detail"
}
reasons() { sql "SELECT string_agg(reason || ' ' || n, ', ' ORDER BY reason)
    FROM (SELECT reason, count(*) AS n FROM raw.dead_letters GROUP BY reason) AS r"; }
values_of() { sql "SELECT string_agg(($1)::text, ' ' ORDER BY event_time, product_id) FROM raw.events ${2:-}"; }
unreadable() { sql "SELECT coalesce(string_agg(k || ' ' || n, ', ' ORDER BY k), '') FROM
    (SELECT f.key AS k, sum(f.value::bigint) AS n FROM processed.counts, jsonb_each_text(unreadable_by_field) AS f
     WHERE service = 'bronze-sink' GROUP BY f.key) AS u"; }

declare -A EXPECT=(
    [time-formats.csv]=right_instants [float-ids.csv]=right_ids [null-words.csv]=no_session_of_two
    [prices.csv]=right_prices [near-repeats.csv]=another_price [over-midnight.csv]=two_visits
    [other-schema.csv/mapping]=mapped [other-schema.csv/skip]=skipped [six-columns.csv]=no_category
    [latin1.csv]=not_utf8 [latin1.csv/encoding]=accents [python-nan.jsonl]=nan_is_null
)

# The row with number n is the nth second after noon.
right_instants() {
    same "instants" "0 1 2 3 4 5 6 7 8.123456 9 10 11 12 13 16 17" \
        "$(values_of "trim_scale(extract(epoch FROM event_time - '2019-10-01 12:00 UTC'))")"
    same "products" "$(seq -s ' ' 1000 1013) 1016 1017" "$(values_of product_id)"
    same "reasons" "invalid_event_time 2" "$(reasons)"
    letters invalid_event_time | grep -F '2019-10-01 12:00' | grep -i second
    letters invalid_event_time | grep -F '10/1/2019' | grep -i 'day'
}
right_ids() {
    local id=2053013555631882655
    same "categories" "$id $id - - $id $id - - - -" "$(values_of "coalesce(category_id::text, '-')")"
    same "users and products" 10 "$(count "raw.events WHERE user_id = 512742880 AND product_id = 1004856")"
    same "reasons" "invalid_user_id 1" "$(reasons)"
    same "fields that could not be read" "category_id 4" "$(unreadable)" # 2 floats, 0 and -1
}
no_session_of_two() {
    same "sessions of two users" "" "$(sql "SELECT user_session FROM raw.events WHERE user_session IS NOT NULL
        GROUP BY 1 HAVING count(DISTINCT user_id) > 1")"
    same "visits of two users" "" "$(sql "SELECT user_session FROM processed.session_funnels GROUP BY 1
        HAVING count(DISTINCT user_id) > 1")"
    same "sessions and brands" "- Unknown" "$(values_of user_session)"
    same "brands" "- Unknown b b b" "$(values_of brand)"
    same "conversions" 0 "$(count "processed.session_funnels WHERE views > 0 AND purchases > 0")"
}
right_prices() {
    same "prices" "130.76 130.80 0.00 0.00 100.00 130.76 130.76 - -" "$(values_of "coalesce(price::text, '-')")"
    same "reasons" "invalid_price 6" "$(reasons)"
}
another_price() {
    same "repeats with another price" 1 "$(counts_of_sink duplicates_other_price)"
    same "price of the purchase" 5.00 "$(values_of price "WHERE event_type = 'purchase'")"
}
two_visits() {
    same "visits" 2 "$(count processed.session_funnels)"
    same "visits that convert from view to purchase" 0 \
        "$(count "processed.session_funnels WHERE views > 0 AND purchases > 0")"
}
mapped() {
    same "types" "view cart purchase view cart" "$(values_of event_type)"
    same "reasons" "missing_event_type 1, missing_price 1, missing_product_id 1, missing_user_id 1, unmapped_event_type 1" \
        "$(reasons)"
    committed raw_events '%s\n' | grep -c '"Outcome":"success"'
}
skipped() {
    same "reasons" "missing_event_type 1, missing_price 1, missing_product_id 1, missing_user_id 1" "$(reasons)"
}
no_category() {
    same "categories and brands" 1 \
        "$(count "raw.events WHERE category_id IS NULL AND category_code IS NULL AND brand IS NULL")"
}
not_utf8() { same "reasons" "invalid_utf8 3" "$(reasons)"; }
accents() { same "brands" "café café café" "$(values_of brand)"; }
nan_is_null() {
    same "texts that say NaN" 0 "$(count "raw.events WHERE 'nan' IN (lower(brand), lower(category_code), lower(user_session))")"
    (($(count "raw.events WHERE category_code IS NULL OR brand IS NULL") > 0))
    (($(count "raw.events WHERE event_type = 'purchase'") > 0))
}

# ---- one case

in_order() { # FILE...: the rows of all, by time
    head -n 1 "$1"
    tail -q -n +2 "$@" | LC_ALL=C sort -s -t, -k1,1
}
recount() { # LABEL INPUT
    local input=$CASES/$2
    case $2 in
        in-order)
            input=$E2E_WORK/in-order.csv
            if [[ $1 == overlapping-parts ]]; then in_order "$CASES/$1"/*; else in_order "$CASES/${1%/*}"; fi >"$input"
            ;;
        one-row-a-day.csv) input=$E2E_WORK/$2 ;;
    esac
    oracle --exact-counts --max-late 0 "$input"
}

# Rows and totals without what may differ between runs. Without `final` and `revision`: these depend on
# what other partitions have read.
digest() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DSN" <<'SQL' | sha256sum | cut -c1-16
SET TimeZone = 'UTC';
SELECT event_id, event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session
FROM raw.events ORDER BY event_id;
SELECT event_id FROM raw.late_events ORDER BY event_id;
SELECT to_jsonb(t) - 'loaded_at' - 'final' - 'revision' FROM processed.funnel_aggregates t
ORDER BY rollup, window_start, window_end, group_value;
SELECT to_jsonb(t) - 'loaded_at' - 'final' - 'revision' FROM processed.session_funnels t
ORDER BY user_session, visit_start;
SQL
}

numbers() { sql "SELECT coalesce(sum(records_out), 0) || ' ' || coalesce(sum(duplicates), 0) || ' ' || coalesce(sum(dead), 0)
    FROM processed.counts WHERE service = 'bronze-sink'"; }

declare -A DIGEST=()
TABLE=$E2E_WORK/cases.table
: >"$TABLE"

right() { # LABEL NUMBERS INPUT_OF_RECOUNT
    same "events, duplicates, dead" "$2" "$(numbers)"
    same "rows of raw.events" "${2%% *}" "$(count raw.events)"
    same "rows of raw.dead_letters" "${2##* }" "$(count raw.dead_letters)"
    [[ -z ${EXPECT[$1]:-} ]] || "${EXPECT[$1]}"
    [[ -z $3 ]] || recount "$1" "$3"
}

IS_EMPTY=false # for the same number of partitions
empty_system() { # PARTITIONS
    local began=$SECONDS
    if $IS_EMPTY; then IS_EMPTY=false; return 0; fi
    export PARTITIONS=$1
    fresh
    services
    printf 'the empty system took %d s\n' $((SECONDS - began))
}

input_of() {
    if [[ $1 == one-row-a-day.csv ]]; then printf '%s\n' "$E2E_WORK/$1"; else printf '%s\n' "$CASES/${1%/*}"; fi
}

# Each day is a table of its own.
longest() { if [[ $1 == one-row-a-day.csv ]]; then printf '1800\n'; else printf '%d\n' "$LONG"; fi; }

run_case() { # LINE_OF_THE_TABLE PARTITIONS
    local label flags want input began=$SECONDS
    IFS='|' read -r label flags want input <<<"$1"
    empty_system "$2"
    # shellcheck disable=SC2086 # flags without blanks in their values
    LONG=$(longest "$label") replay --input "$(input_of "$label")" $flags
    LONG=$(longest "$label") drain
    check "$label on $2 partitions: $want (events, duplicates, dead letters)" right "$label" "$want" "$input"
    same_rows_as_before "$label" "$2"
    printf '%-30s %3d  %-14s  %s  %4d s\n' "$label" "$2" "$(numbers)" "$(digest)" $((SECONDS - began)) >>"$TABLE"
}

same_rows_as_before() { # LABEL PARTITIONS
    local now
    now=$(digest)
    [[ -n ${DIGEST[$1]:-} ]] || { DIGEST[$1]=$now; return 0; }
    check "$1: the same rows and totals on $2 partitions as before" same digest "${DIGEST[$1]}" "$now"
}

# ---- refusals

# Leaves the system empty.
refuse_all() { # PARTITIONS
    local label code words
    empty_system "$1"
    while IFS='|' read -r label code words <&4; do
        [[ -n $label ]] || continue
        check "$label: refused with the reason" refused "$code" "$words" producer --input "$CASES/$label" --state-file none
    done 4<<<"$REFUSED_CASES"
    check "of refused inputs nothing is sent" same "records of the raw topic" "" "$(committed raw_events '%p\n')"
    IS_EMPTY=true
}

# ---- live traffic

live_first_old() { # PARTITIONS
    local began=$SECONDS
    empty_system "$1"
    sed "s/%NOW%/$(date -u +%Y-%m-%dT%H:%M:%SZ)/" "$CASES/live-first-old.jsonl" | awk '{ print "live\t" $0 }' |
        timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -K $'\t' -X partitioner=murmur2_random -t "$(topic raw_events)"
    drain
    check "live-first-old.jsonl on $1 partitions: the present events are accepted" ten_present
    printf '%-30s %3d  %-14s  %16s  %4d s\n' live-first-old.jsonl "$1" "$(numbers)" - $((SECONDS - began)) >>"$TABLE"
}
ten_present() {
    same "present events" 10 "$(count "raw.events WHERE user_id > 1")"
    same "records" 11 "$(($(count raw.events) + $(count raw.dead_letters)))"
    same "late events among the present ones" 0 "$(count "raw.late_events WHERE user_id > 1")"
}

# ---- our own table as an input

# After sparse-shop.csv. Events within DEDUP_HORIZON of the newest one are duplicates.
recent_export() { # PARTITIONS
    local recent
    recent="WHERE event_time > (SELECT max(event_time) FROM raw.events) - interval '6 days'"
    export_events "$E2E_WORK/export.csv" "$recent"
    replay --input "$E2E_WORK/export.csv"
    drain
    check "the last days of raw.events, by \\copy, on $1 partitions: duplicates only" \
        same "events, duplicates, dead" "629 $((655 + $(count "raw.events $recent"))) 0" "$(numbers)"
}
# All of them in an empty system are the same events again.
whole_export() { # PARTITIONS
    local export=$E2E_WORK/export.csv ids=$E2E_WORK/ids
    export_events "$export"
    sql "SELECT event_id FROM raw.events ORDER BY 1" >"$ids"
    empty_system "$1"
    replay --input "$export"
    drain
    check "raw.events, by \\copy, into an empty system: the same events" same_ids "$ids"
}
export_events() { # FILE [WHERE...]
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" -c "\\copy (SELECT * FROM raw.events ${2:-}) TO '$1' CSV HEADER"
}
same_ids() {
    same "events, duplicates, dead" "629 0 0" "$(numbers)"
    sql "SELECT event_id FROM raw.events ORDER BY 1" | cmp - "$1"
}

# ---- all of it

one_row_a_day() { # 19 years from 2001-01-01
    head -n 1 "$CASES/near-repeats.csv"
    awk 'BEGIN { for (day = 0; day < 6939; day++)
        print strftime("%Y-%m-%d 12:00:00 UTC", 978307200 + day * 86400, 1) ",view," 1000 + day ",1,a.b,b,1.50," 10 + day % 7 ",s" day }'
}
line_of() { awk -F'|' -v label="$1" '$1 == label' <<<"$ALL_CASES"; }

short() {
    local name
    for name in $SHORT_LIST; do
        case $name in
            live-first-old*) live_first_old "${name#*:}" ;;
            *) run_case "$(line_of "${name%:*}")" "${name#*:}" ;;
        esac
        [[ $name != sparse-shop.csv:* ]] || recent_export "${name#*:}"
    done
}

is_chosen() { [[ $E2E_CASES == all || " $E2E_CASES " == *" $1 "* ]]; }

cases_on() { # PARTITIONS
    local line
    while IFS= read -r line <&5; do
        [[ -n $line ]] && is_chosen "${line%%|*}" || continue
        run_case "$line" "$1"
        [[ $line != sparse-shop.csv\|* ]] || { recent_export "$1"; whole_export "$1"; }
    done 5<<<"$ALL_CASES"
    if is_chosen live-first-old.jsonl; then live_first_old "$1"; fi
    if is_chosen refused; then
        refuse_all "$1"
        IS_EMPTY=false
        check "latin1.csv with FAIL_ABOVE: an input of which nothing is accepted is an error" refused 65 \
            "none of the 3 rows was accepted" producer --input "$CASES/latin1.csv" --state-file none --fail-above 50%
    fi
}

if [[ ${E2E_CASES:=short} == short ]]; then
    refuse_all 12
    short
else
    one_row_a_day >"$E2E_WORK/one-row-a-day.csv"
    for partitions in ${E2E_PARTITIONS:-1 4 12}; do cases_on "$partitions"; done
    { printf '\n%-30s %3s  %-14s  %-16s  %6s\n' case on "ev dup dead" digest time; cat "$TABLE"; } >&3
fi
