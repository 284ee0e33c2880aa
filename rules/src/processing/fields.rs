//! Transformations of field names: in items, in references to fields, in the list `fields`, in correlations.

use std::sync::Arc;

use super::apply::Run;
use super::items::Item;
use crate::correlation::CorrelationKind;
use crate::error::ErrorKind;
use crate::load::UnboundCorrelation;
use crate::load::draft::{Branch, DraftItem, Link, Value};

/// What becomes of names.
#[derive(Debug)]
pub(super) enum FieldMapping {
    /// `field_name_mapping`; no name stands for keywords.
    Names(Vec<(Option<String>, Targets)>),
    /// `field_name_prefix_mapping`: the first prefix that fits.
    Prefixes(Vec<(String, Targets)>),
    AddPrefix(String),
    AddSuffix(String),
}

/// What a name becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Targets {
    One(Arc<str>),
    /// Any of which may hold.
    Many(Vec<Arc<str>>),
}

impl Targets {
    fn each(&self) -> &[Arc<str>] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }

    fn with_rest(&self, rest: &str) -> Self {
        let with_rest = |name: &Arc<str>| Arc::from(format!("{name}{rest}"));
        match self {
            Self::One(name) => Self::One(with_rest(name)),
            Self::Many(names) => Self::Many(names.iter().map(with_rest).collect()),
        }
    }
}

impl FieldMapping {
    /// What a name becomes, unless it stays.
    fn of(&self, field: Option<&str>) -> Option<Targets> {
        match self {
            Self::Names(names) => names
                .iter()
                .find(|(name, _)| name.as_deref() == field)
                .map(|(_, targets)| targets.clone()),
            Self::Prefixes(prefixes) => prefixes.iter().find_map(|(prefix, targets)| {
                Some(targets.with_rest(field?.strip_prefix(prefix.as_str())?))
            }),
            Self::AddPrefix(prefix) => Some(Targets::One(Arc::from(format!("{prefix}{}", field?)))),
            Self::AddSuffix(suffix) => Some(Targets::One(Arc::from(format!("{}{suffix}", field?)))),
        }
    }

    /// The names that a name outside of items becomes.
    fn names(&self, field: &Arc<str>, step: &Item, run: &mut Run<'_>) -> Vec<Arc<str>> {
        match self.of(Some(field)) {
            Some(targets) if run.field_fits(step, Some(field)) => {
                run.track_field(field, targets.each(), step.id.as_ref());
                targets.each().to_vec()
            }
            _ => vec![Arc::clone(field)],
        }
    }

    /// The list `fields` of a rule.
    pub(super) fn apply_to_list(&self, fields: &mut Vec<Arc<str>>, step: &Item, run: &mut Run<'_>) {
        let old = std::mem::take(fields);
        for field in &old {
            fields.extend(self.names(field, step, run));
        }
    }

    /// An item. What it becomes, unless it stays as it is.
    pub(super) fn apply_to_item(
        &self,
        mut item: DraftItem,
        step: &Item,
        run: &mut Run<'_>,
    ) -> Result<Branch, DraftItem> {
        let mut is_changed = false;
        let refers = |value: &Value| matches!(value, Value::FieldRef { field, .. } if run.field_fits(step, Some(field)));
        if item.values.iter().any(|(value, _)| refers(value)) {
            is_changed = true;
            let mut values = Vec::new();
            for (value, position) in std::mem::take(&mut item.values) {
                match value {
                    Value::FieldRef { field, relation } if run.field_fits(step, Some(&field)) => {
                        let names = self.names(&field, step, run).into_iter();
                        values.extend(
                            names.map(|field| (Value::FieldRef { field, relation }, position)),
                        );
                    }
                    value => values.push((value, position)),
                }
            }
            item.values = values;
        }
        let targets = self.of(item.field.as_deref());
        match targets {
            Some(targets) if run.field_fits(step, item.field.as_deref()) => {
                run.track_mapping(item.field.as_ref(), targets.each());
                if item.field.is_none() {
                    // A keyword is found anywhere, so it is looked for anywhere in the field.
                    for (value, _) in &mut item.values {
                        if let Value::Text(template) = value {
                            *template = std::mem::take(template).any_before().any_behind();
                        }
                    }
                }
                match targets {
                    Targets::One(name) => {
                        item.field = Some(name);
                        Ok(Branch::Item(item))
                    }
                    Targets::Many(names) => {
                        // What must not hold must hold for none of the fields.
                        let link = if item.negated { Link::All } else { Link::Any };
                        let with_name = |name| {
                            Branch::Item(DraftItem {
                                field: Some(name),
                                processed_by: Vec::new(),
                                ..item.clone()
                            })
                        };
                        Ok(Branch::Group(
                            link,
                            names.into_iter().map(with_name).collect(),
                        ))
                    }
                }
            }
            _ if is_changed => Ok(Branch::Item(item)),
            _ => Err(item),
        }
    }

    /// What a correlation groups by and computes over. Aliases keep their names; the fields that they stand for change.
    pub(super) fn apply_to_correlation(
        &self,
        correlation: &mut UnboundCorrelation,
        step: &Item,
        run: &mut Run<'_>,
    ) -> Result<(), ErrorKind> {
        let single = |field: &Arc<str>, what: &str, run: &mut Run<'_>| {
            let mut names = self.names(field, step, run);
            match (names.pop(), names.is_empty()) {
                (Some(name), true) => Ok(name),
                _ => Err(ErrorKind::Value {
                    value: field.to_string(),
                    reason: format!("{what} can become one field only; map it to one name"),
                }),
            }
        };
        for alias in &mut correlation.aliases {
            for (_, field, _) in &mut alias.fields {
                *field = single(field, "the field of an alias", run)?;
            }
        }
        let aliases: Vec<Arc<str>> = correlation
            .aliases
            .iter()
            .map(|alias| Arc::clone(&alias.name))
            .collect();
        let group_by = std::mem::take(&mut correlation.group_by);
        for field in group_by {
            if aliases.contains(&field) {
                correlation.group_by.push(field);
            } else {
                correlation.group_by.extend(self.names(&field, step, run));
            }
        }
        let fields: &mut [Arc<str>] = match &mut correlation.kind {
            CorrelationKind::ValueCount { fields, .. } => fields,
            CorrelationKind::ValueSum { field, .. }
            | CorrelationKind::ValueAvg { field, .. }
            | CorrelationKind::ValuePercentile { field, .. } => std::slice::from_mut(field),
            CorrelationKind::EventCount { .. }
            | CorrelationKind::Temporal { .. }
            | CorrelationKind::TemporalOrdered { .. }
            | CorrelationKind::TemporalExtended { .. } => &mut [],
        };
        for field in fields.iter_mut().filter(|field| !aliases.contains(field)) {
            *field = single(field, "the field of a correlation's condition", run)?;
        }
        Ok(())
    }
}
