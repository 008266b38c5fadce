# shellcheck shell=bash
# Sourced by whatever starts a private stack: tests/e2e/run, tests/soak/run, tests/bench/bench.

# A hundred ports that nobody uses, ours for as long as descriptor 9 is open (the stack closes it for its daemons). Below
# the range from which Linux takes ports for outgoing connections.
take_ports() {
    local base port tries lock
    for ((tries = 0; tries < 50; tries++)); do
        base=$((20000 + RANDOM % 120 * 100))
        lock=${TMPDIR:-/tmp}/funnel-test-ports-$UID-$base.lock
        exec 9>"$lock"
        { flock -n 9 && [[ $lock -ef /proc/self/fd/9 ]]; } || continue # in use, or just removed by who had it
        PORTS_LOCK=$lock
        for port in {0..3} {11..49}; do
            if (exec 8<>"/dev/tcp/127.0.0.1/$((base + port))") 2>/dev/null; then give_ports_back; continue 2; fi
        done
        export KAFKA_PORT=$base KAFKA_CONTROLLER_PORT=$((base + 1)) REGISTRY_PORT=$((base + 2)) POSTGRES_PORT=$((base + 3)) HTTP_BASE_PORT=$base
        return 0
    done
    return 1
}

# At the end: the file goes while the lock is held.
give_ports_back() {
    [[ -z ${PORTS_LOCK:-} ]] || rm -f "$PORTS_LOCK"
    PORTS_LOCK=
}
