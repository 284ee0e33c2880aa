//! JSON: any object becomes fields, nested names joined by dots; then its shape says what it is.

use bumpalo::collections::Vec as ArenaVec;
use simd_json::{Node, StaticNode};

use super::{Fit, Format, NotThisFormat};
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::when;

pub(super) const JSON: Format =
    Format { name: "json", description: "a JSON object per record", detect, read };

fn detect(text: &str) -> Option<&'static str> {
    let inner = text.trim_start().strip_prefix('{')?.trim_start();
    (inner.starts_with('"') || inner.starts_with('}')).then_some("begins with a JSON object")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    object_fields(draft, text)?;
    finish(draft);
    Ok(())
}

/// Adds the members of a JSON object as fields.
pub(super) fn object_fields<'a>(draft: &mut Draft<'a, '_>, text: &str) -> Fit {
    // simd-json unescapes in place: it gets a copy in the arena, which the fields then borrow from.
    let bytes = draft.arena.alloc_slice_copy(text.as_bytes());
    let mut tape = std::mem::replace(&mut draft.scratch.tape, simd_json::Tape(Vec::new())).reset();
    let parsed = simd_json::fill_tape(bytes, &mut draft.scratch.json, &mut tape);
    let is_object = parsed.is_ok() && matches!(tape.0.first(), Some(Node::Object { .. }));
    if is_object {
        flatten_object(draft, &tape.0, "", 0);
    }
    draft.scratch.tape = tape.reset();
    if is_object { Ok(()) } else { Err(NotThisFormat) }
}

/// Nodes that the value at the front takes.
fn extent(nodes: &[Node<'_>]) -> usize {
    match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        _ => 1,
    }
}

fn scalar<'a>(node: Node<'a>) -> Option<Value<'a>> {
    Some(match node {
        Node::String(text) => Value::Str(text),
        Node::Static(StaticNode::Null) => Value::Null,
        Node::Static(StaticNode::Bool(value)) => Value::Bool(value),
        Node::Static(StaticNode::I64(value)) => Value::Int(value),
        Node::Static(StaticNode::U64(value)) => i64::try_from(value).map_or(Value::UInt(value), Value::Int),
        Node::Static(StaticNode::F64(value)) => Value::Float(value),
        Node::Object { .. } | Node::Array { .. } => return None,
    })
}

fn flatten_object<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>], prefix: &'a str, depth: usize) {
    let Some(Node::Object { len, .. }) = nodes.first() else { return };
    let mut at = 1;
    for _ in 0..*len {
        let Some(Node::String(key)) = nodes.get(at) else { return };
        let name = if prefix.is_empty() { *key } else { draft.concat(&[prefix, ".", key]) };
        let value = &nodes[at + 1..];
        flatten(draft, value, name, depth + 1);
        at += 1 + extent(value);
    }
}

fn flatten<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>], name: &'a str, depth: usize) {
    if depth > draft.context.depth_max {
        draft.note_once(ProblemKind::TooLarge, "nested deeper than the bound; what is below is left out");
        return;
    }
    match nodes.first() {
        Some(Node::Object { .. }) => flatten_object(draft, nodes, name, depth),
        Some(Node::Array { len, .. }) => flatten_array(draft, nodes, *len, name, depth),
        Some(node) => {
            if let Some(value) = scalar(*node) {
                draft.push(name, value);
            }
        }
        None => {}
    }
}

/// A list of plain values is one field; a list that holds maps gives one list per dotted name, by the rule
/// that values of the same name are joined.
fn flatten_array<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>], len: usize, name: &'a str, depth: usize) {
    let mut values = ArenaVec::with_capacity_in(len, draft.arena);
    let mut at = 1;
    for _ in 0..len {
        let item = &nodes[at..];
        match item.first().copied().and_then(scalar) {
            Some(value) => values.push(value),
            None => flatten(draft, item, name, depth + 1),
        }
        at += extent(item);
    }
    if !values.is_empty() {
        draft.push(name, Value::List(values.into_bump_slice()));
    }
}

/// Fields that may hold the event's time, the best first.
const TIME_FIELDS: [&str; 19] = [
    "@timestamp", "timestamp", "eventTime", "TimeCreated", "TimeGenerated", "EventTime", "time", "ts", "Timestamp", "event.created", "event_time", "date", "datetime",
    "published", "createdDateTime", "CreationTime", "requestReceivedTimestamp", "created_at", "t.$date",
];

/// Fields that may name the host.
const HOST_FIELDS: [&str; 9] =
    ["host.name", "host.hostname", "Computer", "Hostname", "hostname", "HostName", "_HOSTNAME", "agent.hostname", "host"];

fn finish(draft: &mut Draft<'_, '_>) {
    if let Some(time) = TIME_FIELDS.iter().find_map(|name| time_of(draft, name)) {
        draft.time(time);
    }
    if let Some(host) = HOST_FIELDS.iter().find_map(|name| draft.get_str(name)) {
        draft.host(host);
    }
}

fn time_of(draft: &Draft<'_, '_>, name: &str) -> Option<crate::time::Timestamp> {
    match draft.get(name)? {
        Value::Str(text) => when::any(text, draft.context),
        #[expect(clippy::cast_precision_loss, reason = "epoch numbers have fewer than 53 bits up to microseconds")]
        Value::Int(number) => when::epoch(number as f64),
        Value::Float(number) => when::epoch(number),
        _ => None,
    }
}
