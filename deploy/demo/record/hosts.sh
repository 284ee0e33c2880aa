# Root filesystems and daemons of the recorded hosts. A host is a Debian 12 of its own (debootstrap, chroot) with its own
# name (UTS namespace) and network; only auditd's kernel side is shared, so it runs on one host at a time.

packages=openssh-server,rsyslog,sudo,cron,auditd,nginx-light,php-fpm,curl,wget,ca-certificates,iproute2,tzdata,less,vim-tiny,rsync,procps
attack_tools="hydra gobuster sshpass openssh-client"
declare -A anchor=()   # host -> pid that keeps its namespaces

auditctl_status() { chroot "$base_dir/base" auditctl -s 2>/dev/null | awk -v key="$1" '$1 == key { print $2 }' || true; }

# After the recording no process of this machine pays for auditing: new tasks get no audit context.
restore_audit() {
  chroot "$base_dir/base" auditctl -e 0 >/dev/null
  chroot "$base_dir/base" auditctl -D >/dev/null
  chroot "$base_dir/base" auditctl -b 64 >/dev/null
  chroot "$base_dir/base" auditctl -a never,task >/dev/null
}

build_filesystems() {
  mkdir -p "$base_dir"
  if [[ ! -d $base_dir/base ]]; then
    debootstrap --variant=minbase --include="$packages" bookworm "$base_dir/base" >"$base_dir/debootstrap.log"
  fi
  if [[ ! -d $base_dir/attacker ]]; then
    cp -a "$base_dir/base" "$base_dir/attacker"
    cp /etc/resolv.conf "$base_dir/attacker/etc/resolv.conf"
    chroot "$base_dir/attacker" sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $attack_tools" >/dev/null
  fi
  local host
  for host in bastion-01 portal-web-01; do
    rm -rf "${base_dir:?}/$host"
    cp -a "$base_dir/base" "$base_dir/$host"
    chroot "$base_dir/$host" ln -sf /usr/share/zoneinfo/Asia/Ho_Chi_Minh /etc/localtime
    find "$base_dir/$host/var/log" -type f -delete
    install -d -m 755 "$base_dir/$host/var/log/nginx"
    install -m 664 -g utmp /dev/null "$base_dir/$host/var/log/wtmp"
    install -m 660 -g utmp /dev/null "$base_dir/$host/var/log/btmp"
    install -m 664 -g utmp /dev/null "$base_dir/$host/var/log/lastlog"
    cp -a "$here/$host/." "$base_dir/$host/"
    chown -R 0:0 "$base_dir/$host/etc/"{sudoers.d,cron.d,audit/rules.d} 2>/dev/null || true
    chmod 440 "$base_dir/$host/etc/sudoers.d/"* 
    chmod 644 "$base_dir/$host/etc/cron.d/"* 
    : >"$base_dir/$host/etc/resolv.conf"
    # The kernel's own log is this machine's, not the host's; everything else is Debian's configuration.
    sed -i '/imklog/d' "$base_dir/$host/etc/rsyslog.conf"
    # Records that leave their host should say whose they are.
    sed -i 's/^name_format = NONE/name_format = HOSTNAME/' "$base_dir/$host/etc/audit/auditd.conf"
    # The recording machine has no CAP_SYS_RESOURCE: pam_limits would complain at every session.
    sed -i '/pam_limits/d' "$base_dir/$host/etc/pam.d/"*
  done
  install -d "$base_dir/attacker/srv/drop"
  cp "$here/attacker/"* "$base_dir/attacker/srv/"
  cp "$here/attacker/u.sh" "$base_dir/attacker/srv/drop/u.sh"
}

# start_anchor HOST ROOT: a process that keeps the host's namespaces.
start_anchor() {
  local host=$1 root=$base_dir/$2
  ip netns exec "cw-$host" unshare --uts --mount --propagation private -- bash -c "
    hostname $host
    mount -t proc proc $root/proc
    mount -t tmpfs -o mode=755 tmpfs $root/dev
    mount -t tmpfs -o mode=755 tmpfs $root/run
    mkdir -p $root/dev/pts $root/dev/shm $root/run/sshd $root/run/php
    install -m 664 -g utmp /dev/null $root/run/utmp
    mount -t devpts -o newinstance,ptmxmode=666,gid=5,mode=620 devpts $root/dev/pts
    ln -s pts/ptmx $root/dev/ptmx
    ln -s /proc/self/fd $root/dev/fd
    mknod -m 666 $root/dev/null c 1 3; mknod -m 666 $root/dev/zero c 1 5
    mknod -m 666 $root/dev/random c 1 8; mknod -m 666 $root/dev/urandom c 1 9; mknod -m 666 $root/dev/tty c 5 0
    echo 127.0.0.1 localhost $host > $root/etc/hosts
    echo $host > $root/etc/hostname
    exec -a cw-anchor-$host sleep infinity" </dev/null >/dev/null 2>&1 &
  anchor[$host]=$!
  roots[$host]=$root
  sleep 1
}
declare -A roots=()

