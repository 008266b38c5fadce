#!/usr/bin/env bash
# Parts that overlap, in a folder and in an archive, an export with the newest rows first, and a
# selection: killed (kill -9) and continued, all rows are events, none is late, and the recount agrees.
source "$(dirname "$0")/lib.sh"
source "$E2E/web.sh"

ROWS=$E2E_WORK/rows.csv PARTS=$E2E_WORK/parts NEWEST=$E2E_WORK/newest.csv STATE=$E2E_WORK/producer.state
"$BIN_DIR/producer" --source synthetic --events 6000 --seed 12 --duplicates 0.01 --output "$ROWS"
mkdir "$PARTS"
for part in 0 1 2; do
    awk -v part="$part" 'NR == 1 || NR % 3 == part' "$ROWS" >"$PARTS/part-$part.csv"
done
{ head -n 1 "$ROWS"; tail -n +2 "$ROWS" | tac; } >"$NEWEST"
(cd "$PARTS" && python3 -m zipfile -c "$E2E_WORK/parts.zip" part-?.csv)
# Six days, of which four are in October; the first 1,000 rows of each of these.
DAYS=$E2E_WORK/days.csv SELECTED=$E2E_WORK/selected.csv
"$BIN_DIR/producer" --source synthetic --events 9000 --seed 13 --start-time "2019-09-29 06:00:00" \
    --duration 5d --output "$DAYS"
awk -F, 'NR == 1 || (/^2019-10/ && n[substr($1, 1, 10)]++ < 1000)' "$DAYS" >"$SELECTED"

rows_are_saved() { jq -e '.rows > 0' "$STATE" >/dev/null 2>&1; }

killed() { # WHEN COMMAND...: PROGRAM, killed when the command succeeds
    "${PROGRAM[@]}" >"$E2E_WORK/killed.log" 2>&1 3>&- 9>&- &
    wait_until "$@"
    kill -KILL $!
    wait $! || true
    cat "$E2E_WORK/killed.log"
}

# The run would need longer than LONG, so it is killed before its end.
killed_while_sending() { # FLAGS...
    program producer "$@" --rate $((6000 / (2 * LONG) + 1))
    killed "some rows are saved" rows_are_saved
    same "the segment is complete" false "$(jq .complete "$STATE")"
}

continued() { # FILE FLAGS...: every row of the file is an event, once
    refused 0 "event=resumed event=finished" producer "${@:2}"
    same "the segment is complete" true "$(jq .complete "$STATE")"
    drain
    oracle --max-late 0 "$1"
    same "events" "$(tail -n +2 "$1" | LC_ALL=C sort -u | wc -l)" "$(count raw.events)"
}

empty_system() {
    rm -f "$STATE"
    fresh
    services
}

killed_and_continued() { # FILE FLAGS...
    local file=$1 flags=("${@:2}" --state-file "$STATE" --timeout "${LONG}s")
    empty_system
    killed_while_sending "${flags[@]}"
    continued "$file" "${flags[@]}"
}

# The web server sends the first rows and then nothing, so the run is killed while it reads. The
# producer requests a file three times: for its length, for its first event, and for its rows.
requests() { grep -c "^/newest.csv" "$WEB/requests"; }
reads_the_rows() { (($(requests) >= 3)); }
killed_while_sorting() {
    local flags=(--input "$WEB_URL/newest.csv" --order time --state-file "$STATE" --timeout "${LONG}s")
    cp "$NEWEST" "$WEB/newest.csv"
    empty_system
    web_mode stall
    program producer "${flags[@]}"
    killed "the rows are read" reads_the_rows
    web_mode ok
    grep 'event=sending' "$E2E_WORK/killed.log"
    if grep 'event=sorted' "$E2E_WORK/killed.log"; then return 1; fi
    same "records of the raw topic" "" "$(committed raw_events '%p\n')"
    killed_while_sending "${flags[@]}"
    grep "event=sorted rows=$(rows_of "$NEWEST")" "$E2E_WORK/killed.log"
    continued "$ROWS" "${flags[@]}"
}

check "parts that overlap: merged, killed and continued" \
    killed_and_continued "$ROWS" --input "$PARTS"
check "the same parts in a .zip: merged, killed and continued" \
    killed_and_continued "$ROWS" --input "$E2E_WORK/parts.zip"
check "the newest rows first: killed while they are sorted, killed while they are sent, and continued" \
    killed_while_sorting
check "the first rows of each day of a month: killed and continued" \
    killed_and_continued "$SELECTED" --input "$DAYS" --month 2019-10 --rows-per-day 1000
fresh
check "without ORDER=time, the newest rows first are refused before anything is sent" \
    refused 65 "backwards --order" producer --input "$NEWEST" --state-file none
same_end() { same "records of the raw topic" "" "$(committed raw_events '%p\n')"; }
check "nothing was sent" same_end
empty_stdin() { refused 64 "stdin no row" producer --input - --state-file none </dev/null; }
check "an empty standard input is bad input, as an empty file is" empty_stdin
