#!/usr/bin/env bash
# What the agent takes of a machine: memory while it has nothing to do, CPU at 1,000 lines a second, with and without masking.
#
#   bench/agent/small.sh AGENT [SECONDS]     AGENT: a release build of citywatch-agent
#
# CITYWATCH names a build of citywatch: with it the agent is enrolled, signs what it sends and tells of itself each minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/enrol.sh"
kafka=$here/../../deploy/kafka-dev.sh
agent=$(realpath "${1:?name the agent}") seconds=${2:-30} port=${PORT:-39092} rate=1000
work=$(mktemp -d "${TMPDIR:-/tmp}/agent-small.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; "$kafka" stop "$work/kafka" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

cpu_ticks() {
  awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$pid/stat"
}

memory() {
  awk '/^(Rss|Pss|Private_Dirty|Anonymous):/ {printf "%s %.1f MB  ", tolower($1), $2 / 1024}' "/proc/$pid/smaps_rollup"
}

write_lines() {
  # Ten times a second, as a busy service writes.
  local tick=0
  while [ "$tick" -lt $((seconds * 10)) ]; do
    tail -n +$((tick * rate / 10 % 10000 + 1)) "$work/lines" | head -n $((rate / 10)) >>"$work/input.log" || true
    tick=$((tick + 1))
    sleep 0.097
  done
}

measure() {
  local name=$1 masking=$2 before after begun identity=
  [ -z "${CITYWATCH:-}" ] || identity="identity_dir = '$work/identity'"
  rm -rf "$work/agent"
  : >"$work/input.log"
  {
    echo "$identity"
    sed "s|@DIR@|$work|; s|@TOPIC@|records|; s|@PORT@|$port|" "$here/agent.toml"
    printf '%s\n' '[[syslog]]' 'listen = "127.0.0.1:39514"' '[[http]]' 'listen = "127.0.0.1:39200"' "$masking"
  } >"$work/agent.toml"
  "$agent" run --config "$work/agent.toml" >"$work/out" 2>&1 &
  pid=$!
  sleep 15
  kill -0 "$pid" || { cat "$work/out" >&2; exit 1; }
  before=$(cpu_ticks)
  echo "$name: idle for 15 s: $(memory)"
  sleep 15
  after=$(cpu_ticks)
  awk -v name="$name" -v ticks=$((after - before)) -v clock="$(getconf CLK_TCK)" \
    'BEGIN {printf "%s: idle: %.2f%% of a core\n", name, 100 * ticks / clock / 15}'
  before=$(cpu_ticks) begun=$(date +%s.%N)
  write_lines
  after=$(cpu_ticks)
  awk -v name="$name" -v ticks=$((after - before)) -v clock="$(getconf CLK_TCK)" -v lines=$((seconds * rate)) -v begun="$begun" -v now="$(date +%s.%N)" \
    'BEGIN {printf "%s: %.0f lines/s: %.2f%% of a core\n", name, lines / (now - begun), 100 * ticks / clock / (now - begun)}'
  echo "$name: after it: $(memory)"
  kill "$pid" && wait "$pid" 2>/dev/null || true
  pid=
}

awk 'BEGIN {srand(7); for (line = 0; line < 20000; line++)
  printf "Nov 22 10:%02d:%02d web-01 portal[%d]: request id=%d user=u%d@example.vn phone=09%08d path=/ho-so/%d status=200 took_ms=%d\n",
    line / 60 % 60, line % 60, line, rand() * 1e9, rand() * 1e4, rand() * 1e8, rand() * 1e6, rand() * 900}' >"$work/lines"
"$kafka" start "$work/kafka" "$port" >/dev/null
"$kafka" topic "$work/kafka" records 1 >/dev/null
[ -z "${CITYWATCH:-}" ] || enrol "$agent" "$(realpath "$CITYWATCH")" "$work"
(umask 077; head -c 32 /dev/urandom | base64 >"$work/key")
echo "$("$agent" --version), $(stat -c %s "$agent") bytes"
measure plain ''
measure masking "[masking]
key_file = '$work/key'
kinds = ['cccd', 'cmnd', 'phone', 'email', 'card']"
