#!/usr/bin/env bash
# The broker has stored records and the connection breaks before it says so; the transaction is given up and its records are sent
# again. They must be there, once. What librdkafka alone makes of it is reported: it is the reason for task_loop_producer.c.
source "$(dirname "$0")/lib.sh"

fresh
proxy_begin

in_topic() { committed bronze_events '%s\n' | grep '^record-' || true; }
lose_and_repeat() { # library|task-loop
    KAFKA_BROKERS=127.0.0.1:$PROXY_PORT TOPIC_PREFIX=$TOPIC_PREFIX timeout "$LONG" "$ROOT/build/$FLAVOUR/test/e2e-lost_answers" "$1" "$PROXY_CONTROL"
}

by_task_loop() {
    lose_and_repeat task-loop
    same "records of the second transaction" "$(printf 'record-%d\n' 0 1 2)" "$(in_topic)"
}
check "records whose acknowledgement was lost are in the transaction that repeats them" by_task_loop

before=$(in_topic | wc -l)
lose_and_repeat library || warn "librdkafka did not commit"
say "note $SCENARIO: librdkafka's own abort: $(($(in_topic | wc -l) - before)) of 3 such records are in the transaction it says it has committed" >&3

proxy_end
