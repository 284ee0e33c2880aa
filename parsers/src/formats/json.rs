//! JSON: any object becomes fields, nested names joined by dots; then its shape says what it is.

use bumpalo::collections::Vec as ArenaVec;

use super::{Fit, Format, NotThisFormat, laurel, otlp, shapes, windows_json};
use crate::beginning::Begins;
use crate::classify;
use crate::draft::{Draft, first_str};
use crate::event::{ProblemKind, Value};
use crate::json::{Node, mended};
use crate::when;

pub(super) const JSON: Format = Format {
    name: "json",
    description: "a JSON object per record",
    begins: Begins::BRACE.or(Begins::BRACKET).or(Begins::OTHER),
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
    if draft.context.depth_max > 0 && draft.read_foreseen(text) {
        finish(draft);
        shapes::finish(draft);
        return Ok(());
    }
    with_nodes(draft, text, events)
        .or_else(|not| {
            // A line of a list that is written item by item: MySQL's audit, exports.
            let item = text.trim_end().strip_suffix(',').ok_or(not)?;
            with_nodes(draft, item, events)
        })
        .or_else(|not| {
            let mended = mended(text.trim_end_matches([',', ' ']), draft.arena).ok_or(not)?;
            with_nodes(draft, mended.text, events)?;
            // Of which nothing is left is better kept as it came.
            if draft.event.fields.is_empty() {
                return Err(NotThisFormat);
            }
            draft.note(ProblemKind::Partial, mended.what);
            Ok(())
        })
}

/// Adds the members of a JSON object as fields.
pub(super) fn object_fields<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    with_nodes(draft, text, |draft, nodes| {
        if !is_object(nodes) {
            return Err(NotThisFormat);
        }
        flatten_object(draft, nodes, "", 0);
        Ok(())
    })
}

/// Does something with the nodes of a JSON text.
fn with_nodes<'a>(
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    then: impl FnOnce(&mut Draft<'a, '_>, &[Node<'a>]) -> Fit,
) -> Fit {
    let mut nodes = draft.scratch.json.take_nodes();
    draft.scratch.json.read(text, draft.arena, &mut nodes);
    let fit = then(draft, &nodes);
    draft.scratch.json.give_back(nodes);
    fit
}

/// Members that hold many events: CloudTrail's files, Azure's exports, Google's and Okta's answers.
const LISTS_OF_EVENTS: [&str; 4] = ["Records", "records", "entries", "events"];

/// One event, or one per item of a list of objects.
fn events<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> Fit {
    if matches!(nodes.first(), Some(Node::Object { len: 1, .. })) && otlp::read(draft, nodes) {
        return Ok(());
    }
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
    if draft.context.depth_max > 0 && is_plain(nodes) {
        plain_members(draft, nodes);
        finish(draft);
        shapes::finish(draft);
        return;
    }
    // One look at all members spares the many that the special forms begin with.
    let (mut has_map, mut has_id) = (false, false);
    for (name, value) in members(nodes) {
        has_map |= is_object(value);
        has_id |= name == "ID";
    }
    let special =
        has_map && windows_json::read(draft, nodes) || has_id && laurel::read(draft, nodes);
    if !special {
        flatten_object(draft, nodes, "", 0);
    }
    finish(draft);
    shapes::finish(draft);
}

/// Whether an object has nothing within its maps and lists, as most have that are of one level, and is not of the forms that
/// have a reader of their own.
fn is_plain(nodes: &[Node<'_>]) -> bool {
    match nodes.first() {
        Some(Node::Object { len, count }) if *count == 2 * len => {
            pairs(nodes).all(|pair| !matches!(pair[0], Node::Scalar(Value::Str("ID"))))
        }
        _ => false,
    }
}

/// Name and value of each member of an object that has nothing within its maps and lists.
fn pairs<'n, 'a>(nodes: &'n [Node<'a>]) -> impl Iterator<Item = &'n [Node<'a>; 2]> {
    nodes[1..].as_chunks::<2>().0.iter()
}

/// Adds the members of such an object as fields.
fn plain_members<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    for pair in pairs(nodes) {
        if let [Node::Scalar(Value::Str(name)), Node::Scalar(value)] = pair {
            draft.push(name, *value);
        }
    }
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
        let Some(Node::Scalar(Value::Str(key))) = nodes.get(at) else {
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
            if let Some(value) = node.scalar() {
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
        match item.first().copied().and_then(Node::scalar) {
            Some(value) => values.push(value),
            None => flatten(draft, item, name, depth + 1),
        }
    }
    if !values.is_empty() {
        draft.push(name, Value::List(values.into_bump_slice()));
    }
}

/// Fields that may hold the event's time, the best first.
static TIME_FIELDS: [&str; 20] = [
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
static HOST_FIELDS: [&str; 9] = [
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

/// Time and host from the fields that usually hold them.
pub(super) fn finish(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft.first_of(&TIME_FIELDS, time_of) {
        draft.time(time);
    }
    if let Some(host) = draft.first_of(&HOST_FIELDS, |_, value| first_str(value)) {
        draft.host(host);
    }
}

fn time_of(draft: &Draft<'_, '_>, value: Value<'_>) -> Option<crate::time::Timestamp> {
    match value {
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
