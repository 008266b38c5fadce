#!/usr/bin/env bash
# For every reason code (common/event/reason.h) a record is sent that gets it on the real pipeline, and
# raw.dead_letters has all codes and no other. A new code fails here until a record reaches it.
# Then a brand and a category that the database refuses, and entries of raw.event_labels that have got
# other ids.
source "$(dirname "$0")/lib.sh"

HEADER=event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
ROWS=$E2E_WORK/few.csv
# Some reasons need rules that are stricter than the default.
export REQUIRED_FIELDS=category_id,category_code,brand,user_session MAX_PRICE=5000
export ALLOWED_EVENT_TYPES=view,cart,remove_from_cart,purchase

codes() {
    sed -n 's/^\tX([A-Z_0-9]*, "\([a-z_0-9]*\)".*/\1/p' "$ROOT/common/event/reason.h" |
        grep -vx none | LC_ALL=C sort
}
found() { sql "SELECT DISTINCT reason FROM raw.dead_letters" | LC_ALL=C sort; }

# Events of nine days, for all partitions and by several users, so that events of the first day are too
# late in the end.
nine_days() {
    local day n
    printf '%s\n' "$HEADER"
    for day in 02 03 04 05 06 07 08 09 10; do
        for n in {1..60}; do printf '2019-10-%s 12:00:00 UTC,view,1,1,a.b,b,1.5,%d,d%d\n' "$day" "$n" "$n"; done
    done
}

event() { # JQ-PROGRAM that changes a good event of session `s`
    jq -cn --arg time "${TIME:-2019-10-10 12:00:00 UTC}" \
        '{event_time: $time, event_type: "view", product_id: 1, category_id: 1, category_code: "a.b", brand: "b", price: 1.5, user_id: 7, user_session: "s"} | '"${1:-.}"
}

sent=0
raw() { # [KCAT FLAGS]: standard input is the value
    local file=$E2E_WORK/sent.$((++sent))
    cat >"$file"
    send_file raw_events "$file" -k s "$@"
}

send_events() {
    local change home
    raw < <(event .) # the clock of its partition has reached its time already
    for change in 'del(.event_time)' '.event_time = "soon"' '.event_time = "2019-12-01 00:00:00 UTC"' '.event_time = "2019-10-01 10:00:00 UTC"' \
        'del(.event_type)' '.event_type = "stare"' 'del(.product_id)' '.product_id = "boots"' 'del(.user_id)' '.user_id = -7' '.category_id = "x"' \
        '.category_code = 5' '.brand = 5' '.event_type = "purchase" | del(.price)' '.price = "cheap"' '.user_session = "user:7"' \
        '.user_session = "x" * 70000' '.user_session = "a\u0000b"' 'del(.category_id)' '.category_code = "nan"' '.brand = ""' \
        'del(.user_session)' '.event_type = "checkout"' '.price = 5000.01'; do
        raw < <(event "$change")
    done
    raw < <(printf 'half' | tr h '{')
    raw < <(event | sed 's/"brand":"b"/"brand":"\xff"/')
    raw < <(printf '\x07%s' x)
    raw < <(printf '\x00\x00\x0f\x42\x3f%s' x)
    raw < <(printf '{"more":"'; head -c 2097152 /dev/zero | tr '\0' x; printf '"}')
    raw -H source_error=torn < <(printf 'a,b')
    raw -H unmapped_event_type=page_view < <(event '.event_type = "page_view"')
    raw -H control=dance < <(printf 'x')
    home=$(sql "SELECT raw_partition FROM raw.events WHERE user_session = 's' LIMIT 1")
    raw -p $(((home + 1) % 4)) < <(event '.product_id = 2')
    printf 's:' | timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -Z -K : \
        -X partitioner=murmur2_random -t "$(topic raw_events)"
}

# Frames with the schema id of bronze: in the raw topic that is a wrong schema, and in bronze the bytes
# after it do not match the schema.
send_framed() {
    committed bronze_events '%s' | head -c 5 >"$E2E_WORK/frame"
    raw < <(cat "$E2E_WORK/frame"; printf 'x')
    { cat "$E2E_WORK/frame"; printf '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'; } >"$E2E_WORK/torn"
    send_file bronze_events "$E2E_WORK/torn" -p 1 -k s
    printf 'x' >"$E2E_WORK/bare"
    send_file dead_letter "$E2E_WORK/bare" -p 0
}

# Carts without a view before them. The service cannot know yet which of their times will matter, and
# keeps only a limited number.
many_carts() {
    local n
    printf '%s\n' "$HEADER"
    for n in {0..299}; do printf '2019-10-10 12:%02d:%02d UTC,cart,1,1,a.b,b,1.5,7,carts\n' $((n / 60)) $((n % 60)); done
}

# Keeps the largest record of the topic, which is a partial: progress records are small.
keep_partial() {
    local partition offset
    read -r _ partition offset < <(committed funnel_partials '%S %p %o\n' | sort -rn | head -n 1)
    printf '%s\n' "$partition" >"$E2E_WORK/partial.partition"
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -c 1 -t "$(topic funnel_partials)" \
        -p "$partition" -o "$offset" -f '%s' >"$E2E_WORK/partial"
}

