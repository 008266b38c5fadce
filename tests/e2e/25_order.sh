#!/usr/bin/env bash
# Parts that overlap, and an export with the newest rows first: killed (kill -9) in the middle and
# continued, all rows are events, none is late, and the recount agrees.
source "$(dirname "$0")/lib.sh"

ROWS=$E2E_WORK/rows.csv PARTS=$E2E_WORK/parts NEWEST=$E2E_WORK/newest.csv STATE=$E2E_WORK/producer.state
"$BIN_DIR/producer" --source synthetic --events 6000 --seed 12 --duplicates 0.01 --output "$ROWS"
mkdir "$PARTS"
for part in 0 1 2; do
    awk -v part="$part" 'NR == 1 || NR % 3 == part' "$ROWS" >"$PARTS/part-$part.csv"
done
{ head -n 1 "$ROWS"; tail -n +2 "$ROWS" | tac; } >"$NEWEST"

rows_are_saved() { jq -e '.rows > 0' "$STATE" >/dev/null 2>&1; }

killed_and_continued() { # FLAGS...
    local flags=("$@" --state-file "$STATE" --timeout "${LONG}s")
    rm -f "$STATE"
    fresh
    services
    # The run would need longer than LONG, so it is killed before its end.
    program producer "${flags[@]}" --rate $((6000 / (2 * LONG) + 1))
    "${PROGRAM[@]}" 3>&- 9>&- &
    wait_until "some rows are saved" rows_are_saved
    kill -KILL $!
    wait $! || true
    same "the segment is complete" false "$(jq .complete "$STATE")"
    refused 0 "event=resumed event=finished" producer "${flags[@]}"
    same "the segment is complete" true "$(jq .complete "$STATE")"
    drain
    oracle --max-late 0 "$ROWS"
}

check "parts that overlap: merged, killed and continued" killed_and_continued --input "$PARTS"
check "the newest rows first: sorted, killed and continued" \
    killed_and_continued --input "$NEWEST" --order time
fresh
check "without ORDER=time, the newest rows first are refused before anything is sent" \
    refused 65 "backwards --order" producer --input "$NEWEST" --state-file none
same_end() { same "records of the raw topic" "" "$(committed raw_events '%p\n')"; }
check "nothing was sent" same_end
empty_stdin() { refused 64 "stdin no row" producer --input - --state-file none </dev/null; }
check "an empty standard input is bad input, as an empty file is" empty_stdin
