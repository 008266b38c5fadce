#!/usr/bin/env bash
# Wrong settings: every service names all of them at once, and ends with 64.
source "$(dirname "$0")/lib.sh"

check "bronze-sink names all wrong settings at once, exit 64" \
    refused 64 "BATCH_RECORDS DEDUP_KEY COMMIT_INTERVAL" bronze-sink BATCH_RECORDS=many DEDUP_KEY=colour COMMIT_INTERVAL=-3
check "funnel-aggregator names all wrong settings at once, exit 64" \
    refused 64 "BATCH_BYTES GRACE HTTP_PORT" funnel-aggregator BATCH_BYTES=1 GRACE=soon HTTP_PORT=70000
check "a wrong rollup ends with 64" refused 64 "1x:all" funnel-aggregator ROLLUPS=1x:all
check "pg-loader names all wrong settings at once, exit 64" \
    refused 64 "POSTGRES_DSN BATCH_ROWS MIGRATE" pg-loader POSTGRES_DSN= BATCH_ROWS=0 MIGRATE=perhaps
check "producer names all wrong settings at once, exit 64" \
    refused 64 "SOURCE RATE LIMIT" producer SOURCE=ether RATE=-1 LIMIT=few
check "an unknown flag ends with 64" refused 64 "--colour" bronze-sink --colour green
check "an input that is not there ends with 64" refused 64 "nowhere.csv" producer --input /nowhere.csv
check "a property our guarantees rest on cannot be set, exit 64" \
    refused 64 "isolation.level" bronze-sink KAFKA_PROPERTIES=isolation.level=read_uncommitted
