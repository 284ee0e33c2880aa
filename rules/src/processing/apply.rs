//! Pipelines applied to a rule or a correlation, step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::Pipelines;
use super::attributes::Attribute;
use super::items::{AddCondition, Item, Transformation};
use super::placeholders::Becomes;
use super::plain::Plain;
use crate::error::{ErrorKind, Problem};
use crate::load::draft::{Branch, DraftItem, DraftSearch, Link, RegexValue, Value};
use crate::load::values::Piece;
use crate::load::{DraftRule, UnboundCorrelation};
use crate::rule::Position;

/// What pipelines are applied to.
pub(crate) enum Subject<'s> {
    Rule(&'s mut DraftRule),
    /// With the log sources of the rules to which it refers.
    Correlation(&'s mut UnboundCorrelation, Vec<LogSource<'static>>),
}

/// What is remembered between the steps for one rule.
pub(super) struct Run<'p> {
    vars: &'p BTreeMap<String, Vec<String>>,
    pub(super) state: BTreeMap<String, Plain>,
    /// Which steps changed the name of a field outside of items, by the name that it has now.
    field_ids: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Names that were mapped and names that they were mapped to.
    mapped: BTreeSet<Arc<str>>,
}

/// Applies all pipelines.
///
/// # Errors
/// When a step refuses the rule, or cannot be applied to it: the place in the rule, and which step.
pub(crate) fn apply(pipelines: &Pipelines, subject: &mut Subject<'_>) -> Result<(), Problem> {
    let mut run = Run::new(&pipelines.vars);
    apply_items(&pipelines.items, subject, &mut run)
}

fn apply_items(
    items: &[Item],
    subject: &mut Subject<'_>,
    run: &mut Run<'_>,
) -> Result<(), Problem> {
    for step in items {
        let at_rule = |kind| step.problem(subject.position(), kind);
        let fits = step.rules.conditions.is_empty()
            || step
                .rules
                .hold(|condition| condition.holds(subject, run))
                .map_err(at_rule)?;
        if fits {
            step.apply(subject, run)?;
        }
    }
    Ok(())
}

impl<'p> Run<'p> {
    fn new(vars: &'p BTreeMap<String, Vec<String>>) -> Self {
        Self {
            vars,
            state: BTreeMap::new(),
            field_ids: HashMap::new(),
            mapped: BTreeSet::new(),
        }
    }

    /// Whether a step is for fields of this name; none is that of keywords.
    pub(super) fn field_fits(&self, step: &Item, field: Option<&str>) -> bool {
        let holds = step
            .fields
            .hold(|condition| Ok::<_, std::convert::Infallible>(condition.holds(field, self)));
        holds.unwrap_or_else(|never| match never {})
    }

    /// Whether a step is for this item.
    fn item_fits(&self, step: &Item, item: &DraftItem) -> bool {
        let item_holds = step
            .items
            .hold(|condition| Ok::<_, std::convert::Infallible>(condition.holds(item, self)));
        let field_holds = step.fields.hold(|condition| {
            Ok::<_, std::convert::Infallible>(condition.holds_for_item(item, self))
        });
        item_holds.unwrap_or_else(|never| match never {})
            && field_holds.unwrap_or_else(|never| match never {})
    }

    pub(super) fn field_processed_by(&self, field: &str, id: &Arc<str>) -> bool {
        self.field_ids
            .get(field)
            .is_some_and(|ids| ids.contains(id))
    }

    /// Notes that a name outside of items was changed.
    pub(super) fn track_field(&mut self, from: &Arc<str>, to: &[Arc<str>], id: Option<&Arc<str>>) {
        if to == [Arc::clone(from)] {
            return;
        }
        let mut ids = self.field_ids.remove(from).unwrap_or_default();
        ids.extend(id.cloned());
        for field in to {
            self.field_ids.insert(Arc::clone(field), ids.clone());
        }
    }

    /// Notes that an item's field was mapped.
    pub(super) fn track_mapping(&mut self, from: Option<&Arc<str>>, to: &[Arc<str>]) {
        self.mapped.extend(from.cloned());
        self.mapped.extend(to.iter().cloned());
    }
}

