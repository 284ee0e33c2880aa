#!/usr/bin/env bash
# Tailing one file to a real Kafka broker: our agent beside rsyslog with omkafka. The same file, each alone on one core, in turn;
# lines per second of the CPU time that each took from its start until the broker had all of them.
#
#   bench/agent/tail-to-kafka.sh AGENT [LINES] [RUNS]      AGENT: a release build of citywatch-agent
#
# bench/agent/setup.sh installs rsyslog, deploy/kafka-dev.sh fetch the broker. CORE names the core (1), INPUT a file of lines to repeat
# instead of made ones, CITYWATCH a build of citywatch: with it the agent is enrolled, signs what it sends and tells of itself each minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/enrol.sh"
kafka=$here/../../deploy/kafka-dev.sh
agent=$(realpath "${1:?name the agent}") lines=${2:-1000000} runs=${3:-3} core=${CORE:-1} port=${PORT:-39092}
rsyslog_config=$here/rsyslog.conf
kafka_home=${CITYWATCH_KAFKA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/kafka/4.0.0}
work=$(mktemp -d "${TMPDIR:-/tmp}/tail-to-kafka.XXXXXX")
trap '"$kafka" stop "$work/kafka" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

# Syslog lines of about 110 bytes, as sshd, sudo, cron and a web application write them.
make_lines() {
  if [ -n "${INPUT:-}" ]; then
    while :; do cat "$INPUT"; done | head -n "$1" || true
    return
  fi
  awk -v lines="$1" 'BEGIN {
    srand(7)
    split("alice bob carol dave erin frank grace heidi", user, " ")
    for (line = 0; line < lines; line++) {
      at = sprintf("Nov 22 %02d:%02d:%02d", line / 3600 % 24, line / 60 % 60, line % 60)
      who = user[int(rand() * 8) + 1]; ip = int(rand() * 250) "." int(rand() * 250); kind = int(rand() * 4)
      if (kind == 0) print at " web-01 sshd[" line % 30000 "]: Failed password for " who " from 10.7." ip " port " int(rand() * 60000) " ssh2"
      else if (kind == 1) print at " web-01 sudo[" line % 30000 "]: " who " : TTY=pts/0 ; PWD=/home/" who " ; USER=root ; COMMAND=/usr/bin/systemctl restart portal"
      else if (kind == 2) print at " web-01 CRON[" line % 30000 "]: (root) CMD (/usr/lib/portal/collect --since " line " --quiet >/dev/null 2>&1)"
      else print at " web-01 portal[" line % 30000 "]: request id=" int(rand() * 1e9) " user=" who " path=/ho-so/" int(rand() * 1e6) " status=200 took_ms=" int(rand() * 900)
    }
  }'
}

# User and system seconds of a process with its threads.
cpu_seconds() {
  awk -v ticks="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); print ($12 + $13) / ticks}' "/proc/$1/stat"
}

# run NAME TOPIC DONE COMMAND...: starts it on the core, waits until DONE says that all is there, prints seconds of CPU and of the clock.
run() {
  local name=$1 finished=$2 pid begun cpu
  shift 2
  begun=$(date +%s.%N)
  taskset -c "$core" "$@" >"$work/$name.out" 2>&1 &
  pid=$!
  until "$finished"; do
    [ "$(date +%s)" -lt $((${begun%.*} + 120)) ] || { echo "$name did not finish within 120 s" >&2; kill "$pid"; exit 1; }
    kill -0 "$pid" 2>/dev/null || { cat "$work/$name.out" >&2; echo "$name ended" >&2; exit 1; }
    sleep 0.05
  done
  cpu=$(cpu_seconds "$pid")
  printf '%s %s %s\n' "$name" "$cpu" "$(awk -v a="$begun" -v b="$(date +%s.%N)" 'BEGIN {print b - a}')"
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

agent_has_finished() {
  grep -q "\"durable_bytes\": $bytes," "$work/agent/status.json" 2>/dev/null
}

# omkafka counts what it handed over; what the broker has, only the broker says: a JVM of its own, so it is asked late.
rsyslog_has_finished() {
  grep -q "omkafka submitted=$lines " "$work/stats" 2>/dev/null || return 1
  [ "$(java -XX:TieredStopAtLevel=1 -cp "$kafka_home/*" org.apache.kafka.tools.GetOffsetShell \
    --bootstrap-server "127.0.0.1:$port" --topic "$topic" 2>/dev/null | cut -d: -f3)" = "$lines" ]
}

make_lines "$lines" >"$work/input.log"
bytes=$(stat -c %s "$work/input.log")
echo "$lines lines, $bytes bytes, core $core; $("$agent" --version); $(rsyslogd -v | sed -n '1s/ (.*//p')"
"$kafka" start "$work/kafka" "$port" >/dev/null
[ -z "${CITYWATCH:-}" ] || enrol "$agent" "$(realpath "$CITYWATCH")" "$work"
for round in $(seq "$runs"); do
  for name in agent rsyslog; do
    topic=$name-$round
    "$kafka" topic "$work/kafka" "$topic" 1 >/dev/null
    case $name in
      agent)
        rm -rf "$work/agent"
        {
          [ -z "${CITYWATCH:-}" ] || echo "identity_dir = '$work/identity'"
          sed "s|@DIR@|$work|; s|@TOPIC@|$topic|; s|@PORT@|$port|" "$here/agent.toml"
        } >"$work/agent.toml"
        run agent agent_has_finished "$agent" run --config "$work/agent.toml"
        ;;
      rsyslog)
        rm -rf "$work/rsyslog" "$work/stats"
        mkdir -p "$work/rsyslog"
        sed "s|@DIR@|$work|g; s|@TOPIC@|$topic|; s|@PORT@|$port|" "$rsyslog_config" >"$work/rsyslog.conf"
        run rsyslog rsyslog_has_finished rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslogd.pid"
        ;;
    esac
  done
done | tee "$work/figures" | while read -r name cpu clock; do
  awk -v name="$name" -v lines="$lines" -v cpu="$cpu" -v clock="$clock" \
    'BEGIN {printf "%-8s %6.2f s of CPU (all was told after %.1f s)  %10.0f lines per CPU second\n", name, cpu, clock, lines / cpu}'
done
awk '{cpu[$1] = cpu[$1] " " $2}
  function median(text, list, count, i, j, swap) {
    count = split(text, list, " ")
    for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++) if (list[j] < list[i]) {swap = list[i]; list[i] = list[j]; list[j] = swap}
    return list[int((count + 1) / 2)]
  }
  END {printf "median: the agent takes %.2f s, rsyslog %.2f s: %.2f times its lines per second of CPU time\n", median(cpu["agent"]), median(cpu["rsyslog"]), median(cpu["rsyslog"]) / median(cpu["agent"])}' "$work/figures"
