# shellcheck shell=bash
# Sourced by tests/all and .ci/run: runs parts that each end with `N passed, N failed`, and adds these
# sums up.
#
# The sum of a part is shown as "== NAME: ...", so that a line with the sum alone comes once, at the
# end. A part that ends without a sum, or with an exit code that contradicts its sum, is one more
# failure. A signal is passed on to the parts, which clean up.

passed=0 failed=0
PART_DIR=$(mktemp -d)
PART_PID=
PARALLEL=() # process ids of the parts that run in parallel
trap 'rm -rf "$PART_DIR"' EXIT
trap 'part_stopped 130' INT
trap 'part_stopped 143' TERM

part_stopped() {
    trap '' INT TERM
    local pid
    for pid in $PART_PID "${PARALLEL[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in $PART_PID "${PARALLEL[@]}"; do wait "$pid" || true; done
    exit "$1"
}

# parallel_begin COMMAND...: a part that runs in parallel with the others; parallel_end shows it.
parallel_begin() {
    "$@" </dev/null >"$PART_DIR/parallel.${#PARALLEL[@]}" 2>&1 &
    PARALLEL+=($!)
}

# parallel_end NAME...: waits for these parts; one name for each, in the order of their start.
parallel_end() {
    local number status
    for ((number = 0; number < ${#PARALLEL[@]}; number++)); do
        status=0
        wait "${PARALLEL[number]}" || status=$?
        # shellcheck disable=SC2016 # the shell that is started expands them
        part "$1" 60 bash -c 'cat "$0"; exit "$1"' "$PART_DIR/parallel.$number" "$status"
        shift
    done
    PARALLEL=()
}

# part NAME SECONDS COMMAND...
part() {
    local name=$1 limit=$2 status=0 sum began=$SECONDS filter
    shift 2
    rm -f "$PART_DIR"/{pipe,out}
    mkfifo "$PART_DIR/pipe"
    tee "$PART_DIR/out" <"$PART_DIR/pipe" | sed -u -E 's/^([0-9]+ passed, [0-9]+ failed)$/== '"$name"': \1/' &
    filter=$!
    # The readers of the pipe end when the part has closed it.
    timeout --kill-after=120 "$limit" "$@" </dev/null >"$PART_DIR/pipe" 2>&1 &
    PART_PID=$!
    wait "$PART_PID" || status=$?
    PART_PID=
    wait "$filter" || true
    sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$PART_DIR/out" | tail -n 1) || sum=
    if [[ -z $sum ]]; then
        printf '== %s: ended without a sum (exit code %d, limit %d s)\n' "$name" "$status" "$limit"
        failed=$((failed + 1))
        return 0
    fi
    passed=$((passed + ${sum%% *}))
    sum=${sum#*, }
    failed=$((failed + ${sum%% *}))
    if ((status != 0 && ${sum%% *} == 0)); then
        printf '== %s: reports no failure, but its exit code is %d\n' "$name" "$status"
        failed=$((failed + 1))
    fi
    printf '== %s took %d s\n' "$name" $((SECONDS - began))
}

# Prints the last line; its status is the exit code.
part_sum() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0 && passed > 0))
}
