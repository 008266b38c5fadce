#!/usr/bin/env bash
# INPUT=http://...: files on a web server that cuts connections, changes a file, or has another file than
# the checksum says; and SOURCES, a list of inputs.
source "$(dirname "$0")/lib.sh"
source "$E2E/web.sh"

ROWS=$E2E_WORK/few.csv
head -n 2001 "$E2E_WORK/replay.csv" >"$ROWS"
cp "$ROWS" "$WEB/few.csv"
gzip -c "$ROWS" >"$WEB/few.csv.gz"
sha_of() { sha256sum "$1" | cut -d' ' -f1; }
complete() {
    sql "SELECT reporting.reconcile()" >/dev/null
    sql "SELECT count(*) FROM reporting.segments WHERE complete"
}

remote() { # MODE NAME
    fresh
    services
    web_mode "$1"
    replay --input "$WEB_URL/$2#sha256=$(sha_of "$WEB/$2")"
    web_mode ok
    drain
    oracle --exact-counts --max-late 0 "$ROWS"
    same "complete segments" 1 "$(complete)"
}
check "a remote .csv.gz is the same as the file" remote ok few.csv.gz
check "a server that cuts each connection" remote cut few.csv
check "a server that cuts connections and ignores ranges" remote norange few.csv

fails() { # CODE TEXT MODE FLAGS...
    local want=$1 text=$2 status=0
    fresh
    services
    web_mode "$3"
    shift 3
    replay "$@" >"$E2E_WORK/remote.log" 2>&1 || status=$?
    web_mode ok
    cat "$E2E_WORK/remote.log"
    same "exit code" "$want" "$status"
    grep -qF -- "$text" "$E2E_WORK/remote.log"
    if grep -E 'geheim|leise' "$E2E_WORK/remote.log"; then return 1; fi
    drain
    same "complete segments" 0 "$(complete)"
}
check "a wrong checksum is not an end" fails 78 "SHA-256" ok \
    --input "${WEB_URL/\/\////user:geheim@}/few.csv.gz?key=leise#sha256=$(sha_of "$ROWS")"
check "a file that changes while it is read is not an end" fails 78 "was changed" changed --input "$WEB_URL/few.csv"
check "a file that does not exist" fails 64 "HTTP 404" ok --input "$WEB_URL/none.csv"

# ---- a list of inputs

LIST=$E2E_WORK/sources.json
jq -n --arg url "$WEB_URL/few.csv.gz" --arg sha "$(sha_of "$WEB/few.csv.gz")" --arg file "$ROWS" '[
    {name: "remote", input: $url, sha256: $sha},
    {name: "made", source: "synthetic", events: 100, "start-time": "2019-10-02 20:00:00"},
    {name: "file", input: $file}]' >"$LIST"

run_list() { # FLAGS...
    (cd "$E2E_WORK" && timeout "$LONG" "$BIN_DIR/producer" --kafka-brokers "$KAFKA_BROKERS" --http-port 0 \
        --timeout "${LONG}s" --sources "$LIST" "$@")
}
list_in_order() {
    fresh
    services
    run_list --only made
    drain
    same "rows of the one entry" 100 "$(counts_in)"
    run_list
    drain
    same "rows" $((200 + 2 * $(rows_of "$ROWS"))) "$(counts_in)"
    same "runs of segments" 4 "$(complete)"
}
check "each entry of a list is a segment, one after the other, or one of them alone" list_in_order

list_continues() {
    local status=0
    fresh
    rm -rf "$E2E_WORK/.producer-state" # the list was complete in the Kafka before
    services
    mv "$ROWS" "$ROWS.away"
    run_list >"$E2E_WORK/list.log" 2>&1 || status=$?
    mv "$ROWS.away" "$ROWS"
    cat "$E2E_WORK/list.log"
    same "exit code without the third input" 64 "$status"
    grep -E "event=source_failed .*source=file .*exit=64" "$E2E_WORK/list.log"
    if grep "the same command" "$E2E_WORK/list.log"; then return 1; fi
    run_list 2>&1 | tee "$E2E_WORK/list.log"
    same "entries that were skipped" 2 "$(grep -c event=source_skipped "$E2E_WORK/list.log")"
    drain
    same "rows" $((100 + 2 * $(rows_of "$ROWS"))) "$(counts_in)"
}
check "a list that ended early continues with the entry that failed" list_continues

# Without Kafka: the entries write to standard output.
jq -n '{source: "synthetic", "dry-run": true} |
    [. + {name: "three", events: 3}, . + {name: "slow", events: 1000, rate: 5}]' >"$E2E_WORK/dry.json"

dry_list() { # FLAGS...
    timeout "$LONG" "$BIN_DIR/producer" --state-file none --http-port 0 "$@" \
        2>"$E2E_WORK/dry.log" >"$E2E_WORK/dry.out"
}
ignored_child_signal() {
    env --ignore-signal=CHLD timeout "$LONG" "$BIN_DIR/producer" --state-file none --http-port 0 \
        --sources "$E2E_WORK/dry.json" --limit 3 >"$E2E_WORK/dry.out"
    same "rows of both entries" 6 "$(wc -l <"$E2E_WORK/dry.out")"
}
check "a list ends also if its parent ignores SIGCHLD" ignored_child_signal

