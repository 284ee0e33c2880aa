//! What pipelines leave of a rule, in words that can be held against another implementation's.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Pipelines, Subject, apply};
use crate::correlation::CorrelationKind;
use crate::load::draft::{Branch, DraftItem, Link, Value};
use crate::load::values::{Piece, Template};
use crate::load::{DraftDocument, LoadOptions, RuleSource, read_drafts};
use crate::pcre::Flag;
use crate::rule::{CompareOp, Presence, Relation, TimePart};

/// The rules and correlations of a file after `pipelines`, one after the other: log source, fields, conditions and
/// searches.
///
/// # Errors
/// The first document that is broken or refused.
pub fn outline(source: &RuleSource, pipelines: &Pipelines) -> Result<String, String> {
    let options = LoadOptions {
        pipelines: pipelines.clone(),
        ..LoadOptions::default()
    };
    let documents = read_drafts(source, &options).map_err(|error| error.to_string())?;
    let mut log_sources = Vec::new();
    let mut out = String::new();
    for document in documents {
        match document {
            DraftDocument::Rule(mut rule) => {
                apply(pipelines, &mut Subject::Rule(&mut rule))
                    .map_err(|problem| problem.kind.to_string())?;
                let source = &rule.log_source;
                let _ = writeln!(
                    out,
                    "logsource {}/{}/{}",
                    source.category, source.product, source.service
                );
                log_sources.push(source.clone());
                for field in &rule.fields {
                    let _ = writeln!(out, "field {field}");
                }
                for condition in &rule.own.conditions {
                    let _ = writeln!(out, "condition {}", condition.text.trim());
                }
                for search in &rule.own.searches {
                    let _ = write!(out, "search {} ", search.name);
                    branch(&search.branch, &mut out);
                    out.push('\n');
                }
            }
            DraftDocument::Correlation(mut correlation) => {
                let mut subject = Subject::Correlation(&mut correlation, log_sources.clone());
                apply(pipelines, &mut subject).map_err(|problem| problem.kind.to_string())?;
                for field in &correlation.group_by {
                    let _ = writeln!(out, "group-by {field}");
                }
                for alias in &correlation.aliases {
                    for (rule, field, _) in &alias.fields {
                        let _ = writeln!(out, "alias {} {rule} {field}", alias.name);
                    }
                }
                let fields: &[Arc<str>] = match &correlation.kind {
                    CorrelationKind::ValueCount { fields, .. } => fields,
                    CorrelationKind::ValueSum { field, .. }
                    | CorrelationKind::ValueAvg { field, .. }
                    | CorrelationKind::ValuePercentile { field, .. } => std::slice::from_ref(field),
                    _ => &[],
                };
                for field in fields {
                    let _ = writeln!(out, "counted {field}");
                }
            }
        }
    }
    Ok(out)
}

fn branch(one: &Branch, out: &mut String) {
    match one {
        Branch::Item(one) => item(one, out),
        Branch::Group(_, branches) if branches.len() == 1 => branch(&branches[0], out),
        Branch::Group(link, branches) => {
            out.push('(');
            out.push_str(link_name(*link));
            for one in branches {
                out.push(' ');
                branch(one, out);
            }
            out.push(')');
        }
    }
}

fn link_name(link: Link) -> &'static str {
    match link {
        Link::All => "all",
        Link::Any => "any",
    }
}

fn item(item: &DraftItem, out: &mut String) {
    let field = match &item.field {
        Some(field) => quoted(field),
        None => "keyword".to_owned(),
    };
    let link = match item.values.len() {
        1 => Link::Any,
        _ => item.link,
    };
    let not = if item.negated { "not " } else { "" };
    let _ = write!(out, "({not}{field} {}", link_name(link));
    for (one, _) in &item.values {
        out.push(' ');
        value(one, out);
    }
    out.push(')');
}

fn value(one: &Value, out: &mut String) {
    let op = |op: &CompareOp| match op {
        CompareOp::Less => "lt",
        CompareOp::LessOrEqual => "lte",
        CompareOp::Greater => "gt",
        CompareOp::GreaterOrEqual => "gte",
        CompareOp::Equal => "eq",
        CompareOp::NotEqual => "ne",
    };
    let _ = match one {
        Value::Text(template) => write!(out, "{}", quoted(&pattern(template))),
        Value::Expansion(values) => {
            out.push_str("(each");
            for one in values {
                out.push(' ');
                value(one, out);
            }
            write!(out, ")")
        }
        Value::Null => write!(out, "null"),
        Value::Bool { value, .. } => write!(out, "{value}"),
        Value::Number { number, .. } => write!(out, "{number}"),
        Value::Regex(regex) => {
            let flags = [
                (regex.flags.insensitive, 'i'),
                (regex.flags.multi_line, 'm'),
                (regex.flags.single_line, 's'),
            ];
            let flags = flags.iter().filter(|(flag, _)| *flag == Flag::On);
            let flags: String = flags.map(|(_, letter)| letter).collect();
            write!(out, "re:{}:{flags}", quoted(&regex.source))
        }
        Value::Cidr { text, .. } => write!(out, "cidr:{}", quoted(text)),
        Value::Exists(presence) => write!(out, "exists:{}", *presence == Presence::Present),
        Value::FieldRef { field, relation } => {
            let relation = match relation {
                Relation::Equals => "equals",
                Relation::StartsWith => "startswith",
                Relation::EndsWith => "endswith",
                Relation::Contains => "contains",
            };
            write!(out, "field:{}:{relation}", quoted(field))
        }
        Value::Compare { op: how, number } => write!(out, "{}:{number}", op(how)),
        Value::Time { part, number, .. } => {
            let part = match part {
                TimePart::Minute => "minute",
                TimePart::Hour => "hour",
                TimePart::Day => "day",
                TimePart::Week => "week",
                TimePart::Month => "month",
                TimePart::Year => "year",
            };
            write!(out, "{part}:{number}")
        }
    };
}

/// With the characters that could be wildcards, placeholders or escapes behind a backslash.
fn pattern(template: &Template) -> String {
    let mut text = String::new();
    let mut last = None;
    for piece in template.pieces() {
        match piece {
            Piece::Any if last == Some(&Piece::Any) => {}
            Piece::Any => text.push('*'),
            Piece::One => text.push('?'),
            Piece::Placeholder(name) => {
                let _ = write!(text, "%{name}%");
            }
            Piece::Literal(bytes) => {
                for c in String::from_utf8_lossy(bytes).chars() {
                    if matches!(c, '*' | '?' | '%' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
            }
        }
        last = Some(piece);
    }
    text
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
