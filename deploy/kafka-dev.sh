#!/usr/bin/env bash
# A real Kafka broker (Apache Kafka, KRaft mode, one small JVM) for development and tests.
#
#   deploy/kafka-dev.sh check             0 if the broker is in the cache
#   deploy/kafka-dev.sh fetch             puts it there, from Maven Central (53 MB)
#   deploy/kafka-dev.sh start DIR PORT    starts a broker on 127.0.0.1:PORT with its data in DIR,
#                                         returns when it answers; PORT+1 must be free too
#                                         with CITYWATCH_KAFKA_KEYS=FILE (key and certificates, PEM) and
#                                         CITYWATCH_KAFKA_CA=FILE also mutual TLS on PORT+2
#   deploy/kafka-dev.sh stop DIR          stops it
#   deploy/kafka-dev.sh topic DIR NAME PARTITIONS [KEY=VALUE ...]   makes a topic
#
# CITYWATCH_KAFKA_HOME names another place for the broker than the cache.
set -euo pipefail
. "$(dirname "$0")/steady.sh"

version=4.0.0
log4j_version=2.24.3
home=${CITYWATCH_KAFKA_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/kafka/$version}
checksums=$(cd "$(dirname "$0")" && pwd)/kafka-$version.sha256
heap=${CITYWATCH_KAFKA_HEAP:-384m}

fail() {
  echo "kafka-dev: $1" >&2
  exit "${2:-1}"
}

usage() {
  sed -n '4,11s/^# *//p' "$0" >&2
  exit 2
}

have_broker() {
  [ -f "$home/kafka_2.13-$version.jar" ] && [ -f "$home/kafka-tools-$version.jar" ] && [ -f "$home/complete" ]
}

fetch() {
  if have_broker; then
    echo "kafka-dev: Kafka $version is in $home"
    return
  fi
  command -v mvn >/dev/null || fail "mvn is missing: apt-get install maven"
  mkdir -p "$(dirname "$home")"
  work=$(mktemp -d "$home.fetch.XXXXXX")
  trap 'rm -rf "${work:-}"' EXIT
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>citywatch</groupId><artifactId>kafka-dev</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$log4j_version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j_version</version></dependency>
  </dependencies>
</project>
POM
  echo "kafka-dev: fetching Kafka $version into $home"
  again "fetching Kafka" fetch_jars || fail "Maven could not fetch Kafka $version: is Maven Central reachable?"
  mkdir -p "$home"
  mv -f "$work"/jars/* "$home"
  touch "$home/complete"
}

# Neither a registry nor a broken download decides what runs.
fetch_jars() {
  rm -rf "$work/jars"
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/jars" &&
    (cd "$work/jars" && sha256sum --quiet --ignore-missing -c "$checksums")
}

# Fails with the end of the log, which names the reason.
fail_with_log() {
  grep -E " (ERROR|FATAL) " "$1" | head -n 5 >&2 || true
  tail -n 20 "$1" >&2
  fail "$2; its log is $1"
}

java_kafka() {
  java -cp "$home/*" "$@"
}

start() {
  local dir=$1 port=$2
  have_broker || fail "Kafka is not in $home: run deploy/kafka-dev.sh fetch"
  command -v java >/dev/null || fail "java is missing: apt-get install default-jre-headless"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if running "$dir"; then fail "a broker runs in $dir already: deploy/kafka-dev.sh stop $dir"; fi

  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.enable=false
PROPERTIES
  if [ -n "${CITYWATCH_KAFKA_KEYS:-}" ]; then
    sed -i -e "s|^listeners=.*|&,TLS://127.0.0.1:$((port + 2))|" \
      -e "s|^advertised.listeners=.*|&,TLS://127.0.0.1:$((port + 2))|" \
      -e "s|^listener.security.protocol.map=.*|&,TLS:SSL|" "$dir/server.properties"
    cat >>"$dir/server.properties" <<PROPERTIES
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=$CITYWATCH_KAFKA_KEYS
ssl.truststore.type=PEM
ssl.truststore.location=$CITYWATCH_KAFKA_CA
ssl.client.auth=required
PROPERTIES
  fi
  cat >"$dir/log4j2.properties" <<LOG
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
LOG
  local log=$dir/broker.log
  if [ ! -f "$dir/data/meta.properties" ]; then
    # Letters and digits only: an id that began with "-" would be read as an option.
    java_kafka -Xmx128m kafka.tools.StorageTool format --cluster-id "$(head -c 16 /dev/urandom | base64 | tr '+/' 'pq' | tr -d '=')" \
      --config "$dir/server.properties" >"$log" 2>&1 || fail_with_log "$log" "the storage could not be formatted"
  fi
  : >"$log"
  nohup java "-Xmx$heap" "-Xms$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$dir/log4j2.properties" \
    -cp "$home/*" kafka.Kafka "$dir/server.properties" >"$log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  for _ in $(seq 1500); do
    if grep -q "Kafka Server started" "$log"; then
      echo "kafka-dev: 127.0.0.1:$port, pid $(cat "$dir/pid")"
      return
    fi
    running "$dir" || fail_with_log "$log" "the broker ended at its start"
    sleep 0.2
  done
  stop "$dir"
  fail_with_log "$log" "the broker did not answer within 300 s"
}

running() {
  [ -f "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null
}

stop() {
  local dir=$1
  running "$dir" || { rm -f "$dir/pid"; return 0; }
  local pid
  pid=$(cat "$dir/pid")
  kill "$pid"
  for _ in $(seq 300); do
    running "$dir" || break
    sleep 0.1
  done
  if running "$dir"; then kill -9 "$pid"; fi
  rm -f "$dir/pid"
}

topic() {
  local dir=$1 name=$2 partitions=$3
  shift 3
  local address settings=()
  address=$(sed -n 's/^advertised.listeners=PLAINTEXT:\/\/\([^,]*\).*/\1/p' "$dir/server.properties")
  for setting in "$@"; do settings+=(--config "$setting"); done
  java_kafka -Xmx128m -XX:TieredStopAtLevel=1 org.apache.kafka.tools.TopicCommand --bootstrap-server "$address" \
    --create --if-not-exists --topic "$name" --partitions "$partitions" --replication-factor 1 "${settings[@]}"
}

case "${1:-}" in
  check) have_broker || fail "Kafka is not in $home: run deploy/kafka-dev.sh fetch" ;;
  fetch) fetch ;;
  start) [ $# -eq 3 ] || usage; start "$2" "$3" ;;
  stop) [ $# -eq 2 ] || usage; stop "$2" ;;
  topic) [ $# -ge 4 ] || usage; topic "${@:2}" ;;
  *) usage ;;
esac
