//! OpenTelemetry's logs as OTLP in JSON (opentelemetry-proto, `logs/v1/logs.proto`): one event for each log record, with the
//! attributes of its resource and its own under their keys, and the body as the message.

use bumpalo::collections::Vec as ArenaVec;

use super::json::{self, items, member, members};
use super::{Format, NotThisFormat, read_message, shapes};
use crate::classify;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::json::Node;
use crate::time::Timestamp;

pub(super) const OTLP: Format = Format {
    name: "otlp",
    description: "OpenTelemetry's logs as OTLP in JSON",
    // As JSON it is detected; its one member then says that it is OTLP.
    detect: |_| None,
    read: |draft, text| {
        json::read(draft, text)?;
        if draft.event.format == OTLP.name {
            Ok(())
        } else {
            Err(NotThisFormat)
        }
    },
};

/// Adds the events of an export of logs; false if the object is none, or has no log record.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> bool {
    let mut count = 0;
    let resources = member(nodes, "resourceLogs").into_iter().flat_map(items);
    for resource_logs in resources {
        let scopes = ["scopeLogs", "instrumentationLibraryLogs"]
            .iter()
            .find_map(|name| member(resource_logs, name));
        for scope_logs in scopes.into_iter().flat_map(items) {
            let records = member(scope_logs, "logRecords").into_iter().flat_map(items);
            for record in records {
                if count > 0 {
                    classify::complete(draft);
                    draft.split();
                }
                count += 1;
                log_record(draft, resource_logs, scope_logs, record);
            }
        }
    }
    count > 0
}

fn log_record<'a>(
    draft: &mut Draft<'a, '_>,
    resource_logs: &[Node<'a>],
    scope_logs: &[Node<'a>],
    record: &[Node<'a>],
) {
    draft.event.format = OTLP.name;
    if let Some(resource) = member(resource_logs, "resource") {
        attributes(draft, resource);
    }
    if let Some(Value::Str(scope)) = member(scope_logs, "scope")
        .and_then(|scope| member(scope, "name"))
        .and_then(scalar)
    {
        draft.text("scope.name", scope);
    }
    attributes(draft, record);
    for (from, to) in [
        ("severityText", "severity"),
        ("severityNumber", "severity_number"),
        ("eventName", "event.name"),
        ("traceId", "trace_id"),
        ("spanId", "span_id"),
    ] {
        if let Some(value) = member(record, from)
            .and_then(scalar)
            .filter(|value| *value != Value::Str(""))
        {
            draft.push_if_absent(to, value);
        }
    }
    let body = member(record, "body");
    let message = match body
        .and_then(|body| member(body, "stringValue"))
        .and_then(scalar)
    {
        Some(Value::Str(text)) => text,
        _ => {
            if let Some(body) = body {
                let name = if member(body, "kvlistValue").is_some() {
                    ""
                } else {
                    "message"
                };
                any_value(draft, body, name, 0);
            }
            ""
        }
    };
    windows_names(draft);
    json::finish(draft);
    let time = ["timeUnixNano", "observedTimeUnixNano"]
        .iter()
        .find_map(|name| nanoseconds(member(record, name)?));
    if let Some(time) = time {
        draft.time(time);
    }
    shapes::finish(draft);
    read_message(draft, message);
    if !message.is_empty() {
        draft.push_if_absent("message", Value::Str(message));
    }
    draft.event.format = OTLP.name;
}

/// The collector's receiver of Windows events has names of its own for System's fields and wraps EventData.
fn windows_names(draft: &mut Draft<'_, '_>) {
    if draft.get("event_id.id").is_none() || draft.get("channel").is_none() {
        return;
    }
    for (from, to) in [
        ("event_id.id", "EventID"),
        ("channel", "Channel"),
        ("provider.name", "Provider_Name"),
        ("computer", "Computer"),
    ] {
        draft.alias(from, to);
    }
    for place in 0..draft.fields().len() {
        let field = draft.fields()[place];
        let name = field.name.strip_prefix("event_data.").unwrap_or("");
        if !name.is_empty() {
            draft.push_made_if_absent(name, field.value);
        }
    }
}

fn scalar<'a>(nodes: &[Node<'a>]) -> Option<Value<'a>> {
    nodes
        .first()
        .copied()
        .and_then(Node::scalar)
        .filter(|value| *value != Value::Null)
}

/// Numbers of 64 bits are texts in OTLP's JSON; 0 is "unknown".
fn nanoseconds(nodes: &[Node<'_>]) -> Option<Timestamp> {
    let nanoseconds = match scalar(nodes)? {
        Value::Str(text) => text.parse::<i64>().ok()?,
        Value::Int(number) => number,
        _ => return None,
    };
    (nanoseconds > 0).then_some(Timestamp(nanoseconds / 1_000))
}

fn attributes<'a>(draft: &mut Draft<'a, '_>, holder: &[Node<'a>]) {
    if let Some(list) = member(holder, "attributes") {
        pairs(draft, list, "", 0);
    }
}

/// `[{"key": K, "value": V}, ...]`
fn pairs<'a>(draft: &mut Draft<'a, '_>, list: &[Node<'a>], prefix: &'a str, depth: usize) {
    for pair in items(list) {
        let (Some(Value::Str(key)), Some(value)) =
            (member(pair, "key").and_then(scalar), member(pair, "value"))
        else {
            continue;
        };
        let name = if prefix.is_empty() {
            key
        } else {
            draft.concat(&[prefix, ".", key])
        };
        any_value(draft, value, name, depth + 1);
    }
}

/// A value with the name of its type: `{"stringValue": "x"}`, `{"intValue": "7"}`.
fn any_value<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>], name: &'a str, depth: usize) {
    if depth > draft.context.depth_max {
        draft.note_once(
            ProblemKind::TooLarge,
            "nested deeper than the bound; what is below is left out",
        );
        return;
    }
    let Some((kind, value)) = members(nodes).next() else {
        return;
    };
    let values = || member(value, "values").filter(|list| list.len() > 1);
    match kind {
        "kvlistValue" => {
            if let Some(list) = values() {
                pairs(draft, list, name, depth);
            }
        }
        "arrayValue" => {
            let mut plain = ArenaVec::new_in(draft.arena);
            for item in values().into_iter().flat_map(items) {
                match plain_value(item) {
                    Some(value) => plain.push(value),
                    None => any_value(draft, item, name, depth + 1),
                }
            }
            if !plain.is_empty() {
                draft.push(name, Value::List(plain.into_bump_slice()));
            }
        }
        _ => {
            if let Some(value) = plain_value(nodes) {
                draft.push(name, value);
            }
        }
    }
}

fn plain_value<'a>(nodes: &[Node<'a>]) -> Option<Value<'a>> {
    let (kind, value) = members(nodes).next()?;
    let value = scalar(value)?;
    match (kind, value) {
        ("intValue", Value::Str(text)) => Some(text.parse().map_or(value, Value::Int)),
        _ => Some(value),
    }
}
