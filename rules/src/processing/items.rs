//! What a pipeline is made of: items, each a transformation with the conditions under which it happens.

use std::sync::Arc;

use super::conditions::{FieldCondition, ItemCondition, RuleCondition};
use super::fields::FieldMapping;
use super::hashes::{ExtractFields, HashesFields};
use super::placeholders::Selection;
use super::plain::Plain;
use super::replace::ReplaceString;
use super::values::{CaseMethod, RegexMethod, TypeTarget};
use crate::condition::Condition;
use crate::load::draft::{Branch, Value};

/// One step of a pipeline.
#[derive(Debug)]
pub(super) struct Item {
    /// Its `id`, if it has one: other items may ask whether it was applied.
    pub(super) id: Option<Arc<str>>,
    /// Path, line and column, for messages.
    pub(super) place: Arc<str>,
    /// Which rules it is for.
    pub(super) rules: Conditions<RuleCondition>,
    /// Which items of a rule's searches.
    pub(super) items: Conditions<ItemCondition>,
    /// Which fields.
    pub(super) fields: Conditions<FieldCondition>,
    pub(super) transformation: Transformation,
}

/// Conditions and how they are joined.
#[derive(Debug)]
pub(super) struct Conditions<C> {
    /// With the names that an expression calls them by.
    pub(super) conditions: Vec<(String, C)>,
    pub(super) join: Join,
    pub(super) negated: bool,
}

/// How conditions are joined.
#[derive(Debug)]
pub(super) enum Join {
    All,
    Any,
    /// `rule_cond_expr` and its kin.
    Expression(Condition),
}

impl<C> Conditions<C> {
    /// Whether they hold, given whether each does.
    pub(super) fn hold<E>(&self, mut holds: impl FnMut(&C) -> Result<bool, E>) -> Result<bool, E> {
        let held = match &self.join {
            Join::All => {
                let mut all = true;
                for (_, condition) in &self.conditions {
                    all &= holds(condition)?;
                }
                all
            }
            Join::Any => {
                let mut any = false;
                for (_, condition) in &self.conditions {
                    any |= holds(condition)?;
                }
                any
            }
            Join::Expression(expression) => self.express(expression, &mut holds)?,
        };
        Ok(held != self.negated)
    }

    fn express<E>(
        &self,
        expression: &Condition,
        holds: &mut impl FnMut(&C) -> Result<bool, E>,
    ) -> Result<bool, E> {
        Ok(match expression {
            Condition::Name(name) => {
                match self.conditions.iter().find(|(known, _)| known == name) {
                    Some((_, condition)) => holds(condition)?,
                    // The reader has made sure that names are known.
                    None => false,
                }
            }
            // The reader refuses `1 of x`.
            Condition::Of { .. } => false,
            Condition::And(parts) => {
                let mut all = true;
                for part in parts {
                    all &= self.express(part, holds)?;
                }
                all
            }
            Condition::Or(parts) => {
                let mut any = false;
                for part in parts {
                    any |= self.express(part, holds)?;
                }
                any
            }
            Condition::Not(part) => !self.express(part, holds)?,
        })
    }
}

/// What is done.
#[derive(Debug)]
pub(super) enum Transformation {
    Fields(FieldMapping),
    DropItem,
    Hashes(HashesFields),
    Extract(ExtractFields),
    WildcardPlaceholders(Selection),
    ValuePlaceholders(Selection),
    AddCondition(AddCondition),
    ChangeLogSource(citywatch_parsers::LogSource<'static>),
    AddFields(Vec<Arc<str>>),
    RemoveFields(Vec<Arc<str>>),
    SetFields(Vec<Arc<str>>),
    ReplaceString(ReplaceString),
    /// From a value's text to one or several.
    MapString(Vec<(String, Vec<String>)>),
    SetState(String, Plain),
    Regex(RegexMethod),
    SetValue(Value),
    Convert(TypeTarget),
    RuleFailure(String),
    ItemFailure(String),
    StrictFields,
    SetAttribute(String, Plain),
    Nest(Vec<Item>),
    Case(CaseMethod),
}

/// A search that is added to rules.
#[derive(Debug)]
pub(super) struct AddCondition {
    pub(super) name: Option<Arc<str>>,
    pub(super) search: Branch,
    /// Whether `$category`, `$product` and `$service` in its values stand for those of the rule.
    pub(super) template: bool,
    pub(super) negated: bool,
}
