#!/usr/bin/env bash
# Installs what Citywatch needs on Debian 12 beyond Rust and Node.js. Safe to run again: what is there is left alone.
#
# usage: deploy/setup.sh [--for demo|test] [--check]
#   --for demo   what `make demo` needs (default): compiler tools, the ClickHouse engine as a library
#   --for test   the same, and a Kafka broker, a Java runtime for it, rsyslog and syslog-ng as producers, and a browser
#   --check      only says what is missing; exit 1 if anything is
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/steady.sh

profile=demo
check=no
while [ $# -gt 0 ]; do
  case "$1" in
    --for)
      profile=${2:-}
      shift
      ;;
    --check) check=yes ;;
    -h | --help)
      sed -n '2,7s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "setup.sh: unknown option '$1'; see deploy/setup.sh --help" >&2
      exit 2
      ;;
  esac
  shift
done
case "$profile" in
  demo | test) ;;
  *)
    echo "setup.sh: --for takes demo or test, not '$profile'" >&2
    exit 2
    ;;
esac

# package and what it is for
packages_demo="
build-essential:C_compiler_for_librdkafka,_zstd_and_SQLite
mold:fast_linker
pkg-config:finds_the_libraries_below
libssl-dev:TLS_to_Kafka
zlib1g-dev:compression_for_librdkafka
ca-certificates:package_registries_over_HTTPS
tzdata:time_zones_that_formats_name
"
packages_test="
default-jre-headless:runs_the_Kafka_broker
maven:fetches_the_Kafka_broker
chromium:browser_test
dpkg-dev:names_the_libraries_of_the_agents_package
curl:asks_whether_the_server_under_test_is_ready
procps:process_checks_in_end-to-end_tests
rsyslog-kafka:the_test_that_runs_rsyslog_as_a_producer
rsyslog-elasticsearch:the_test_that_sends_in_bulk
systemd:the_agent_reads_journals_through_journalctl
systemd-journal-remote:writes_the_journals_of_those_tests
"

# A command that is already there, from wherever, serves as well as Debian's package of it.
have_package() {
  case "$1" in
    build-essential) command -v g++ >/dev/null && command -v make >/dev/null ;;
    default-jre-headless) java_is_17 ;;
    maven) command -v mvn >/dev/null ;;
    tzdata) [ -e /usr/share/zoneinfo/Asia/Ho_Chi_Minh ] ;;
    mold | chromium | curl) command -v "$1" >/dev/null ;;
    *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ;;
  esac
}

java_is_17() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)
  [ -n "$version" ] && [ "$version" -ge 17 ]
}

problems=()
command -v cargo >/dev/null || problems+=("Rust is missing: install it with rustup, then run this again (the version is in rust-toolchain.toml)")
if ! command -v node >/dev/null; then
  problems+=("Node.js is missing: version 20 or newer builds the console")
elif [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  problems+=("Node.js $(node --version) is too old: version 20 or newer builds the console")
fi
command -v dpkg-query >/dev/null || problems+=("this is not a Debian system: deploy/setup.sh knows Debian 12; elsewhere install the packages it lists by hand")
if [ ${#problems[@]} -gt 0 ]; then
  printf 'setup.sh: %s\n' "${problems[@]}" >&2
  exit 1
fi

table=$packages_demo
[ "$profile" = test ] && table+=$packages_test
missing=()
steps=()
for row in $table; do
  name=${row%%:*}
  if ! have_package "$name"; then
    missing+=("$name")
    why=${row#*:}
    steps+=("install Debian package $name (${why//_/ })")
  fi
done
deploy/chdb-fetch.sh --check >/dev/null 2>&1 || steps+=("fetch the ClickHouse engine as a library (chDB, 178 MB packed, into the cache)")
if [ "$profile" = test ]; then
  deploy/kafka-dev.sh check >/dev/null 2>&1 || steps+=("fetch the Kafka broker (Apache Kafka 4.0, 53 MB, into the cache)")
  deploy/syslog-ng-fetch.sh --check || steps+=("fetch syslog-ng (Debian's packages, 2 MB, into the cache: installed they would exclude rsyslog)")
fi

if [ ${#steps[@]} -eq 0 ]; then
  echo "setup: everything that 'make $profile' needs is here"
  exit 0
fi
echo "setup: to do for 'make $profile':"
printf '  - %s\n' "${steps[@]}"
[ "$check" = yes ] && exit 1

if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "setup.sh: installing packages needs root: run as root 'apt-get install ${missing[*]}', then this again" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  echo "setup: installing ${missing[*]}"
  # Another apt may hold the lock: a fresh machine updates itself.
  install() {
    local patient=(-o DPkg::Lock::Timeout=600 -o Acquire::Retries=5)
    "${as_root[@]}" apt-get "${patient[@]}" update >"$log" 2>&1 &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get "${patient[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1
  }
  if ! again "apt-get" install; then
    tail -20 "$log" >&2
    echo "setup.sh: apt-get failed; its last words are above" >&2
    exit 1
  fi
fi
deploy/chdb-fetch.sh
if [ "$profile" = test ]; then
  deploy/kafka-dev.sh fetch
  deploy/syslog-ng-fetch.sh
fi
echo "setup: done"
