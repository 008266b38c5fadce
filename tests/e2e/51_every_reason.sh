#!/usr/bin/env bash
# Every reason code there is (common/event/reason.h) is reached by a record on real parts, and found in raw.dead_letters; and no
# other. A new code fails here until something reaches it.
source "$(dirname "$0")/lib.sh"

HEADER=event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
ROWS=$E2E_WORK/few.csv

codes() { sed -n 's/^\tX([A-Z_0-9]*, "\([a-z_0-9]*\)".*/\1/p' "$ROOT/common/event/reason.h" | grep -vx none | LC_ALL=C sort; }
found() { sql "SELECT DISTINCT reason FROM raw.dead_letters" | LC_ALL=C sort; }

# The events of nine days, so that what was first is too late in the end: a day at a time, for all partitions, by several users.
nine_days() {
    local day n
    printf '%s\n' "$HEADER"
    for day in 02 03 04 05 06 07 08 09 10; do
        for n in {1..60}; do printf '2019-10-%s 12:00:00 UTC,view,1,1,a.b,b,1.5,%d,d%d\n' "$day" "$n" "$n"; done
    done
}

event() { # CHANGES, as for jq, to a good event of session `s`
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
    local change
    raw < <(event .) # the clock of its partition stands at it already
    for change in 'del(.event_time)' '.event_time = "soon"' '.event_time = "2019-12-01 00:00:00 UTC"' '.event_time = "2019-10-01 10:00:00 UTC"' \
        'del(.event_type)' '.event_type = "stare"' 'del(.product_id)' '.product_id = "boots"' 'del(.user_id)' '.user_id = -7' '.category_id = "x"' \
        '.category_code = 5' '.brand = 5' '.event_type = "purchase" | del(.price)' '.price = "cheap"' '.user_session = "user:7"' \
        '.brand = "x" * 70000' '.brand = "a\u0000b"'; do
        raw < <(event "$change")
    done
    raw < <(printf 'half' | tr h '{')
    raw < <(event | sed 's/"brand":"b"/"brand":"\xff"/')
    raw < <(printf '\x07%s' x)
    raw < <(printf '\x00\x00\x0f\x42\x3f%s' x)
    raw < <(printf '{"more":"'; head -c 2097152 /dev/zero | tr '\0' x; printf '"}')
    raw -H source_error=torn < <(printf 'a,b')
    raw -H control=dance < <(printf 'x')
    raw -p $((($(sql "SELECT raw_partition FROM raw.events WHERE user_session = 's' LIMIT 1") + 1) % 4)) < <(event '.product_id = 2')
    printf 's:' | timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -Z -K : -X partitioner=murmur2_random -t "$(topic raw_events)"
}

# The id that bronze's values are framed with is another schema's for the raw topic, and promises what these bytes do not keep.
send_framed() {
    committed bronze_events '%s' | head -c 5 >"$E2E_WORK/frame"
    raw < <(cat "$E2E_WORK/frame"; printf 'x')
    { cat "$E2E_WORK/frame"; printf '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'; } >"$E2E_WORK/torn"
    send_file bronze_events "$E2E_WORK/torn" -p 1 -k s
    printf 'x' >"$E2E_WORK/bare"
    send_file dead_letter "$E2E_WORK/bare" -p 0
}

# Carts without a view before them: which of their times will matter is open, so all are kept, as long as they are few.
many_carts() {
    local n
    printf '%s\n' "$HEADER"
    for n in {0..299}; do printf '2019-10-10 12:%02d:%02d UTC,cart,1,1,a.b,b,1.5,7,carts\n' $((n / 60)) $((n % 60)); done
}

# The biggest partial there is, kept for later; progress is small.
keep_partial() {
    local partition offset
    read -r _ partition offset < <(committed funnel_partials '%S %p %o\n' | sort -rn | head -n 1)
    printf '%s\n' "$partition" >"$E2E_WORK/partial.partition"
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -c 1 -t "$(topic funnel_partials)" -p "$partition" -o "$offset" -f '%s' >"$E2E_WORK/partial"
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
# What PostgreSQL refuses by itself: nothing that services let through, so the table gets a rule of its own.
sql "ALTER TABLE raw.events ADD CONSTRAINT not_wanted CHECK (product_id <> 424242) NOT VALID"
raw < <(event '.product_id = 424242')
drain

all_found() { diff <(codes) <(found); }
wait_until "the last of them is told" all_found || true
check "every reason code is reached, and no other is told" all_found
check "and the stream goes on: the last good event is there" same events 1 "$(count "raw.events WHERE user_session = 's' AND product_id = 1")"
