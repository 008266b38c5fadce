#!/usr/bin/env bash
# Records that are not events: each becomes a dead letter with its reason and its bytes, and the records
# after it are processed. Values in the forms that other tools write are read.
source "$(dirname "$0")/lib.sh"

HEADER=event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
GOOD=$E2E_WORK/good.csv
printf '%s\n' "$HEADER" >"$GOOD"

# An event of session `s`, in JSON.
json() { # PRODUCT
    printf '{"event_time":"2019-10-01 10:00:00 UTC","event_type":"view","product_id":%d,"category_id":1,"category_code":"a.b","brand":"b","price":1.5,"user_id":7,"user_session":"s"}' "${1:-99999}"
}

send_good() { # PRODUCT
    json "$1" >"$E2E_WORK/good.json"
    send_file raw_events "$E2E_WORK/good.json" -k s
    printf '2019-10-01 10:00:00 UTC,view,%d,1,a.b,b,1.5,7,s\n' "$1" >>"$GOOD"
}

dead_with() { # REASON STAGE [COUNT]: more than COUNT dead letters
    (($(count "raw.dead_letters WHERE reason = '$1' AND stage = '$2'") > ${3:-0}))
}
arrived() { (($(count "raw.events WHERE product_id = $1") == 1)); }

# bad REASON LABEL: sends the bytes of standard input, and a good event after them.
bad_number=0
bad() {
    local reason=$1 label=$2 file=$E2E_WORK/bad.$((++bad_number))
    cat >"$file"
    check "$label: dead letter $reason, and the next event arrives" \
        becomes_dead_letter "$reason" "$file" "$bad_number"
}

becomes_dead_letter() { # REASON FILE PRODUCT
    local before
    before=$(count "raw.dead_letters WHERE reason = '$1'")
    send_file raw_events "$2" -k s
    send_good "$3"
    wait_until "a dead letter $1 comes" dead_with "$1" bronze-sink "$before"
    same "bytes of the dead letter" "$(sha256sum <"$2" | cut -c1-64)" "$(sql "
        SELECT encode(sha256(value), 'hex') FROM raw.dead_letters WHERE reason = '$1'
        ORDER BY source_offset DESC LIMIT 1")"
    wait_until "the good event after it arrives" arrived "$3"
}

fresh
services
send_good 1000
wait_until "the first event arrives" arrived 1000

bad malformed_json "half a JSON object" < <(printf '{"event_time":"2019-10-01 10:00:00 UTC","event_type":"vi')
bad malformed_json "a JSON array" < <(printf '[1,2]')
bad invalid_product_id "a text as product" < <(json | sed 's/"product_id":[0-9]*/"product_id":"boots"/')
bad invalid_user_id "a negative user" < <(json | sed 's/"user_id":7/"user_id":-7/')
bad invalid_price "a word as price" < <(json | sed 's/"price":1.5/"price":"cheap"/')
bad unknown_event_type "an unknown event type" < <(json | sed 's/"view"/"stare"/')
bad missing_event_time "no time" < <(json | sed 's/"event_time":"[^"]*",//')
bad invalid_user_session "a reserved session" < <(json | sed 's/"user_session":"s"/"user_session":"user:7"/')
bad unknown_magic_byte "an unknown magic byte" < <(printf '\x07%s' "$(json)")
bad unknown_schema_id "an unknown schema id" < <(printf '\x00\x00\x0f\x42\x3f%s' "$(json)")
bad oversized_message "2 MB" < <({ json | sed 's/}$//'; printf ',"more":"'; head -c 2097152 /dev/zero | tr '\0' x; printf '"}'; })
bad nul_character "an escaped NUL" < <(json | sed 's/"user_session":"s"/"user_session":"a\\u0000b"/')
bad invalid_utf8 "invalid UTF-8" < <(json | sed 's/"brand":"b"/"brand":"\xff\xfe"/')
bad future_event_time "the year 9999" < <(json | sed 's/2019-10-01/9999-12-31/')
bad invalid_event_time "before 2000" < <(json | sed 's/2019-10-01/1999-12-31/')
bad malformed_json "a raw NUL byte" < <(json | sed 's/"brand":"b"/"brand":"Z"/' | tr Z '\000')

