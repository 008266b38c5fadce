# shellcheck shell=bash
# A web server for a scenario, in addition to lib.sh: serves the files of $WEB at $WEB_URL. It ends with
# the scenario.

WEB=$E2E_WORK/web
WEB_URL=http://127.0.0.1:$((HTTP_BASE_PORT + 65))
mkdir -p "$WEB"
"$E2E/web_server" "${WEB_URL##*:}" "$WEB" 3>&- 9>&- &
STARTED+=($!)

web_mode() { printf '%s\n' "$1" >"$WEB/mode.new" && mv "$WEB/mode.new" "$WEB/mode"; }
web_answers() { curl -fsS -m 5 -o /dev/null "$WEB_URL/mode"; }
web_mode ok
wait_until "the web server answers" web_answers