fresh
services
head -n 1501 "$E2E_WORK/replay.csv" >"$ROWS"
replay --input "$ROWS"
drain
keep_partial
nine_days >"$E2E_WORK/days.csv"
replay --input "$E2E_WORK/days.csv"
many_carts >"$E2E_WORK/carts.csv"
replay --input "$E2E_WORK/carts.csv"
drain
send_file funnel_partials "$E2E_WORK/partial" -p "$(cat "$E2E_WORK/partial.partition")"
raw < <(event .)
drain
send_events
send_framed
# A row that PostgreSQL refuses. The services let none through, so the table gets a special constraint.
sql "ALTER TABLE raw.event_rows ADD CONSTRAINT not_wanted CHECK (product_id <> 424242) NOT VALID"
raw < <(event '.product_id = 424242')
drain

all_found() { diff <(codes) <(found); }
wait_until "all dead letters are there" all_found || true
check "every reason code is reached, and there is no other" all_found
check "the last good event arrives" same events 1 \
    "$(count "raw.events WHERE user_session = 's' AND product_id = 1")"

# ---- labels of events and visits (raw.event_labels)

brands() { sql "SELECT string_agg(product_id || ' ' || brand, '|' ORDER BY product_id) FROM raw.events WHERE product_id > 500 AND product_id < 600"; }
# Of three events in one batch, the database refuses the brand of one.
refused_brand() {
    stack stop pg-loader-1
    sql "ALTER TABLE raw.event_labels ADD CONSTRAINT not_this CHECK (brand <> 'refused') NOT VALID"
    raw < <(event '.product_id = 501 | .brand = "new, {1}\\ \"x\""')
    raw < <(event '.product_id = 502 | .brand = "refused"')
    raw < <(event '.product_id = 503 | .brand = "other"')
    start pg-loader-1
    drain
    same "brands" '501 new, {1}\ "x"|503 other' "$(brands)"
    same "the dead letter" "1|rejected_by_database|t" "$(sql "SELECT count(*), min(reason),
        bool_and(detail LIKE 'raw.event_labels: %not_this%') FROM raw.dead_letters
        WHERE stage = 'loader' AND position('refused'::bytea IN value) > 0")"
}
check "the database refuses a brand: its event becomes a dead letter, the others are loaded" refused_brand

# The database refuses a category: of an event, and of each record of its visit.
refused_category() {
    stack stop pg-loader-1
    sql "ALTER TABLE raw.event_labels ADD CONSTRAINT not_that CHECK (category_code <> 'refused.too') NOT VALID"
    local TIME="2019-10-10 18:00:00 UTC" # not late
    raw -k refused < <(event '.product_id = 605 | .category_code = "refused.too" | .user_session = "refused"')
    raw -k stored < <(event '.product_id = 606 | .category_code = "other.code" | .user_session = "stored"')
    start pg-loader-1
    drain
    same "visits" 'stored other.code other.code' "$(sql "SELECT user_session, first_category, last_category
        FROM processed.session_funnels WHERE user_session IN ('refused', 'stored')" | tr '|' ' ')"
    same "the dead letters" "2|rejected_by_database|t" "$(sql "SELECT count(DISTINCT source_topic), min(reason),
        bool_and(detail LIKE 'raw.event_labels: %not_that%') FROM raw.dead_letters
        WHERE stage = 'loader' AND position('refused.too'::bytea IN value) > 0")"
}
check "the database refuses a category: its event and its visit become dead letters" refused_category

# As after a restore: the same entries have other ids. Then the connections of pg-loader end.
other_ids() {
    sql "ALTER TABLE raw.event_labels DISABLE TRIGGER keep_labels;
        CREATE TEMPORARY TABLE kept AS SELECT * FROM raw.event_labels; TRUNCATE raw.event_labels;
        INSERT INTO raw.event_labels OVERRIDING SYSTEM VALUE
        SELECT label_id + 1000000, category_id, category_code, brand FROM kept;
        UPDATE raw.event_rows SET label_id = label_id + 1000000;
        UPDATE processed.visit_rows
        SET first_label = first_label + 1000000, last_label = last_label + 1000000;
        ALTER TABLE raw.event_labels ENABLE TRIGGER keep_labels"
    loader_sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pg-loader'"
    raw < <(event '.product_id = 504 | .brand = "other"')
    drain
    same "brands" '501 new, {1}\ "x"|503 other|504 other' "$(brands)"
    same "events without a label" 0 "$(count "raw.event_rows LEFT JOIN raw.event_labels l USING (label_id) WHERE l.label_id IS NULL")"
    same "visits without a label" 0 "$(count "processed.visit_rows
        WHERE first_label NOT IN (SELECT label_id FROM raw.event_labels)
              OR last_label NOT IN (SELECT label_id FROM raw.event_labels)")"
}
check "entries have other ids after a restore: pg-loader asks for them again" other_ids
