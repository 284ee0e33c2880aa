#!/usr/bin/env bash
# Puts Debian's syslog-ng with its Kafka driver into the cache, for the test that runs it as a producer. It is not installed:
# its package and rsyslog's, which the same test runs, exclude each other. Safe to run again.
#
# usage: deploy/syslog-ng-fetch.sh [--check | --path]
#   --check  only says whether it is there; exit 1 if not
#   --path   prints the folder that its files are unpacked into
set -euo pipefail
. "$(dirname "$0")/steady.sh"

home=${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/syslog-ng
packages="syslog-ng-core syslog-ng-mod-rdkafka libivykis0 libnet1 libpcre3 libwrap0 librdkafka1"

case "${1:-}" in
  --path)
    echo "$home"
    exit 0
    ;;
  --check)
    [ -f "$home/complete" ]
    exit
    ;;
  '') ;;
  *)
    echo "syslog-ng-fetch.sh: unknown option '$1'" >&2
    exit 2
    ;;
esac

[ -f "$home/complete" ] && exit 0
command -v dpkg-deb >/dev/null || {
  echo "syslog-ng-fetch.sh: dpkg-deb is missing: this needs Debian" >&2
  exit 1
}
rm -rf "$home"
mkdir -p "$home/debs"
cd "$home/debs"
again "syslog-ng's packages" apt-get download -q $packages
for package in *.deb; do
  dpkg-deb -x "$package" "$home"
done
rm -rf "$home/debs"
touch "$home/complete"
