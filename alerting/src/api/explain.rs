//! Why rules matched the events that an incident keeps: each condition as a tree, with what the event had for it.

use axum::Json;
use axum::extract::{Path, State};
use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Event, Field, Origin, Record, Timestamp, Value as FieldValue};
use citywatch_rules::explain::{Branch, explain};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::problem::{Params, Problem};
use super::refusal::Thing;
use crate::incidents::{self, IncidentDetail, NameValue};

/// Pairs of event and rule that are explained at once.
const EXPLAINED_MAX: usize = 50;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainParams {
    /// Only this event; without it the first ones.
    event_id: Option<String>,
}

/// Why a rule matched an event.
#[derive(Serialize, ToSchema)]
pub(super) struct Explained {
    event_id: String,
    rule_id: String,
    /// Whether the rule, as it was then, holds for the event as it was kept.
    holds: bool,
    root: ConditionPart,
}

/// A part of a rule's condition.
#[derive(Serialize, ToSchema)]
pub(super) struct ConditionPart {
    /// The search's name in the rule, where the part is a search.
    search: Option<String>,
    /// `all of`, `one of`, `not`, or a test in Sigma's words: `Image|endswith: \cmd.exe`.
    asks: String,
    /// Whether it holds; null where no event was looked at.
    holds: Option<bool>,
    /// What the event has for it.
    seen: Option<String>,
    #[schema(no_recursion)]
    children: Vec<ConditionPart>,
    /// Children that are not told.
    left_out: usize,
}

fn part(branch: Branch, with_event: bool) -> ConditionPart {
    ConditionPart {
        search: branch.search,
        asks: branch.asks,
        holds: with_event.then_some(branch.holds),
        seen: branch.seen.filter(|_| with_event),
        children: branch
            .children
            .into_iter()
            .map(|child| part(child, with_event))
            .collect(),
        left_out: branch.left_out,
    }
}

/// The condition of a rule's text, of no event; none for what is no rule, or a correlation.
pub(super) fn condition(text: &str) -> Option<ConditionPart> {
    let (_, root) = explained(text, &[], "", false)?;
    Some(root)
}

/// Whether a rule holds for an event with these fields and this text, and why.
fn explained(
    text: &str,
    fields: &[NameValue],
    raw: &str,
    with_event: bool,
) -> Option<(bool, ConditionPart)> {
    let source = RuleSource::new("rule", text);
    let rules = RuleSet::load([source], &LoadOptions::default());
    let rule = rules.rules.first()?;
    let (arena, origin) = (Bump::new(), Origin::default());
    let record = Record {
        origin: &origin,
        raw: raw.as_bytes(),
        position: 0,
        received_at: Timestamp(0),
        truncated: Truncated::No,
    };
    let mut event = Event::new(record, "", &arena);
    event.fields.extend(fields.iter().map(|field| Field {
        name: &field.name,
        value: value(&field.value, &arena),
    }));
    let explanation = explain(rule, &event);
    Some((explanation.holds, part(explanation.root, with_event)))
}

/// The value that a field had, of the same kind.
fn value<'a>(json: &'a Value, arena: &'a Bump) -> FieldValue<'a> {
    match json {
        Value::Null => FieldValue::Null,
        Value::Bool(is) => FieldValue::Bool(*is),
        Value::Number(number) => number
            .as_i64()
            .map(FieldValue::Int)
            .or_else(|| number.as_u64().map(FieldValue::UInt))
            .unwrap_or_else(|| FieldValue::Float(number.as_f64().unwrap_or_default())),
        Value::String(text) => FieldValue::Str(text),
        Value::Array(items) => {
            let items = items.iter().map(|item| value(item, arena));
            FieldValue::List(arena.alloc_slice_fill_iter(items.collect::<Vec<_>>()))
        }
        Value::Object(_) => FieldValue::Str(arena.alloc_str(&json.to_string())),
    }
}

/// `GET /api/v1/incidents/{id}/explanations`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Params(params): Params<ExplainParams>,
) -> Result<Json<Value>, Problem> {
    let detail = incidents::detail(app.database.pool(), &app.config.clocks, &id, caller.scope())
        .await?
        .ok_or_else(|| Problem::missing(Thing::Incident))?;
    // Rules are loaded and held against events: work for a thread of its own.
    let items = tokio::task::spawn_blocking(move || items(&detail, params.event_id.as_deref()))
        .await
        .unwrap_or_default();
    Ok(Json(serde_json::json!({ "items": items })))
}

fn items(detail: &IncidentDetail, event_id: Option<&str>) -> Vec<Explained> {
    let mut items = Vec::new();
    let wanted = detail
        .events
        .iter()
        .filter(|event| event_id.is_none_or(|id| event.id == id));
    for event in wanted {
        for rule_id in &event.rule_ids {
            if items.len() >= EXPLAINED_MAX {
                return items;
            }
            let rule = detail.rules.iter().find(|rule| rule.id == *rule_id);
            let found =
                rule.and_then(|rule| explained(&rule.text, &event.fields, &event.raw, true));
            if let Some((holds, root)) = found {
                items.push(Explained {
                    event_id: event.id.clone(),
                    rule_id: rule_id.clone(),
                    holds,
                    root,
                });
            }
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: A\nid: 929a690e-bef0-4204-a928-ef5e620d6fcc\nlogsource:\n  product: linux\n\
                        detection:\n  selection:\n    user: root\n    process|endswith: /sshd\n  filter:\n    \
                        src_ip|cidr: 10.0.0.0/8\n  condition: selection and not filter\n";

    #[test]
    fn a_condition_is_told_as_a_tree() {
        let tree = condition(RULE).unwrap();
        assert_eq!(tree.asks, "all of");
        assert_eq!(tree.children.len(), 2);
        assert_eq!(tree.children[0].search.as_deref(), Some("selection"));
        assert_eq!(
            (tree.children[0].holds, &tree.children[1].seen),
            (None, &None)
        );
        assert_eq!(tree.children[1].asks, "not");
        assert!(condition("title: [").is_none());
    }

    #[test]
    fn what_made_it_hold_is_told() {
        let fields = [
            ("user", "root"),
            ("process", "/usr/sbin/sshd"),
            ("src_ip", "203.0.113.7"),
        ]
        .map(|(name, value)| NameValue {
            name: name.to_owned(),
            value: value.into(),
        });
        let (holds, tree) = explained(RULE, &fields, "", true).unwrap();
        assert!(holds);
        let selection = &tree.children[0];
        let seen: Vec<_> = selection
            .children
            .iter()
            .map(|test| {
                (
                    test.holds,
                    test.seen.as_deref().unwrap_or("").contains("root"),
                )
            })
            .collect();
        assert_eq!(seen, [(Some(true), true), (Some(true), false)]);
    }
}