impl Subject<'_> {
    pub(super) fn log_sources(&self) -> Vec<LogSource<'static>> {
        match self {
            Self::Rule(rule) => vec![rule.log_source.clone()],
            Self::Correlation(_, sources) => sources.clone(),
        }
    }

    /// Whether some item of a rule's searches is meant. Correlations have none.
    pub(super) fn has_item(&self, is_meant: &mut dyn FnMut(&DraftItem) -> bool) -> bool {
        let Self::Rule(rule) = self else {
            return false;
        };
        let mut found = false;
        for search in rule.drafts().flat_map(|draft| &draft.searches) {
            search.branch.walk(&mut |item| found |= is_meant(item));
        }
        found
    }

    pub(super) fn processed_by(&self) -> &BTreeSet<Arc<str>> {
        match self {
            Self::Rule(rule) => &rule.processed_by,
            Self::Correlation(correlation, _) => &correlation.processed_by,
        }
    }

    pub(super) fn attributes(&self) -> &[(String, Attribute)] {
        match self {
            Self::Rule(rule) => &rule.attributes,
            Self::Correlation(correlation, _) => &correlation.attributes,
        }
    }

    pub(super) fn tags(&self) -> &[Arc<str>] {
        match self {
            Self::Rule(rule) => &rule.meta.tags,
            Self::Correlation(correlation, _) => &correlation.meta.tags,
        }
    }

    fn position(&self) -> Position {
        match self {
            Self::Rule(rule) => rule.meta.position,
            Self::Correlation(correlation, _) => correlation.meta.position,
        }
    }

    fn mark(&mut self, id: Option<&Arc<str>>) {
        let marks = match self {
            Self::Rule(rule) => &mut rule.processed_by,
            Self::Correlation(correlation, _) => &mut correlation.processed_by,
        };
        marks.extend(id.cloned());
    }
}

/// What becomes of an item.
enum Outcome {
    Same(DraftItem),
    New(Branch),
    Dropped,
}

impl Item {
    fn problem(&self, position: Position, kind: ErrorKind) -> Problem {
        let kind = match kind {
            ErrorKind::Pipeline { .. } => kind,
            other => ErrorKind::Pipeline {
                place: self.place.to_string(),
                reason: other.to_string(),
            },
        };
        Problem::new(position, kind)
    }

    fn refused(&self, position: Position, message: &str) -> Problem {
        let kind = ErrorKind::Pipeline {
            place: self.place.to_string(),
            reason: format!("the rule is refused: {message}"),
        };
        Problem::new(position, kind)
    }

    fn apply(&self, subject: &mut Subject<'_>, run: &mut Run<'_>) -> Result<(), Problem> {
        let position = subject.position();
        let at_rule = |kind| self.problem(position, kind);
        match &self.transformation {
            Transformation::RuleFailure(message) => return Err(self.refused(position, message)),
            Transformation::AddCondition(added) => {
                if let Subject::Rule(rule) = subject {
                    added.apply(rule, self.id.as_ref()).map_err(at_rule)?;
                } else {
                    return Ok(());
                }
            }
            Transformation::StrictFields => self.check_strict(subject, run)?,
            Transformation::Nest(items) => {
                let mut nested = Run::new(run.vars);
                apply_items(items, subject, &mut nested)?;
                run.state.extend(nested.state);
                run.field_ids.extend(nested.field_ids);
                run.mapped.extend(nested.mapped);
            }
            Transformation::SetState(key, value) => {
                run.state.insert(key.clone(), value.clone());
            }
            Transformation::SetAttribute(name, value) => {
                let attribute = (name.clone(), Attribute::One(value.clone()));
                match subject {
                    Subject::Rule(rule) => rule.attributes.push(attribute),
                    Subject::Correlation(correlation, _) => correlation.attributes.push(attribute),
                }
            }
            Transformation::ChangeLogSource(source) => {
                if let Subject::Rule(rule) = subject {
                    rule.log_source = source.clone();
                }
            }
            Transformation::AddFields(_)
            | Transformation::RemoveFields(_)
            | Transformation::SetFields(_) => self.change_list(subject),
            Transformation::Fields(mapping) => {
                match subject {
                    Subject::Rule(rule) => mapping.apply_to_list(&mut rule.fields, self, run),
                    Subject::Correlation(correlation, _) => mapping
                        .apply_to_correlation(correlation, self, run)
                        .map_err(at_rule)?,
                }
                self.each_item(subject, run)?;
            }
            _ => self.each_item(subject, run)?,
        }
        subject.mark(self.id.as_ref());
        Ok(())
    }

    /// Changes the list `fields` of a rule.
    fn change_list(&self, subject: &mut Subject<'_>) {
        let Subject::Rule(rule) = subject else {
            return;
        };
        match &self.transformation {
            Transformation::AddFields(names) => rule.fields.extend(names.iter().cloned()),
            Transformation::SetFields(names) => rule.fields.clone_from(names),
            Transformation::RemoveFields(names) => {
                for name in names {
                    if let Some(place) = rule.fields.iter().position(|field| field == name) {
                        rule.fields.remove(place);
                    }
                }
            }
            _ => {}
        }
    }

