# shellcheck shell=bash
# Sourced by the scenarios of this folder after e2e/lib.sh: a Prometheus of their own, its answers, and its alerts.

# shellcheck disable=SC2034 # scenarios use it
OBSERVABILITY=$ROOT/deploy/observability
PROMETHEUS=127.0.0.1:$((HTTP_BASE_PORT + 47))

begin_prometheus() { # CONFIGURATION
    prometheus "--config.file=$1" "--storage.tsdb.path=$E2E_WORK/$SCENARIO.prometheus" "--web.listen-address=$PROMETHEUS" \
        >"$LOG_DIR/prometheus.log" 2>&1 3>&- 9>&- &
    STARTED+=($!)
}

api() { curl -fsS -m 20 -G "http://$PROMETHEUS/api/v1/$1" "${@:2}"; }
# Values of an instant query, one a line.
values() { api query --data-urlencode "query=$1" | jq -r '.data.result[].value[1]'; }
is() { [[ "$(values "$1")" == "$2" ]]; } # QUERY VALUE

firing() { is "count(ALERTS{alertname=\"$1\",alertstate=\"firing\"})" 1; }
silent() { [[ -z "$(values "ALERTS{alertname=\"$1\"}")" ]]; }
label_of() { api query --data-urlencode "query=ALERTS{alertname=\"$1\",alertstate=\"firing\"}" | jq -r ".data.result[].metric.$2"; } # ALERT LABEL
