//! OpenTelemetry's logs as OTLP, in JSON or protobuf (opentelemetry-proto, `logs/v1/logs.proto`): one event for each log
//! record, with the attributes of its resource and its own under their keys, and the body as the message.

mod protobuf;

use bumpalo::collections::Vec as ArenaVec;

use super::json::{self, items, member, members};
use super::{Fit, Format, NotThisFormat, read_message, shapes};
use crate::beginning::Begins;
use crate::classify;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::json::Node;
use crate::time::Timestamp;

pub(super) const OTLP: Format = Format {
    name: "otlp",
    description: "OpenTelemetry's logs as OTLP, in JSON or protobuf",
    begins: Begins::NOTHING,
    // As JSON it is detected, and its one member then says that it is OTLP; protobuf is no text: see `is_protobuf`.
    detect: |_| None,
    read: |draft, text| {
        let raw = draft.event.record.raw;
        if is_protobuf(raw) {
            return read_protobuf(draft);
        }
        match json::read(draft, text) {
            Ok(()) if draft.event.format == OTLP.name => Ok(()),
            // Said to be OTLP, and cut or broken.
            Err(NotThisFormat) if raw.first() == Some(&0x0A) => read_protobuf(draft),
            _ => Err(NotThisFormat),
        }
    },
};

/// Fields of resources that the events of one record may have together: a resource that has many and as many log
/// records would take memory by their product.
const RESOURCE_FIELDS_MAX: usize = 1 << 20;

/// Whether a record is an export of logs in protobuf, from its first byte to its last.
pub(crate) fn is_protobuf(raw: &[u8]) -> bool {
    protobuf::is_export(raw)
}

/// The exports of logs in protobuf that a file holds, each of at most `bytes_max` where it can be cut between resources;
/// `None` when the file is no such file. OpenTelemetry's file exporter writes a length of four bytes before each export,
/// others a varint; a file may also be one export.
pub fn otlp_exports(file: &[u8], bytes_max: usize) -> Option<Vec<&[u8]>> {
    let exports = protobuf::exports(file)?;
    let pieces = exports
        .into_iter()
        .flat_map(|export| protobuf::pieces(export, bytes_max));
    Some(pieces.collect())
}

fn read_protobuf(draft: &mut Draft<'_, '_>) -> Fit {
    // Its bytes are no broken text; texts within it that are broken are found again.
    let problems = &mut draft.event.problems;
    problems.retain(|problem| problem.kind != ProblemKind::BadEncoding);
    let raw = draft.event.record.raw;
    let raw = &raw[..raw.len().min(draft.context.record_bytes_max)];
    let mut nodes = draft.scratch.json.take_nodes();
    let faults = protobuf::read(raw, draft.context.depth_max, draft.arena, &mut nodes);
    if faults.is_broken {
        draft.note_once(
            ProblemKind::Partial,
            "a length or a number does not fit its bytes",
        );
    }
    if faults.has_bad_text {
        draft.note_once(
            ProblemKind::BadEncoding,
            "a text is no UTF-8; such bytes are replaced",
        );
    }
    let has_records = read(draft, &nodes);
    draft.scratch.json.give_back(nodes);
    if has_records {
        Ok(())
    } else {
        Err(NotThisFormat)
    }
}

/// Adds the events of an export of logs; false if the object is none, or has no log record.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> bool {
    let mut count = 0;
    let mut resource_fields_left = RESOURCE_FIELDS_MAX;
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
                resource(draft, resource_logs, &mut resource_fields_left);
                log_record(draft, scope_logs, record);
            }
        }
    }
    count > 0
}

fn resource<'a>(draft: &mut Draft<'a, '_>, resource_logs: &[Node<'a>], fields_left: &mut usize) {
    if *fields_left == 0 {
        let left_out =
            "too many log records with too many attributes of their resource; these are left out";
        draft.note_once(ProblemKind::TooLarge, left_out);
    } else if let Some(resource) = member(resource_logs, "resource") {
        attributes(draft, resource);
        *fields_left = fields_left.saturating_sub(draft.fields().len());
    }
}

fn log_record<'a>(draft: &mut Draft<'a, '_>, scope_logs: &[Node<'a>], record: &[Node<'a>]) {
    draft.event.format = OTLP.name;
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
