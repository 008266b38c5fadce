# shellcheck shell=bash
# Sourced by tests/all and .ci/run: runs parts that each end with `N passed, N failed`, and adds them up.
#
# A part's own sum is shown as "== NAME: ...", so that the bare form stands once, at the end. A part that ends without a
# sum, or whose exit code disagrees with it, is one failure more. A signal to us goes on to the parts, which clean up.

passed=0 failed=0
PART_DIR=$(mktemp -d)
PART_PID=
BESIDE=() # process ids of what runs beside
trap 'rm -rf "$PART_DIR"' EXIT
trap 'part_stopped 130' INT
trap 'part_stopped 143' TERM

part_stopped() {
    trap '' INT TERM
    local pid
    for pid in $PART_PID "${BESIDE[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in $PART_PID "${BESIDE[@]}"; do wait "$pid" || true; done
    exit "$1"
}

# beside_begin COMMAND...: a part that runs beside the others and is shown by beside_end.
beside_begin() {
    "$@" </dev/null >"$PART_DIR/beside.${#BESIDE[@]}" 2>&1 &
    BESIDE+=($!)
}

# beside_end NAME...: the names of all that run beside, in the order of their beginning.
beside_end() {
    local number status
    for ((number = 0; number < ${#BESIDE[@]}; number++)); do
        status=0
        wait "${BESIDE[number]}" || status=$?
        # shellcheck disable=SC2016 # for the shell that is started
        part "$1" 60 bash -c 'cat "$0"; exit "$1"' "$PART_DIR/beside.$number" "$status"
        shift
    done
    BESIDE=()
}

# part NAME SECONDS COMMAND...
part() {
    local name=$1 limit=$2 status=0 sum began=$SECONDS filter
    shift 2
    rm -f "$PART_DIR"/{pipe,out}
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
