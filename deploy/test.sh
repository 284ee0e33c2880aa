#!/usr/bin/env bash
# What `make test` runs, in the order in which a fault shows soonest. Each step says how long it took.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/steady.sh
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
# Built once, from nothing: what a second build would reuse only fills the disk.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

started=$SECONDS
step() {
  local name=$1 begun=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@"
  printf '== %s: %d s\n' "$name" $((SECONDS - begun))
}

scripts_are_sound() {
  local script
  for script in deploy/*.sh bench/agent/*.sh .ci/run; do bash -n "$script"; done
}

units_are_sound() {
  if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: systemd-analyze is not on this machine"
    return
  fi
  # Verifying looks for the programs, which are not installed here: any other word is a fault.
  local faults
  faults=$(systemd-analyze verify deploy/systemd/*.service 2>&1 | grep -v 'is not executable: No such file' | grep 'deploy/systemd\|citywatch' || true)
  if [ -n "$faults" ]; then
    echo "$faults" >&2
    return 1
  fi
}

console() {
  # After `make demo` only what builds the console is installed.
  [ -x alerting/console/node_modules/.bin/vitest ] ||
    (cd alerting/console && again "npm ci" npm ci --no-audit --no-fund --loglevel=error)
  (cd alerting/console && npm run --silent typecheck && npm run --silent lint && npm run --silent test)
}

step "scripts and units" scripts_are_sound
units_are_sound
# Asked of the registry before anything is built, and again if it does not answer.
step "dependencies" again "fetching dependencies" cargo fetch --locked --target "$(rustc -vV | sed -n 's/^host: //p')"
step "formatting" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "console: types, lints, unit tests" console
step "build" cargo build --workspace --locked
step "package" deploy/package-agent.sh --test target/debug/citywatch-agent
step "tests" cargo test --workspace --locked
step "browser" deploy/browser-test.sh
du -sh "${CARGO_TARGET_DIR:-target}" | sed 's/^\([^\t]*\).*/\nbuilt files: \1/'
printf '\nall of make test: %d s\n' $((SECONDS - started))
