# Sourced by the scripts here: what makes them work alike on every machine.

# A service or a container may have no HOME; caches are below it.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6) || true
  [ -d "$HOME" ] || HOME=${TMPDIR:-/tmp}
  export HOME
fi
# Words of other programs are looked for in English.
export LC_ALL=C.UTF-8
# Registries and mirrors may be away for a moment.
export CARGO_NET_RETRY=${CARGO_NET_RETRY:-10}
export npm_config_fetch_retries=${npm_config_fetch_retries:-5}

# again WHAT COMMAND...: runs a command until it works, for what a network or another's lock may keep it from;
# five attempts within two minutes.
again() {
  local what=$1 wait
  shift
  for wait in 5 10 30 60; do
    "$@" && return 0
    echo "$what did not work; again in $wait s" >&2
    sleep "$wait"
  done
  "$@"
}
