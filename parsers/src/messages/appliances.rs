//! Firewalls and routers that speak syslog without a program's tag, and pf's log of packets.

use super::pattern::{Message, message};
use super::read_table;
use crate::draft::Draft;
use crate::event::Value;

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
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol}, {SourceIp:i}:{SourcePort:n}->{DestinationIp:i}:{DestinationPort:n}, len {length:n}",
        "",
        "",
    ),
    message(
        "firewall,info {rule}: in:{in} out:{out}, {_}proto {protocol}, {SourceIp:i}->{DestinationIp:i}, len {length:n}",
        "",
        "",
    ),
];

/// The names that Sigma's firewall rules use.
const FIREWALL_NAMES: [(&str, &str); 4] = [
    ("SourceIp", "src_ip"),
    ("SourcePort", "src_port"),
    ("DestinationIp", "dst_ip"),
    ("DestinationPort", "dst_port"),
];

pub(super) fn read_without_program<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let is_read = read_table(draft, WITHOUT_PROGRAM, text);
    if is_read && text.starts_with("firewall,") {
        for (from, to) in FIREWALL_NAMES {
            draft.alias(from, to);
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

/// PAN-OS's columns that TRAFFIC and THREAT have in common ("Syslog field descriptions").
const PAN_OS: [&str; 31] = [
    "_",
    "_",
    "serial",
    "type",
    "subtype",
    "_",
    "_",
    "src_ip",
    "dst_ip",
    "nat_src_ip",
    "nat_dst_ip",
    "rule",
    "src_user",
    "dst_user",
    "app",
    "vsys",
    "from_zone",
    "to_zone",
    "in_interface",
    "out_interface",
    "log_profile",
    "_",
    "session_id",
    "repeat_count",
    "src_port",
    "dst_port",
    "nat_src_port",
    "nat_dst_port",
    "flags",
    "protocol",
    "action",
];

pub(super) fn read_pan_os<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let kind = text.split(',').nth(3).unwrap_or("");
    if !matches!(kind, "TRAFFIC" | "THREAT") || !text.starts_with("1,") {
        return false;
    }
    let mut cells = text.split(',');
    for name in PAN_OS {
        let cell = cells.next().unwrap_or("");
        if name != "_" {
            draft.number(name, cell);
        }
    }
    if kind == "THREAT" {
        cells.next();
        draft.text("signature", cells.next().unwrap_or(""));
    }
    draft.source("paloalto", "", "");
    draft.source("", "firewall", "");
    true
}
