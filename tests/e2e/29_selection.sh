#!/usr/bin/env bash
# A part of an input, or an input at other times: MONTH with ROWS_PER_DAY, LIMIT, FAIL_ABOVE,
# SHIFT_TO_NOW with LOOP, and SHIFT_TO_NOW at 1x. awk selects and shifts the rows of the files, and
# PostgreSQL must have exactly these.
source "$(dirname "$0")/lib.sh"

DAYS=$E2E_WORK/days.csv # 2019-09-29 06:00 to 2019-10-04 06:00
SELECTED=$E2E_WORK/selected.csv

generate() { # FILE EVENTS SEED START DURATION
    "$BIN_DIR/producer" --source synthetic --events "$2" --seed "$3" --start-time "$4" \
        --duration "$5" --checkouts --output "$1" --log-level error
}

# ---- recounts of files

rows_of_file() { # FILE: its rows, as rows_stored shows them
    awk -F, -v OFS=, 'NR > 1 { sub(" UTC", "", $1); print $1, $2, $3, $7, $8, $9 }' "$1" | LC_ALL=C sort
}
rows_stored() { # WHERE
    sql "SELECT concat_ws(',', to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
            event_type, product_id, coalesce(price::text, ''), user_id, coalesce(user_session, ''))
        FROM raw.events WHERE $1" | LC_ALL=C sort
}
same_rows() { # FILE WHERE
    same "rows in PostgreSQL" "$(rows_of "$1")" "$(count "raw.events WHERE $2")"
    diff <(rows_of_file "$1") <(rows_stored "$2")
}

# DAY|EVENTS|CENTS|USERS|SESSIONS|ORDERS of each day
days_of_file() {
    awk -F, 'NR > 1 {
            day = substr($1, 1, 10)
            events[day]++
            users[day] += !(day SUBSEP $8 in user); user[day, $8]
            sessions[day] += !(day SUBSEP $9 in session); session[day, $9]
            if ($2 != "purchase") next
            split($7, price, "."); cents[day] += price[1] * 100 + price[2]
            orders[day] += !(day SUBSEP $9 in order); order[day, $9]
        }
        END { for (day in events) printf "%s|%d|%d|%d|%d|%d\n",
            day, events[day], cents[day], users[day], sessions[day], orders[day] }' "$1" | LC_ALL=C sort
}
days_reported() { # SEGMENT
    sql "SELECT day, events, (revenue * 100)::bigint, users, sessions, orders
        FROM reporting.segment_days WHERE segment LIKE '$1' ORDER BY day"
}
complete_segment() { # SEGMENT: rows, events and rejects of its only run
    sql "SELECT reporting.reconcile()" >/dev/null
    sql "SELECT rows_in, stored, rejects FROM reporting.segments WHERE segment LIKE '$1' AND complete"
}

# ---- a part of the rows

first_of_october() {
    local rows
    awk -F, 'NR == 1 || (/^2019-10/ && n[substr($1, 1, 10)]++ < 400)' "$DAYS" >"$SELECTED"
    rows=$(rows_of "$SELECTED")
    printf '%d rows of %d are selected\n' "$rows" "$(rows_of "$DAYS")"
    ((rows > 3 * 400 && rows < 4 * 400)) # three days have more rows, the last day has fewer
    replay --input "$DAYS" --month 2019-10 --rows-per-day 400
    drain
    same_rows "$SELECTED" true
    same "rows, events and rejects of the segment" "$rows|$rows|0" "$(complete_segment 'days.csv-2019-10-%')"
    same "batch report" "$(days_of_file "$SELECTED")" "$(days_reported 'days.csv-2019-10-%')"
    oracle --exact-counts --max-late 0 "$SELECTED"
    reconciled
}
limited() {
    local limited=$E2E_WORK/limited.csv
    generate "$limited" 400 30 "2019-10-05 00:00:00" 1h
    head -n 151 "$limited" >"$SELECTED"
    replay --input "$limited" --limit 150
    drain
    same_rows "$SELECTED" "event_time >= '2019-10-05 UTC'"
    same "rows, events and rejects of the segment" "150|150|0" "$(complete_segment 'limited.csv-%')"
    same "batch report" "$(days_of_file "$SELECTED")" "$(days_reported 'limited.csv-%')"
}

# ---- refused rows

