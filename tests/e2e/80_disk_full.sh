#!/usr/bin/env bash
# PostgreSQL's disk, then Kafka's, becomes full while rows come. Nothing is lost, dead-lettered or retried
# without a pause; when there is room again, all rows are loaded. The disks are small file systems in
# memory, in a mount namespace of this scenario: they disappear with its last process.
if [[ -z ${E2E_OWN_MOUNTS:-} ]] && unshare --mount true 2>/dev/null; then
    E2E_OWN_MOUNTS=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
source "$E2E/trouble.sh"

in_halves "$E2E_WORK/replay.csv"

# small_disk FOLDER MEBIBYTES: moves the content of the folder to a file system of this size.
small_disk() {
    local owner
    owner=$(stat -c 'uid=%u,gid=%g,mode=%a' "$1")
    mv "$1" "$1.before"
    mkdir "$1"
    mount -t tmpfs -o "size=$2m,$owner" tmpfs "$1"
    cp -a "$1.before/." "$1/"
    DISK=$1
}
# Restores the former folder. The last threads of a daemon that has ended may use it for a moment.
large_disk() {
    wait_until "$DISK is not in use" umount "$DISK"
    rmdir "$DISK"
    mv "$DISK.before" "$DISK"
}
fill_disk() { dd if=/dev/zero of="$DISK/ballast" bs=64k status=none 2>/dev/null || true; df -k "$DISK"; }
free_disk() { rm -f "$DISK/ballast"; }

# Starts a daemon again if its full disk has ended it, as a supervisor would.
revive() { is_up "$1" || start "$1"; }

# ---- PostgreSQL

postgres_full() {
    fresh
    services
    replay --input "$FIRST"
    drain
    fill_disk
    replay_begin "$SECOND" 2000
    # Allocated blocks take some more rows; then it waits.
    wait_until "pg-loader says why it waits" says pg-loader-1 event=retrying "No space left"
    waits_idly pg-loader-1
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
    for service in bronze-sink-1 funnel-aggregator-1 pg-loader-1; do waits_idly "$service" 5; done
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

# on_small_disk BACKEND FOLDER MEBIBYTES COMMAND...: runs it while the folder is on a small disk.
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

# If tables cannot grow, single statements fail. If the write-ahead log cannot grow, the server ends.
on_small_disk postgres "$LOCAL_DIR/postgres/data/base" 300 \
    check "no room for PostgreSQL's tables: pg-loader waits, then loads all rows" postgres_full
if at_length; then
    on_small_disk postgres "$LOCAL_DIR/postgres/data" 700 \
        check "no room for PostgreSQL at all: pg-loader waits, then loads all rows" postgres_full
    on_small_disk kafka "$LOCAL_DIR/kafka" 400 \
        check "no room for Kafka: all rows are loaded later" kafka_full
else
    say "skip $SCENARIO: no room for PostgreSQL at all, no room for Kafka; make trouble runs these" >&3
fi
