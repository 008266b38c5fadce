#!/usr/bin/env bash
# Many records wait in all partitions: each service reads all partitions of its topics at about the same speed.
source "$(dirname "$0")/lib.sh"

EVENTS=${E2E_EVENTS:-400000}
ROWS=$E2E_WORK/backlog.csv
"$BIN_DIR/producer" --source synthetic --events "$EVENTS" --seed 7 --output "$ROWS" --log-level error

# The service has committed the log end of all partitions of the topic.
has_read() { # SERVICE TOPIC
    stack lag | awk -v group="$(topic "$1")" -v topic="$(topic "$2")" \
        '$1 == group && $2 == topic && $4 > 0 && $5 == 0 { found = 1 } END { exit !found }'
}

# The records that the service has read of each partition, in increasing order.
read_of() { # SERVICE SERIES TOPIC
    http_get "$1-1" metrics 2>/dev/null |
        awk -v series="$2{topic=\"$(topic "$3")\"," 'index($1, series) == 1 { print $2 }' | sort -n | paste -sd' '
}

# Looks until the service has read all, and fails unless, whenever the first partition was at 30 to 80 % of
# its records, the last one had at least half of these. There has to be such a look.
side_by_side() { # SERVICE SERIES TOPIC
    local looks=$E2E_WORK/looks.$1.$3
    start "$1-1" &
    until has_read "$1" "$3"; do
        for _ in 1 2 3 4 5 6 7 8; do
            read_of "$1" "$2" "$3"
            sleep 0.05
        done
    done >"$looks"
    wait
    read_of "$1" "$2" "$3" >>"$looks"
    awk '{ first[NR] = $NF; last[NR] = $1 }
        END {
            all = first[NR]
            for (i = 1; i <= NR; i++) {
                if (first[i] < 0.3 * all || first[i] > 0.8 * all) continue
                looks++
                if (last[i] < first[i] / 2) { print "first and last partition:", first[i], last[i]; bad = 1 }
            }
            print looks + 0, "looks in the middle of", all, "records of a partition"
            exit bad || !looks
        }' "$looks"
}

fresh
services
stop_services
replay --input "$ROWS" --log-level error
check "bronze-sink reads all partitions of raw_events" \
    side_by_side bronze-sink funnel_records_in_total raw_events
check "funnel-aggregator reads all partitions of bronze_events" \
    side_by_side funnel-aggregator funnel_records_in_total bronze_events
check "pg-loader reads all partitions of bronze_events" \
    side_by_side pg-loader funnel_loader_records_total bronze_events
