//! `key=value key="two words"`: logfmt, and the many appliances that write pairs.

use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::draft::{Draft, told_number_or_text};
use crate::event::Value;
use crate::scan::{self, Pair, Quotes, Told};
use crate::when;

pub(super) const LOGFMT: Format = Format {
    name: "logfmt",
    description: "key=value pairs, quoted where needed",
    begins: Begins::PAIR.or(Begins::WORD),
    detect,
    read,
};

/// The same for who names it; `auto` asks about pairs last.
pub(super) const LOGFMT_NAMED: Format = Format {
    begins: Begins::NOTHING,
    detect: |_| None,
    ..LOGFMT
};

/// Pairs that make a line one of pairs.
const PAIRS_MIN: usize = 3;

fn detect(text: &str) -> Option<&'static str> {
    let first = text.split([' ', ',']).next().unwrap_or("");
    let (key, _) = first.split_once('=')?;
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    (is_key && scan::pairs(text).take(PAIRS_MIN).count() == PAIRS_MIN)
        .then_some("begins with key=value pairs")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let value_of = |draft: &Draft<'a, '_>, pair: &Pair<'a>, told: Told| match pair.quotes {
        Quotes::Double if pair.value.is_empty() => None,
        Quotes::Double => Some(Value::Str(scan::unescape(pair.value, draft.arena))),
        _ => told_number_or_text(pair.value, told),
    };
    let any = draft.add_pairs(scan::pairs(text), value_of, |draft, pair| {
        if let Some(value) = value_of(draft, &pair, Told::Nothing) {
            draft.push(pair.key, value);
        }
    });
    if !any {
        return Err(NotThisFormat);
    }
    if let Some(time) = ["time", "ts", "t", "timestamp", "eventtime", "@timestamp"]
        .iter()
        .find_map(|name| {
            let text = draft.get(name)?;
            when::any(draft.format(format_args!("{text}")), draft.context)
        })
    {
        draft.time(time);
    } else if let (Some(date), Some(time)) = (draft.get_str("date"), draft.get_str("time")) {
        let both = draft.concat(&[date, " ", time]);
        if let Some(time) = when::any(both, draft.context) {
            draft.time(time);
        }
    }
    draft.alias("msg", "message");
    if draft.get("device_name").is_some() && draft.get("log_component").is_some() {
        sophos(draft);
    }
    let names_device = draft.get("devid").is_some() || draft.get("devname").is_some();
    if names_device && draft.get("logid").is_some() {
        draft.source("fortigate", "", "event");
        of_a_device(draft);
        for (from, to) in [
            ("srcip", "src_ip"),
            ("dstip", "dst_ip"),
            ("srcport", "src_port"),
            ("dstport", "dst_port"),
        ] {
            draft.alias(from, to);
        }
        if let Some(host) = draft.get_str("devname") {
            draft.host(host);
        }
        fortigate(draft);
    }
    Ok(())
}

/// FortiGate ("FortiOS Log Message Reference"): `action` keeps the device's word, which rules look for; how it ended is said.
fn fortigate(draft: &mut Draft<'_, '_>) {
    if draft.get_str("type") == Some("traffic") {
        draft.source("", "firewall", "");
    }
    if draft.get("outcome").is_some() || draft.get("status").is_some() {
        return;
    }
    let outcome = match draft.get_str("action") {
        Some(
            "deny" | "denied" | "blocked" | "block" | "dropped" | "reset" | "reset_client"
            | "reset_server" | "clear_session",
        ) => "failure",
        Some(action) if action.ends_with("-fail") => "failure",
        Some("accept" | "close" | "pass" | "passthrough" | "detected" | "tunnel-up") => "success",
        _ => return,
    };
    draft.action("", outcome);
}

/// Sophos Firewall ("Log file reference"): names that rules and analysts know by another.
fn sophos(draft: &mut Draft<'_, '_>) {
    for (from, to) in [
        ("src_port", "SourcePort"),
        ("dst_port", "DestinationPort"),
        ("user_name", "User"),
        ("log_subtype", "action"),
    ] {
        draft.alias(from, to);
    }
    if draft.get_str("log_subtype") == Some("Authentication") {
        draft.action("login", "");
    }
    match draft.get_str("log_subtype") {
        Some("Allowed") => draft.action("allow", "success"),
        Some("Denied" | "Drop" | "Blocked") => draft.action("block", "failure"),
        _ => {}
    }
    if let Some(host) = draft.get_str("device_name") {
        draft.host(host);
    }
    of_a_device(draft);
    draft.source("sophos", "", "firewall");
    if draft.get("src_ip").is_some() {
        draft.source("", "firewall", "");
    }
}

/// What a device writes is no log of Linux, although it came by syslog.
fn of_a_device(draft: &mut Draft<'_, '_>) {
    draft
        .event
        .log_sources
        .retain(|source| !(source.product == "linux" && source.service == "syslog"));
}
