//! The nested forms of Windows events in JSON: `Event.System` and `Event.EventData` as EVTX dumps write them,
//! `winlog.event_data` of Winlogbeat, `data.win.eventdata` of Wazuh. Wrappers go, the fields keep their own names.

use super::json::{extent, flatten, member, members};
use crate::draft::Draft;
use crate::event::Value;
use crate::json::Node;

/// Adds the fields of an object of one of these forms; false if it is of none.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> bool {
    let event = member(nodes, "Event").unwrap_or(nodes);
    if let Some(system) =
        member(event, "System").filter(|system| member(system, "EventID").is_some())
    {
        for (name, value) in members(system) {
            system_field(draft, name, value);
        }
        for (name, value) in members(event) {
            match name {
                "System" | "#attributes" | "@attributes" | "xmlns" => {}
                "EventData" => event_data(draft, value),
                "UserData" => user_data(draft, value),
                _ => flatten(draft, value, name, 1),
            }
        }
        return true;
    }
    let Some((wrapper, path)) = WRAPPERS
        .iter()
        .find_map(|path| Some((wrapped(nodes, path)?, *path)))
    else {
        return false;
    };
    for (name, value) in members(wrapper) {
        let name = capitalised(draft, name);
        flatten(draft, value, name, 1);
    }
    without(draft, nodes, path, "", 0);
    true
}

/// Where agents put EventData's fields.
const WRAPPERS: [&[&str]; 5] = [
    &["winlog", "event_data"],
    &["winlog", "user_data"],
    &["data", "win", "eventdata"],
    &["win", "eventdata"],
    &["event_data"],
];

fn wrapped<'n, 'a>(nodes: &'n [Node<'a>], path: &[&str]) -> Option<&'n [Node<'a>]> {
    path.iter()
        .try_fold(nodes, |nodes, name| member(nodes, name))
        .filter(|nodes| matches!(nodes.first(), Some(Node::Object { .. })))
}

/// All other fields under their dotted names.
fn without<'a>(
    draft: &mut Draft<'a, '_>,
    nodes: &[Node<'a>],
    path: &[&str],
    prefix: &'a str,
    depth: usize,
) {
    for (key, value) in members(nodes) {
        let name = if prefix.is_empty() {
            key
        } else {
            draft.concat(&[prefix, ".", key])
        };
        match path.split_first() {
            Some((first, [])) if *first == key => {}
            Some((first, rest)) if *first == key => without(draft, value, rest, name, depth + 1),
            _ => flatten(draft, value, name, depth + 1),
        }
    }
}

/// Wazuh writes `commandLine` for `CommandLine`.
fn capitalised<'a>(draft: &Draft<'a, '_>, name: &'a str) -> &'a str {
    match name.as_bytes().first() {
        Some(first) if first.is_ascii_lowercase() => {
            let upper = [first.to_ascii_uppercase()];
            draft.concat(&[
                std::str::from_utf8(&upper).expect("ASCII is UTF-8"),
                &name[1..],
            ])
        }
        _ => name,
    }
}

fn is_attributes(name: &str) -> bool {
    matches!(name, "#attributes" | "@attributes" | "attributes")
}

/// `Provider: {#attributes: {Name: X}}` becomes `Provider_Name`, `EventID: {#text: 1}` stays `EventID`.
fn system_field<'a>(draft: &mut Draft<'a, '_>, name: &'a str, nodes: &[Node<'a>]) {
    if let Some(value) = nodes.first().copied().and_then(Node::scalar) {
        if value != Value::Null {
            draft.push(name, value);
        }
        return;
    }
    for (key, value) in members(nodes) {
        match key {
            _ if is_attributes(key) => system_attributes(draft, name, value),
            "#text" | "$text" | "text" | "_" => flatten(draft, value, name, 1),
            _ => {
                let key = key.trim_start_matches(['@', '-']);
                system_attribute(draft, name, key, value);
            }
        }
    }
}

fn system_attributes<'a>(draft: &mut Draft<'a, '_>, name: &'a str, nodes: &[Node<'a>]) {
    for (key, value) in members(nodes) {
        system_attribute(draft, name, key, value);
    }
}

fn system_attribute<'a>(
    draft: &mut Draft<'a, '_>,
    name: &str,
    attribute: &str,
    nodes: &[Node<'a>],
) {
    if let Some(value) = nodes
        .first()
        .copied()
        .and_then(Node::scalar)
        .filter(|value| *value != Value::Null)
    {
        // `Provider_attributes` is how some dumps name the attributes of `Provider`.
        let name = name.strip_suffix("_attributes").unwrap_or(name);
        let name = draft.concat(&[name, "_", attribute]);
        draft.push(name, value);
    }
}

/// Named data under their names; data without a name as `Data`.
fn event_data<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    if matches!(nodes.first(), Some(Node::Scalar(Value::Str(_)))) {
        flatten(draft, nodes, "EventData", 1);
        return;
    }
    for (name, value) in members(nodes) {
        match name {
            _ if is_attributes(name) => {}
            "Data" => data(draft, value),
            _ => flatten(draft, value, name, 1),
        }
    }
}

fn data<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    match nodes.first() {
        Some(Node::Array { len, .. }) => {
            let mut at = 1;
            for _ in 0..*len {
                data(draft, &nodes[at..]);
                at += extent(&nodes[at..]);
            }
        }
        Some(Node::Object { .. }) => {
            let attributes = member(nodes, "#attributes")
                .or_else(|| member(nodes, "@attributes"))
                .unwrap_or(nodes);
            let name = ["Name", "@Name", "-Name"]
                .iter()
                .find_map(|name| member(attributes, name));
            let name = match name.and_then(|nodes| nodes.first()) {
                Some(Node::Scalar(Value::Str(name))) => name,
                _ => "Data",
            };
            if let Some(text) = ["#text", "$text", "text"]
                .iter()
                .find_map(|key| member(nodes, key))
            {
                flatten(draft, text, name, 1);
            }
        }
        Some(Node::Scalar(Value::Str(text))) => draft.push("Data", Value::Str(text)),
        _ => {}
    }
}

/// `UserData: {EventXML: {fields}}`: the fields of whatever element stands in it.
fn user_data<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    for (name, value) in members(nodes) {
        if is_attributes(name) {
            continue;
        }
        if matches!(value.first(), Some(Node::Object { .. })) {
            for (name, value) in members(value).filter(|(name, _)| !is_attributes(name)) {
                flatten(draft, value, name, 1);
            }
        } else {
            flatten(draft, value, name, 1);
        }
    }
}
