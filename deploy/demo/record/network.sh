# Network namespaces of the recording: one router, one namespace per host, no way out.
# Addresses are of the documentation ranges (RFC 5737, RFC 3849) but for the city's own 10.20.0.0/16.

declare -A addresses=(
  [bastion-01]="10.20.1.10"
  [portal-web-01]="10.20.2.20 2001:db8:20::20"
  [office]="10.20.9.15 10.20.9.31 10.20.9.44"
  [public]="192.0.2.11 192.0.2.34 192.0.2.57 192.0.2.91 192.0.2.140 2001:db8:100::11 2001:db8:100::2c"
  [attacker]="203.0.113.66"
  [scanner]="198.51.100.23"
)

build_network() {
  ip netns add cw-router
  ip netns exec cw-router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  local host number=0
  for host in "${!addresses[@]}"; do
    number=$((number + 1))
    add_host "$host" "to-$number"
  done
}

# Every host has its addresses as /32 or /128 and sends everything to the router, which answers ARP for all.
add_host() {
  local host=$1 port=$2 address family
  ip netns add "cw-$host"
  ip link add "$port" netns cw-router type veth peer name eth0 netns "cw-$host"
  ip -n cw-router link set "$port" up
  ip netns exec cw-router sysctl -qw "net.ipv4.conf.$port.proxy_arp=1" "net.ipv4.neigh.$port.proxy_delay=0"
  ip -n cw-router address add 10.20.0.1/32 dev "$port"
  ip -n cw-router address add fe80::1/64 dev "$port" nodad
  ip -n "cw-$host" link set lo up
  ip -n "cw-$host" link set eth0 up
  for address in ${addresses[$host]}; do
    if [[ $address == *:* ]]; then family=-6; else family=-4; fi
    if [[ $family == -6 ]]; then
      ip -6 -n "cw-$host" address add "$address/128" dev eth0 nodad
    else
      ip -n "cw-$host" address add "$address/32" dev eth0
    fi
    ip $family -n cw-router route add "$address" dev "$port"
  done
  ip -n "cw-$host" route add default dev eth0 src "${addresses[$host]%% *}"
  ip -6 -n "cw-$host" route add default via fe80::1 dev eth0
}

remove_network() {
  local host
  for host in "${!addresses[@]}" router; do
    ip netns del "cw-$host" 2>/dev/null || true
  done
}
