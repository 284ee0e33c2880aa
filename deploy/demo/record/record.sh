#!/usr/bin/env bash
# Records the demo's logs: real daemons, attacked for real, inside network namespaces that reach nothing else.
#
#   record.sh OUT       writes OUT/<host>/... ; OUT is usually deploy/demo/logs
#
# Needs root, a kernel with audit and network namespaces, Debian's debootstrap, and about 1.5 GB in
# $CITYWATCH_RECORD_DIR (default /var/lib/citywatch-demo). Takes about 12 minutes. Nothing is rewritten afterwards:
# what lands in OUT is what rsyslog, nginx and auditd wrote. README.md one folder up tells the story.
set -Eeuo pipefail
trap 'echo "failed at $BASH_SOURCE:$LINENO: $BASH_COMMAND" >&2' ERR

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: record.sh OUT}
base_dir=${CITYWATCH_RECORD_DIR:-/var/lib/citywatch-demo}

# shellcheck source=network.sh
source "$here/network.sh"
# shellcheck source=hosts.sh
source "$here/hosts.sh"
# shellcheck source=scene-bastion.sh
source "$here/scene-bastion.sh"
# shellcheck source=scene-portal.sh
source "$here/scene-portal.sh"

[[ $EUID -eq 0 ]] || { echo "record.sh: run as root: namespaces, audit and daemons need it" >&2; exit 1; }
if [[ $(auditctl_status enabled) != 0 || $(auditctl_status pid) != 0 ]]; then
  echo "record.sh: this machine's audit system is in use; record on one where it is not" >&2
  exit 1
fi

cleanup() {
  stop_hosts
  remove_network
  restore_audit
}
trap cleanup EXIT

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

say "root filesystems"; build_filesystems
say "network";          build_network
say "hosts";            start_hosts
say "scene: bastion-01";    play_bastion
say "scene: portal-web-01"; play_portal
say "collecting";       sleep 3; collect bastion-01 "$out"; collect portal-web-01 "$out"
say "done"
