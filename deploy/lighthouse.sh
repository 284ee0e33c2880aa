#!/usr/bin/env bash
# Lighthouse on the console's main screens, in Debian's Chromium against a real `citywatch up`: performance at least 90,
# accessibility at least 95. Fetches Lighthouse into the cache first; it is no dependency of the console. Safe to run again.
#
# usage: deploy/lighthouse.sh [--save FILE] [SCREEN...]
#   --save FILE  also writes the figures there, as JSON
#   SCREEN       only these: incidents, rules ...
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/steady.sh

# Version 13 wants a newer Node.js than Debian has.
lighthouse=12.8.2
launcher=1.2.1
export CITYWATCH_LIGHTHOUSE=${XDG_CACHE_HOME:-$HOME/.cache}/citywatch/lighthouse/$lighthouse

fetch() {
  local unfinished=$CITYWATCH_LIGHTHOUSE.unfinished
  rm -rf "$unfinished" && mkdir -p "$unfinished" &&
    PUPPETEER_SKIP_DOWNLOAD=1 npm install --prefix "$unfinished" --no-audit --no-fund --loglevel=error \
      "lighthouse@$lighthouse" "chrome-launcher@$launcher" &&
    mv "$unfinished" "$CITYWATCH_LIGHTHOUSE"
}

[ -d "$CITYWATCH_LIGHTHOUSE" ] || again "Lighthouse" fetch
if [ "${1:-}" = --save ]; then
  CITYWATCH_LIGHTHOUSE_FILE=$(realpath "${2:?--save wants a file}")
  export CITYWATCH_LIGHTHOUSE_FILE
  shift 2
fi
deploy/browser-test.sh --lighthouse "$@"
