# shellcheck shell=bash
# Shared by deploy/backup/backup and deploy/backup/restore: settings, and the programs that they call.
# Sourced, never run.
#
# Everything is reached by its address: without settings the parts of the local stack, else what
# POSTGRES_DSN, KAFKA_BROKERS, SCHEMA_REGISTRY_URL, TOPIC_PREFIX and LAKE_URL name. Logins are the settings of
# our programs (KAFKA_SASL_..., SCHEMA_REGISTRY_PASSWORD_FILE, ...); with SECURE=1 those of the user `topics`,
# unless an address is set. PG_RUN and TOPICS_RUN run the programs in another place, such as a container; data
# go through their standard input and output.

# The library of the local stack sets these two to its own addresses.
BROKERS_GIVEN=${KAFKA_BROKERS:-} REGISTRY_GIVEN=${SCHEMA_REGISTRY_URL:-}
# shellcheck source=../local/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local/lib.sh"
# shellcheck source=../local/secure.sh
source "$HERE/secure.sh"

# shellcheck disable=SC2034 # for the scripts that source this file
FORMAT=1 # of the folder of a backup; restore refuses another one
# shellcheck disable=SC2034 # for the scripts that source this file
SCHEMAS=(reporting mart processed raw lake)

fail() { warn "$(basename "$0"): $2"; exit "$1"; } # EXIT_CODE TEXT

# step TEXT COMMAND...: with the seconds that it took.
step() {
    local text=$1 began=$SECONDS
    shift
    "$@"
    printf '%6d s  %s\n' $((SECONDS - began)) "$text"
}

load_places() {
    DSN=${POSTGRES_DSN:-$(dsn)}
    BROKERS=${BROKERS_GIVEN:-$KAFKA_BROKERS}
    REGISTRY=${REGISTRY_GIVEN:-$SCHEMA_REGISTRY_URL}
    REGISTRY=${REGISTRY%%,*}
    LAKE=$(lake_url)
    LAKE=${LAKE#file://}
    if is_secure && [[ -z $BROKERS_GIVEN$REGISTRY_GIVEN ]]; then
        secure_settings topics
        export "${SETTINGS[@]}"
    fi
}

# shellcheck disable=SC2086 # PG_RUN is a command with arguments
pg() { ${PG_RUN:-} "$@"; } # PROGRAM ARGUMENTS...: psql, pg_dump, pg_restore
query() { pg psql -X -q -A -t -F $'\t' -v ON_ERROR_STOP=1 -d "$DSN" "$@"; }

topics_positions() {
    # shellcheck disable=SC2086 # TOPICS_RUN is a command with arguments
    if [[ -n ${TOPICS_RUN:-} ]]; then
        $TOPICS_RUN positions
    else
        [[ -x $BIN_DIR/topics ]] || die "$BIN_DIR/topics does not exist; run: make"
        LOG_LEVEL=warn "$BIN_DIR/topics" positions --brokers "$BROKERS" --prefix "$TOPIC_PREFIX"
    fi
}

# Prints them, or ends with the code of `topics`, which has logged the reason.
read_positions() { # [HINT]
    local status=0
    topics_positions || status=$?
    case $status in
        0) ;;
        64 | 78) fail "$status" "cannot read the positions of the topics $TOPIC_PREFIX*${1:-}" ;;
        *) fail 75 "cannot read the positions of the topics $TOPIC_PREFIX*; is Kafka up?${1:-}" ;;
    esac
}

lake_program() { # COMMAND [NAME=VALUE...]
    env "LAKE_URL=$LAKE" "POSTGRES_DSN=$DSN" HTTP_PORT=0 RESTART_IN_PLACE=false "${@:2}" "$BIN_DIR/lake" "$1"
}

# curl with the settings of our programs. The password is in no command line.
registry_curl() { # ARGUMENTS
    local login=${SCHEMA_REGISTRY_USERNAME:-}
    local -a with=()
    [[ -z ${SCHEMA_REGISTRY_SSL_CA_LOCATION:-} ]] || with=(--cacert "$SCHEMA_REGISTRY_SSL_CA_LOCATION")
    if [[ -n $login ]]; then
        login+=:${SCHEMA_REGISTRY_PASSWORD:-$(cat "${SCHEMA_REGISTRY_PASSWORD_FILE:-/dev/null}")}
        login=${login//\\/\\\\}
        curl -fsS -K <(printf 'user = "%s"\n' "${login//\"/\\\"}") "${with[@]}" "$@"
    else
        curl -fsS "${with[@]}" "$@"
    fi
}
registry_get() { registry_curl -m 20 "$REGISTRY/$1"; }

need_programs() {
    local name
    for name in curl jq sha256sum flock; do
        command -v "$name" >/dev/null || die "the program $name is missing; run: make deps"
    done
}

# Rows that the lake has of each partition, up to its position.
# shellcheck disable=SC2034 # for the scripts that source this file
LAKE_BATCHES="SELECT b.topic, b.partition, p.next_offset, sum(v.value::bigint) FROM lake.batches b
JOIN lake.positions p USING (topic, partition) CROSS JOIN jsonb_each_text(b.rows) v GROUP BY 1, 2, 3 ORDER BY 1, 2;"
