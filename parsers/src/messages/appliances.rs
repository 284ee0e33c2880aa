//! Firewalls and routers that speak syslog without a program's tag, and pf's log of packets.

use crate::draft::Draft;
use crate::event::Value;

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
