//! JSON: any object becomes fields, nested names joined by dots; then its shape says what it is.

use bumpalo::collections::Vec as ArenaVec;
use simd_json::{Node, StaticNode, Tape};

use super::{Fit, Format, NotThisFormat, laurel, shapes, windows_json};
use crate::classify;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::when;

pub(super) const JSON: Format = Format {
    name: "json",
    description: "a JSON object per record",
    detect,
    read,
};

fn detect(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    let list = text.strip_prefix('[').map(str::trim_start);
    let inner = list.unwrap_or(text).strip_prefix('{')?.trim_start();
    (inner.is_empty() || inner.starts_with(['"', '}'])).then_some("begins with a JSON object")
}

pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let tape = parse(draft, text);
    let fit = events(draft, &tape.0);
    draft.scratch.tape = tape.reset();
    fit
}

/// Adds the members of a JSON object as fields.
pub(super) fn object_fields<'a>(draft: &mut Draft<'a, '_>, text: &str) -> Fit {
    let tape = parse(draft, text);
    let is_object = matches!(tape.0.first(), Some(Node::Object { .. }));
    flatten_object(draft, &tape.0, "", 0);
    draft.scratch.tape = tape.reset();
    if is_object {
        Ok(())
    } else {
        Err(NotThisFormat)
    }
}

/// The tape of a JSON text; empty when it is none.
fn parse<'a>(draft: &mut Draft<'a, '_>, text: &str) -> Tape<'a> {
    // simd-json unescapes in place: it gets a copy in the arena, which the fields then borrow from.
    let bytes = draft.arena.alloc_slice_copy(text.as_bytes());
    let mut tape = std::mem::replace(&mut draft.scratch.tape, Tape(Vec::new())).reset();
    if simd_json::fill_tape(bytes, &mut draft.scratch.json, &mut tape).is_err() {
        tape.0.clear();
    }
    tape
}

/// Members that hold many events: CloudTrail's files, Azure's exports, Google's and Okta's answers.
const LISTS_OF_EVENTS: [&str; 4] = ["Records", "records", "entries", "events"];

/// One event, or one per item of a list of objects.
fn events<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> Fit {
    let list = match nodes.first() {
        Some(Node::Array { .. }) => Some(nodes),
        Some(Node::Object { len: 1, .. }) => {
            LISTS_OF_EVENTS.iter().find_map(|name| member(nodes, name))
        }
        Some(Node::Object { .. }) => None,
        _ => return Err(NotThisFormat),
    };
    let Some(items) = list
        .map(items)
        .filter(|items| items.clone().all(is_object) && items.clone().next().is_some())
    else {
        if matches!(nodes.first(), Some(Node::Array { .. })) {
            return Err(NotThisFormat);
        }
        event(draft, nodes);
        return Ok(());
    };
    for (place, item) in items.enumerate() {
        if place > 0 {
            classify::complete(draft);
            draft.split();
        }
        event(draft, item);
    }
    Ok(())
}

fn is_object(nodes: &[Node<'_>]) -> bool {
    matches!(nodes.first(), Some(Node::Object { .. }))
}

fn event<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    if !windows_json::read(draft, nodes) && !laurel::read(draft, nodes) {
        flatten_object(draft, nodes, "", 0);
    }
    finish(draft);
    shapes::finish(draft);
}

/// The members of an object.
pub(super) fn members<'n, 'a>(
    nodes: &'n [Node<'a>],
) -> impl Iterator<Item = (&'a str, &'n [Node<'a>])> + Clone {
    let count = match nodes.first() {
        Some(Node::Object { len, .. }) => *len,
        _ => 0,
    };
    let mut at = 1;
    (0..count).map_while(move |_| {
        let Some(Node::String(key)) = nodes.get(at) else {
            return None;
        };
        let value = &nodes[at + 1..];
        at += 1 + extent(value);
        Some((*key, &value[..extent(value)]))
    })
}

/// The member of that name.
pub(super) fn member<'n, 'a>(nodes: &'n [Node<'a>], name: &str) -> Option<&'n [Node<'a>]> {
    members(nodes)
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The items of a list.
pub(super) fn items<'n, 'a>(nodes: &'n [Node<'a>]) -> impl Iterator<Item = &'n [Node<'a>]> + Clone {
    let count = match nodes.first() {
        Some(Node::Array { len, .. }) => *len,
        _ => 0,
    };
    let mut at = 1;
    (0..count).map(move |_| {
        let item = &nodes[at..];
        at += extent(item);
        &item[..extent(item)]
    })
}

