#!/usr/bin/env bash
# Runs the console's specs in Debian's Chromium against a real `citywatch up` that plays the demo's recordings.
set -euo pipefail
cd "$(dirname "$0")/.."

citywatch=${CITYWATCH_BIN:-target/debug/citywatch}
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

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}
console_port=$(free_port)
monitor_port=$(free_port)

"$citywatch" up --config deploy/demo/citywatch.toml --data "$data/data" \
  --listen "127.0.0.1:$console_port" --monitor "127.0.0.1:$monitor_port" >"$log" 2>&1 &
server=$!

ready=no
for _ in $(seq 120); do
  if curl -sf "http://127.0.0.1:$monitor_port/health/ready" >/dev/null 2>&1; then
    ready=yes
    break
  fi
  kill -0 "$server" 2>/dev/null || break
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
if ! (cd alerting/console && npm run --silent e2e); then
  echo "browser-test: the server's last words:" >&2
  tail -30 "$log" >&2
  exit 1
fi
