#!/usr/bin/env bash
# Compares the records that funnel-tail prints for each topic with the database, and checks what its
# flags do. It ends without an error when its reader ends. The live funnel shows the numbers of the
# database, and restores the terminal.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/replay.csv
LATE=$E2E_WORK/late.csv # 20 hours before the end of ROWS: too late for every open window
MORE=$E2E_WORK/more.csv
OUT=$E2E_WORK/tail.out
TMUX_SOCKET=$E2E_WORK/tmux

tail_of() { # FLAGS...
    program funnel-tail
    timeout "$LONG" "${PROGRAM[@]}" "$@"
}
all_of() { tail_of --topic "$1" --from beginning --exit "${@:2}"; } # TOPIC FLAGS...
broker() { KAFKA_BROKERS=$KAFKA_BROKERS timeout "$LONG" "$(dirname "$BIN_DIR")/test/e2e-broker" "$@"; }
generate() { # FILE EVENTS SEED START
    "$BIN_DIR/producer" --source synthetic --events "$2" --seed "$3" --start-time "$4" --output "$1"
}
lines() { wc -l <"$1" | tr -d ' '; }
same_files() { cmp "$1" "$2" || { diff "$1" "$2" | head -n 6; return 1; }; } # WANT GOT

generate "$LATE" 30 31 "2019-10-01 02:00:00"
generate "$MORE" 20 32 "2019-10-02 03:00:00"
fresh
check "topics without a record: exit 0, and no line" same "lines" 0 "$(all_of bronze | wc -l)"
services
replay --input "$ROWS"
drain
send_rows "$LATE"
late_rows_are_loaded() { (($(count raw.late_events) > 0)); }
wait_until "late events are loaded" late_rows_are_loaded
printf 'not avro' >"$E2E_WORK/bytes"
send_file bronze_events "$E2E_WORK/bytes" -p 1 -k s
bytes_are_refused() { (($(count "raw.dead_letters WHERE stage = 'funnel-aggregator'") == 1)); }
wait_until "the bytes in bronze are refused" bytes_are_refused
drain

# ---- each topic against the database

