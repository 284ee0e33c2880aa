//! What WireGuard's module says in the kernel's log: `wireguard: wg0: Invalid handshake initiation from A:P`
//! (Linux, drivers/net/wireguard; most of it only with dynamic debugging).

use crate::draft::Draft;
use crate::scan;

/// Beginnings of messages, what they are about, how that ended; the first that fits counts.
const MESSAGES: [(&str, &str, &str); 22] = [
    ("Invalid handshake", "connect", "failure"),
    ("Invalid MAC of handshake", "connect", "failure"),
    ("Dropping handshake packet", "connect", "failure"),
    ("Packet has unallowed src IP", "connect", "failure"),
    ("Packet has incorrect size", "connect", "failure"),
    ("Packet is neither", "connect", "failure"),
    ("Packet has invalid nonce", "connect", "failure"),
    ("Could not decrypt invalid cookie", "connect", "failure"),
    (
        "Sending cookie response for denied handshake",
        "connect",
        "failure",
    ),
    ("No valid endpoint", "connect", "failure"),
    ("Handshake for peer", "connect", "failure"),
    ("Retrying handshake", "connect", "failure"),
    ("Receiving handshake response", "connect", "success"),
    ("Receiving handshake initiation", "connect", ""),
    ("Sending handshake", "connect", ""),
    ("Keypair", "rekey", ""),
    ("Zeroing out", "disconnect", ""),
    ("Interface created", "interface_add", "success"),
    ("Interface destroyed", "interface_delete", "success"),
    ("Peer", "peer", "success"),
    ("Receiving", "keepalive", ""),
    ("Sending", "keepalive", ""),
];

pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let Some((interface, said)) = text
        .strip_prefix("wireguard: ")
        .and_then(|text| text.split_once(": "))
    else {
        return false;
    };
    draft.text("interface", interface);
    let peer = said
        .split_once("peer ")
        .or_else(|| said.split_once("Peer "));
    if let Some((_, peer)) = peer {
        draft.number("peer", peer.split([' ', ',']).next().unwrap_or(""));
    }
    if let Some((address, _)) = scan::between(said, "src IP (", ")") {
        draft.text("claimed_ip", address);
    }
    if let Some((address, port)) = endpoint(said) {
        let (ip, port_name) = if said.starts_with("Sending") {
            ("DestinationIp", "DestinationPort")
        } else {
            ("SourceIp", "SourcePort")
        };
        draft.text(ip, address);
        draft.number(port_name, port);
    }
    if let Some((beginning, action, outcome)) = MESSAGES
        .iter()
        .find(|(beginning, ..)| said.starts_with(beginning))
    {
        let action = match *beginning {
            "Peer" if said.ends_with("destroyed") => "peer_delete",
            "Peer" => "peer_add",
            _ => action,
        };
        draft.action(action, outcome);
    }
    true
}

/// Where the peer is: `(A:P)`, else the word behind `from` or `for`.
fn endpoint(said: &str) -> Option<(&str, &str)> {
    let in_parentheses = said
        .match_indices('(')
        .filter_map(|(at, _)| said[at + 1..].split_once(')'))
        .filter_map(|(inner, _)| scan::ip_and_port(inner))
        .find(|(_, port)| !port.is_empty());
    in_parentheses.or_else(|| {
        [" from ", " for "].iter().find_map(|before| {
            let word = said.rsplit_once(before)?.1.split(' ').next()?;
            scan::ip_and_port(word)
        })
    })
}
