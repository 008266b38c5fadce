# shellcheck shell=bash
# Sourced by the benchmarks that start a private stack: tests/bench/bench, tests/bench/month and
# tests/bench/peers/run. It has its own folder in $TMPDIR and its own ports. bench_begin deletes both
# at the end of the script. With KEEP=true, the stack runs on.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
EVENTS=${EVENTS:-2000000}
RUNS=${RUNS:-1}
BENCH_BIN=${BENCH_BIN:-$ROOT/build/release/bench}
export BIN_DIR=${BIN_DIR:-$ROOT/build/release/bin}
PRIORITY=${PRIORITY:-0}
KEEP=${KEEP:-false}
export REPLICAS_lake=${REPLICAS_lake:-0} # the lake is measured by itself

export CACHE_DIR=${CACHE_DIR:-$ROOT/.local/cache}
export LOCAL_DIR
LOCAL_DIR=$(mktemp -d "${TMPDIR:-/tmp}/funnel-bench.XXXXXX")
# The PostgreSQL cluster runs as another user than root, who must be able to enter the folder.
chmod 755 "$LOCAL_DIR"
# shellcheck source=../ports.sh
source "$ROOT/tests/ports.sh"
take_ports
# shellcheck source=../../deploy/local/lib.sh
source "$ROOT/deploy/local/lib.sh"
STACK=$ROOT/deploy/local/stack
RESULTS=$LOCAL_DIR/results

finish() {
    local code=$? job
    for job in $(jobs -p); do kill -TERM "$job" 2>/dev/null || true; done
    if [[ $KEEP == true ]]; then
        printf 'the stack still runs; to delete it: LOCAL_DIR=%s %s clean\n' "$LOCAL_DIR" "$STACK"
    else
        "$STACK" clean >/dev/null 2>&1 || true
        rm -rf "$LOCAL_DIR"
    fi
    give_ports_back
    exit "$code"
}

# Checks the settings, and arranges the end.
bench_begin() {
    [[ $KEEP == true || $KEEP == false ]] || die "invalid value '$KEEP' for KEEP: expected true or false"
    [[ $EVENTS =~ ^[1-9][0-9]*$ && $RUNS =~ ^[1-9][0-9]*$ && $PRIORITY =~ ^-?[0-9]+$ ]] ||
        die "invalid EVENTS '$EVENTS', RUNS '$RUNS' or PRIORITY '$PRIORITY': expected numbers"
    trap finish EXIT
    trap 'exit 130' INT TERM
    make_dirs
    export KAFKA_BROKERS SCHEMA_REGISTRY_URL TOPIC_PREFIX
}

# prioritise PID. With autogroups, a nice value only counts within its session. So the priority of
# the session is set too.
prioritise() {
    [[ $PRIORITY != 0 ]] || return 0
    local pid=$1
    renice -n "$PRIORITY" -p "$pid" >/dev/null 2>&1 || true
    { printf '%s\n' "$PRIORITY" >"/proc/$pid/autogroup"; } 2>/dev/null || true
}

prioritise_daemons() {
    local name pid
    for name in "$@"; do
        if pid=$(pid_of "$name"); then prioritise "$pid"; fi
        [[ $name != postgres || $PRIORITY == 0 ]] || prioritise_backends "$pid" &
    done
}

# prioritise_backends PID: every process of PostgreSQL begins a session, so it does not inherit the
# priority of the session of the first one.
prioritise_backends() {
    local -A seen=()
    local -a pids=()
    local pid
    while [[ -d /proc/$1 ]]; do
        # The list has no end of line, so read fails.
        { read -r -a pids <"/proc/$1/task/$1/children" || true; } 2>/dev/null
        for pid in "${pids[@]}"; do
            [[ -n ${seen[$pid]:-} ]] || prioritise "$pid"
            seen[$pid]=1
        done
        sleep 1
    done
}

now_ms() { local t=${EPOCHREALTIME/[.,]/}; printf '%s\n' "${t%???}"; }

# cpu_seconds PID: user + system time of a process.
cpu_seconds() {
    local stat
    read -r stat <"/proc/$1/stat"
    read -r -a stat <<<"${stat##*) }"
    awk -v ticks=$((stat[11] + stat[12])) -v hz="$(getconf CLK_TCK)" \
        'BEGIN {printf "%.2f\n", ticks / hz}'
}

peak_kib() { awk '/^VmHWM/ {print $2}' "/proc/$1/status"; }

# result NAME EVENTS WALL_SECONDS CPU_SECONDS PEAK_KIB
result() {
    local IFS=$'\t'
    printf '%s\n' "$*" >>"$RESULTS"
}

wall_since() { awk -v ms=$(($(now_ms) - $1)) 'BEGIN {printf "%.3f\n", ms / 1000}'; }

# ---- the database

# ask SQL: needs POSTGRES_DSN.
# shellcheck disable=SC2153 # set by the script that sources this
ask() { psql -XqAt -v ON_ERROR_STOP=1 -d "$POSTGRES_DSN" -c "$1"; }

# The reports have all rows that are final.
reports_wait() {
    until [[ $(ask "SELECT coalesce(sum(events), 0) FROM processed.load_batches") == 0 ]]; do
        sleep 0.5
    done
}

# ---- parts: CPU time and memory of each

# Lets the owner of the database see the names of other logins' sessions.
show_sessions() {
    local -a as=()
    ((EUID != 0)) || as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    "${as[@]}" psql -XqAt -v ON_ERROR_STOP=1 -h "$LOCAL_DIR/postgres/socket" -p "$POSTGRES_PORT" \
        -U postgres -d postgres -c 'GRANT pg_read_all_stats TO funnel_owner' ||
        die "the owner of the database cannot see the sessions of pg-loader"
}

parts_begin() {
    show_sessions
    "$ROOT/tests/bench/cpu_parts" "$RUN_DIR" "$POSTGRES_DSN" >"$LOCAL_DIR/parts" &
    PARTS_PID=$!
}

parts_end() {
    kill -TERM "$PARTS_PID"
    wait "$PARTS_PID"
}

parts_print() {
    awk -F'\t' -v n="$EVENTS" '
        {
            all += $2
            peak = $3 > 0 ? sprintf(" %8.0f MiB", $3 / 1024) : ""
            printf "%-40s %9.2f CPU s %8.2f us per event%s\n", $1, $2, $2 * 1e6 / n, peak
        }
        END {printf "%-40s %9.2f CPU s %8.2f us per event\n", "all", all, all * 1e6 / n}
    ' "$LOCAL_DIR/parts"
}

# Bytes per event of each table, with its indexes. The days of a table are one.
table_sizes() {
    ask "SELECT name || ' ' || round(sum(pg_total_relation_size(oid))::numeric / $EVENTS, 1) || ' bytes per event'
         FROM (SELECT coalesce(i.inhparent, c.oid)::regclass::text AS name, c.oid
               FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relkind = 'r') AS t
         WHERE name !~ '^pg_' GROUP BY name HAVING sum(pg_total_relation_size(oid)) >= $EVENTS
         ORDER BY name" | sed 's/^/    /'
}
