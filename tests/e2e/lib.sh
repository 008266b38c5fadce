# shellcheck shell=bash
# Shared by all scenarios: checks and their record, the private stack, replays, waiting, and queries of
# Kafka and PostgreSQL. Every scenario sources this file; `run` has started the stack and exports its
# addresses.
#
# A scenario is a straight script. A step that fails outside a check ends the scenario and counts as a
# failed check, as the following steps would have no meaning. A check that fails is recorded, and the
# scenario continues.
#
# No check depends on time. Deadlines only keep a broken part from hanging the suite. They are generous,
# because the machine may be busy.

# shellcheck source=../../deploy/local/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/local/lib.sh"
E2E=$ROOT/tests/e2e
STACK=$HERE/stack
: "${E2E_RESULTS:?run scenarios by tests/e2e/run}" "${E2E_WORK:?}"
SCENARIO=$(basename "$0" .sh)
LONG=${E2E_LONG:-180} # seconds after which a step counts as hanging
DSN=$(dsn)

# ---- checks

now_ms() { local t=${EPOCHREALTIME/[.,]/}; printf '%s\n' "${t%???}"; }

# record RESULT NAME MILLISECONDS [WHY]
record() {
    local line
    line=$(printf '%s %s: %s (%d.%d s)%s' "$(printf '%-4s' "$1")" "$SCENARIO" "$2" $(($3 / 1000)) $(($3 % 1000 / 100)) "${4:+: $4}")
    say "$line" >&3
    printf '%s\n' "$line" >>"$E2E_RESULTS"
}

# check NAME COMMAND...: runs it in a subshell with set -e, and records the result.
check() {
    local name=$1 began out status=0
    shift
    began=$(now_ms)
    out=$(mktemp -p "$E2E_WORK")
    set +e
    (set -e; "$@") >"$out" 2>&1
    status=$?
    set -e
    if ((status == 0)); then
        record ok "$name" $(($(now_ms) - began))
    else
        record FAIL "$name" $(($(now_ms) - began)) "exit $status: $(tail -n 4 "$out" | tr '\n' ' ' | cut -c1-400)"
    fi
    printf -- '---- %s: exit %d\n' "$name" "$status"
    cat "$out"
    rm -f "$out"
    return 0
}

same() { # WHAT EXPECTED ACTUAL
    [[ "$2" == "$3" ]] || { warn "$1: expected '$2', found '$3'"; return 1; }
}

# The end of the scenario's log in one line: the last failure that a program reported in the last 30
# lines, and the last 3 lines.
end_of_log() {
    local log=$LOG_DIR/$SCENARIO.scenario.log
    { tail -n 30 "$log" | head -n -3 | grep -a 'event=failed' | tail -n 1; tail -n 3 "$log"; } |
        tr '\n' ' ' | cut -c1-1200
}

