#!/usr/bin/env bash
# Builds the OpenTelemetry Collector from its Go modules into the cache, for the test that runs it as a producer
# (`make test-all`). Safe to run again.
#
# usage: deploy/otel-collector-build.sh [--check | --path]
#   --check  only says whether it is there; exit 1 if not
#   --path   prints the program's path
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/steady.sh

source=tests/otel_collector
# Another source is another program.
version=$(cat $source/main.go $source/go.mod $source/go.sum | sha256sum | cut -c1-16)
home=${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/otel-collector
program=$home/otelcol-$version

case "${1:-}" in
  --path)
    echo "$program"
    exit 0
    ;;
  --check)
    [ -x "$program" ]
    exit
    ;;
  '') ;;
  *)
    echo "otel-collector-build.sh: unknown option '$1'" >&2
    exit 2
    ;;
esac

[ -x "$program" ] && exit 0
command -v go >/dev/null || {
  echo "otel-collector-build.sh: go is missing: apt-get install golang-go; without it the test with the Collector is skipped" >&2
  exit 1
}
mkdir -p "$home"
(cd $source && again "the Collector's modules" go mod download &&
  CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "-s -w" -o "$program.new" .)
mv -f "$program.new" "$program"
