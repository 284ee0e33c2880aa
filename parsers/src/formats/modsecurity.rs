//! ModSecurity's audit log as JSON: version 3 puts all into `transaction` ("Audit log format, JSON"), version 2 has
//! `request`, `response` and `audit_data` beside it. Its fields get the names of web logs; the rules that fit are
//! `rule_id` and `rule`.

use bumpalo::collections::Vec as ArenaVec;

use super::{request_fields, shapes};
use crate::draft::Draft;
use crate::event::Value;
use crate::scan;
use crate::when;

/// Of each of these lists one name must be there.
pub(super) const NEEDS: &[&[&str]] = &[
    &["transaction.unique_id", "transaction.transaction_id"],
    &["transaction.client_ip", "transaction.remote_address"],
    &[
        "transaction.request.method",
        "transaction.request.uri",
        "transaction.producer.modsecurity",
        "request.request_line",
        "audit_data.producer",
    ],
];

const NAMES: [(&str, &str); 23] = [
    ("transaction.client_ip", "c-ip"),
    ("transaction.remote_address", "c-ip"),
    ("transaction.client_port", "c-port"),
    ("transaction.remote_port", "c-port"),
    ("transaction.host_ip", "s-ip"),
    ("transaction.local_address", "s-ip"),
    ("transaction.host_port", "s-port"),
    ("transaction.local_port", "s-port"),
    ("transaction.request.method", "cs-method"),
    ("transaction.request.headers.Host", "cs-host"),
    ("transaction.request.headers.host", "cs-host"),
    ("request.headers.Host", "cs-host"),
    ("transaction.request.headers.User-Agent", "cs-user-agent"),
    ("transaction.request.headers.user-agent", "cs-user-agent"),
    ("request.headers.User-Agent", "cs-user-agent"),
    ("transaction.request.headers.Referer", "cs-referer"),
    ("transaction.request.headers.referer", "cs-referer"),
    ("request.headers.Referer", "cs-referer"),
    ("transaction.response.http_code", "sc-status"),
    ("response.status", "sc-status"),
    ("transaction.messages.details.ruleId", "rule_id"),
    ("transaction.messages.message", "rule"),
    ("transaction.messages.message", "message"),
];

pub(super) fn finish(draft: &mut Draft<'_, '_>) {
    for name in ["transaction.time_stamp", "transaction.time"] {
        if let Some(time) = draft
            .get_str(name)
            .and_then(|text| when::any(text, draft.context))
        {
            draft.time(time);
        }
    }
    if let Some(request) = draft.get_str("request.request_line") {
        request_fields(draft, request);
    }
    rules_in_text(draft);
    shapes::web(draft, &NAMES, "transaction.request.uri");
    if let Some(Value::Bool(true)) = draft.get("audit_data.action.intercepted") {
        draft.action("block", "failure");
    }
    draft.source("modsecurity", "application", "");
    draft.source("linux", "", "modsecurity");
    draft.source("", "webserver", "");
}

/// Version 2 has its messages as text: `Warning. Pattern match ... [id "930100"] [msg "Path Traversal Attack"]`.
fn rules_in_text<'a>(draft: &mut Draft<'a, '_>) {
    let Some(Value::List(messages)) = draft.get("audit_data.messages") else {
        return;
    };
    for (before, name) in [("[id \"", "rule_id"), ("[msg \"", "rule")] {
        let mut values = ArenaVec::new_in(draft.arena);
        let texts = messages.iter().filter_map(|message| match message {
            Value::Str(text) => Some(*text),
            _ => None,
        });
        values.extend(
            texts
                .filter_map(|text| scan::between(text, before, "\"]"))
                .map(|(value, _)| Value::Str(value)),
        );
        match values.into_bump_slice() {
            [] => {}
            [value] => draft.push_if_absent(name, *value),
            values => draft.push_if_absent(name, Value::List(values)),
        }
    }
    if let Some(text) = messages.iter().find_map(|message| match message {
        Value::Str(text) => Some(*text),
        _ => None,
    }) {
        draft.push_if_absent("message", Value::Str(text));
    }
}

/// What ModSecurity says in a server's error log: `ModSecurity: Access denied with code 403 (phase 2). ... [id "930100"]`.
pub(super) fn in_error_log<'a>(draft: &mut Draft<'a, '_>, message: &'a str) {
    let Some((_, said)) = message.split_once("ModSecurity: ") else {
        return;
    };
    for (before, name) in [
        ("[id \"", "rule_id"),
        ("[msg \"", "rule"),
        ("[uri \"", "cs-uri-stem"),
        ("[hostname \"", "cs-host"),
        ("[unique_id \"", "unique_id"),
    ] {
        if let Some((value, _)) =
            scan::between(said, before, "\"]").filter(|(value, _)| !value.is_empty())
        {
            draft.push_if_absent(name, Value::Str(value));
        }
    }
    if said.starts_with("Access denied") {
        draft.action("block", "failure");
    }
    draft.source("modsecurity", "application", "");
    draft.source("linux", "", "modsecurity");
}
