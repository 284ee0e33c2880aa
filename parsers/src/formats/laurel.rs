//! laurel's JSON of the Linux audit log: one object per event, one member per kind of line.

use super::json::{flatten, items, member, members};
use crate::draft::Draft;
use crate::event::Value;
use crate::json::Node;
use crate::when;
use bumpalo::collections::String as ArenaString;

/// Members that are lines of the audit log.
fn is_line(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() > 2
}

/// Adds the fields of laurel's object as those of auditd; false if it is not laurel's.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) -> bool {
    let id = match member(nodes, "ID").and_then(|nodes| nodes.first()) {
        Some(Node::Scalar(Value::Str(id))) => id,
        _ => return false,
    };
    let Some((time, serial)) = id
        .split_once(':')
        .and_then(|(time, serial)| Some((when::epoch_text(time)?, serial)))
    else {
        return false;
    };
    draft.time(time);
    draft.number("serial", serial);
    let has_execve = member(nodes, "EXECVE").is_some();
    for (name, value) in members(nodes).filter(|(name, _)| *name != "ID") {
        match (name, value.first()) {
            ("NODE", Some(Node::Scalar(Value::Str(host)))) => draft.host(host),
            (_, Some(Node::Object { .. })) if is_line(name) => line(draft, name, value, has_execve),
            (_, Some(Node::Array { .. })) if is_line(name) => {
                for item in items(value) {
                    line(draft, name, item, has_execve);
                }
            }
            _ => flatten(draft, value, name, 1),
        }
    }
    draft.event.format = "laurel";
    true
}

fn line<'a>(draft: &mut Draft<'a, '_>, kind: &'a str, nodes: &[Node<'a>], has_execve: bool) {
    draft.push("type", Value::Str(kind));
    for (name, value) in members(nodes) {
        match name {
            "ARGV" if kind == "EXECVE" => arguments(draft, value),
            "ARGV" => joined(draft, "proctitle", value),
            "a0" | "a1" | "a2" | "a3" if kind == "SYSCALL" && has_execve => {
                let name = draft.concat(&["syscall_", name]);
                flatten(draft, value, name, 1);
            }
            _ => flatten(draft, value, name, 1),
        }
    }
}

fn arguments<'a>(draft: &mut Draft<'a, '_>, nodes: &[Node<'a>]) {
    for (place, item) in items(nodes).enumerate() {
        let name = draft.format(format_args!("a{place}"));
        flatten(draft, item, name, 1);
    }
    joined(draft, "CommandLine", nodes);
}

fn joined<'a>(draft: &mut Draft<'a, '_>, name: &'static str, nodes: &[Node<'a>]) {
    let mut line = ArenaString::new_in(draft.arena);
    for item in items(nodes) {
        if let Some(Node::Scalar(Value::Str(text))) = item.first() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(text);
        }
    }
    draft.text(name, line.into_bump_str());
}