every_record_is_an_object() {
    local topic
    for topic in raw bronze aggregates visits late dead-letter counts; do
        all_of "$topic" >"$E2E_WORK/$topic.json"
        # jq fails if a line is not JSON; each line must have these members
        same "lines of $topic without a member" 0 "$(jq -c 'select(([
            "topic", "partition", "offset", "timestamp", "headers", "key", "value"] - keys) != [])' \
            "$E2E_WORK/$topic.json" | wc -l)"
    done
}
check "each topic is printed as one JSON object a line" every_record_is_an_object
raw_is_complete() {
    jq -r '"\(.partition) \(.offset)"' "$E2E_WORK/raw.json" | sort >"$OUT"
    committed raw_events '%p %o\n' | sort >"$OUT.kcat"
    same_files "$OUT.kcat" "$OUT"
    same "rows" "$(counts_in)" "$(jq -r 'select(.control | not) | .offset' "$E2E_WORK/raw.json" | wc -l)"
    same "kinds of controls" "begin end" \
        "$(jq -r '.control // empty' "$E2E_WORK/raw.json" | sort -u | grep -v jump | xargs)"
}
check "raw has every committed record, controls as controls" raw_is_complete
bronze_is_the_table() {
    jq -r '.value.event_id // empty' "$E2E_WORK/bronze.json" | sort >"$OUT"
    sql "SELECT event_id FROM raw.events" | sort >"$OUT.sql"
    same_files "$OUT.sql" "$OUT"
    same "the undecodable record" "unknown_magic_byte $(base64 <"$E2E_WORK/bytes")" "$(
        jq -r 'select(.error) | "\(.error | split(":")[0]) \(.value_base64)"' "$E2E_WORK/bronze.json")"
}
check "bronze has the events of raw.events, and undecodable bytes as bytes" bronze_is_the_table
late_is_the_table() {
    jq -r '.value.event_id' "$E2E_WORK/late.json" | sort >"$OUT"
    sql "SELECT event_id FROM raw.late_events" | sort >"$OUT.sql"
    same_files "$OUT.sql" "$OUT"
}
check "late has the events of raw.late_events" late_is_the_table
# newest TOPIC KEY FIELDS: the last value of each key, as text
newest() {
    jq -r "select(.value) | [.key, ($2 | map(tostring) | join(\" \"))] | @tsv" "$E2E_WORK/$1.json" |
        awk -F'\t' '{ last[$1] = $2 } END { for (k in last) if (last[k] != "") print last[k] }' | LC_ALL=C sort
}
aggregates_are_the_table() {
    local cents='s/.*"key":"([^"]*)".*"revenue":([0-9]+)\.([0-9]{2}).*/\1 \2\3/'
    newest aggregates '.value | [.rollup, .window_start, .group_value, .views, .purchases, .sessions, .revision]' >"$OUT"
    sql "SELECT concat_ws(' ', rollup,
            to_char(window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
            group_value, views, purchases, sessions, revision)
        FROM processed.funnel_aggregates" | LC_ALL=C sort >"$OUT.sql"
    same_files "$OUT.sql" "$OUT"
    # In cents: jq would add decimals as doubles.
    same "revenue of the days" \
        "$(sql "SELECT (sum(revenue) * 100)::bigint FROM processed.funnel_aggregates WHERE rollup = '1d:all'")" \
        "$(grep -F '"rollup":"1d:all"' "$E2E_WORK/aggregates.json" | sed -E "$cents" |
            awk '{ last[$1] = $2 } END { for (k in last) sum += last[k]; printf "%d\n", sum }')"
}
check "aggregates have the last values of processed.funnel_aggregates" aggregates_are_the_table
visits_are_the_table() {
    newest visits '.value | if .deleted then [] else
        [.user_session, .visit_start, .views, .furthest_stage, .drop_off_stage // "-"] end' >"$OUT"
    sql "SELECT concat_ws(' ', user_session,
            regexp_replace(to_char(visit_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '\.?0*$', '') || 'Z',
            views, furthest_stage, coalesce(drop_off_stage, '-'))
        FROM processed.session_funnels" | LC_ALL=C sort >"$OUT.sql"
    same_files "$OUT.sql" "$OUT"
}
check "visits have the last values of processed.session_funnels" visits_are_the_table
counts_are_the_table() {
    newest counts '.value | [.service, .partition, .records_in, .records_out, .duplicates, .dead]' >"$OUT"
    sql "SELECT concat_ws(' ', service, partition, records_in, records_out, duplicates, dead)
        FROM processed.counts" | LC_ALL=C sort >"$OUT.sql"
    same_files "$OUT.sql" "$OUT"
}
check "counts have the numbers of processed.counts" counts_are_the_table
dead_letters_are_the_table() {
    jq -r '.reason' "$E2E_WORK/dead-letter.json" | sort | uniq -c | sed 's/^ *//' >"$OUT"
    sql "SELECT count(*) || ' ' || reason FROM raw.dead_letters WHERE stage <> 'loader'
        GROUP BY reason" | sort -k 2 >"$OUT.sql"
    sort -k 2 -o "$OUT" "$OUT"
    same_files "$OUT.sql" "$OUT"
}
check "dead letters have the reasons of raw.dead_letters" dead_letters_are_the_table

# ---- flags

place() { jq -r '"\(.timestamp) \(.partition) \(.offset)"'; }
in_order() { place | sort -k 1,1 -k 2,2n -k 3,3n; }
last_ones() {
    in_order <"$E2E_WORK/bronze.json" | tail -n 25 >"$OUT.want"
    tail_of --topic bronze --tail 25 --exit | place >"$OUT"
    same_files "$OUT.want" "$OUT"
    same "-n 3" 3 "$(tail_of --topic bronze -n 3 | wc -l)"
    same "--tail 25 -n 3" 3 "$(tail_of --topic bronze --tail 25 -n 3 | wc -l)"
    same "more than there are" "$(lines "$E2E_WORK/late.json")" "$(tail_of --topic late --tail 10000 --exit | wc -l)"
}
check "--tail prints the newest records in order of time, -n ends after a number" last_ones
filtered() { # WANT TOPIC FLAGS...
    same "$*" "$1" "$(all_of "${@:2}" | jq -c 'select(.error | not)' | wc -l)"
}
filters() {
    local key session
    key=$(sql "SELECT user_session FROM raw.events WHERE user_session IS NOT NULL ORDER BY 1 LIMIT 1")
    session=${key:0:8}
    filtered "$(count "raw.events WHERE user_session LIKE '$session%'")" bronze --filter-key "$session*" --type '[a-z]*'
    filtered "$(count "raw.events WHERE event_type = 'purchase'")" bronze --type purchase
    filtered "$(count "raw.events WHERE category_code LIKE 'electronics.%'
        AND event_type IN ('cart', 'view')")" bronze --category 'electronics.*' --type '[cv][ai]*[tw]'
    filtered "$(count "raw.events WHERE category_code IS NULL")" bronze --category unknown
    filtered "$(count "raw.dead_letters WHERE reason LIKE 'invalid%' AND stage <> 'loader'")" dead-letter --reason 'invalid*'
    same "--tail of those that match" \
        "$(jq -c 'select(.reason | startswith("invalid"))' "$E2E_WORK/dead-letter.json" | in_order | tail -n 2)" \
        "$(tail_of --topic dead-letter --reason 'invalid*' --tail 2 --exit | place)"
    same "a rollup" "$(grep -c '"rollup":"1m:all"' "$E2E_WORK/aggregates.json")" \
        "$(all_of aggregates --rollup '1m:a*' | wc -l)"
}
check "--filter-key, --type, --category, --reason and --rollup select by globs" filters
by_time() {
    local middle
    middle=$(jq -r '.timestamp' "$E2E_WORK/bronze.json" | sort | sed -n "$(($(lines "$E2E_WORK/bronze.json") / 2))p")
    tail_of --topic bronze --from beginning --to "$middle" >"$OUT.before"
    tail_of --topic bronze --from "$middle" --exit >"$OUT.after"
    [[ -s $OUT.before && -s $OUT.after ]]
    same "a record at or after $middle" "" "$(jq -r --arg t "$middle" 'select(.timestamp >= $t) | .offset' "$OUT.before")"
    same "records before and after" "$(lines "$E2E_WORK/bronze.json")" $(($(lines "$OUT.before") + $(lines "$OUT.after")))
    same "--from -1h" "$(lines "$E2E_WORK/bronze.json")" "$(tail_of --topic bronze --from -1h --exit | wc -l)"
    same "--to -1h" 0 "$(tail_of --topic bronze --to -1h | wc -l)"
}
check "--from and --to select by time" by_time
forms() {
    all_of raw -o raw | grep -a . | LC_ALL=C sort >"$OUT"
    committed raw_events '%s\n' | grep -a . | LC_ALL=C sort >"$OUT.kcat"
    same_files "$OUT.kcat" "$OUT"
    tail_of --topic late --tail 1 --exit -o plain |
        grep -qE '^20[^ ]+Z [0-9]/[0-9]+ key=.* event_time=2019-10-01T[^ ]* event_type=[a-z_]* .* headers=\{'
}
check "-o raw prints the bytes of the values, -o plain words" forms
check "a flag that does not apply: exit 64" refused 64 "--category does not apply" funnel-tail --topic counts --category x
check "an unknown topic: exit 64, with the topics" refused 64 "orders expected bronze dead-letter" funnel-tail --topic orders
check "a set that does not exist: exit 78, with the topic and TOPIC_PREFIX" refused 78 \
    "nowhere_bronze_events TOPIC_PREFIX=nowhere_" funnel-tail TOPIC_PREFIX=nowhere_ --topic bronze
check "the live funnel of a set that does not exist: exit 78" refused 78 \
    "nowhere_bronze_events TOPIC_PREFIX=nowhere_" funnel-tail TOPIC_PREFIX=nowhere_ --once
check "no broker: exit 75, with the setting and its value" refused 75 \
    "KAFKA_BROKERS=127.0.0.1:1 refused" funnel-tail KAFKA_BROKERS=127.0.0.1:1 --topic raw
check "no registry: exit 75, with the setting" refused 75 "SCHEMA_REGISTRY_URL" \
    funnel-tail SCHEMA_REGISTRY_URL=http://127.0.0.1:1 --topic bronze --exit
raw_needs_no_registry() {
    same "lines" 2 "$(tail_of --schema-registry-url http://127.0.0.1:1 --topic raw --tail 2 --exit | wc -l)"
}
check "raw needs no registry" raw_needs_no_registry

# ---- a transaction that is aborted

aborted() {
    local hold
    # Not in a function: TERM must reach the program.
    KAFKA_BROKERS=$KAFKA_BROKERS "$(dirname "$BIN_DIR")/test/e2e-broker" hold "$(topic raw_events)" \
        2 600 >"$E2E_WORK/hold.out" 3>&- 9>&- &
    hold=$!
    wait_until "the transaction is open" grep -q holding "$E2E_WORK/hold.out"
    same "records of the open transaction" 0 "$(all_of raw -o raw | grep -cax held || true)"
    kill -TERM "$hold"
    wait "$hold"
    replay --input "$MORE"
    drain
    same "records of the aborted transaction, as Kafka has them" 2 "$(timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e \
        -o beginning -X isolation.level=read_uncommitted -t "$(topic raw_events)" | grep -cax held)"
    same "records of the aborted transaction" 0 "$(all_of raw -o raw | grep -cax held || true)"
    same "records after it" "$(counts_in)" "$(all_of raw | jq -r 'select(.control | not) | .offset' | wc -l)"
}
check "records of an open or aborted transaction are not shown, those after it are" aborted

# ---- pipes

quiet() {
    local status
    tail_of --topic bronze --from beginning 2>"$OUT.err" | head -n 1 >"$OUT"
    status=${PIPESTATUS[0]}
    same "exit code" 0 "$status"
    tail_of --topic bronze --tail 1 2>>"$OUT.err" | head -n 1 >>"$OUT"
    status=${PIPESTATUS[0]}
    same "exit code without new records" 0 "$status"
    same "lines" 2 "$(lines "$OUT")"
    same "words" "" "$(cat "$OUT.err")"
}
check "when its reader ends, it ends: exit 0, without a word, also while no record comes" quiet
more_came() { (($(lines "$OUT") > 10)); }
followed() {
    local follower
    program funnel-tail
    { timeout "$LONG" "${PROGRAM[@]}" --topic bronze --tail 1 --type view 2>"$OUT.err" | cat >"$OUT"; } 3>&- &
    follower=$!
    wait_until "it prints the last record" test -s "$OUT"
    generate "$MORE" 20 33 "2019-10-02 03:10:00"
    replay --input "$MORE"
    wait_until "it prints the new records" more_came
    same "lines twice" "" "$(jq -c '[.partition, .offset]' "$OUT" | sort | uniq -d)"
    # the program, not timeout or the shell
    kill -TERM "$(pgrep -P "$(pgrep -P "$follower" timeout)")"
    wait "$follower"
    same "words" "" "$(cat "$OUT.err")"
}
check "it prints new records line by line, and ends at TERM: exit 0" followed
no_commit() { same "committed" -1001 "$(broker committed funnel-tail "$(topic bronze_events)" 0 | cut -f 1)"; }
check "it has committed nothing" no_commit

# ---- the live funnel

newest_day() { # COLUMN
    sql "SELECT $1 FROM processed.funnel_aggregates WHERE rollup = '1d:all' ORDER BY window_end DESC LIMIT 1"
}
grouped() { sed -e ':a' -e 's/\B[0-9]\{3\}\>/,&/' -e 'ta' <<<"$1"; }
drain
PICTURE=$E2E_WORK/picture
# Of the partitions of bronze that are not idle; the highest if all are.
lowest_watermark() {
    http_get funnel-aggregator-1 metrics | awk '
        match($0, /partition="[0-9]+"/) {p = substr($0, RSTART, RLENGTH)}
        /^funnel_watermark_timestamp_seconds\{.*bronze_events"/ {at[p] = $NF}
        /^funnel_partition_idle\{.*bronze_events"/ {idle[p] = $NF}
        END {
            for (p in at) {
                if (at[p] > highest) highest = at[p]
                if (!idle[p] && (!lowest || at[p] < lowest)) lowest = at[p]
            }
            print strftime("%Y-%m-%d %H:%M:%S", lowest ? lowest : highest, 1)
        }'
}
one_picture() {
    tail_of --once >"$PICTURE"
    cat "$PICTURE"
    grep -qE "^view +$(grouped "$(newest_day view_sessions)") " "$PICTURE"
    grep -qE "^purchase +$(grouped "$(newest_day funnel_purchase_sessions)") " "$PICTURE"
    grep -qF "bought without a cart $(grouped "$(newest_day "view_purchase_sessions - view_cart_purchase_sessions")") " "$PICTURE"
    grep -qF "left without purchase $(grouped "$(newest_day "view_sessions - buying_view_sessions")") " "$PICTURE"
    grep -qF "purchases $(grouped "$(newest_day purchases)") " "$PICTURE"
    grep -qF "orders $(grouped "$(newest_day purchase_sessions)") " "$PICTURE"
    grep -qF "rows in $(grouped "$(counts_in)") " "$PICTURE"
    grep -qF "events $(grouped "$(counts_of_sink records_out)") " "$PICTURE"
    grep -qF "dead letters $(grouped "$(counts_of_sink dead)") " "$PICTURE"
    grep -qF "duplicates $(grouped "$(counts_duplicates)") " "$PICTURE"
    grep -qF "watermark $(lowest_watermark) " "$PICTURE"
    grep -qF 'top 1d:brand' "$PICTURE"
    ! grep -q $'\033' "$PICTURE"
}
check "--once prints one picture with the numbers of the database, without colours" one_picture
one_group() {
    tail_of --once --rollup 1d:category --group unknown | head -n 1 | grep -qE '^funnel  [^ ]*  1d:category  unknown$'
    refused 64 "9d:all ROLLUP 1d:brand" funnel-tail --once --rollup 9d:all
}
check "--rollup and --group choose; a rollup that the topic lacks is refused: exit 64" one_group

# -u: also where the locale of the tests is not UTF-8
in_tmux() { tmux -u -S "$TMUX_SOCKET" "$@"; }
pane() { in_tmux capture-pane -p -t live "$@"; }
keys() { in_tmux send-keys -t live "$@"; }
pane_has() { pane | grep -qE -- "$1"; }
shows() { wait_until "the terminal shows $1" pane_has "$1" || { pane >&2; return 1; }; }
status_shown() { shows "^status=$1\$"; }
# in_terminal VARIABLES FLAGS: types the command; the shell prints a line before and its exit code after it.
in_terminal() {
    keys -R "clear; echo before; stty -g >'$E2E_WORK/stty.before'; $1 $LIVE $2; echo status=\$?" \
        "; stty -g >'$E2E_WORK/stty.after'; echo done" Enter
}
restored() { # STATUS
    status_shown "$1"
    shows '^done$'
    pane_has '^before$' # what was on the screen, and nothing of the picture
    ! pane_has '^rows in' || return 1
    same_files "$E2E_WORK/stty.before" "$E2E_WORK/stty.after"
}
PICTURE_SHOWN="^rows in $(grouped "$(counts_in)") "
program funnel-tail
LIVE="env LANG=C.UTF-8 $(printf '%q ' "${PROGRAM[@]:1}")"
(
    unset TMUX
    in_tmux -f /dev/null new-session -d -x 80 -y 24 -s live 'env TERM=screen bash --norc'
) 3>&- 9>&-
keys "PS1='$ '" Enter

fits() { # COLUMNS LINES
    local picture
    picture=$(pane)
    same "lines" "$2" "$(wc -l <<<"$picture")"
    same "last line" q "$(tail -n 1 <<<"$picture" | cut -c1)"
    (($(LC_ALL=C.UTF-8 wc -L <<<"$picture") <= $1)) || { warn "a line is longer than $1"; return 1; }
}
wide_picture() { pane | sed -n 40p | grep -q '^q quit' && pane | sed -n 1p | grep -qE '.{110} '; }
narrow_picture() { pane | sed -n 15p | grep -q '^q quit'; }
screen_fits() {
    in_terminal "" ""
    shows "$PICTURE_SHOWN"
    pane_has "^view +$(grouped "$(newest_day view_sessions)") +█"
    fits 80 24
    in_tmux resize-window -t live -x 120 -y 40
    wait_until "the picture has the new size" wide_picture
    fits 120 40
    in_tmux resize-window -t live -x 60 -y 15
    wait_until "the picture has the narrow size" narrow_picture
    fits 60 15
    in_tmux resize-window -t live -x 80 -y 24
}
check "the picture fills 80x24, 120x40 and 60x15" screen_fits
keys_work() {
    keys R
    shows '^funnel  [^ ]*  1m:all '
    keys Left
    shows '\(1 back\)'
    keys h
    shows '^q +quit'
    keys h s q
    restored 0
}
check "keys choose; q ends and leaves the terminal as it was" keys_work
new_numbers() {
    in_terminal "" "--refresh 200ms"
    shows "$PICTURE_SHOWN"
    generate "$MORE" 20 34 "2019-10-02 03:20:00"
    replay --input "$MORE"
    drain
    shows "^rows in $(grouped "$(counts_in)") "
    PICTURE_SHOWN="^rows in $(grouped "$(counts_in)") "
    keys C-c
    restored 0
}
check "it shows new numbers by itself; Ctrl-C ends and leaves the terminal as it was" new_numbers
PICTURE_SHOWN="^rows in $(grouped "$(counts_in)") "
by_signal() { # SIGNAL STATUS
    in_terminal "" ""
    shows "$PICTURE_SHOWN"
    # the shell's child in this terminal
    kill -s "$1" "$(pgrep -P "$(in_tmux display-message -p -t live '#{pane_pid}')")"
    restored "$2"
}
check "TERM ends it and leaves the terminal as it was" by_signal TERM 0
check "a fault (ABRT) leaves the terminal as it was" by_signal ABRT 134
suspended() {
    in_terminal "" ""
    shows "$PICTURE_SHOWN"
    keys C-z
    shows 'Stopped'
    pane_has '^before$'
    ! pane_has '^rows in' || return 1
    keys "clear; fg" Enter
    shows "$PICTURE_SHOWN"
    keys q
    wait_until "the picture is gone" gone
    ! pane_has '^rows in'
}
gone() { ! pane_has '^rows in' && pane_has '^\$'; }
check "Ctrl-Z gives the terminal back, fg shows the picture again" suspended
failed_on_screen() {
    in_terminal "" "--rollup 9d:all"
    restored 64
    pane_has 'invalid value "9d:all" for ROLLUP'
}
check "an error leaves the terminal as it was, and is shown then" failed_on_screen
colours() {
    in_terminal "" ""
    shows "$PICTURE_SHOWN"
    pane -e | grep -q $'\033\\[32m'
    keys q
    restored 0
    in_terminal "NO_COLOR=1" ""
    shows "$PICTURE_SHOWN"
    same "lines with colours" "" "$(pane -e | grep -F $'\033[' || true)"
    keys q
    restored 0
}
check "colours, but not with NO_COLOR" colours
dumb() {
    in_terminal "TERM=dumb" ""
    status_shown 0
    pane_has "$PICTURE_SHOWN"
}
check "a dumb terminal gets one picture" dumb
in_tmux kill-server
