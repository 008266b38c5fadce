# shellcheck shell=bash
# Sourced by the scripts that start a private stack: tests/e2e/run, tests/soak/run, tests/bench/bench.

# take_ports: reserves a hundred free ports while descriptor 9 is open (the stack closes it for its
# daemons). They are below the range from which Linux takes ports for outgoing connections.
take_ports() {
    local base port tries lock
    for ((tries = 0; tries < 50; tries++)); do
        base=$((20000 + RANDOM % 120 * 100))
        lock=${TMPDIR:-/tmp}/funnel-test-ports-$UID-$base.lock
        exec 9>"$lock"
        # Else it is in use, or its owner has just removed it.
        { flock -n 9 && [[ $lock -ef /proc/self/fd/9 ]]; } || continue
        PORTS_LOCK=$lock
        for port in {0..5} {11..62}; do
            if (exec 8<>"/dev/tcp/127.0.0.1/$((base + port))") 2>/dev/null; then
                give_ports_back
                continue 2
            fi
        done
        export KAFKA_PORT=$base KAFKA_CONTROLLER_PORT=$((base + 1)) REGISTRY_PORT=$((base + 2))
        export POSTGRES_PORT=$((base + 3)) HTTP_BASE_PORT=$base
        export KAFKA_MTLS_PORT=$((base + 4)) REGISTRY_BACKEND_PORT=$((base + 5)) # with SECURE=1
        return 0
    done
    return 1
}

# For the end of a run. The file is removed while the lock is held.
give_ports_back() {
    [[ -z ${PORTS_LOCK:-} ]] || rm -f "$PORTS_LOCK"
    PORTS_LOCK=
}
