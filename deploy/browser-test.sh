#!/usr/bin/env bash
# Runs the console's specs in Debian's Chromium against a real `citywatch up` that reads the demo's recordings.
# Arguments go to Playwright; --lighthouse first measures instead (deploy/lighthouse.sh). With CITYWATCH_SCREENSHOTS it is the
# demonstration of `make demo`, with all its history.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/steady.sh

citywatch=${CITYWATCH_BIN:-${CARGO_TARGET_DIR:-target}/debug/citywatch}
config=deploy/demo/citywatch.toml
[ -z "${CITYWATCH_SCREENSHOTS:-}" ] || config=deploy/demo/city.toml
data=$(mktemp -d)
log=$data/up.log
server=
finish() {
  if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
    kill -INT "$server"
    wait "$server" || true
  fi
  rm -rf "$data"
}
trap finish EXIT

# Starts it on two ports below those that outgoing connections get.
start() {
  console_port=$((10000 + (RANDOM % 10000) * 2))
  monitor_port=$((console_port + 1))
  run_server
}

run_server() {
  "$citywatch" up --config "$config" --data "$data/data" \
    --listen "127.0.0.1:$console_port" --monitor "127.0.0.1:$monitor_port" >>"$log" 2>&1 &
  server=$!
}

# Ready, and all of the recordings read and stored: a list that grows while it is looked at is another test.
settled() {
  curl -sf "http://127.0.0.1:$monitor_port/health/ready" >/dev/null &&
    curl -sf "http://127.0.0.1:$monitor_port/status" | node -e '
      const { parts, details } = JSON.parse(require("fs").readFileSync(0, "utf8"));
      const { agent, transport } = details;
      const read = agent.sources.length > 0 && agent.sources.every((source) => source.size_bytes > 0);
      const met = parts.demonstration ? parts.demonstration.state === "running" : read;
      const stored = transport.spool.appended === transport.spool.acknowledged;
      process.exit(met && agent.lag_bytes === 0 && stored ? 0 : 1);' 2>/dev/null
}

ready=no
start
for _ in $(seq 1800); do
  if settled; then
    ready=yes
    break
  fi
  if ! kill -0 "$server" 2>/dev/null; then
    # Somebody had one of the ports: others, then. Anything else is a fault.
    grep -q 'cannot listen on' "$log" || break
    start
  fi
  sleep 0.5
done
if [ "$ready" = no ]; then
  echo "browser-test: citywatch up did not become ready; it said:" >&2
  cat "$log" >&2
  exit 1
fi

export CITYWATCH_URL="http://127.0.0.1:$console_port"
CITYWATCH_USER=$(sed -n 's/^user: //p' "$data/data/first-sign-in.txt")
CITYWATCH_PASSWORD=$(sed -n 's/^password: //p' "$data/data/first-sign-in.txt")
export CITYWATCH_USER CITYWATCH_PASSWORD
run=(npm run --silent e2e -- "$@")
[ "${1:-}" != --lighthouse ] || run=(node scripts/lighthouse.mjs "${@:2}")
# A test asks for the server to be started anew by making this file; it is gone once the server was told to end.
export CITYWATCH_RESTART="$data/restart"
(cd alerting/console && exec "${run[@]}") &
tests=$!
while kill -0 "$tests" 2>/dev/null; do
  if [ -e "$CITYWATCH_RESTART" ]; then
    kill -INT "$server"
    wait "$server" || true
    rm "$CITYWATCH_RESTART"
    # So long that whoever is connected sees it gone.
    sleep 3
    run_server
  fi
  sleep 0.2
done
if ! wait "$tests"; then
  echo "browser-test: the server's last words:" >&2
  tail -30 "$log" >&2
  exit 1
fi
