# shellcheck shell=bash
# Sourced by tests/all and .ci/run: runs parts that each end with `N passed, N failed`, and adds them up.
#
# A part's own sum is shown as "== NAME: ...", so that the bare form stands once, at the end. A part that ends without a
# sum, or whose exit code disagrees with it, is one failure more. A signal to us goes on to the part, which cleans up.

passed=0 failed=0
PART_DIR=$(mktemp -d)
PART_PID=
trap 'rm -rf "$PART_DIR"' EXIT
trap 'part_stopped 130' INT
trap 'part_stopped 143' TERM

part_stopped() {
    trap '' INT TERM
    if [[ -n $PART_PID ]]; then
        kill -TERM "$PART_PID" 2>/dev/null || true
        wait "$PART_PID" || true
    fi
    exit "$1"
}

# part NAME SECONDS COMMAND...
part() {
    local name=$1 limit=$2 status=0 sum began=$SECONDS filter
    shift 2
    rm -f "$PART_DIR"/*
    mkfifo "$PART_DIR/pipe"
    tee "$PART_DIR/out" <"$PART_DIR/pipe" | sed -u -E 's/^([0-9]+ passed, [0-9]+ failed)$/== '"$name"': \1/' &
    filter=$!
    # The pipe's readers last until the part has said its last word.
    timeout --kill-after=120 "$limit" "$@" </dev/null >"$PART_DIR/pipe" 2>&1 &
    PART_PID=$!
    wait "$PART_PID" || status=$?
    PART_PID=
    wait "$filter" || true
    sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$PART_DIR/out" | tail -n 1) || sum=
    if [[ -z $sum ]]; then
        printf '== %s: ended without a sum (exit %d, limit %d s)\n' "$name" "$status" "$limit"
        failed=$((failed + 1))
        return 0
    fi
    passed=$((passed + ${sum%% *}))
    sum=${sum#*, }
    failed=$((failed + ${sum%% *}))
    if ((status != 0 && ${sum%% *} == 0)); then
        printf '== %s: says that nothing failed, and ends with %d\n' "$name" "$status"
        failed=$((failed + 1))
    fi
    printf '== %s took %d s\n' "$name" $((SECONDS - began))
}

# The last line, and the exit code.
part_sum() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0 && passed > 0))
}