# accepted PRODUCT LABEL CONDITION: sends the bytes of standard input; its event has these values.
accepted() {
    local product=$1 label=$2 condition=$3 file=$E2E_WORK/accepted.$1
    cat >"$file"
    check "$label" becomes_event "$product" "$condition" "$file"
}
becomes_event() { # PRODUCT CONDITION FILE
    send_file raw_events "$3" -k s
    wait_until "the event arrives" arrived "$1"
    same "events with $2" 1 "$(count "raw.events WHERE product_id = $1 AND $2")"
    printf '2019-10-01 10:00:00 UTC,view,%d,1,a.b,b,1.5,7,s\n' "$1" >>"$GOOD"
}

accepted 6000 "bare NaN, as Python writes it, means no value" "brand IS NULL AND price IS NULL" \
    < <(json 6000 | sed 's/"b"/NaN/; s/1\.5/NaN/; s/}$/,"more":{"x":[-Infinity]}}/')
accepted 6001 "ids that were floats" "user_id = 512742880 AND category_id = 2053013555631882655" \
    < <(json 6001 | sed 's/"product_id":6001/"product_id":6001.0/; s/"user_id":7/"user_id":"5.1274288E8"/
        s/"category_id":1/"category_id":"2053013555631882655.0"/')
accepted 6002 "optional fields that cannot be read" "category_id IS NULL AND brand IS NULL AND category_code = 'a.b'" \
    < <(json 6002 | sed 's/"category_id":1/"category_id":2.05301E+18/; s/"brand":"b"/"brand":"a\\u0000b"/')
accepted 6003 "an epoch in milliseconds" "event_time = '2019-10-01 10:00:03.25 UTC'" \
    < <(json 6003 | sed 's/"2019[^"]*"/1569924003250/')
accepted 6004 "a time with an offset" "event_time = '2019-10-01 10:00:04 UTC'" \
    < <(json 6004 | sed 's/2019[^"]*/2019-10-01T13:00:04+03:00/')

# Each record has another unknown id. They are more than a service asks the registry for in a second.
flood_of_ids() { # TOPIC PRODUCT STAGE...: a topic without a schema in the registry (raw) or with one
    local dir=$E2E_WORK/flood topic=$1 product=$2 stage i
    shift 2
    mkdir -p "$dir"
    for ((i = 0; i < 400; i++)); do
        # shellcheck disable=SC2059 # the numbers are parts of the escapes
        { printf "\\x00\\x7f\\x00\\x$(printf %02x $((i / 256)))\\x$(printf %02x $((i % 256)))"; json; } >"$dir/$i"
    done
    send_file "$topic" "$dir/0" -k s "$dir"/[1-9]*
    send_good "$product"
    for stage; do
        wait_until "$stage has rejected all of them" dead_with_ids "$stage"
    done
    wait_until "the good event after them arrives" arrived "$product"
}
dead_with_ids() { # STAGE
    (($(count "raw.dead_letters WHERE reason = 'unknown_schema_id' AND stage = '$1'
        AND detail LIKE '%schema id 213%'") == 400))
}
check "400 unregistered schema ids in raw: dead letters, and the next event arrives" \
    flood_of_ids raw_events 3000 bronze-sink
check "400 unregistered schema ids in bronze: dead letters of both readers, and the next event arrives" \
    flood_of_ids bronze_events 3001 funnel-aggregator loader

# Compressed, the record passes all limits of the producer and the broker. Its dead letter would be too
# large with the bytes.
compressed() { # 12 MB of spaces
    local before
    before=$(count "raw.dead_letters WHERE reason = 'oversized_message'")
    head -c 12582912 /dev/zero | tr '\0' ' ' >"$E2E_WORK/spaces"
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -z gzip -X partitioner=murmur2_random \
        -X message.max.bytes=20000000 -t "$(topic raw_events)" -k s "$E2E_WORK/spaces"
    send_good 4000
    wait_until "its dead letter comes" dead_with oversized_message bronze-sink "$before"
    wait_until "the good event after it arrives" arrived 4000
}
check "12 MB in a small batch: a dead letter without its bytes, and the next event arrives" compressed

# The session of the event belongs to another partition.
wrong_partition() {
    local home file=$E2E_WORK/wrong.json
    home=$(sql "SELECT raw_partition FROM raw.events LIMIT 1")
    json >"$file"
    send_file raw_events "$file" -k s -p $(((home + 1) % 4))
    wait_until "its dead letter comes" dead_with wrong_partition bronze-sink
    same "events of it" 0 "$(count "raw.events WHERE product_id = 99999")"
}
check "an event in a partition that is wrong for its key: dead letter wrong_partition" wrong_partition

# A writer that took the null word for a session; the event's own key is user:7.
null_word_key() {
    local partition file=$E2E_WORK/null_word.json
    json | sed 's/"user_session":"s"/"user_session":"nan"/' >"$file"
    for partition in 0 1 2 3; do send_file raw_events "$file" -k nan -p "$partition"; done
    printf '2019-10-01 10:00:00 UTC,view,99999,1,a.b,b,1.5,7,\n' >>"$GOOD"
    wait_until "the event of the right partition arrives" arrived 99999
    wait_until "the other three are dead letters" explained
    same "its session" "" "$(sql "SELECT user_session FROM raw.events WHERE product_id = 99999")"
}
explained() {
    (($(count "raw.dead_letters WHERE reason = 'wrong_partition' AND detail LIKE
        '%the key is the null word ''nan'': use user:<user_id> as the key%'") == 3))
}
check "the key is a null word: dead letter wrong_partition that says which key to use" null_word_key

truncated() {
    printf '%s\n2019-10-01 10:00:05 UTC,view,5,1,a.b' "$HEADER" >"$E2E_WORK/truncated.csv"
    replay --input "$E2E_WORK/truncated.csv"
    wait_until "its dead letter comes" dead_with malformed_source_row bronze-sink
    same "bytes of the dead letter" "2019-10-01 10:00:05 UTC,view,5,1,a.b" \
        "$(sql "SELECT convert_from(value, 'UTF8') FROM raw.dead_letters WHERE reason = 'malformed_source_row'")"
}
check "a truncated CSV row: dead letter malformed_source_row with the row" truncated

no_value() {
    printf 's:' | timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -Z -K : \
        -X partitioner=murmur2_random -t "$(topic raw_events)"
    wait_until "its dead letter comes" dead_with null_value bronze-sink
}
check "a record without a value: dead letter null_value" no_value

bad_control() {
    json >"$E2E_WORK/control.json"
    send_file raw_events "$E2E_WORK/control.json" -p 0 -H control=dance
    wait_until "its dead letter comes" dead_with invalid_control bronze-sink
}
check "a control of an unknown kind: dead letter invalid_control" bad_control

# Not through bronze-sink: each reader of bronze must reject it by itself.
bad_bronze() {
    printf 'not avro at all' >"$E2E_WORK/bronze"
    send_file bronze_events "$E2E_WORK/bronze" -p 1 -k s
    wait_until "the dead letter of the aggregator comes" dead_with unknown_magic_byte funnel-aggregator
    wait_until "the dead letter of the loader comes" dead_with unknown_magic_byte loader
}
check "bytes in bronze that are not Avro: dead letters of aggregator and loader" bad_bronze

send_good 2000
drain
check "the last good event arrives" arrived 2000
check "every good event is in the database, and no other" same events "$(rows_of "$GOOD")" "$(count raw.events)"
counted() {
    local of_sink="FROM processed.counts WHERE service = 'bronze-sink'"
    same "rows in - bronze - duplicates - dead" 0 \
        "$(sql "SELECT sum(records_in - records_out - duplicates - dead) $of_sink")"
    same "dead letters by count and by table" "$(sql "SELECT sum(dead) $of_sink")" \
        "$(count "raw.dead_letters WHERE stage = 'bronze-sink'")"
}
check "every rejected record is counted and has its dead letter" counted