# 200 rows of a day. Three have no user, and two have no product: 2.5%.
make_rejects() { # FILE DAY
    generate "$E2E_WORK/good.csv" 200 31 "$2" 1h
    awk -F, -v OFS=, 'NR == 20 || NR == 60 || NR == 100 { $8 = "" } NR == 40 || NR == 80 { $3 = "" }
        { print }' "$E2E_WORK/good.csv" >"$1"
}
checked() { # CODE SHARE DAY WORDS: the run, its words, and the lines with the reasons
    local file=$E2E_WORK/rejects-$3.csv
    make_rejects "$file" "$3 00:00:00"
    refused "$1" "event=finished $4" producer --input "$file" --state-file none --fail-above "$2" \
        >"$E2E_WORK/checked.log"
    cat "$E2E_WORK/checked.log"
    grep -E 'event=rejected .*reason=missing_user_id rows=3( |$)' "$E2E_WORK/checked.log"
    grep -E 'event=rejected .*reason=missing_product_id rows=2( |$)' "$E2E_WORK/checked.log"
    same "reasons in the log" 2 "$(grep -c 'event=rejected reason=' "$E2E_WORK/checked.log")"
    grep -E 'event=checked .*rows=200 rejected=5( |$)' "$E2E_WORK/checked.log"
    drain
    same "rows, events and rejects of the segment" "200|195|5" "$(complete_segment "rejects-$3.csv-%")"
}
above() {
    checked 65 2% 2019-10-06 ""
    grep -F '5 of 200 rows were refused, more than FAIL_ABOVE=2%' "$E2E_WORK/checked.log"
    same "dead letters" "missing_product_id|2"$'\n'"missing_user_id|3" \
        "$(sql "SELECT reason, count(*) FROM raw.dead_letters GROUP BY 1 ORDER BY 1")"
}
at_the_share() {
    checked 0 2.5% 2019-10-07 "exit=0"
    ! grep 'event=failed' "$E2E_WORK/checked.log"
}

fresh
services
generate "$DAYS" 3000 29 "2019-09-29 06:00:00" 5d
check "the first 400 rows of each day of October, their segment and its report" first_of_october
check "LIMIT completes its segment, which has the first rows" limited
check "refused rows above FAIL_ABOVE: exit code 65, with the share, the reasons and their rows" above
check "refused rows at FAIL_ABOVE: exit code 0, with the same reasons" at_the_share

# ---- as if it were today

# The rows of a file, later by whole seconds.
shifted() { # FILE SECONDS
    TZ=UTC awk -F, -v OFS=, -v seconds="$2" 'NR > 1 {
        gsub(/[-:]/, " ", $1)
        $1 = strftime("%Y-%m-%d %H:%M:%S UTC", mktime($1) + seconds)
        print
    }' "$1"
}
seconds_of() { date -u -d "$1" +%s; }
first_time() { sed -n '2s/,.*//p' "$1"; }
last_time() { sed -n '$s/,.*//p' "$1"; }

# By how many seconds the first row is later than in the file.
shift_stored() { # FILE WHERE
    printf '%d\n' $(($(sql "SELECT extract(epoch FROM min(event_time))::bigint FROM raw.events WHERE $2") -
        $(seconds_of "$(first_time "$1")")))
}

# Three days, so the second pass is three days later.
two_passes() {
    local history=$E2E_WORK/history.csv began ended shift newest
    generate "$history" 600 32 "2019-10-01 10:00:00" 53h
    same "first and last day" "2019-10-01 2019-10-03" \
        "$(first_time "$history" | cut -c1-10) $(last_time "$history" | cut -c1-10)"
    began=$(date +%s)
    replay --input "$history" --shift-to-now --loop 2
    ended=$(date +%s)
    drain
    shift=$(shift_stored "$history" true)
    printf 'shifted by %d seconds\n' "$shift"
    same "seconds beyond whole days" 0 $((shift % 86400))
    newest=$(($(seconds_of "$(last_time "$history")") + shift + 3 * 86400))
    ((newest <= ended && newest + 86400 > began)) # the last day that fits, whenever the run chose it
    { head -n 1 "$history"; shifted "$history" "$shift"; shifted "$history" $((shift + 3 * 86400)); } >"$SELECTED"
    same "rows of two passes" 1200 "$(rows_of "$SELECTED")"
    same_rows "$SELECTED" true
    same "rows, events and rejects of the segment" "1200|1200|0" "$(complete_segment 'history.csv-%')"
    same "batch report" "$(days_of_file "$SELECTED")" "$(days_reported 'history.csv-%')"
    same "duplicates and late events" "0 0" "$(counts_duplicates) $(count raw.late_events)"
    oracle --exact-counts --max-late 0 "$SELECTED"
    reconciled
}

