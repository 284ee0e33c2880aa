#!/usr/bin/env bash
# Debian's rsyslog with omkafka, the peer of bench/agent/tail-to-kafka.sh. It is not enabled as a service.
set -euo pipefail
. "$(dirname "$0")/../../deploy/steady.sh"
[ "$(id -u)" = 0 ] || { echo "run as root: apt-get install --no-install-recommends rsyslog rsyslog-kafka" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
again "apt-get update" apt-get -q update
again "apt-get install" apt-get -q install -y --no-install-recommends rsyslog rsyslog-kafka time
