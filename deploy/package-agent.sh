#!/usr/bin/env bash
# A Debian package of the agent, from a binary that was built.
#
#   deploy/package-agent.sh BINARY FOLDER     writes FOLDER/citywatch-agent_VERSION_ARCH.deb
#   deploy/package-agent.sh --test BINARY     makes one and looks at it: what is in it, and unpacked into a root of its own
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "package-agent: $1" >&2
  exit 1
}

for tool in dpkg-deb dpkg-shlibdeps strip; do
  command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install dpkg-dev binutils"
done

# Which packages the binary's libraries come from, with their versions.
libraries() {
  local work
  work=$(mktemp -d)
  mkdir "$work/debian"
  printf 'Source: citywatch-agent\n\nPackage: citywatch-agent\nArchitecture: any\n' >"$work/debian/control"
  (cd "$work" && dpkg-shlibdeps -O "$1" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
  rm -rf "$work"
}

make_package() {
  local binary folder version arch root bytes
  binary=$(realpath "$1") folder=$2
  version=$("$binary" --version | sed -n 's/^citywatch-agent //p')
  [ -n "$version" ] || fail "$binary does not say its version"
  arch=$(dpkg --print-architecture)
  root=$(mktemp -d)
  chmod 755 "$root"
  install -D -m 755 "$binary" "$root/usr/bin/citywatch-agent"
  strip --strip-unneeded "$root/usr/bin/citywatch-agent"
  install -D -m 644 "$here/systemd/citywatch-agent.service" "$root/lib/systemd/system/citywatch-agent.service"
  install -D -m 640 "$here/package/agent.toml" "$root/etc/citywatch/agent.toml"
  install -D -m 644 "$here/../LICENSE" "$root/usr/share/doc/citywatch-agent/copyright"
  install -d "$root/DEBIAN"
  echo /etc/citywatch/agent.toml >"$root/DEBIAN/conffiles"
  install -m 755 "$here/package/postinst" "$here/package/prerm" "$here/package/postrm" "$root/DEBIAN/"
  bytes=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
  cat >"$root/DEBIAN/control" <<CONTROL
Package: citywatch-agent
Version: $version
Architecture: $arch
Maintainer: Citywatch <citywatch@localhost>
Installed-Size: $bytes
Depends: $(libraries "$root/usr/bin/citywatch-agent"), adduser
Recommends: ca-certificates
Section: admin
Priority: optional
Description: ships a machine's logs to a city's security operations center
 Reads log files, systemd's journal, EVTX files, syslog, HTTP and commands, masks
 personal data, and sends the records to Kafka: each once, in order.
 Installing it starts nothing: edit /etc/citywatch/agent.toml, look at what
 citywatch-agent check says, and enable citywatch-agent.service.
CONTROL
  mkdir -p "$folder"
  dpkg-deb --root-owner-group "-Z${compression:-xz}" --build "$root" "$folder/citywatch-agent_${version}_${arch}.deb" >/dev/null
  rm -rf "$root"
  echo "$folder/citywatch-agent_${version}_${arch}.deb"
}

expect() {
  grep -qE "$2" <<<"$1" || fail "expected \`$2\` in:
$1"
}

test_package() {
  local work deb info contents root report
  work=$(mktemp -d)
  trap 'rm -rf "${work:-}"' EXIT
  deb=$(compression=none make_package "$1" "$work")
  info=$(dpkg-deb --info "$deb")
  for line in '^ Package: citywatch-agent$' '^ Depends: .*libc6 \(>= ' 'postinst' '/sh' 'conffiles'; do
    expect "$info" "$line"
  done
  contents=$(dpkg-deb --contents "$deb")
  expect "$contents" '^-rwxr-xr-x root/root +[0-9]+ .* \./usr/bin/citywatch-agent$'
  expect "$contents" '^-rw-r----- root/root .* \./etc/citywatch/agent.toml$'
  expect "$contents" '\./lib/systemd/system/citywatch-agent.service$'
  if grep -q 'multi-user.target.wants' <<<"$contents"; then fail "the package enables its service"; fi
  # As dpkg unpacks it, beside an empty data base of packages.
  root=$work/root
  mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
  touch "$root/var/lib/dpkg/status"
  dpkg --root="$root" --force-depends --force-not-root --log=/dev/null --unpack "$deb" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "dpkg does not unpack it"
  }
  expect "$(cat "$root/var/lib/dpkg/status")" '/etc/citywatch/agent.toml'
  "$root/usr/bin/citywatch-agent" --version >/dev/null || fail "the stripped program does not run"
  for script in postinst prerm postrm; do sh -n "$root/var/lib/dpkg/info/citywatch-agent.$script"; done
  # Its name before it is configured. It can be read; what it names need not be on this machine.
  report=$("$root/usr/bin/citywatch-agent" check --config "$root/etc/citywatch/agent.toml.dpkg-new" || true)
  expect "$report" 'positions in /var/lib/citywatch-agent'
  echo "package: $(basename "$deb"), $(stat -c %s "$deb") bytes, in order"
}

case "${1:-}" in
  --test) test_package "${2:?name the binary}" ;;
  '' | -*) sed -n '4,5s/^# *//p' "$0" >&2 && exit 2 ;;
  *) make_package "$1" "${2:?name a folder}" ;;
esac
