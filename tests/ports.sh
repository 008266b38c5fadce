# shellcheck shell=bash
# Sourced by whatever starts a private stack: tests/e2e/run, tests/soak/run, tests/bench/bench.

# A hundred ports that nobody uses, ours for as long as descriptor 9 is open (the stack closes it for its daemons). Below
# the range from which Linux takes ports for outgoing connections.
take_ports() {
    local base port taken tries
    for ((tries = 0; tries < 50; tries++)); do
        base=$((20000 + RANDOM % 120 * 100))
        exec 9>"${TMPDIR:-/tmp}/funnel-test-ports-$UID-$base.lock"
        flock -n 9 || continue
        taken=0
        for port in {0..3} {11..49}; do
            if (exec 8<>"/dev/tcp/127.0.0.1/$((base + port))") 2>/dev/null; then taken=1; break; fi
        done
        if ((!taken)); then
            export KAFKA_PORT=$base KAFKA_CONTROLLER_PORT=$((base + 1)) REGISTRY_PORT=$((base + 2)) POSTGRES_PORT=$((base + 3)) HTTP_BASE_PORT=$base
            return 0
        fi
    done
    return 1
}