/// Nodes that the value at the front takes.
pub(super) fn extent(nodes: &[Node<'_>]) -> usize {
    match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        _ => 1,
    }
}

/// The value of a node that is neither map nor list.
pub(super) fn scalar<'a>(node: Node<'a>) -> Option<Value<'a>> {
    Some(match node {
        Node::String(text) => Value::Str(text),
        Node::Static(StaticNode::Null) => Value::Null,
        Node::Static(StaticNode::Bool(value)) => Value::Bool(value),
        Node::Static(StaticNode::I64(value)) => Value::Int(value),
        Node::Static(StaticNode::U64(value)) => {
            i64::try_from(value).map_or(Value::UInt(value), Value::Int)
        }
        Node::Static(StaticNode::F64(value)) => Value::Float(value),
        Node::Object { .. } | Node::Array { .. } => return None,
    })
}

fn flatten_object<'a>(
    draft: &mut Draft<'a, '_>,
    nodes: &[Node<'a>],
    prefix: &'a str,
    depth: usize,
) {
    for (key, value) in members(nodes) {
        let name = if prefix.is_empty() {
            key
        } else {
            draft.concat(&[prefix, ".", key])
        };
        flatten(draft, value, name, depth + 1);
    }
}

/// Adds the value at the front as fields.
pub(super) fn flatten<'a>(
    draft: &mut Draft<'a, '_>,
    nodes: &[Node<'a>],
    name: &'a str,
    depth: usize,
) {
    if depth > draft.context.depth_max {
        draft.note_once(
            ProblemKind::TooLarge,
            "nested deeper than the bound; what is below is left out",
        );
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
fn flatten_array<'a>(
    draft: &mut Draft<'a, '_>,
    nodes: &[Node<'a>],
    len: usize,
    name: &'a str,
    depth: usize,
) {
    let mut values = ArenaVec::with_capacity_in(len, draft.arena);
    for item in items(nodes) {
        match item.first().copied().and_then(scalar) {
            Some(value) => values.push(value),
            None => flatten(draft, item, name, depth + 1),
        }
    }
    if !values.is_empty() {
        draft.push(name, Value::List(values.into_bump_slice()));
    }
}

/// Fields that may hold the event's time, the best first.
const TIME_FIELDS: [&str; 20] = [
    "@timestamp",
    "timestamp",
    "eventTime",
    "TimeCreated",
    "TimeGenerated",
    "EventTime",
    "time",
    "ts",
    "Timestamp",
    "event.created",
    "event_time",
    "date",
    "datetime",
    "published",
    "createdDateTime",
    "CreationTime",
    "requestReceivedTimestamp",
    "created_at",
    "t.$date",
    "start_time",
];

/// Fields that may name the host.
const HOST_FIELDS: [&str; 9] = [
    "host.name",
    "host.hostname",
    "Computer",
    "Hostname",
    "hostname",
    "HostName",
    "_HOSTNAME",
    "agent.hostname",
    "host",
];

fn finish(draft: &mut Draft<'_, '_>) {
    if let Some(time) = TIME_FIELDS.iter().find_map(|name| time_of(draft, name)) {
        draft.time(time);
    }
    if let Some(host) = HOST_FIELDS.iter().find_map(|name| draft.get_str(name)) {
        draft.host(host);
    }
}

fn time_of(draft: &mut Draft<'_, '_>, name: &str) -> Option<crate::time::Timestamp> {
    match draft.get(name)? {
        Value::Str(text) => when::any(text, draft.context),
        #[expect(
            clippy::cast_precision_loss,
            reason = "epoch numbers have fewer than 53 bits up to microseconds"
        )]
        Value::Int(number) => when::epoch(number as f64),
        Value::Float(number) => when::epoch(number),
        _ => None,
    }
}
