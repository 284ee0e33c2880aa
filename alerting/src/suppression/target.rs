//! What a suppression hides. Pure: no database, no clock.

use std::collections::HashSet;

use citywatch_engine::Match;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field with the value that it must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldValue {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Which matches are meant: those for which all that is named here holds. Empty texts stand for any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SuppressionTarget)]
pub(crate) struct Target {
    pub(crate) rule_id: String,
    /// This unit and those below it.
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) fields: Vec<FieldValue>,
}

impl Target {
    /// Whether it names anything at all; one that does not would hide everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.rule_id.is_empty()
            && self.unit.is_empty()
            && self.host.is_empty()
            && self.fields.is_empty()
    }

    /// Whether a match is meant. `subtree` holds the target's unit and those below it.
    pub(crate) fn covers(&self, found: &Match, subtree: &HashSet<String>) -> bool {
        (self.rule_id.is_empty() || self.rule_id == found.rule.id)
            && (self.unit.is_empty() || subtree.contains(found.unit.as_str()))
            && (self.host.is_empty() || self.host == found.host)
            && self.fields.iter().all(|field| field.holds_for(found))
    }
}

impl FieldValue {
    /// Of a correlation the group tells, else each of its events: one that differs is reason to look.
    fn holds_for(&self, found: &Match) -> bool {
        if found
            .group
            .iter()
            .any(|(name, value)| *name == self.name && same(value, &self.value))
        {
            return true;
        }
        !found.evidence.is_empty()
            && found.evidence.iter().all(|evidence| {
                evidence.event.fields.iter().any(|(name, value)| {
                    *name == self.name
                        && match value.as_str() {
                            Some(text) => same(text, &self.value),
                            None => self.is(&value.to_json()),
                        }
                })
            })
    }

    /// Whether a field's value is the one that is asked for; of a list, any of its values.
    pub(crate) fn is(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => same(text, &self.value),
            Value::Array(values) => values.iter().any(|value| self.is(value)),
            Value::Null => false,
            other => same(&other.to_string(), &self.value),
        }
    }
}

/// Values are compared as rules compare them: upper and lower case are the same.
fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_any_kind_are_compared_as_text() {
        let field = |value: &str| FieldValue {
            name: "f".to_owned(),
            value: value.to_owned(),
        };
        assert!(field("ROOT").is(&json!("root")));
        assert!(field("4711").is(&json!(4711)));
        assert!(field("true").is(&json!(true)));
        assert!(field("b").is(&json!(["a", "B"])));
        assert!(field("ĐÀ NẴNG").is(&json!("đà nẵng")));
        assert!(!field("null").is(&json!(null)));
        assert!(!field("root").is(&json!("root2")));
    }

    #[test]
    fn a_target_that_names_nothing_is_empty() {
        assert!(Target::default().is_empty());
        let host = "web-01".to_owned();
        assert!(
            !Target {
                host,
                ..Target::default()
            }
            .is_empty()
        );
    }
}
