#!/usr/bin/env bash
# How fast the console is in a browser: prints figures, asserts none. A queue of 100,000 open alerts (INCIDENTS=... for
# fewer) is painted again and again, then alerts are committed and the time is taken until the page tells of them.
# PROFILE=release for a release build; figures of a debug build are those of a slower server.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
server=
finish() {
  touch "$dir/done"
  [ -z "$server" ] || wait "$server" || true
  rm -rf "$dir"
}
trap finish EXIT

profile=${PROFILE:-debug}
release=()
[ "$profile" = debug ] || release=(--release)
cargo test "${release[@]}" --locked -p citywatch-alerting --test speed --no-run
CITYWATCH_SPEED_DIR=$dir cargo test --quiet "${release[@]}" --locked -p citywatch-alerting --test speed -- \
  --ignored --exact a_queue_for_a_browser >"$dir/log" 2>&1 &
server=$!
until [ -e "$dir/access" ]; do
  if ! kill -0 "$server" 2>/dev/null; then
    echo "browser-speed: the server ended; it said:" >&2
    cat "$dir/log" >&2
    exit 1
  fi
  sleep 0.5
done
. "$dir/access"
export CITYWATCH_SPEED_DIR=$dir
echo "a server of the profile $profile, $(nproc) processors, $(uname -m)"
cd alerting/console && npm run --silent e2e -- --project speed