same_signals() {
    local list entry mask
    "$BIN_DIR/producer" --state-file none --http-port 0 --sources "$E2E_WORK/dry.json" \
        2>"$E2E_WORK/dry.log" >"$E2E_WORK/dry.out" &
    list=$!
    wait_until "the second entry has begun" opened_twice
    entry=$(pgrep -P "$list")
    mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$entry/status")
    kill -TERM "$list"
    wait "$list"
    same "SIGCHLD in the blocked signals of the second entry" 0 "$((0x$mask >> 16 & 1))"
}
opened_twice() { (($(grep -c event=opened "$E2E_WORK/dry.log") == 2)); }
check "each entry of a list starts with the same blocked signals" same_signals

# A terminal sends INT to the whole process group. setsid gives the list a group of its own.
group_interrupt() {
    local list status=0
    rm -rf "$E2E_WORK/.producer-state"
    : >"$E2E_WORK/dry.log"
    (cd "$E2E_WORK" && exec setsid "$BIN_DIR/producer" --http-port 0 --sources dry.json) \
        2>"$E2E_WORK/dry.log" >"$E2E_WORK/dry.out" </dev/null &
    list=$!
    wait_until "the second entry has begun" opened_twice
    kill -INT -- "-$list"
    wait "$list" || status=$?
    cat "$E2E_WORK/dry.log"
    same "exit code" 0 "$status"
    same "stop requests" 1 "$(grep -c event=shutdown_requested "$E2E_WORK/dry.log")"
    grep -E "event=sources_interrupted .*source=slow .*the same command continues" "$E2E_WORK/dry.log"
    if grep event=forced_exit "$E2E_WORK/dry.log"; then return 1; fi
}
check "Ctrl-C, which goes to the whole process group, stops a list once" group_interrupt

jq -n '{source: "synthetic"} | [. + {name: "one", events: 3}, . + {name: "two", events: 4}]' >"$E2E_WORK/made.json"

made_rows() { # FLAGS...: the number of rows that a list writes
    (cd "$E2E_WORK" && timeout "$LONG" "$BIN_DIR/producer" --http-port 0 --sources made.json "$@" 2>made.log >made.out)
    cat "$E2E_WORK/made.log" >&2
    grep -cE '^(2019-|[{])' "$E2E_WORK/made.out" || true
}
complete_list() {
    rm -rf "$E2E_WORK/.producer-state"
    same "rows of a check of the settings" 0 "$(made_rows --output - --check-config)"
    same "rows without sending" 7 "$(made_rows --dry-run)"
    same "rows" 7 "$(made_rows --output -)"
    same "rows of the same command" 0 "$(made_rows --output -)"
    same "log lines" 1 "$(wc -l <"$E2E_WORK/made.log")"
    grep -E "event=sources_complete .*--resume=false" "$E2E_WORK/made.log"
    same "rows of another selection" 4 "$(made_rows --output - --limit 2)"
    same "rows with --resume=false" 7 "$(made_rows --output - --resume=false)"
    same "rows of the same command after that" 0 "$(made_rows --output -)"
    same "rows without a state file" 7 "$(made_rows --output - --state-file none)"
}
check "a complete list that is started again sends nothing, until --resume=false" complete_list

whole_list() { # NAME VALUE
    local status=0
    dry_list --sources "$E2E_WORK/dry.json" "--${1,,}" "$2" || status=$?
    same "exit code" 64 "$status"
    grep -F "$1=$2 and SOURCES=" "$E2E_WORK/dry.log"
}
check "LOOP for a complete list is refused" whole_list LOOP 2
check "EVERY for a complete list is refused" whole_list EVERY 3h
loop_of_one() {
    dry_list --sources "$E2E_WORK/dry.json" --only three --loop 2
    same "rows" 6 "$(wc -l <"$E2E_WORK/dry.out")"
}
check "LOOP for one entry repeats it" loop_of_one

# ---- the downloader

download() { # MODE FILE SHA256
    printf '# a list\n%s/%s %s\n' "$WEB_URL" "$2" "$3" >"$E2E_WORK/files"
    web_mode "$1"
    LIST=$E2E_WORK/files timeout "$LONG" "$ROOT/deploy/local/download" "$E2E_WORK/data" "$2" 2>&1
}
downloads() {
    download cut few.csv.gz "$(sha_of "$WEB/few.csv.gz")"
    cmp "$WEB/few.csv.gz" "$E2E_WORK/data/few.csv.gz"
    download 500 few.csv.gz 00 | grep -F "already there"
    download ok none.csv 00 >"$E2E_WORK/download.log" && return 1
    grep -F "HTTP 404" "$E2E_WORK/download.log"
    download ok few.csv 00 >"$E2E_WORK/download.log" && return 1
    grep -F "another checksum" "$E2E_WORK/download.log"
    same "files" few.csv.gz "$(ls "$E2E_WORK/data")"
}
check "make download continues after cuts, and keeps only files with the right checksum" downloads
