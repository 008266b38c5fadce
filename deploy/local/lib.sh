# shellcheck shell=bash
# Shared by the scripts of the local stack: settings, folders, messages, and how a daemon is started,
# found and stopped. Sourced, never run.
#
# A daemon NAME has run/NAME.pid (its process id) and run/NAME.id (boot id and start time of that
# process). A process is ours only if both agree with /proc. So a file that a crash or a reboot has left
# never points at the process of another program. No process is found or stopped by its program's name.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
HERE=$ROOT/deploy/local
LOCAL_DIR=${LOCAL_DIR:-$ROOT/.local}
[[ $LOCAL_DIR == /* ]] || LOCAL_DIR=$PWD/$LOCAL_DIR
CACHE_DIR=${CACHE_DIR:-$ROOT/.local/cache}
# Named after the contents, so that two checkouts with different versions can share a cache.
# shellcheck disable=SC2034 # for the scripts that source this file
ARTIFACTS=$CACHE_DIR/artifacts-$(sha256sum "$HERE/kafka/artifacts.sha256" | cut -c1-12)
BIN_DIR=${BIN_DIR:-$ROOT/build/${FLAVOUR:-release}/bin}
RUN_DIR=$LOCAL_DIR/run
LOG_DIR=$LOCAL_DIR/log
SECRET_DIR=$LOCAL_DIR/secret

say()  { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
# Exit code 78, as everywhere in the project: it cannot continue, and the message says what to do.
fail() { warn "stack: $2"; exit "$1"; } # EXIT_CODE TEXT
die()  { fail 78 "$*"; }

# Ports: from the environment, else those of the running stack, else the defaults.
load_settings() {
    local name value
    local -A saved=()
    if [[ -r $RUN_DIR/settings ]]; then
        while IFS='=' read -r name value; do saved[$name]=$value; done <"$RUN_DIR/settings"
    fi
    SECURE=${SECURE:-${saved[SECURE]:-0}}
    [[ $SECURE == 0 || $SECURE == 1 ]] || die "invalid value \"$SECURE\" for SECURE: expected 1 or 0"
    local -a defaults=(KAFKA_PORT=19092 KAFKA_CONTROLLER_PORT=19093 KAFKA_MTLS_PORT=19094 REGISTRY_PORT=18081
                       REGISTRY_BACKEND_PORT=18082 POSTGRES_PORT=15432 HTTP_BASE_PORT=19100)
    for name in "${defaults[@]}"; do
        value=${name#*=} name=${name%%=*}
        declare -g "$name=${!name:-${saved[$name]:-$value}}"
        [[ ${!name} =~ ^[0-9]+$ && ${!name} -ge 1 && ${!name} -le 65535 ]] ||
            die "invalid value \"${!name}\" for $name: expected a port from 1 to 65535"
    done
    TOPIC_PREFIX=${TOPIC_PREFIX:-ecommerce_}
    PARTITIONS=${PARTITIONS:-}
    POSTGRES_DB=${POSTGRES_DB:-funnel}
    [[ $POSTGRES_DB =~ ^[a-z_][a-z0-9_]{0,62}$ ]] ||
        fail 64 "invalid value \"$POSTGRES_DB\" for POSTGRES_DB: expected lower-case letters, digits and _"
    # shellcheck disable=SC2034 # for the scripts that source this file
    KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT
    # shellcheck disable=SC2034 # for the scripts that source this file
    SCHEMA_REGISTRY_URL=http://127.0.0.1:$REGISTRY_PORT/apis/ccompat/v7
    [[ $SECURE != 1 ]] || SCHEMA_REGISTRY_URL=https${SCHEMA_REGISTRY_URL#http}
    [[ $SECURE != 1 ]] || export KCAT_CONFIG=$SECRET_DIR/kcat.conf
}

save_settings() {
    local name
    for name in SECURE KAFKA_PORT KAFKA_CONTROLLER_PORT KAFKA_MTLS_PORT REGISTRY_PORT REGISTRY_BACKEND_PORT POSTGRES_PORT \
        HTTP_BASE_PORT; do
        printf '%s=%s\n' "$name" "${!name}"
    done >"$RUN_DIR/settings.new"
    mv "$RUN_DIR/settings.new" "$RUN_DIR/settings"
}

make_dirs() {
    mkdir -p "$RUN_DIR" "$LOG_DIR" "$CACHE_DIR"
    [[ -d $SECRET_DIR ]] || mkdir -m 700 "$SECRET_DIR"
}

# The logins of deploy/postgres/logins.sql.
LOGINS=(funnel_owner loader lake dashboards analyst)

# The password of a login: made once, in hexadecimal, so that it never needs quoting.
password_of() { # LOGIN
    local file=$SECRET_DIR/$1 new=$SECRET_DIR/$1.$BASHPID
    if [[ ! -s $file ]]; then
        make_dirs
        (
            umask 077
            od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$new" && mv -n "$new" "$file"
            rm -f "$new"
        )
    fi
    cat "$file"
}

# A file of passwords in libpq's form. So no connection string has a password, and no command line shows one.
pass_file() {
    local file=$SECRET_DIR/pgpass new=$SECRET_DIR/pgpass.$BASHPID login
    if [[ ! -s $file ]]; then
        make_dirs
        (
            umask 077
            for login in "${LOGINS[@]}"; do printf '*:*:*:%s:%s\n' "$login" "$(password_of "$login")"; done >"$new"
            mv "$new" "$file"
        )
    fi
    printf '%s\n' "$file"
}

# For the value of a connection string, between quotes.
libpq_text() {
    local text=${1//\\/\\\\}
    printf '%s' "${text//\'/\\\'}"
}

dsn() { # [LOGIN]
    local file tls=
    file=$(pass_file)
    [[ $SECURE != 1 ]] || tls=" sslmode=verify-full sslrootcert='$(libpq_text "$SECRET_DIR/tls/ca.pem")'"
    printf "host=127.0.0.1 port=%s dbname=%s user=%s passfile='%s'%s\n" \
        "$POSTGRES_PORT" "$POSTGRES_DB" "${1:-funnel_owner}" "$(libpq_text "$file")" "$tls"
}

# The folder or bucket of the lake.
lake_url() { printf '%s\n' "${LAKE_URL:-$LOCAL_DIR/lake}"; }

# Only one command at a time may start daemons in this LOCAL_DIR. Daemons must not inherit the lock, so
# spawn closes descriptor 9.
take_lock() {
    make_dirs
    exec 9>"$RUN_DIR/lock"
    flock -n 9 || { warn "stack: waiting for another stack command in $LOCAL_DIR"; flock 9; }
}

# Start time of a live process, in clock ticks since boot; fails for a dead or zombie one.
start_time_of() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The second field, the name in parentheses, may contain blanks. So fields are counted after it.
    read -r -a stat <<<"${stat##*) }"
    [[ ${stat[0]} != [ZX] ]] || return 1
    printf '%s\n' "${stat[19]}"
}

identity_of() {
    local ticks boot
    ticks=$(start_time_of "$1") || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    printf '%s %s\n' "$boot" "$ticks"
}

# Prints the process id of daemon NAME; fails if it does not run.
pid_of() {
    local pid known
    { read -r pid <"$RUN_DIR/$1.pid" && read -r known <"$RUN_DIR/$1.id"; } 2>/dev/null || return 1
    [[ $pid =~ ^[0-9]+$ && "$(identity_of "$pid")" == "$known" ]] || return 1
    printf '%s\n' "$pid"
}

is_up() { pid_of "$1" >/dev/null; }

# spawn NAME COMMAND...: starts a daemon that outlives this script; its output goes to log/NAME.log.
spawn() {
    local name=$1 log=$LOG_DIR/$1.log pid
    shift
    if [[ -f $log && $(stat -c %s "$log") -gt 50000000 ]]; then mv -f "$log" "$log.1"; fi
    (cd "$ROOT" && exec setsid "$@" </dev/null >>"$log" 2>&1 9>&-) &
    pid=$!
    identity_of "$pid" >"$RUN_DIR/$name.id" || true
    printf '%s\n' "$pid" >"$RUN_DIR/$name.pid"
}

forget() { rm -f "$RUN_DIR/$1.pid" "$RUN_DIR/$1.id"; }

# show_end NAME: the last lines of a daemon's log, after a start that failed.
show_end() {
    warn "--- last lines of $LOG_DIR/$1.log"
    tail -n 20 "$LOG_DIR/$1.log" >&2 || true
    warn "---"
}

# wait_ready NAME SECONDS COMMAND...: waits until COMMAND succeeds; fails at once if the daemon ends.
wait_ready() {
    local name=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! is_up "$name"; then
            show_end "$name"
            warn "stack: $name ended during its start"
            return 1
        fi
        if ((SECONDS >= deadline)); then
            show_end "$name"
            warn "stack: $name is not ready in time; it still runs"
            return 1
        fi
        sleep 0.1
    done
}

# wait_gone PID SECONDS
wait_gone() {
    local deadline=$((SECONDS + $2)) known
    known=$(identity_of "$1") || return 0
    while [[ "$(identity_of "$1")" == "$known" ]]; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# stop_daemon NAME SIGNAL SECONDS: sends the signal, waits, and kills the daemon if it has not ended.
stop_daemon() {
    local pid
    pid=$(pid_of "$1") || { forget "$1"; return 0; }
    kill -s "$2" "$pid" 2>/dev/null || true
    if ! wait_gone "$pid" "$3"; then
        warn "stack: $1 (pid $pid) did not stop within $3 s and was killed"
        kill -s KILL "$pid" 2>/dev/null || true
        wait_gone "$pid" 10 || die "$1 (pid $pid) has not ended 10 s after SIGKILL"
    fi
    forget "$1"
}

# kill_daemon NAME: as in a crash, its files in run/ stay.
kill_daemon() {
    local pid
    pid=$(pid_of "$1") || die "$1 is not running"
    kill -s KILL "$pid"
    wait_gone "$pid" 10 || die "$1 (pid $pid) has not ended 10 s after SIGKILL"
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Fails unless the port becomes free within 5 s. A daemon that has just been killed may hold it for a
# moment.
port_gets_free() { # PORT
    local tries
    for ((tries = 0; tries < 50; tries++)); do
        port_taken "$1" || return 0
        sleep 0.1
    done
    return 1
}
need_port() { # SETTING
    port_gets_free "${!1}" ||
        die "port ${!1} of $1 is used by another program; choose another one: $1=<port> make up"
}

# The first Java 17 or newer in JAVA_HOME, the path, and Debian's folder.
find_java() {
    local java version
    for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        [[ -x $java ]] || continue
        version=$("$java" -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
        if [[ -n $version && $version -ge 17 ]]; then
            printf '%s\n' "$java"
            return 0
        fi
    done
    die "no Java 17 or newer found; run: make deps"
}

# fill TEMPLATE NAME...: prints the template with each @NAME@ replaced by the value of the variable.
fill() {
    local text name
    text=$(<"$1")
    shift
    for name in "$@"; do text=${text//@$name@/"${!name}"}; done
    printf '%s\n' "$text"
}

load_settings
