//! Elastic's bulk format: a line that says what to do, and a line with the record.
//!
//! Source: Elasticsearch's reference, "Bulk API". Only `index` and `create` bring records; to the others
//! the answer says for each that it is refused.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, json};

/// Most items in one request.
const ITEMS_MAX: usize = 100_000;

/// A bulk request that was read.
#[derive(Debug)]
pub(super) struct Bulk {
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    action: Action,
    target: Target,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Index,
    Create,
    Update,
    Delete,
}

/// What the first line of an item says besides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    _index: Option<String>,
    _id: Option<String>,
}

#[derive(Debug)]
enum Outcome {
    Record(Range<usize>),
    Refused(&'static str),
}

/// Why a whole request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BulkError {
    /// Its lines cannot be told apart.
    Malformed(String),
    /// It has more items than the bound.
    TooMany,
}

impl Action {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "index" => Self::Index,
            "create" => Self::Create,
            "update" => Self::Update,
            "delete" => Self::Delete,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Reads a request's body; nothing of it is taken if an action's line cannot be read.
pub(super) fn parse(body: &[u8]) -> Result<Bulk, BulkError> {
    let mut items = Vec::new();
    let mut lines = lines(body).enumerate();
    while let Some((number, line)) = lines.next() {
        if body[line.clone()].trim_ascii().is_empty() {
            continue;
        }
        let (action, target) = parse_action(&body[line])
            .ok_or_else(|| BulkError::Malformed(format!(
                "Malformed action/metadata line [{}], expected one of [create, delete, index, update]",
                number + 1
            )))?;
        if items.len() == ITEMS_MAX {
            return Err(BulkError::TooMany);
        }
        let outcome = match action {
            Action::Delete => Outcome::Refused("records are never deleted here; send `create`"),
            Action::Update => {
                lines.next();
                Outcome::Refused("records are never changed here; send `create`")
            }
            Action::Index | Action::Create => match lines.next() {
                Some((_, line)) if !body[line.clone()].trim_ascii().is_empty() => {
                    Outcome::Record(line)
                }
                _ => Outcome::Refused("the line with the record is missing"),
            },
        };
        items.push(Item {
            action,
            target,
            outcome,
        });
    }
    if items.is_empty() {
        return Err(BulkError::Malformed("request body is required".into()));
    }
    Ok(Bulk { items })
}

/// Each line without its end.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= body.len() {
            return None;
        }
        let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |end| start + end);
        let line = start..end;
        start = end + 1;
        let is_crlf = body[line.clone()].ends_with(b"\r");
        Some(line.start..line.end - usize::from(is_crlf))
    })
}

fn parse_action(line: &[u8]) -> Option<(Action, Target)> {
    let mut actions: BTreeMap<String, Target> = serde_json::from_slice(line).ok()?;
    let (name, target) = actions.pop_first()?;
    actions
        .is_empty()
        .then_some((Action::parse(&name)?, target))
}

impl Bulk {
    /// Where the records lie in the body.
    pub(super) fn records(&self) -> Vec<Range<usize>> {
        let records = self.items.iter().filter_map(|item| match &item.outcome {
            Outcome::Record(record) => Some(record.clone()),
            Outcome::Refused(_) => None,
        });
        records.collect()
    }

    /// What the sender hears once the records are durable.
    pub(super) fn answer(&self, took_ms: u64) -> Value {
        let items: Vec<Value> = self.items.iter().map(Item::answer).collect();
        let is_refused = |item: &Item| matches!(item.outcome, Outcome::Refused(_));
        json!({ "took": took_ms, "errors": self.items.iter().any(is_refused), "items": items })
    }
}

impl Item {
    fn answer(&self) -> Value {
        let mut answer = match self.outcome {
            Outcome::Record(_) => json!({ "result": "created", "status": 201, "_version": 1 }),
            Outcome::Refused(reason) => json!({
                "status": 400,
                "error": { "type": "illegal_argument_exception", "reason": reason },
            }),
        };
        for (key, value) in [("_index", &self.target._index), ("_id", &self.target._id)] {
            if let Some(value) = value {
                answer[key] = json!(value);
            }
        }
        json!({ (self.action.name()): answer })
    }
}
