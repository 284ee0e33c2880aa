//! Firewalls and routers that speak syslog without a program's tag, and pf's log of packets.

use super::pattern::{Message, message};
use super::{firewall, read_table, signs};
use crate::draft::Draft;
use crate::event::Value;
use crate::scan::{self, Word};

/// Messages that say by themselves whose they are.
static WITHOUT_PROGRAM: &[Message] = &[
    message(
        "system,error,critical login failure for user {User*} from {SourceIp:a} via {AuthMethod}",
        "login",
        "failure",
    ),
    message(
        "{topics} login failure for user {User*} from {SourceIp:a} via {AuthMethod}",
        "login",
        "failure",
    ),
    message(
        "{topics} user {User*} logged in from {SourceIp:a} via {AuthMethod}",
        "login",
        "success",
    ),
    message(
        "{topics} user {User*} logged out from {SourceIp:a} via {AuthMethod}",
        "logout",
        "success",
    ),
    message(
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol} ({flags}), {SourceIp:i}:{SourcePort:n}->{DestinationIp:i}:{DestinationPort:n}, {_}len {length:n}",
        "",
        "",
    ),
    message(
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol}, {SourceIp:i}:{SourcePort:n}->{DestinationIp:i}:{DestinationPort:n}, {_}len {length:n}",
        "",
        "",
    ),
    message(
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol} ({flags}), {SourceIp:i}->{DestinationIp:i}, {_}len {length:n}",
        "",
        "",
    ),
    message(
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol}, {SourceIp:i}->{DestinationIp:i}, {_}len {length:n}",
        "",
        "",
    ),
];

/// All but the packets have it.
const VIA: Word = Word::new(" via ");

/// The names that Sigma's firewall rules use.
const FIREWALL_NAMES: [(&str, &str); 4] = [
    ("SourceIp", "src_ip"),
    ("SourcePort", "src_port"),
    ("DestinationIp", "dst_ip"),
    ("DestinationPort", "dst_port"),
];

pub(super) fn read_without_program<'a>(
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    signs: u8,
) -> bool {
    let may_be =
        scan::begins(text, "firewall,") || signs & signs::VIA != 0 && VIA.find(text).is_some();
    let is_read = may_be && read_table(draft, WITHOUT_PROGRAM, text);
    if is_read && text.starts_with("firewall,") {
        for (from, to) in FIREWALL_NAMES {
            draft.alias(from, to);
        }
        if let Some(action) = draft.get_str("rule").and_then(firewall::verdict) {
            draft.set("action", Value::Str(action));
        }
        draft.source("", "firewall", "");
    }
    is_read
}

/// pf's columns (pfSense and OPNsense, "Raw filter log format"), common to both versions of IP.
const FILTERLOG: [&str; 9] = [
    "rule",
    "subrule",
    "anchor",
    "tracker",
    "interface",
    "reason",
    "action",
    "direction",
    "ip_version",
];
const FILTERLOG_4: [&str; 13] = [
    "tos",
    "ecn",
    "ttl",
    "id",
    "offset",
    "flags",
    "protocol_id",
    "protocol",
    "length",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
];
const FILTERLOG_6: [&str; 10] = [
    "class",
    "flow_label",
    "hop_limit",
    "protocol",
    "protocol_id",
    "length",
    "src_ip",
    "dst_ip",
    "src_port",
    "dst_port",
];

pub(super) fn read_filterlog<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let version = text.split(',').nth(FILTERLOG.len() - 1);
    let further: &[&'static str] = match version {
        Some("4") => &FILTERLOG_4,
        Some("6") => &FILTERLOG_6,
        _ => return false,
    };
    for (name, cell) in FILTERLOG.iter().chain(further).zip(text.split(',')) {
        draft.number(name, cell);
    }
    let action = match draft.get_str("action") {
        Some("pass") => "allow",
        _ => "block",
    };
    draft.set("action", Value::Str(action));
    draft.source("", "firewall", "");
    true
}