# on HOST COMMAND...: runs as root in the host, with a login's environment.
on() {
  local host=$1; shift
  nsenter --target "${anchor[$host]}" --uts --mount --net chroot "${roots[$host]}" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LANG=C.UTF-8 TERM=xterm "$@"
}

start_hosts() {
  start_anchor bastion-01 bastion-01
  start_anchor portal-web-01 portal-web-01
  local host
  for host in office public attacker scanner; do start_anchor "$host" attacker; done
  people_of_bastion
}

# start_daemons HOST [COMMAND...]: the host's daemons, each put into the background by itself.
start_daemons() {
  local host=$1 command; shift
  on "$host" rsyslogd </dev/null
  sleep 1
  start_auditd "$host"
  for command in cron /usr/sbin/sshd "$@"; do
    # shellcheck disable=SC2086
    on "$host" $command </dev/null
  done
}

# stop_daemons HOST: all that runs in the host but the process that keeps its namespaces.
stop_daemons() {
  local pid
  stop_auditd "$1"
  for pid in $(ip netns pids "cw-$1"); do
    [[ $pid == "${anchor[$1]}" ]] || kill "$pid" 2>/dev/null || true
  done
  sleep 2
}

# Accounts as an administrator would have made them, before logging starts.
people_of_bastion() {
  local user
  for user in vtquang nthoa ltminh svc-gis; do
    on bastion-01 useradd --create-home --shell /bin/bash "$user"
    on bastion-01 install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
  done
  on bastion-01 usermod -aG sudo vtquang
  printf '%s\n' 'vtquang:Song-Sai-Gon-88' 'nthoa:Ben-Thanh-1912' 'ltminh:minh@123' | on bastion-01 chpasswd
  local user_key
  for user in vtquang svc-gis; do
    user_key=$base_dir/attacker/srv/key-$user
    rm -f "$user_key" "$user_key.pub"
    ssh-keygen -q -t ed25519 -N '' -C "$user@office" -f "$user_key"
    on bastion-01 tee "/home/$user/.ssh/authorized_keys" <"$user_key.pub" >/dev/null
    on bastion-01 chown "$user:$user" "/home/$user/.ssh/authorized_keys"
  done
  on portal-web-01 chown -R www-data:www-data /var/www/portal
}

start_auditd() {
  local host=$1
  on "$host" install -d -m 750 /var/log/audit
  on "$host" auditd </dev/null
  sleep 1
  on "$host" auditctl -R /etc/audit/rules.d/citywatch.rules >/dev/null
}

# stop_auditd HOST: rules away first, so that the daemon's end is the last record.
stop_auditd() {
  on "$1" auditctl -D >/dev/null || true
  sleep 2
  on "$1" sh -c 'kill $(cat /run/auditd.pid)'
  sleep 2
}

# Ends what runs in the recording's network namespaces, and nothing else.
stop_hosts() {
  local host pid
  for host in "${!addresses[@]}"; do
    for pid in $(ip netns pids "cw-$host" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
  done
  sleep 1
  for host in "${!addresses[@]}"; do
    for pid in $(ip netns pids "cw-$host" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
  done
}

collect() {
  local host=$1 out=$2 log
  install -d "$out/$host"
  for log in auth.log syslog audit/audit.log nginx/access.log nginx/error.log; do
    if [[ -s $base_dir/$host/var/log/$log ]]; then
      install -m 644 "$base_dir/$host/var/log/$log" "$out/$host/$(basename "$log")"
    fi
  done
}

# feed: hands over its input line by line, as slowly as a person types.
feed() {
  local line
  while IFS= read -r line; do sleep "${pace_s:-1.2}"; printf '%s\n' "$line" 2>/dev/null || return 0; done
  sleep 1
}

ssh_options=(-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=10)
