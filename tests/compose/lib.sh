# shellcheck shell=bash
# Of tests/compose/run and tests/compose/secure: the engine, the images, the settings of a run, and steps of both.
#
# Without a Docker engine:           FUNNEL_DOCKER_ENGINE=script with the commands `up` and `down`
# If images cannot be pulled:        FUNNEL_STANDIN_IMAGES=script that makes stand-ins: IMAGE...
# (default: docker-engine and standin-images in ../shared/tools, if they exist). If neither helps, the test is
# skipped, which is a failure with REQUIRE_DOCKER=1.
# EVENTS=n: rows of each file (default 40000). KEEP=1 keeps the containers and the folder.
set -uo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$ROOT" || exit 1
BIN_DIR=${BIN_DIR:-build/release/bin}
EVENTS=${EVENTS:-40000}
SERVICES=(bronze-sink funnel-aggregator pg-loader lake)
HEALTHY=(kafka registry postgres metabase "${SERVICES[@]}")
JOBS=(prepare databases migrate topics metabase-setup)
PROJECT=funnel-test-$$
export FUNNEL_IMAGE=funnel-test:$$
engine_started=0 passed=0 failed=0 tmp='' compose=() SENDER=''

say() { printf '%s\n' "$*"; }
skip() {
    say "compose: SKIPPED: $*"
    [[ ${REQUIRE_DOCKER:-0} != 1 ]] || exit 1
    exit 0
}

# check TITLE COMMAND...: counts the result, and shows the output if the command fails.
check() {
    local title=$1 began=$EPOCHREALTIME rc=0
    shift
    "$@" >"$tmp/step.log" 2>&1 </dev/null || rc=$?
    cat "$tmp/step.log" >>"$tmp/all.log"
    if ((rc == 0)); then
        passed=$((passed + 1))
        printf 'ok   %-70s %5.1f s\n' "$title" "$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
    else
        failed=$((failed + 1))
        printf 'FAIL %s (exit %d)\n' "$title" "$rc"
        tail -n 30 "$tmp/step.log" | sed 's/^/     /'
    fi
    return "$rc"
}

# A check without which the run cannot continue: shows the logs and ends.
must() { check "$@" || { show_state; exit 1; }; }

show_state() {
    "${compose[@]}" ps -a
    "${compose[@]}" logs --no-color --tail 15 | cut -c1-300
}