    /// `strict_field_mapping_failure`: each field must have been mapped, or be what one was mapped to.
    fn check_strict(&self, subject: &Subject<'_>, run: &Run<'_>) -> Result<(), Problem> {
        let mut unmapped = BTreeSet::new();
        subject.has_item(&mut |item| {
            unmapped.extend(
                item.field
                    .iter()
                    .filter(|field| !run.mapped.contains(*field))
                    .cloned(),
            );
            false
        });
        if unmapped.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = unmapped.iter().map(|name| &**name).collect();
        let message = format!("no mapping names these fields: {}", names.join(", "));
        Err(self.refused(subject.position(), &message))
    }

    /// Changes the items of a rule's searches that the step is for.
    fn each_item(&self, subject: &mut Subject<'_>, run: &mut Run<'_>) -> Result<(), Problem> {
        let Subject::Rule(rule) = subject else {
            return Ok(());
        };
        for search in rule.drafts_mut().flat_map(|draft| &mut draft.searches) {
            let branch =
                std::mem::replace(&mut search.branch, Branch::Group(Link::All, Vec::new()));
            if let Some(branch) = self.change(branch, run)? {
                search.branch = branch;
            }
        }
        Ok(())
    }

    /// What becomes of a branch; none where it is dropped.
    fn change(&self, branch: Branch, run: &mut Run<'_>) -> Result<Option<Branch>, Problem> {
        match branch {
            Branch::Group(link, branches) => {
                let mut changed = Vec::with_capacity(branches.len());
                for branch in branches {
                    changed.extend(self.change(branch, run)?);
                }
                Ok(Some(Branch::Group(link, changed)))
            }
            Branch::Item(item) if !run.item_fits(self, &item) => Ok(Some(Branch::Item(item))),
            Branch::Item(item) => {
                let position = item.position;
                let outcome = self.change_item(item, run);
                Ok(
                    match outcome.map_err(|kind| self.problem(position, kind))? {
                        Outcome::Same(item) => Some(Branch::Item(item)),
                        Outcome::Dropped => None,
                        Outcome::New(mut branch) => {
                            if let Some(id) = &self.id {
                                branch.mark(id);
                            }
                            Some(branch)
                        }
                    },
                )
            }
        }
    }

    fn change_item(&self, item: DraftItem, run: &mut Run<'_>) -> Result<Outcome, ErrorKind> {
        let branch = |new: Option<Branch>, item| new.map_or(Outcome::Same(item), Outcome::New);
        Ok(match &self.transformation {
            Transformation::Fields(mapping) => match mapping.apply_to_item(item, self, run) {
                Ok(branch) => Outcome::New(branch),
                Err(item) => Outcome::Same(item),
            },
            Transformation::DropItem => Outcome::Dropped,
            Transformation::ItemFailure(message) => {
                return Err(ErrorKind::Pipeline {
                    place: self.place.to_string(),
                    reason: format!("the rule is refused: {message}"),
                });
            }
            Transformation::Hashes(hashes) => branch(hashes.apply(&item)?, item),
            Transformation::Extract(extract) => branch(extract.apply(&item)?, item),
            _ => self.change_values(item, run)?,
        })
    }

    fn change_values(&self, mut item: DraftItem, run: &Run<'_>) -> Result<Outcome, ErrorKind> {
        let mut is_changed = false;
        let mut values = Vec::with_capacity(item.values.len());
        for (value, position) in std::mem::take(&mut item.values) {
            match self.change_value(&value, run)? {
                Some(new) => {
                    is_changed = true;
                    values.extend(new.into_iter().map(|value| (value, position)));
                }
                None => values.push((value, position)),
            }
        }
        item.values = values;
        Ok(if is_changed {
            Outcome::New(Branch::Item(item))
        } else {
            Outcome::Same(item)
        })
    }