# Rows in real time: three in two seconds, one ten seconds after them, and two on the next day. The
# producer is killed while it waits for the fourth row, and stopped while it waits for the next day.
LIVE=$E2E_WORK/live.csv STATE=$E2E_WORK/live.state
make_live() {
    local n=0 at
    head -n 1 "$DAYS"
    for at in "01 09:59:50" "01 09:59:51" "01 09:59:52" "01 10:00:02" "02 09:00:00" "02 09:00:01"; do
        n=$((n + 1))
        printf '2019-10-%s UTC,view,%d,1,a.b,b,1.50,%d,live\n' "$at" $((50 + n)) $n
    done
}
live_rows_saved() { jq -e ".rows >= $1" "$STATE" >/dev/null 2>&1; }
live_records() { # TIME OF THE RECORD and EVENT TIME, in milliseconds
    local at value
    committed raw_events '%T %s\n' | grep '"live"' | while read -r at value; do
        printf '%d %d000\n' "$at" "$(seconds_of "$(jq -r .event_time <<<"$value")")"
    done | sort -n
}
in_real_time() {
    local began first
    make_live >"$LIVE"
    program producer --input "$LIVE" --shift-to-now --speed 1x --state-file "$STATE" --timeout "${LONG}s"
    began=$(now_ms)
    "${PROGRAM[@]}" 3>&- 9>&- &
    wait_until "three rows are acknowledged" live_rows_saved 3
    kill -KILL $!
    wait $! || true
    "${PROGRAM[@]}" 3>&- 9>&- &
    wait_until "the fourth row is acknowledged" live_rows_saved 4
    kill -TERM $!
    wait $!
    same "rows sent" "4 false" "$(jq -r '"\(.rows) \(.complete)"' "$STATE")"
    drain
    { head -n 1 "$LIVE"; shifted <(head -n 5 "$LIVE") "$(shift_stored "$LIVE" "user_session = 'live'")"; } >"$SELECTED"
    same_rows "$SELECTED" "user_session = 'live'"
    same "dead letters" 0 "$(count raw.dead_letters)"
    live_records | tee "$E2E_WORK/live.records"
    same "rows sent before their event time" 0 "$(awk '$1 < $2' "$E2E_WORK/live.records" | wc -l)"
    # The first row was due when it was sent: its time, in whole seconds, is not before the start.
    read -r _ first <"$E2E_WORK/live.records"
    ((first > began - 1000))
}

# `make demo` with an input that the producer refuses, or of which no row is accepted: its exit code, and why.
demo_ends() { # EXIT_CODE WORDS FILE
    local status=0
    DATA=$3 RESET=1 SKIP_DEPS=1 "$ROOT/deploy/local/demo" >"$E2E_WORK/demo" 2>&1 || status=$?
    tail -n 5 "$E2E_WORK/demo"
    same "exit code" "$1" "$status"
    grep -qF -- "$2" "$E2E_WORK/demo" || { warn "does not say: $2"; return 1; }
}
newest_first() { demo_ends 65 "--order time" "$ROOT/tests/cases/newest-first.csv"; }
cut_gzip() {
    gzip -c "$DAYS" | head -c 5000 >"$E2E_WORK/cut.csv.gz"
    demo_ends 78 "ends early" "$E2E_WORK/cut.csv.gz"
}
none_accepted() { demo_ends 65 "ENCODING=latin1" "$ROOT/tests/cases/latin1.csv"; }

fresh
services
check "make demo, rows that run backwards: exit code 65, with the remedy" newest_first
check "make demo, a gzip file that was cut: exit code 78, with the reason" cut_gzip
check "make demo, no row accepted: exit code 65, with the remedy" none_accepted
fresh
services
check "SHIFT_TO_NOW and LOOP=2: whole days, up to now, each pass three days later" two_passes
check "SHIFT_TO_NOW at 1x, killed and continued: no row is sent before its time, even after a day" in_real_time