finish() {
    local rc=$?
    trap - EXIT INT TERM
    if [[ ${KEEP:-0} == 1 && -n $tmp ]]; then
        say "kept: project $PROJECT, folder $tmp"
    else
        if ((${#compose[@]} > 0)); then
            "${compose[@]}" --profile load --profile observability down -v --remove-orphans -t 15 >>"$tmp/all.log" 2>&1 || {
                say "down failed:"
                tail -n 5 "$tmp/all.log"
                failed=$((failed + 1))
            }
            docker image rm "$FUNNEL_IMAGE" "$FUNNEL_IMAGE-registry-proxy" >/dev/null 2>&1
            ! mountpoint -q "$tmp/kafka" || umount "$tmp/kafka"
        fi
        # If others use the engine by now, it stays.
        if ((engine_started)) && [[ -z $(docker ps -q) ]]; then "$engine" down; fi
        [[ -z $tmp ]] || rm -rf "$tmp"
    fi
    ((passed + failed == 0)) || say "$passed passed, $failed failed"
    ((rc == 0 && failed == 0)) || exit 1
    exit 0
}

# ---- engine and images

tool() { # VALUE NAME: the script VALUE, else NAME in ../shared/tools if it exists
    if [[ -n ${1:-} ]]; then
        printf '%s\n' "$1"
    elif [[ -x ../shared/tools/$2 ]]; then
        printf '%s\n' "../shared/tools/$2"
    fi
}

need_engine() {
    engine=$(tool "${FUNNEL_DOCKER_ENGINE:-}" docker-engine)
    if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then return; fi
    [[ -n $engine ]] || skip "there is no Docker engine with compose; start one, or set FUNNEL_DOCKER_ENGINE to a script"
    docker info >/dev/null 2>&1 || engine_started=1
    "$engine" up >"$tmp/engine.log" 2>&1 || { tail -n 5 "$tmp/engine.log"; skip "$engine could not start a Docker engine"; }
}

# Every image of the compose file and the Dockerfile exists, or a stand-in is made, or it is pulled.
need_images() {
    local image missing=() standins
    while read -r image; do
        docker image inspect "$image" >/dev/null 2>&1 || missing+=("$image")
    done < <(sed -n 's/^ *image: *\([^$ ]*\)$/\1/p' deploy/docker/{compose,secure-1}.yml | sort -u
        sed -n 's/^FROM \([^ ]*\).*/\1/p' deploy/docker/*Dockerfile | sort -u)
    ((${#missing[@]} > 0)) || return 0
    say "fetching ${missing[*]}"
    standins=$(tool "${FUNNEL_STANDIN_IMAGES:-}" standin-images)
    if [[ -n $standins ]]; then
        # From a writable copy: file modes go into the images, and a read-only folder makes read-only files.
        cp -r "$(dirname "$standins")" "$tmp/standins" && chmod -R u+w "$tmp/standins"
        "$tmp/standins/${standins##*/}" "${missing[@]}" || exit 1
        return
    fi
    for image in "${missing[@]}"; do
        docker pull -q "$image" >/dev/null || skip "cannot pull $image; set FUNNEL_STANDIN_IMAGES to a script"
    done
}

is_standin() { [[ "$(docker image inspect -f '{{index .Config.Labels "standin"}}' "$1" 2>/dev/null)" == true ]]; }

image_of() { sed -n "s/^ *image: *\($1[^ ]*\)\$/\1/p" deploy/docker/compose.yml; } # FIRST_WORD

# ---- the settings of this run

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s\n' "$port"
}

make_settings() {
    mkdir -m 755 "$tmp/data"
    KAFKA_PORT=$(free_port) REGISTRY_PORT=$(free_port) POSTGRES_PORT=$(free_port) METABASE_PORT=$(free_port)
    PROMETHEUS_PORT=$(free_port) GRAFANA_PORT=$(free_port)
    cat >"$tmp/.env" <<SETTINGS
KAFKA_PORT=$KAFKA_PORT
REGISTRY_PORT=$REGISTRY_PORT
POSTGRES_PORT=$POSTGRES_PORT
METABASE_PORT=$METABASE_PORT
PROMETHEUS_PORT=$PROMETHEUS_PORT
GRAFANA_PORT=$GRAFANA_PORT
EVENTS=$EVENTS
SETTINGS
    export PGHOST=127.0.0.1 PGPORT=$POSTGRES_PORT PGPASSFILE=$tmp/pgpass
    DSN="host=127.0.0.1 port=$POSTGRES_PORT dbname=funnel user=funnel_owner"
}

# The passwords that `prepare` has made, for this script's own logins.
read_passwords() {
    local name password login
    declare -gA PASSWORDS=()
    while read -r name password; do PASSWORDS[$name]=$password; done < <("${compose[@]}" run --rm --no-deps -T prepare show \
        superuser owner loader lake analyst dashboards registry metabase admin)
    ((${#PASSWORDS[@]} == 9)) || return 1
    for login in funnel_owner:owner loader:loader lake:lake analyst:analyst dashboards:dashboards registry:registry metabase:metabase; do
        printf '*:*:*:%s:%s\n' "${login%:*}" "${PASSWORDS[${login#*:}]}"
    done >"$tmp/pgpass"
    chmod 600 "$tmp/pgpass"
}

make_compose() {
    cat >"$tmp/standin.yml" <<'YAML'
services: {}
YAML
    if is_standin "$(image_of apicurio)"; then
        # The stand-in has only the driver of H2.
        mkdir -m 777 "$tmp/registry"
        cat >"$tmp/standin.yml" <<YAML
services:
  registry:
    environment:
      REGISTRY_DATASOURCE_URL: jdbc:h2:file:/registry/db;WRITE_DELAY=0
    volumes: ["$tmp/registry:/registry"]
YAML
    fi
    # A small disk for Kafka, which a test fills.
    mkdir -m 777 "$tmp/kafka"
    if ((EUID == 0)) && mount -t tmpfs -o size=1500m,mode=777 tmpfs "$tmp/kafka"; then
        cat >>"$tmp/standin.yml" <<YAML
volumes:
  kafka-data: {driver: local, driver_opts: {type: none, o: bind, device: "$tmp/kafka"}}
YAML
    fi
    compose=(docker compose --ansi never --progress plain --env-file "$tmp/.env" -p "$PROJECT"
        -f docker-compose.yml -f "$tmp/standin.yml")
}

# FILE SEED START: rows with repeats, disorder and malformed rows
generate() {
    "$BIN_DIR/producer" --source synthetic --output "$tmp/data/$1" --events "$EVENTS" --seed "$2" --start-time "$3" \
        --duplicates 0.01 --disorder 5s --malformed 0.001 && chmod 644 "$tmp/data/$1"
}

# ---- steps

# The engine, the images, and the settings. The image of this project is built.
begin() {
    tmp=$(mktemp -d)
    trap finish EXIT
    trap 'exit 1' INT TERM
    chmod 755 "$tmp"
    need_engine
    make_settings
    need_images
    make_compose
    must "the generated events of compose, as a file for the recount" "$BIN_DIR/producer" --source synthetic \
        --output "$tmp/generated.csv" --events "$EVENTS"
    must "build the image" "${compose[@]}" build topics
}

up() { "${compose[@]}" up -d --no-build "$@"; }
id_of() { "${compose[@]}" ps -aq "$1"; }

# ARGUMENT...: `up`, and wait until every service is healthy and every job has ended with 0. A job that `up` has
# started again must end again.
up_and_healthy() {
    local service
    up "$@" || return 1
    for service in "${JOBS[@]}"; do ends_with_0 "$(id_of "$service")" || return 1; done
    all_healthy
}

all_healthy() {
    local service deadline=$((SECONDS + 600))
    for service in "${HEALTHY[@]}"; do
        until [[ "$(docker inspect -f '{{.State.Health.Status}}' "$(id_of "$service")")" == healthy ]]; do
            ((SECONDS < deadline)) || { say "$service is not healthy"; docker logs --tail 20 "$(id_of "$service")"; return 1; }
            sleep 0.5
        done
    done
}

# CONTAINER: waits until it ends, with 0.
ends_with_0() {
    local code
    code=$(timeout 600 docker wait "$1") && [[ $code == 0 ]] && return
    docker logs --tail 20 "$1"
    return 1
}

producer_ends() { ends_with_0 "$(id_of producer)"; }

# The same command again: nothing new is sent.
second_up() {
    local before after
    before=$(sent)
    up_and_healthy && producer_ends || return 1
    after=$(sent)
    [[ -n $before && $before == "$after" ]] || { say "rows in the raw topic: $before before, $after now"; return 1; }
    docker logs "$(id_of producer)" 2>&1 | grep event=sources_complete
}
# The events that are stored, and the rows that bronze-sink has read.
sent() {
    psql -X -q -A -t -d "$DSN" -c "SELECT (SELECT count(*) FROM raw.events), sum(records_in) FROM processed.counts
        WHERE service = 'bronze-sink'"
}

other_input() {
    sed -i '/^DATA_DIR=/d' "$tmp/.env"
    printf 'DATA_DIR=%s\nLOAD_RATE=20000\n' "$tmp/data" >>"$tmp/.env"
    up producer && producer_ends
}

wait_idle() {
    local pg_loader
    pg_loader=$(id_of pg-loader)
    docker exec "$pg_loader" pg-loader --wait-idle --wait-timeout 10m --http-port 0
}

# Some malformed rows have times of the year 9999. Whether these are in the future depends on their arrival,
# so the recount ignores that reason.
oracle() {
    tests/e2e/oracle --dsn "$DSN" --exact-counts --ignore-reasons future_event_time "${@/#/$tmp/data/}"
}

rows() { psql -X -q -A -t -d "$DSN" -c 'SELECT count(*) FROM raw.events'; }

only_loopback() {
    local ports
    ports=$("${compose[@]}" ps --format '{{.Ports}}' | tr ',' '\n' | grep -e '->') || return 1
    say "$ports"
    ! grep -v '^ *127\.0\.0\.1:' <<<"$ports"
}

# FILE ROWS_PER_SECOND: sets SENDER, a container that sends the file in the background.
send_slowly() {
    SENDER=$("${compose[@]}" run -d --no-deps -T producer producer --source file --input "/data/$1" --rate "$2" 2>/dev/null)
}
sender_ends() { ends_with_0 "$SENDER" && docker rm "$SENDER"; }

# SERVICE...: kill -9 of each container, one after the other. Docker does not start a container again that was killed by
# its own command. So the signal comes from the machine.
kill_each() {
    local service pid
    for service; do
        pid=$(docker inspect -f '{{.State.Pid}}' "$(id_of "$service")")
        kill -9 "$pid" && runs_again "$service" "$pid" || return 1
    done
}
runs_again() { # SERVICE PID
    local deadline=$((SECONDS + 300)) now
    while now=$(docker inspect -f '{{.State.Pid}}' "$(id_of "$1")") && [[ $now == 0 || $now == "$2" ]]; do
        ((SECONDS < deadline)) || { say "$1 is not started again"; return 1; }
        sleep 0.5
    done
}

# What Docker was asked for is what the containers have.
hardened() {
    local service id bad=0
    for service in "${HEALTHY[@]}" "${JOBS[@]}" producer; do
        id=$(id_of "$service")
        docker inspect -f "$service {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.LogConfig.Config}}" "$id" |
            awk -v service="$service" '$2 != "[ALL]" || $3 !~ /no-new-privileges/ || $4 == 0 || $5 == "<nil>" || $0 !~ /max-size/ { print; bad = 1 } END { exit bad }' || bad=1
    done
    for service in "${SERVICES[@]}"; do
        id=$(id_of "$service")
        [[ "$(docker exec "$id" id -u)" == 10001 ]] || { say "$service: user $(docker exec "$id" id -u)"; bad=1; }
        ! docker exec "$id" sh -c ': >/usr/local/bin/x' 2>/dev/null || { say "$service: its root is writable"; bad=1; }
        docker exec "$id" grep -qx 'CapEff:	0000000000000000' /proc/1/status || { say "$service: capabilities"; bad=1; }
        docker exec "$id" grep -qx 'NoNewPrivs:	1' /proc/1/status || { say "$service: new privileges"; bad=1; }
        docker exec "$id" grep -qE '^Max core file size +0 +0 ' /proc/1/limits || { say "$service: core dumps"; bad=1; }
    done
    for service in "${HEALTHY[@]}"; do
        [[ "$(docker exec "$(id_of "$service")" id -u)" != 0 ]] || { say "$service runs as root"; bad=1; }
    done
    return "$bad"
}

# The passwords are in no log, no metric, no setting of a container and no command line, and a service sees only its
# own ones.
secrets_stay() {
    local service id bad=0 name out=$tmp/outputs
    local -a logged command
    mapfile -t logged < <("${compose[@]}" config --services)
    # The stand-in of Metabase logs what it is asked, with passwords.
    is_standin "$(image_of metabase)" && mapfile -t logged < <(printf '%s\n' "${logged[@]}" | grep -vx metabase)
    "${compose[@]}" logs --no-color "${logged[@]}" >"$out" 2>&1
    for id in $("${compose[@]}" ps -aq); do docker inspect "$id" >>"$out"; done
    for service in "${SERVICES[@]}"; do
        docker exec "$(id_of "$service")" bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080 && printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && cat <&3' >>"$out" || bad=1
        command=("$service")
        [[ $service != lake ]] || command+=(write)
        for name in --help --check-config; do docker exec "$(id_of "$service")" "${command[@]}" "$name" >>"$out" || bad=1; done
    done
    for service in /proc/[0-9]*/cmdline; do tr '\0' ' ' <"$service"; echo; done >>"$out" 2>/dev/null
    for name in funnel_build_info 'POSTGRES_PASSWORD=***' kafka.Kafka; do
        grep -qaF -e "$name" "$out" || { say "the search does not see $name"; bad=1; }
    done
    for name in "${!PASSWORDS[@]}"; do
        ! grep -qaF -e "${PASSWORDS[$name]}" "$out" || { say "the password of $name is in the output:"; grep -aF -m 2 -e "${PASSWORDS[$name]}" "$out" | cut -c1-200; bad=1; }
    done
    for service in kafka bronze-sink funnel-aggregator producer; do sees "$service" || bad=1; done
    sees pg-loader loader && sees lake lake && sees postgres superuser && sees registry registry && sees metabase metabase || bad=1
    return "$bad"
}
# SERVICE [NAME]: the container mounts this secret, and no other one.
sees() {
    local found
    found=$(docker inspect -f '{{range .Mounts}}{{println .Name}}{{end}}' "$(id_of "$1")" | sed -n 's/.*_secret-//p' | paste -sd ' ')
    [[ $found == "${2:-}" ]] || { say "$1 mounts the secrets '$found': expected '${2:-}'"; return 1; }
}
