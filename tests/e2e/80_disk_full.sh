#!/usr/bin/env bash
# The disk is full: first PostgreSQL's, then Kafka's, while rows come. Nothing is lost, dead-lettered or tried without a
# pause; once there is room, everything comes in. The disks are small file systems in memory, in a mount namespace of this
# scenario's own: they vanish with its last process, whatever happens.
if [[ -z ${E2E_OWN_MOUNTS:-} ]] && unshare --mount true 2>/dev/null; then
    E2E_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

in_halves "$E2E_WORK/replay.csv"

# small_disk FOLDER MEBIBYTES: the folder's content, on a file system of this size.
small_disk() {
    local owner
    owner=$(stat -c 'uid=%u,gid=%g,mode=%a' "$1")
    mv "$1" "$1.before"
    mkdir "$1"
    mount -t tmpfs -o "size=$2m,$owner" tmpfs "$1"
    cp -a "$1.before/." "$1/"
    DISK=$1
}
# The folder as it was before. The last threads of a daemon that has ended may hold it for a moment.
large_disk() {
    wait_until "nobody uses $DISK" umount "$DISK"
    rmdir "$DISK"
    mv "$DISK.before" "$DISK"
}
fill_disk() { dd if=/dev/zero of="$DISK/ballast" bs=64k status=none 2>/dev/null || true; df -k "$DISK"; }
free_disk() { rm -f "$DISK/ballast"; }

# One that fell over its full disk is started again, as a supervisor would.
revive() { is_up "$1" || start "$1"; }

# ---- PostgreSQL

postgres_full() {
    fresh
    services
    replay --input "$FIRST"
    drain
    fill_disk
    replay_begin "$SECOND" 2000
    # What is allocated takes some more rows; then it waits.
    wait_until "pg-loader says why it waits" says pg-loader-1 event=retrying "No space left"
    quiet pg-loader-1
    wait_until "pg-loader is not ready" not_ready pg-loader-1
    replay_end
    free_disk
    revive postgres
    drain
    oracle --exact-counts --max-late 0 "$FIRST" "$SECOND"
    topic_equals_table aggregated_events
    same "rows that pg-loader refused" 0 "$(count "raw.dead_letters WHERE stage = 'loader'")"
}

# ---- Kafka

# A broker whose only log folder fails halts itself.
kafka_full() {
    fresh
    services
    replay --input "$FIRST"
    drain
    fill_disk
    replay_begin "$SECOND" 2000
    wait_until "Kafka halts" kafka_down
    sleep 5
    for service in bronze-sink-1 funnel-aggregator-1 pg-loader-1; do quiet "$service" 5; done
    free_disk
    start kafka
    replay_end
    drain
    oracle --resent --max-late 0 "$FIRST" "$SECOND"
    topic_equals_table aggregated_events
}
kafka_down() { ! is_up kafka; }

may_mount() { mkdir -p "$E2E_WORK/probe" && mount -t tmpfs tmpfs "$E2E_WORK/probe" && umount "$E2E_WORK/probe"; }
if [[ -z ${E2E_OWN_MOUNTS:-} ]] || ! may_mount; then
    say "skip $SCENARIO: this user may not mount a file system" >&3
    exit 0
fi

# on_small_disk BACKEND FOLDER MEBIBYTES CHECK NAME COMMAND...: the check, while the backend's folder is on a small disk.
on_small_disk() {
    local backend=$1 folder=$2 size=$3
    shift 3
    stack stop "$backend"
    small_disk "$folder" "$size"
    start "$backend"
    "$@"
    stop_services
    stack stop "$backend"
    large_disk
    start "$backend"
}

# Tables cannot grow: single statements fail. The log of transactions cannot grow: the whole server goes down.
on_small_disk postgres "$LOCAL_DIR/postgres/data/base" 300 \
    check "no room for PostgreSQL's tables for a while: pg-loader waits, and everything comes in" postgres_full
if at_length; then
    on_small_disk postgres "$LOCAL_DIR/postgres/data" 700 \
        check "no room for PostgreSQL at all for a while: pg-loader waits, and everything comes in" postgres_full
    on_small_disk kafka "$LOCAL_DIR/kafka" 400 \
        check "no room for Kafka for a while: everything comes in" kafka_full
else
    say "skip $SCENARIO: no room for PostgreSQL at all, no room for Kafka; make trouble runs these" >&3
fi
