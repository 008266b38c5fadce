#!/usr/bin/env bash
# Real problems, an alert of a real Prometheus for each, and the runbook alone: its commands are taken from
# deploy/observability/README.md and run as they stand there. They must show the cause, and its remedy must end the alert.
#
# The alerts are those of rules/funnel.yml, in a copy that fires after 5 s instead of minutes (`for:`).
# A person must do two things that no command does: read the answer of a command, and correct a file.
source "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=prometheus.sh
source "$ROOT/tests/observability/prometheus.sh"

GOOD=$E2E_WORK/good.csv BROKEN=$E2E_WORK/shop.csv ROWS=1000 BAD=15 # more than 1 %; less if the file comes again
MORE=$E2E_WORK/more.csv
ANSWER=$E2E_WORK/answer

# ---- the runbook

# The first sentences of the chapter: what to run before, and how to run a query.
# shellcheck disable=SC2016 # the shell of a command expands it
ENVIRONMENT='eval "$(make -s env)"'
introduced() { grep -qF "$ENVIRONMENT" "$OBSERVABILITY/README.md" && grep -qF 'make psql Q="SELECT ..."' "$OBSERVABILITY/README.md"; }
check "the runbook says what its commands need" introduced

# commands_of ALERT PART: the commands of a part (Look, Do) of the alert's entry, one a line.
commands_of() {
    sed -n "/^### $1\$/,/^##/p" "$OBSERVABILITY/README.md" | tr '\n' ' ' |
        sed "s/.*\*\*$2\.\*\* //; s/ \*\*Do\.\*\*.*//; s/ ##.*//" | commands
}
# shellcheck disable=SC2016 # backticks of Markdown
commands() { grep -oE '`[^`]+`' | tr -d '`' | grep -E '^(make|curl|SELECT|build/release/bin)[ /]'; }
# follow COMMAND [WORD=VALUE...]: runs a command of the runbook, with values for its <words>. Sets STATUS, writes ANSWER.
follow() {
    local command=$1 word
    for word in "${@:2}"; do command=${command//"<${word%%=*}>"/"${word#*=}"}; done
    printf '$ %s\n' "$command"
    [[ $command != SELECT* ]] || command="make -s psql Q=\"$command\""
    STATUS=0
    (cd "$ROOT" && timeout "$LONG" bash -c "$ENVIRONMENT; $command") >"$ANSWER" 2>&1 3>&- || STATUS=$?
    cat "$ANSWER"
}
# look ALERT: runs all commands of Look; ANSWER has all of their answers.
look() {
    local command
    : >"$ANSWER.all"
    while read -r command; do
        follow "$command" </dev/null
        cat "$ANSWER" >>"$ANSWER.all"
    done < <(commands_of "$1" Look)
    mv "$ANSWER.all" "$ANSWER"
}
# act ALERT [WORD=VALUE...]: runs the first command of Do, which must succeed.
act() {
    follow "$(commands_of "$1" Do | head -n 1)" "${@:2}"
    same "exit code" 0 "$STATUS"
}

# ---- the stack

fresh
services
sed 's/^\( *for: \).*/\15s/' "$OBSERVABILITY/rules/funnel.yml" >"$E2E_WORK/rules.yml"
SCRAPE_INTERVAL=1s "$OBSERVABILITY/scrape-config" | sed "s,$OBSERVABILITY/rules/funnel.yml,$E2E_WORK/rules.yml," >"$E2E_WORK/runbook.yml"
check "the rules are a copy with shorter waits" grep -qF "$E2E_WORK/rules.yml" "$E2E_WORK/runbook.yml"
begin_prometheus "$E2E_WORK/runbook.yml"
# The rate of the first rows needs a sample before them.
wait_until "Prometheus has samples of three services" is 'count(count_over_time(funnel_ready[1m]) > 1)' 3

# ---- FunnelDeadLetters: a source with wrong prices

"$BIN_DIR/producer" --source synthetic --events "$ROWS" --seed 5 --start-time "2019-10-01 10:00:00" --output "$GOOD"
awk -F, -v OFS=, -v bad="$BAD" 'NR > 1 && NR <= bad + 1 { $7 = "12 EUR" } { print }' "$GOOD" >"$BROKEN"
replay --input "$BROKEN"
wait_until "wrong prices fire an alert" firing FunnelDeadLetters
drain
cause_of_dead_letters() {
    local query why reason file rows first
    { read -r query; read -r why; } < <(commands_of FunnelDeadLetters Look)
    follow "$query"
    # The answer is a table: reason | file | rows | first row.
    IFS=' |' read -r reason file rows first < <(sed -n 3p "$ANSWER")
    same "reason, file, rows and first row" "invalid_price shop.csv $BAD 1" "$reason $file $rows $first"
    follow "$why" "file=$file" "row=$first"
    grep -E 'refused.*invalid_price.*12 EUR' "$ANSWER"
}
check "the runbook's commands show reason, file, row and value" cause_of_dead_letters
cp "$GOOD" "$BROKEN" # the corrected file
check "the runbook's action: the corrected file again" act FunnelDeadLetters "file=$BROKEN"
wait_until "the alert of the dead letters ends" silent FunnelDeadLetters
drain
check "each row of the file is stored once" same events "$ROWS" "$(count raw.events)"

# ---- FunnelPostgresDown

stack stop postgres
"$BIN_DIR/producer" --source synthetic --events "$ROWS" --seed 6 --start-time "2019-10-01 12:00:00" --output "$MORE"
replay --input "$MORE"
wait_until "an alert fires while PostgreSQL is stopped" firing FunnelPostgresDown
cause_of_no_postgres() {
    look FunnelPostgresDown
    grep -E 'event=retrying .*error=' "$ANSWER"
    grep -E '^postgres +down' "$ANSWER"
}
check "the runbook's look shows that PostgreSQL does not run" cause_of_no_postgres
check "the runbook's action: start it" act FunnelPostgresDown
wait_until "the alert of PostgreSQL ends" silent FunnelPostgresDown
drain
check "rows that came meanwhile are stored" same events $((2 * ROWS)) "$(count raw.events)"

# ---- FunnelServiceDown

crash pg-loader-1
wait_until "a killed service fires an alert" firing FunnelServiceDown
check "the alert names the instance" same instance pg-loader-1 "$(label_of FunnelServiceDown instance)"
cause_of_no_service() {
    look FunnelServiceDown
    grep -E '^pg-loader-1 +died' "$ANSWER"
}
check "the runbook's look shows what has died" cause_of_no_service
check "the runbook's action: start it again" act FunnelServiceDown
wait_until "the alert of the service ends" silent FunnelServiceDown

# ---- the other entries

# Each query of the runbook runs, and so does each curl. `pid` is a number that a person takes from an answer.
queries_run() {
    local command number=0
    while read -r command; do
        [[ $command != *"(pid)"* ]] || continue
        follow "${command//HOST:PORT/127.0.0.1:$(http_port bronze-sink-1)}" </dev/null
        same "exit code of $command" 0 "$STATUS"
        number=$((number + 1))
    done < <(sed -n '/^## Alerts/,$p' "$OBSERVABILITY/README.md" | tr '\n' ' ' | commands | grep -E '^(SELECT|curl) ')
    ((number > 5))
}
check "each query of the runbook runs" queries_run
# A third of the day's rows are duplicates, because the file came again. That is not a difference between layers.
wait_until "the duplicates of the day fire an alert" firing FunnelDataQualityBreached
cause_of_breach() {
    look FunnelDataQualityBreached
    grep -E '^ *duplicate_share ' "$ANSWER"
}
check "the runbook's look names the measure" cause_of_breach
# FunnelLatencyHigh may still fire: events waited for PostgreSQL.
nothing_critical_fires() { same "critical alerts" "" "$(api query --data-urlencode 'query=ALERTS{alertstate="firing",severity="critical"}' | jq -c '.data.result[].metric')"; }
wait_until "nothing critical fires at the end" nothing_critical_fires
