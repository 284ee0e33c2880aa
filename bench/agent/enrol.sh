# Sourced by the scripts beside it: gives the agent an identity, so that it signs what it sends.

# enrol AGENT CITYWATCH DIR: puts an identity into DIR/identity, from an authority that lives for as long as this takes.
enrol() {
  local agent=$1 citywatch=$2 dir=$3 port=39443 token pid status
  mkdir -p "$dir/centre"
  printf '[intake]\nlisten = "127.0.0.1:%s"\n' "$port" >"$dir/centre/citywatch.toml"
  printf 'name = "bench"\nstate_dir = "%s/enrolled"\nidentity_dir = "%s/identity"\n[https]\n' "$dir" "$dir" >"$dir/enrol.toml"
  "$citywatch" ca init --data "$dir/centre/data" >/dev/null
  "$citywatch" up --config "$dir/centre/citywatch.toml" --data "$dir/centre/data" --listen 127.0.0.1:39444 --monitor 127.0.0.1:39445 \
    >"$dir/centre/out" 2>&1 &
  pid=$!
  token=$("$citywatch" ca token --unit bench --data "$dir/centre/data" 2>"$dir/token.out")
  for _ in $(seq 60); do
    sleep 1
    if "$agent" enroll "https://127.0.0.1:$port" "$token" --config "$dir/enrol.toml" >"$dir/enrolled.out" 2>&1; then
      status=enrolled
      break
    fi
    kill -0 "$pid" 2>/dev/null || break
  done
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  [ -n "${status:-}" ] || { cat "$dir/enrolled.out" "$dir/centre/out" >&2; return 1; }
}