    /// The values that a value becomes; none where it stays.
    fn change_value(&self, value: &Value, run: &Run<'_>) -> Result<Option<Vec<Value>>, ErrorKind> {
        let one = |value| Some(vec![value]);
        Ok(match (&self.transformation, value) {
            (Transformation::WildcardPlaceholders(selection), value) => {
                selection.apply(value, Becomes::Wildcard)?
            }
            (Transformation::ValuePlaceholders(selection), value) => {
                selection.apply(value, Becomes::Values(run.vars))?
            }
            (Transformation::ReplaceString(replace), Value::Text(template)) => {
                one(Value::Text(replace.apply(template)))
            }
            (Transformation::ReplaceString(replace), Value::Number { number, .. }) => {
                let template = crate::load::values::Template::parse(&number.to_string());
                one(Value::Text(replace.apply(&template)))
            }
            (Transformation::MapString(names), Value::Text(template)) => {
                let plain = template.plain();
                let found = names.iter().find(|(name, _)| *name == plain);
                found.map(|(_, texts)| {
                    let value =
                        |text: &String| Value::Text(crate::load::values::Template::parse(text));
                    texts.iter().map(value).collect()
                })
            }
            (Transformation::Regex(method), Value::Text(template)) => one(method.apply(template)?),
            (Transformation::SetValue(new), _) => one(new.clone()),
            (Transformation::Convert(target), value) => target.apply(value)?.and_then(one),
            (Transformation::Case(method), Value::Text(template)) => {
                one(Value::Text(method.apply(template)))
            }
            _ => None,
        })
    }
}

impl AddCondition {
    fn apply(&self, rule: &mut DraftRule, id: Option<&Arc<str>>) -> Result<(), ErrorKind> {
        let is_taken = |rule: &DraftRule, name: &str| {
            rule.own.searches.iter().any(|search| *search.name == *name)
        };
        let name = match &self.name {
            Some(name) if is_taken(rule, name) => {
                return Err(ErrorKind::Value {
                    value: name.to_string(),
                    reason: "the rule has a search of this name already; give the condition another name".to_owned(),
                });
            }
            Some(name) => Arc::clone(name),
            None => {
                let free = (1..)
                    .map(|n| format!("_cond_{n}"))
                    .find(|name| !is_taken(rule, name));
                Arc::from(free.unwrap_or_default())
            }
        };
        let mut branch = self.search.clone();
        if self.template {
            substitute(&mut branch, &rule.log_source)?;
        }
        if let Some(id) = id {
            branch.mark(id);
        }
        rule.own.searches.push(DraftSearch {
            name: Arc::clone(&name),
            branch,
            position: rule.meta.position,
        });
        let not = if self.negated { "not " } else { "" };
        for condition in &mut rule.own.conditions {
            condition.text = Arc::from(format!("{not}{name} and ({})", condition.text));
        }
        Ok(())
    }
}

/// Puts the parts of the log source in place of `$category`, `$product` and `$service`.
fn substitute(branch: &mut Branch, source: &LogSource<'_>) -> Result<(), ErrorKind> {
    match branch {
        Branch::Group(_, branches) => branches
            .iter_mut()
            .try_for_each(|branch| substitute(branch, source)),
        Branch::Item(item) => item
            .values
            .iter_mut()
            .try_for_each(|(value, _)| substitute_value(value, source)),
    }
}

fn substitute_value(value: &mut Value, source: &LogSource<'_>) -> Result<(), ErrorKind> {
    match value {
        Value::Text(template) => {
            let pieces = template.pieces().iter().map(|piece| match piece {
                Piece::Literal(bytes) => {
                    let text = substitute_text(&String::from_utf8_lossy(bytes), source)?;
                    Ok(Piece::Literal(text.into_bytes()))
                }
                other => Ok(other.clone()),
            });
            let pieces = pieces.collect::<Result<_, ErrorKind>>()?;
            *template = crate::load::values::Template::of(pieces);
        }
        Value::Expansion(values) => {
            for value in values {
                substitute_value(value, source)?;
            }
        }
        Value::Regex(RegexValue { source: text, .. }) | Value::Cidr { text, .. } => {
            *text = substitute_text(text, source)?;
        }
        _ => {}
    }
    Ok(())
}

fn substitute_text(text: &str, source: &LogSource<'_>) -> Result<String, ErrorKind> {
    let parts = [
        ("category", &source.category),
        ("product", &source.product),
        ("service", &source.service),
    ];
    let mut text = text.to_owned();
    for (name, part) in parts {
        for written in [format!("${{{name}}}"), format!("${name}")] {
            if !text.contains(&written) {
                continue;
            }
            if part.is_empty() {
                return Err(ErrorKind::Value {
                    value: written,
                    reason: format!(
                        "the rule's log source has no {name}; add a rule condition (logsource) to the transformation"
                    ),
                });
            }
            text = text.replace(&written, part);
        }
    }
    Ok(text)
}
