# shellcheck shell=bash
# Sourced by the benchmarks that start a private stack: tests/bench/bench and tests/bench/peers/run.
# It has its own folder in $TMPDIR and its own ports. bench_begin deletes both at the end of the
# script.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
EVENTS=${EVENTS:-2000000}
RUNS=${RUNS:-1}
BENCH_BIN=${BENCH_BIN:-$ROOT/build/release/bench}
export BIN_DIR=${BIN_DIR:-$ROOT/build/release/bin}
PRIORITY=${PRIORITY:-0}
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
    local code=$?
    "$STACK" clean >/dev/null 2>&1 || true
    rm -rf "$LOCAL_DIR"
    give_ports_back
    exit "$code"
}

# Checks the settings, and arranges the end.
bench_begin() {
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
