#!/usr/bin/env bash
# The DAG of deploy/airflow, run by the real Apache Airflow (`airflow dags test`) against the private stack:
# two generated months, one per run. Airflow is installed from PyPI into the cache, once.
source "$(dirname "$0")/../e2e/lib.sh"

AIRFLOW=$ROOT/deploy/airflow
VENV=$CACHE_DIR/airflow-$(sha256sum "$AIRFLOW/requirements.txt" | cut -c1-12)
install_airflow() {
    [[ ! -x $VENV/ready ]] || return 0
    rm -rf "$VENV"
    "${PYTHON:-python3}" -m venv "$VENV"
    "$VENV/bin/pip" install -q -r "$AIRFLOW/requirements.txt"
    "$VENV/bin/pip" check
    ln -s bin/airflow "$VENV/ready"
}
check "the pinned packages install, and fit together" install_airflow

export AIRFLOW_HOME=$E2E_WORK/airflow AIRFLOW__CORE__DAGS_FOLDER=$AIRFLOW/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__API__PORT=$((HTTP_BASE_PORT + 70)) PYTHONDONTWRITEBYTECODE=1
airflow() { timeout "$((2 * LONG))" "$VENV/bin/airflow" "$@" 3>&- 9>&-; }

mkdir -p "$E2E_WORK/months"
month() { # NAME START SEED
    "$BIN_DIR/producer" --source synthetic --events 3000 --seed "$3" --start-time "$2" --duration 20d \
        --malformed 0.001 --output "$E2E_WORK/months/$1.csv" && grep -av '^9999-' "$E2E_WORK/months/$1.csv" \
        >"$E2E_WORK/months/$1.new" && mv "$E2E_WORK/months/$1.new" "$E2E_WORK/months/$1.csv"
}
month 2019-Oct "2019-10-02 00:00:00" 11
month 2019-Nov "2019-11-02 00:00:00" 12
mkdir -p "$E2E_WORK/producer"
export KAFKA_BROKERS SCHEMA_REGISTRY_URL POSTGRES_DSN=$DSN INPUT=$E2E_WORK/months CLICKSTREAM_MONTHS=2019-10,2019-11
export CLICKSTREAM_PRODUCER=${CLICKSTREAM_PRODUCER:-$BIN_DIR/producer} CLICKSTREAM_WORKDIR=$E2E_WORK/producer
export REPORTING_INTERVAL=2s CLICKSTREAM_RETRY_SECONDS=1

run_dag() { airflow dags test clickstream_months -f "$AIRFLOW/dags/clickstream_months.py" 2>&1 | tee "$E2E_WORK/dag.log"; }
checked() { airflow variables get clickstream_months | jq -r 'to_entries[] | select(.value.checked) | .key' | tr '\n' ' '; }
complete() { sql "SELECT count(*) FROM reporting.segments WHERE complete"; }

first_month() {
    fresh
    services
    airflow db migrate
    run_dag
    same "complete segments" 1 "$(complete)"
    same "months whose reports were checked" "2019-10 " "$(checked)"
    same "rows" "$(rows_of "$E2E_WORK/months/2019-Oct.csv")" "$(counts_in)"
}
check "the first run streams the first month, waits until it is complete, and checks its reports" first_month

second_month() {
    run_dag
    same "complete segments" 2 "$(complete)"
    same "months whose reports were checked" "2019-10 2019-11 " "$(checked)"
    same "rows" "$(($(rows_of "$E2E_WORK/months/2019-Oct.csv") + $(rows_of "$E2E_WORK/months/2019-Nov.csv")))" "$(counts_in)"
}
check "the second run streams the second month" second_month

nothing_left() {
    run_dag
    same "complete segments" 2 "$(complete)"
    grep -qF "all months are done" "$E2E_WORK/dag.log"
}
check "a third run has nothing to do" nothing_left

wrong_report() {
    airflow variables set clickstream_months "$(airflow variables get clickstream_months | jq -c '."2019-11".checked = false')"
    sql "UPDATE reporting.segment_days SET events = events + 1 WHERE day = '2019-11-05'"
    run_dag || true
    same "months whose reports were checked" "2019-10 " "$(checked)"
    grep -qF "events are stored, the reports have" "$E2E_WORK/dag.log"
}
check "a report that does not add up fails the run" wrong_report
