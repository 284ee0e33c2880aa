#!/usr/bin/env bash
# Fetches libchdb.so, the ClickHouse engine as a library, from the npm registry into the cache. Safe to run again.
#
# usage: deploy/chdb-fetch.sh [--check | --path]
#   --check  only says whether it is there and whole; exit 1 if not
#   --path   prints where it is put
#
# The version is pinned; the file's SHA-256 too, so that neither a registry nor a broken download decides what runs.
set -euo pipefail
. "$(dirname "$0")/steady.sh"

version=26.7.3-stable.1
target=${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/chdb/$version/libchdb.so

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    package=@chdb/lib-linux-x64-gnu
    sha256=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5
    ;;
  Linux-aarch64)
    # Named by chDB's own package list, but absent from the registry when this was written: no checksum to pin yet.
    package=@chdb/lib-linux-arm64-gnu
    sha256=${CITYWATCH_LIBCHDB_SHA256:-}
    if [ -z "$sha256" ]; then
      echo "chdb-fetch.sh: no checksum is known for $package: set CITYWATCH_LIBCHDB_SHA256 to that of a libchdb.so you trust," >&2
      echo "  or CITYWATCH_LIBCHDB to its path, or use a ClickHouse server (url in [store])" >&2
      exit 1
    fi
    ;;
  *)
    echo "chdb-fetch.sh: no libchdb for $(uname -s) on $(uname -m): use a ClickHouse server (url in [store])" >&2
    exit 1
    ;;
esac

whole() {
  [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sha256" ]
}

case "${1:-}" in
  "") ;;
  --path)
    echo "$target"
    exit 0
    ;;
  --check)
    # A second run must be quick: the stamp says that this very file was found whole before.
    stamp="$target.sha256"
    if [ -f "$target" ] && [ -f "$stamp" ] && [ ! "$target" -nt "$stamp" ] && [ "$(cat "$stamp")" = "$sha256" ]; then
      echo "chdb: $target is here"
      exit 0
    fi
    if whole "$target"; then
      echo "$sha256" >"$stamp"
      echo "chdb: $target is here"
      exit 0
    fi
    echo "chdb: $target is missing or not whole: run deploy/chdb-fetch.sh" >&2
    exit 1
    ;;
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *)
    echo "chdb-fetch.sh: unknown option '$1'; see deploy/chdb-fetch.sh --help" >&2
    exit 2
    ;;
esac

if "$0" --check >/dev/null 2>&1; then
  echo "chdb: $target is here"
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "chdb-fetch.sh: npm is missing: install Node.js 20 or newer" >&2
  exit 1
fi

folder=$(dirname "$target")
mkdir -p "$folder"
# Left by a fetch that was killed.
find "$folder" -maxdepth 1 -name 'fetch.*' -mmin +240 -exec rm -rf {} +
# Beside the target, so that the last step is a rename: a fetch that is cut off leaves nothing half done.
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "chdb: fetching $package $version (178 MB packed, 566 MB unpacked) into $folder"
fetch() {
  (cd "$work" && rm -rf ./*.tgz package && npm pack --silent "$package@$version" >packed.name 2>npm.log) || {
    tail -5 "$work/npm.log" >&2
    echo "chdb-fetch.sh: npm could not fetch $package@$version: is the registry within reach?" >&2
    return 1
  }
  tar -xzf "$work/$(tail -1 "$work/packed.name")" -C "$work" package/libchdb.so || return 1
  whole "$work/package/libchdb.so" || {
    echo "chdb-fetch.sh: libchdb.so of $package@$version has SHA-256 $(sha256sum "$work/package/libchdb.so" | cut -d' ' -f1)," >&2
    echo "  expected $sha256: not installed" >&2
    return 1
  }
}
again "fetching chDB" fetch || exit 1
chmod 0755 "$work/package/libchdb.so"
mv -f "$work/package/libchdb.so" "$target"
echo "$sha256" >"$target.sha256"
echo "chdb: $target is here"
