//! PAN-OS's logs as comma separated values behind a syslog header ("Syslog field descriptions", PAN-OS 10 and 11).

use super::put;
use crate::draft::Draft;
use crate::event::Value;
use crate::formats::{Cells, Split};
use crate::scan;

/// A log: its word in the fourth column, the columns behind the seventh, what more is concluded.
struct Log {
    kind: &'static str,
    /// Columns that are not used have the name `_`.
    columns: &'static [&'static str],
    /// The columns behind these.
    further: &'static [&'static str],
    finish: for<'a> fn(&mut Draft<'a, '_>),
}

/// The columns that all logs begin with.
const FIRST: [&str; 7] = ["_", "_", "serial", "type", "subtype", "_", "_"];

/// Columns of sessions: TRAFFIC, THREAT, TUNNEL and DECRYPTION begin with them.
#[rustfmt::skip]
const SESSION: &[&str] = &[
    "src_ip", "dst_ip", "nat_src_ip", "nat_dst_ip", "rule", "src_user", "dst_user", "app", "vsys", "from_zone",
    "to_zone", "in_interface", "out_interface", "log_profile", "_", "session_id", "repeat_count", "src_port",
    "dst_port", "nat_src_port", "nat_dst_port", "flags", "protocol", "action",
];

/// What TRAFFIC counts of a session.
#[rustfmt::skip]
const TRAFFIC: &[&str] = &[
    "bytes", "bytes_sent", "bytes_received", "packets", "start_time", "elapsed_s", "url_category", "_", "_", "_",
    "src_location", "dst_location", "_", "packets_sent", "packets_received", "session_end_reason",
];

#[rustfmt::skip]
const TUNNEL: &[&str] = &[
    "log_severity", "_", "_", "src_location", "dst_location", "_", "_", "_", "_", "_", "_", "tunnel_id",
    "monitor_tag", "parent_session_id", "parent_start_time", "tunnel_type", "bytes", "bytes_sent", "bytes_received",
    "packets", "packets_sent", "packets_received",
];

#[rustfmt::skip]
const GTP: &[&str] = &[
    "src_ip", "dst_ip", "_", "_", "rule", "_", "_", "app", "vsys", "from_zone", "to_zone", "in_interface",
    "out_interface", "log_profile", "_", "session_id", "_", "src_port", "dst_port", "_", "_", "_", "protocol", "action",
    "gtp_event_type", "msisdn", "apn", "radio_access", "gtp_message_type", "end_user_ip", "tunnel_id_1", "tunnel_id_2",
    "gtp_interface", "gtp_cause", "log_severity", "country_code", "network_code", "area_code", "cell_id", "event_code",
    "_", "_", "src_location", "dst_location", "_", "_", "_", "_", "_", "_", "_", "imsi", "imei",
];

#[rustfmt::skip]
const SCTP: &[&str] = &[
    "src_ip", "dst_ip", "_", "_", "rule", "_", "_", "_", "vsys", "from_zone", "to_zone", "in_interface",
    "out_interface", "log_profile", "_", "session_id", "repeat_count", "src_port", "dst_port", "_", "_", "_", "_",
    "protocol", "action", "_", "_", "_", "_", "_", "_", "_", "_", "association_id", "payload_protocol", "log_severity",
    "sctp_chunk_type", "_", "verification_tag_1", "verification_tag_2", "sctp_cause_code",
];

#[rustfmt::skip]
static LOGS: &[Log] = &[
    Log { kind: "TRAFFIC", columns: SESSION, further: TRAFFIC, finish: traffic },
    Log { kind: "THREAT", columns: SESSION, further: &["url", "signature", "category", "log_severity"], finish: session },
    Log { kind: "DECRYPTION", columns: SESSION, further: &[], finish: session },
    Log { kind: "TUNNEL", columns: SESSION, further: TUNNEL, finish: traffic },
    // What carriers' networks have: signalling of mobile sessions, and SCTP between their nodes.
    Log { kind: "GTP", columns: GTP, further: &[], finish: traffic },
    Log { kind: "SCTP", columns: SCTP, further: &[], finish: traffic },
    Log {
        kind: "IPTAG",
        columns: &[
            "vsys", "SourceIp", "tag", "event_id", "repeat_count", "timeout", "data_source_name", "data_source",
            "data_source_type",
        ],
        further: &[],
        finish: ip_tag,
    },
    Log {
        kind: "SYSTEM",
        columns: &["vsys", "event_id", "object", "_", "_", "module", "log_severity", "description"],
        further: &[],
        finish: system,
    },
    Log {
        kind: "CONFIG",
        columns: &["SourceIp", "vsys", "command", "User", "client", "result", "path"],
        further: &[],
        finish: config,
    },
    Log {
        kind: "GLOBALPROTECT",
        columns: &[
            "vsys", "event_id", "stage", "AuthMethod", "tunnel", "User", "region", "SourceHostname", "SourceIp",
            "public_ipv6", "private_ip", "private_ipv6", "host_id", "client_serial", "client_version", "client_os",
            "client_os_version", "repeat_count", "reason", "error", "description", "status", "location",
            "login_duration", "connect_method", "error_code", "portal",
        ],
        further: &[],
        finish: global_protect,
    },
    Log {
        kind: "USERID",
        columns: &[
            "vsys", "SourceIp", "User", "data_source_name", "event_id", "repeat_count", "timeout", "begin_port",
            "end_port", "data_source", "data_source_type",
        ],
        further: &[],
        finish: user_id,
    },
    Log {
        kind: "HIPMATCH",
        columns: &["User", "vsys", "SourceHostname", "client_os", "SourceIp", "hip", "repeat_count", "hip_type"],
        further: &[],
        finish: |_| {},
    },
    Log {
        kind: "AUTHENTICATION",
        columns: &[
            "vsys", "SourceIp", "User", "normalized_user", "object", "policy", "repeat_count", "authentication_id",
            "vendor", "log_profile", "server_profile", "description", "client_type", "event_id", "factor",
        ],
        further: &[],
        finish: authentication,
    },
];

pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    // The first column is kept for future use; it has been 1 in all versions.
    let Some(rest) = scan::after(text, "1,") else {
        return false;
    };
    let kind = rest.split(',').nth(2).unwrap_or("");
    let Some(log) = LOGS.iter().find(|log| log.kind == kind) else {
        return false;
    };
    let mut cells = Cells::new(text, Split::Commas);
    let names = FIRST.iter().chain(log.columns).chain(log.further);
    for (name, cell) in names.zip(&mut cells) {
        match *name {
            "_" => {}
            // An address that is not there.
            _ if cell == "0.0.0.0" || cell == "::" => {}
            name => draft.number(name, cell),
        }
    }
    if kind == "GLOBALPROTECT" {
        draft.source("paloalto", "appliance", "globalprotect");
    } else {
        draft.source("paloalto", "", "");
    }
    (log.finish)(draft);
    true
}

fn session(draft: &mut Draft<'_, '_>) {
    draft.source("", "firewall", "");
}

fn traffic(draft: &mut Draft<'_, '_>) {
    session(draft);
    match draft.get_str("action") {
        Some("allow" | "alert" | "start" | "end") => draft.action("", "success"),
        Some(_) => draft.action("", "failure"),
        None => {}
    }
}

/// Sign-ins of administrators and others: `failed authentication for user 'x'. ... From: 203.0.113.9.`,
/// `User x logged in via Web from 10.0.0.5 using https`.
fn system<'a>(draft: &mut Draft<'a, '_>) {
    let event = draft.get_str("event_id").unwrap_or("");
    let said = draft.get_str("description").unwrap_or("");
    let named =
        scan::between(said, "user '", "'").or_else(|| scan::between(said, "User ", " logged "));
    if let Some((user, _)) = named {
        put(draft, "User", user.trim_matches('\''));
    }
    let address = ["From: ", " from "].iter().find_map(|before| {
        let word = said.split_once(before)?.1;
        let word = word.split([' ', ',']).next()?.trim_end_matches('.');
        scan::ip(word).map(|_| word)
    });
    if let Some(address) = address {
        put(draft, "SourceIp", address);
    }
    let outcome = if event.contains("auth-fail") || said.starts_with("failed authentication") {
        "failure"
    } else if event.contains("auth-succ") || said.contains(" logged in ") {
        "success"
    } else {
        return;
    };
    draft.action("login", outcome);
}

fn ip_tag(draft: &mut Draft<'_, '_>) {
    draft.alias("event_id", "action");
}

fn config(draft: &mut Draft<'_, '_>) {
    draft.alias("command", "action");
    match draft.get_str("result") {
        Some("Succeeded" | "Submitted") => draft.action("", "success"),
        Some("Failed" | "Unauthorized") => draft.action("", "failure"),
        _ => {}
    }
}

fn global_protect(draft: &mut Draft<'_, '_>) {
    draft.alias("public_ipv6", "SourceIp");
    match draft.get_str("event_id") {
        Some(event) if event.ends_with("-auth") || event.ends_with("-login") => {
            draft.action("login", "")
        }
        Some(event) if event.ends_with("-logout") => draft.action("logout", ""),
        Some(_) => draft.alias("event_id", "action"),
        None => {}
    }
    match draft.get_str("status") {
        Some("success") => draft.action("", "success"),
        Some("failure") => draft.action("", "failure"),
        _ => {}
    }
}

fn user_id(draft: &mut Draft<'_, '_>) {
    draft.alias("subtype", "action");
}

fn authentication(draft: &mut Draft<'_, '_>) {
    draft.action("login", "");
    let said = ["event_id", "description"]
        .iter()
        .find_map(|name| draft.get_str(name).filter(|text| !text.is_empty()))
        .unwrap_or("");
    let has = |word: &str| {
        said.as_bytes()
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    if has("fail") || has("denied") || has("reject") {
        draft.set("outcome", Value::Str("failure"));
    } else if has("success") || has("succeed") || has("allow") {
        draft.set("outcome", Value::Str("success"));
    }
}