STARTED=() # process ids of the scenario's own servers and programs: they end with it
# A scenario that ends early leaves no proxy to the next one.
scenario_ended() {
    local status=$?
    ((${#STARTED[@]} == 0)) || kill "${STARTED[@]}" 2>/dev/null || true
    ((${#STARTED[@]} == 0)) || wait "${STARTED[@]}" || true
    ((status == 0)) || record FAIL "runs to its end" 0 \
        "line ${E2E_LINE:-?}: ${E2E_COMMAND:-?} (exit $status): $(end_of_log)"
    [[ -z ${PROXY:-} ]] || proxy_end || record FAIL "Kafka has its own port again" 0 "$(end_of_log)"
    printf '%d\n' "$status" >"$E2E_RESULTS.done"
}
set -eE
# The line that failed, and those of its callers.
trap 'E2E_LINE="$LINENO ${BASH_LINENO[*]/#/< }" E2E_COMMAND=$BASH_COMMAND' ERR
trap scenario_ended EXIT
# Results of checks go to the terminal, all other output of a scenario to its log.
exec 3>&1 >>"$LOG_DIR/$SCENARIO.scenario.log" 2>&1

# wait_until WHAT COMMAND...
wait_until() {
    local what=$1 deadline=$((SECONDS + LONG))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || { warn "waited $LONG s in vain until $what"; return 1; }
        sleep 0.1
    done
}

# ---- the stack

# Empties topics, offsets and tables, stops the services, and starts new logs for them.
fresh() {
    local log
    stack reset
    rm -f "$E2E_WORK"/*.state
    for log in "$LOG_DIR"/*-[1-9].log; do
        [[ ! -e $log ]] || { cat "$log" >>"${log%.log}.$SCENARIO.earlier.log"; rm "$log"; }
    done
}

# The daemons of the stack must not keep our standard output open.
stack() { timeout $((LONG + 20)) "$STACK" "$@" 3>&-; }
services() { stack services; }
stop_services() { stack stop-services; }
start() { stack start "$@"; }
crash() { stack kill "$1"; }
# All rows are in PostgreSQL. all_reported: and in the reports.
drain() { stack wait --wait-timeout "${LONG}s" --wait-reports=false; }
all_reported() { stack wait --wait-timeout "${LONG}s"; }

# program NAME [NAME=VALUE...] [--flags]: sets PROGRAM, a command that runs it without the stack.
program() {
    local name=$1
    shift
    PROGRAM=(env "KAFKA_BROKERS=$KAFKA_BROKERS" "SCHEMA_REGISTRY_URL=$SCHEMA_REGISTRY_URL" "POSTGRES_DSN=$DSN" HTTP_PORT=0
        "INSTANCE_ID=$name-1")
    while (($#)) && [[ $1 =~ ^[A-Z_]+= ]]; do PROGRAM+=("$1"); shift; done
    PROGRAM+=("$BIN_DIR/$name" "$@")
}

# refused CODE TEXT NAME [SETTINGS...]: the program ends with this code, and prints each word of TEXT.
refused() {
    local want=$1 text=$2 status=0 word out=$E2E_WORK/refused.$BASHPID
    shift 2
    program "$@"
    timeout "$LONG" "${PROGRAM[@]}" >"$out" 2>&1 || status=$?
    cat "$out"
    same "exit code of $1" "$want" "$status" || return 1
    for word in $text; do
        grep -qiF -- "$word" "$out" || { warn "the output lacks '$word'"; return 1; }
    done
}

http_get() { curl -fsS -m 5 "http://127.0.0.1:$(http_port "$1")/$2"; }
http_port() { # as deploy/local/stack assigns them
    local -A decade=([bronze-sink]=1 [funnel-aggregator]=2 [pg-loader]=3 [producer]=4 [lake]=5)
    printf '%s\n' $((HTTP_BASE_PORT + 10 * ${decade[${1%-*}]} + ${1##*-}))
}

# ---- replays

# replay [FLAGS...]: a complete run of the producer, which must succeed.
replay() {
    timeout "$LONG" "$BIN_DIR/producer" --kafka-brokers "$KAFKA_BROKERS" --state-file none \
        --schema-registry-url "$SCHEMA_REGISTRY_URL" --http-port 0 --timeout "${LONG}s" "$@"
}

# A run in the background with a rate limit and a state file.
replay_begin() { # FILE RATE
    start producer -- --input "$1" --rate "$2" --state-file "$E2E_WORK/producer.state" \
        --timeout "${LONG}s"
}
replay_ended() { ! is_up producer-1; }
replay_end() {
    wait_until "the producer ends" replay_ended
    tail -n 3 "$LOG_DIR/producer-1.log" | grep -q 'event=stopped .*exit=0' || {
        warn "the producer has failed"
        tail -n 5 "$LOG_DIR/producer-1.log" >&2
        return 1
    }
}

rows_of() { grep -avc '^event_time,' "$1"; }

# in_halves FILE: its rows as two files, FIRST and SECOND. A fault comes while FIRST is replayed, and
# SECOND is replayed after the fault: so there is always input left, however slow the machine is.
in_halves() {
    local half=$(($(rows_of "$1") / 2))
    FIRST=$E2E_WORK/first.csv SECOND=$E2E_WORK/second.csv
    head -n $((half + 1)) "$1" >"$FIRST"
    { head -n 1 "$1"; tail -n +$((half + 2)) "$1"; } >"$SECOND"
}

# in_the_middle FILE: waits until a fifth of FILE's rows is in the database, and fails if more than
# three fifths are. It cannot fail while only FIRST of in_halves is replayed.
in_the_middle() {
    local rows loaded
    rows=$(rows_of "$1")
    wait_until "a fifth of $1 is in the database" loaded_at_least $((rows / 5))
    loaded=$(count raw.events)
    printf 'in the middle: %d of %d rows are loaded\n' "$loaded" "$rows"
    ((loaded < rows * 3 / 5)) || {
        warn "$loaded of $rows rows are loaded: more than three fifths, so this is not the middle"
        return 1
    }
}
loaded_at_least() { (($(count raw.events) >= $1)); }

# ---- PostgreSQL

sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DSN" -c "$1"; }
# As the login of pg-loader, which may end its own sessions.
loader_sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$(dsn loader)" -c "$1"; }
count() { sql "SELECT count(*) FROM $1"; }
oracle() { PSQL=psql timeout $((2 * LONG)) "$E2E/oracle" --dsn "$DSN" "$@"; }

# When everything is loaded: all layers have the same events, every kind of check has a row, and each row
# is ok. Waits for a refresh of the loader that runs.
reconciled() {
    sql "SELECT reporting.reconcile()"
    same "rows of reporting.reconciliation that are not ok" "" \
        "$(sql "SELECT check_name, subject, expected, actual, state FROM reporting.reconciliation
            WHERE state <> 'ok'")"
    local kinds="bronze doubles,day events,day revenue,partition events,segment rows,visit events,visit revenue"
    same "kinds of checks" "$kinds" \
        "$(sql "SELECT string_agg(DISTINCT check_name, ',' ORDER BY check_name) FROM reporting.reconciliation")"
}

# The rows that a replay must not change. Without `final`, which only says that time has passed.
snapshot() { # FILE
    psql -X -q -v ON_ERROR_STOP=1 -d "$DSN" >"$1" <<'SQL'
SET TimeZone = 'UTC';
\copy (SELECT to_jsonb(t) - 'loaded_at' FROM raw.events t ORDER BY event_date, event_id) TO STDOUT
\copy (SELECT to_jsonb(t) - 'loaded_at' - 'final' FROM processed.funnel_aggregates t ORDER BY rollup, window_start, window_end, group_value) TO STDOUT
\copy (SELECT to_jsonb(t) - 'loaded_at' - 'final' FROM processed.session_funnels t ORDER BY user_session, visit_start) TO STDOUT
SQL
}

same_snapshot() { cmp "$1" "$2" || { diff "$1" "$2" | head -n 6; return 1; }; }

counts_of_sink() { sql "SELECT coalesce(sum($1), 0) FROM processed.counts WHERE service = 'bronze-sink'"; }
counts_in() { counts_of_sink records_in; }
counts_duplicates() { counts_of_sink duplicates; }

# ---- Kafka

topic() { printf '%s%s\n' "$TOPIC_PREFIX" "$1"; }

# Committed records of a topic, one line for each.
committed() { # TOPIC FORMAT
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -C -q -e -o beginning -X isolation.level=read_committed \
        -t "$(topic "$1")" -f "$2"
}

records_of() { committed "$1" '%S\n' | awk '$1 >= 0' | wc -l; } # TOPIC: those with a value
partitions_of_topic() { # FULL_TOPIC: their numbers
    kcat -b "$KAFKA_BROKERS" -L -J -t "$1" | jq '.topics[0].partitions[].partition' | sort -n
}
end_of() { kcat -b "$KAFKA_BROKERS" -Q -t "$1:$2:-1" | sed 's/.* offset //'; } # FULL_TOPIC PARTITION

# From now on clients reach Kafka through a proxy of this folder. Files in PROXY_CONTROL control it.
proxy_begin() { # [PROXY]: lossy_proxy by default
    PROXY_CONTROL=$E2E_WORK/proxy PROXY_PORT=$((HTTP_BASE_PORT + 60))
    mkdir -p "$PROXY_CONTROL"
    stack stop kafka
    "$E2E/${1:-lossy_proxy}" "$PROXY_PORT" "$KAFKA_PORT" "$PROXY_CONTROL" 3>&- 9>&- &
    PROXY=$!
    KAFKA_ADVERTISED_PORT=$PROXY_PORT start kafka
}
proxy_end() {
    kill "$PROXY"
    PROXY=
    stack stop kafka
    start kafka
}

# Sends the bytes of a file as one record, without the producer.
send_file() { # TOPIC FILE [KCAT FLAGS...]
    local name=$1 file=$2
    shift 2
    timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -X partitioner=murmur2_random \
        -X message.max.bytes=6000000 -t "$(topic "$name")" "$@" "$file"
}

# The branches of each funnel add up to its viewers, and those with purchases to its orders.
branches_add_up() {
    local view
    for view in funnel_by_day funnel_by_minute funnel_by_hour_category; do
        same "rows of $view that do not add up; some bought via the cart, some without, some left" "0|t|t|t" "$(sql "
            SELECT count(*) FILTER (WHERE (view_sessions, orders) IS DISTINCT FROM (bought_via_cart
                       + bought_without_cart + bought_before_view + left_without_purchase,
                       bought_via_cart + bought_without_cart + bought_before_view + orders_without_view)),
                   sum(bought_via_cart) > 0, sum(bought_without_cart) > 0, sum(left_without_purchase) > 0
            FROM reporting.$view")"
    done
    same "buyers whose visit has a drop-off stage, or no flags" 0 "$(count "processed.session_funnels
        WHERE purchases > 0 AND (drop_off_stage IS NOT NULL OR view_purchase IS NULL OR view_cart_purchase IS NULL)")"
    same "visits that viewed, by branch, are all that viewed" \
        "$(count "processed.session_funnels WHERE views > 0")|$(count "processed.session_funnels WHERE purchases > 0")" \
        "$(sql "SELECT sum(views), sum(purchases) FROM (SELECT left_after, count(*) FILTER (WHERE views > 0) AS views,
                    count(*) FILTER (WHERE purchases > 0 AND (left_after LIKE 'bought %' OR left_after = 'completed'))
                        AS purchases FROM reporting.fct_session_funnel GROUP BY 1) AS branch")"
}

# Sends the rows of a CSV to the raw topic without the producer: without controls, to any partition.
send_rows() { # FILE [KCAT FLAGS...]
    local file=$1
    shift
    paste -d '\t' <(awk -F, 'NR > 1 { print $9 != "" ? $9 : "user:" $8 }' "$file") \
        <("$BIN_DIR/producer" --input "$file" --dry-run --state-file none) |
        timeout "$LONG" kcat -b "$KAFKA_BROKERS" -P -K $'\t' -X partitioner=murmur2_random \
            -t "$(topic raw_events)" "$@"
}

# The last value per key of a topic equals the row of the table, and (revision, final) of a key never
# decreases.
topic_equals_table() { # TOPIC
    local values=$E2E_WORK/$1.topic table=$E2E_WORK/$1.table
    committed "$1" '%K %k%R%s' | "$E2E/last_values" "$ROOT/schemas/$1.avsc" >"$values"
    "$E2E/last_values" --query "$ROOT/schemas/$1.avsc" |
        psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DSN" -f - | LC_ALL=C sort >"$table"
    [[ -s $table ]] || { warn "the table is empty"; return 1; }
    cmp "$values" "$table" || { diff "$values" "$table" | head -n 6; return 1; }
}
