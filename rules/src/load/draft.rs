//! A detection between text and tests: modifiers applied, fields and values still as names and words.
//!
//! Processing pipelines work here, as pySigma's do: on searches, items and values. What they leave is lowered to
//! the primitive tests of [`crate::rule`]; without pipelines that follows at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::allowance::Allowance;
use super::correlation::UnboundCorrelation;
use super::detection::Detection;
use super::document::{self, Document};
use super::item::{PATTERNS_MAX, parse_cidr};
use super::values::{Template, expand_regex};
use super::{LoadOptions, RuleSource};
use crate::condition::{self, Condition, Inliner};
use crate::error::{ErrorKind, Problem, RuleError};
use crate::pcre::{self, Flags};
use crate::processing::{Attribute, Pipelines};
use crate::rule::{
    Case, CompareOp, ConditionText, Expr, FieldRef, FieldTest, Meta, Number, Position, Presence,
    Relation, Rule, Search, Test, TimePart,
};
use crate::yaml::Node;

/// The searches and conditions of a detection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) searches: Vec<DraftSearch>,
    pub(crate) conditions: Vec<ConditionText>,
}

/// A named search.
#[derive(Clone, Debug)]
pub(crate) struct DraftSearch {
    pub(crate) name: Arc<str>,
    pub(crate) branch: Branch,
    pub(crate) position: Position,
}

/// An item, or several that belong together.
#[derive(Clone, Debug)]
pub(crate) enum Branch {
    Item(DraftItem),
    Group(Link, Vec<Branch>),
}

/// How several things are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    All,
    Any,
}

/// A field (none for keywords) and what it is compared with.
#[derive(Clone, Debug)]
pub(crate) struct DraftItem {
    pub(crate) field: Option<Arc<str>>,
    pub(crate) values: Vec<(Value, Position)>,
    pub(crate) link: Link,
    /// Whether the whole item must not hold: `neq`.
    pub(crate) negated: bool,
    pub(crate) case: Case,
    pub(crate) position: Position,
    /// Ids of the processing items that changed it.
    pub(crate) processed_by: Vec<Arc<str>>,
}

/// A value after its modifiers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(Template),
    /// What a modifier made of one value, any of which may fit: `windash`, `base64offset`.
    Expansion(Vec<Value>),
    Null,
    Bool {
        value: bool,
        text: String,
    },
    Number {
        number: Number,
        text: String,
    },
    Regex(RegexValue),
    Cidr {
        text: String,
        placeholders: Placeholders,
    },
    Exists(Presence),
    FieldRef {
        field: Arc<str>,
        relation: Relation,
    },
    Compare {
        op: CompareOp,
        number: Number,
    },
    Time {
        part: TimePart,
        op: CompareOp,
        number: Number,
    },
}

/// A regular expression as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RegexValue {
    pub(crate) source: String,
    pub(crate) flags: Flags,
    pub(crate) placeholders: Placeholders,
    pub(crate) extent: Extent,
}

/// Whether `%name%` in a text is a placeholder: only behind `expand`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholders {
    None,
    Written,
}

/// How much of a value an expression must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Any part of it: what authors write behind `re`.
    Anywhere,
    /// All of it: what a pipeline made of a text with wildcards.
    Whole,
}

/// A rule that pipelines change before it becomes tests.
#[derive(Debug)]
pub(crate) struct DraftRule {
    pub(crate) meta: Meta,
    pub(crate) log_source: LogSource<'static>,
    pub(crate) fields: Vec<Arc<str>>,
    pub(crate) own: Draft,
    /// What filters add, each with its title.
    pub(crate) filters: Vec<(Arc<str>, Draft)>,
    /// What the document says about itself.
    pub(crate) attributes: Vec<(String, Attribute)>,
    /// Ids of the steps that were applied to it.
    pub(crate) processed_by: BTreeSet<Arc<str>>,
}

impl DraftRule {
    pub(crate) fn drafts(&self) -> impl Iterator<Item = &Draft> {
        std::iter::once(&self.own).chain(self.filters.iter().map(|(_, draft)| draft))
    }

    pub(crate) fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        std::iter::once(&mut self.own).chain(self.filters.iter_mut().map(|(_, draft)| draft))
    }

    /// What is known of the rule before it is lowered.
    pub(super) fn outline(&self) -> Rule {
        Rule {
            meta: self.meta.clone(),
            log_source: self.log_source.clone(),
            searches: Vec::new(),
            condition: Expr::Const(true),
            conditions: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// The rule, once pipelines were applied.
    pub(super) fn lower(mut self, allowance: &Allowance<'_>) -> Result<Rule, Problem> {
        mark_processed(&mut self.meta, &allowance.options.pipelines);
        let detection = self.own.lower(allowance)?;
        let mut rule = Rule {
            meta: self.meta,
            log_source: self.log_source,
            searches: detection.searches,
            condition: detection.condition,
            conditions: detection.conditions,
            fields: self.fields,
        };
        for (title, draft) in self.filters {
            super::filter::join(&mut rule, &title, draft.lower(allowance)?);
        }
        Ok(rule)
    }
}

/// Another version of a rule than without these pipelines.
pub(super) fn mark_processed(meta: &mut Meta, pipelines: &Pipelines) {
    let hash = meta.content_hash();
    let hashes = [hash.as_bytes(), pipelines.digest().as_bytes()];
    meta.changed_hash = Some(Arc::from(super::sha256_hex(hashes)));
}

/// A document that pipelines can be applied to.
pub(crate) enum DraftDocument {
    Rule(Box<DraftRule>),
    Correlation(Box<UnboundCorrelation>),
}

/// The rules and correlations of a file; filters are left out. The options must have pipelines.
pub(crate) fn read_drafts(
    source: &RuleSource,
    options: &LoadOptions,
) -> Result<Vec<DraftDocument>, Box<RuleError>> {
    let allowance = Allowance::new(options);
    let mut drafts = Vec::new();
    for yaml in crate::yaml::read_documents(&source.text) {
        match document::read(&source.path, &yaml, &allowance)? {
            Document::Draft(rule) => drafts.push(DraftDocument::Rule(rule)),
            Document::Correlation(correlation) => {
                drafts.push(DraftDocument::Correlation(Box::new(correlation)));
            }
            Document::Rule(_) | Document::Filter(_) => {}
        }
    }
    Ok(drafts)
}

/// The search that a pipeline adds to rules.
pub(crate) fn read_added_search(node: &Node) -> Result<Branch, Problem> {
    let options = LoadOptions::default();
    let allowance = Allowance::new(&options);
    super::detection::read_map(node.entries("conditions")?, node, &allowance)
}

impl Draft {
    /// The tests that it stands for. `allowance` bounds them.
    pub(super) fn lower(self, allowance: &Allowance<'_>) -> Result<Detection, Problem> {
        let mut searches = Vec::new();
        let mut dropped: Vec<Arc<str>> = Vec::new();
        for search in self.searches {
            match search.branch.lower(allowance)? {
                Some(expr) => searches.push(Search {
                    name: search.name,
                    expr,
                    position: search.position,
                }),
                None => dropped.push(search.name),
            }
        }
        // A list of conditions is linked with OR (rules specification, "Condition").
        let mut parts = Vec::new();
        let mut conditions = Vec::new();
        let mut inliner = Inliner::new(&searches);
        for ConditionText { text, position } in self.conditions {
            let mut parsed = condition::parse(&text, position)?;
            let mut text = text;
            if !dropped.is_empty() {
                match without(&parsed, &dropped, &searches) {
                    Some(rest) if rest == parsed => {}
                    Some(rest) => {
                        text = Arc::from(rest.to_string());
                        parsed = rest;
                    }
                    None => continue,
                }
            }
            let before = inliner.size();
            parts.push(inliner.condition(&parsed, position)?);
            allowance
                .take_parts(inliner.size() - before)
                .map_err(|kind| Problem::new(position, kind))?;
            conditions.push(ConditionText { text, position });
        }
        let condition = match parts.len() {
            0 => {
                let reason = "the processing pipelines dropped every item that it speaks of, so the rule would match anything; leave out the rule or drop less".to_owned();
                let position = searches.first().map_or(Position::default(), |s| s.position);
                return Err(Problem::new(position, ErrorKind::Condition { reason }));
            }
            1 => parts.remove(0),
            _ => Expr::Or(parts),
        };
        Ok(Detection {
            searches,
            condition,
            conditions,
        })
    }
}

/// What is left of a condition without the searches of which nothing is left: an operand less, as pySigma has it.
fn without(condition: &Condition, dropped: &[Arc<str>], left: &[Search]) -> Option<Condition> {
    let several = |parts: &[Condition], join: fn(Vec<Condition>) -> Condition| {
        let mut rest: Vec<Condition> = parts
            .iter()
            .filter_map(|part| without(part, dropped, left))
            .collect();
        match rest.len() {
            0 => None,
            1 => Some(rest.remove(0)),
            _ => Some(join(rest)),
        }
    };
    match condition {
        Condition::Name(name) => {
            let is_dropped = dropped.iter().any(|other| **other == **name);
            (!is_dropped).then(|| condition.clone())
        }
        Condition::Of { pattern, .. } => {
            let fits = |name: &Arc<str>| condition::fits(pattern.as_deref(), name);
            let is_empty = dropped.iter().any(fits) && !left.iter().any(|s| fits(&s.name));
            (!is_empty).then(|| condition.clone())
        }
        Condition::And(parts) => several(parts, Condition::And),
        Condition::Or(parts) => several(parts, Condition::Or),
        Condition::Not(part) => {
            without(part, dropped, left).map(|part| Condition::Not(Box::new(part)))
        }
    }
}

impl Branch {
    /// Calls `visit` with each item in it.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&DraftItem)) {
        match self {
            Self::Item(item) => visit(item),
            Self::Group(_, branches) => branches.iter().for_each(|branch| branch.walk(visit)),
        }
    }

    /// Notes for each item in it that a step changed it.
    pub(crate) fn mark(&mut self, id: &Arc<str>) {
        match self {
            Self::Item(item) if item.processed_by.contains(id) => {}
            Self::Item(item) => item.processed_by.push(Arc::clone(id)),
            Self::Group(_, branches) => branches.iter_mut().for_each(|branch| branch.mark(id)),
        }
    }

    /// The expression, unless nothing is left of it.
    fn lower(self, allowance: &Allowance<'_>) -> Result<Option<Expr>, Problem> {
        match self {
            Self::Item(item) => item.lower(allowance).map(Some),
            Self::Group(link, branches) => {
                let mut parts = Vec::with_capacity(branches.len());
                for branch in branches {
                    parts.extend(branch.lower(allowance)?);
                }
                Ok((!parts.is_empty()).then(|| link.join(parts)))
            }
        }
    }
}

impl Link {
    /// One part stands for itself.
    pub(crate) fn join(self, mut parts: Vec<Expr>) -> Expr {
        match (self, parts.len()) {
            (_, 1) => parts.remove(0),
            (Self::All, _) => Expr::And(parts),
            (Self::Any, _) => Expr::Or(parts),
        }
    }
}

impl DraftItem {
    fn lower(mut self, allowance: &Allowance<'_>) -> Result<Expr, Problem> {
        let values = std::mem::take(&mut self.values);
        let values_count = values.len();
        let mut patterns = 0;
        let mut parts = Vec::with_capacity(values_count);
        for (value, position) in values {
            let at = |kind| Problem::new(position, kind);
            let tests = self.tests(value, allowance).map_err(at)?;
            patterns += tests.len();
            allowance.take_parts(tests.len()).map_err(at)?;
            // A list may be as long as its author wrote it: it is what is made of it that grows.
            if patterns > values_count.max(PATTERNS_MAX) {
                return Err(at(ErrorKind::TooManyPatterns {
                    patterns,
                    patterns_max: PATTERNS_MAX,
                }));
            }
            let tests = tests.into_iter().map(|test| self.test(test));
            // Joined by Or everything is one Or; joined by And, each value's patterns are an Or of their own.
            match self.link {
                Link::All => parts.push(Link::Any.join(tests.collect())),
                Link::Any => parts.extend(tests),
            }
        }
        let expr = self.link.join(parts);
        Ok(if self.negated {
            Expr::Not(Box::new(expr))
        } else {
            expr
        })
    }

    fn test(&self, test: Test) -> Expr {
        match &self.field {
            Some(field) => Expr::Field(FieldTest {
                field: Arc::clone(field),
                test,
            }),
            None => Expr::Keyword(test),
        }
    }

    /// The tests for one value: any of them.
    fn tests(&self, value: Value, allowance: &Allowance<'_>) -> Result<Vec<Test>, ErrorKind> {
        let is_keyword = self.field.is_none();
        Ok(match value {
            Value::Text(template) if template.has_placeholder() => {
                let templates = template.expanded(allowance.options)?;
                allowance.take_text(templates.iter().map(Template::bytes).sum())?;
                let tests = templates.into_iter().map(|template| self.text(template));
                tests.collect::<Result<_, _>>()?
            }
            Value::Text(template) => vec![self.text(template)?],
            Value::Expansion(values) => {
                let mut tests = Vec::with_capacity(values.len());
                for value in values {
                    tests.extend(self.tests(value, allowance)?);
                }
                tests
            }
            Value::Null if is_keyword => {
                let reason = "null cannot be searched for; write a text".to_owned();
                let value = "null".to_owned();
                return Err(ErrorKind::Value { value, reason });
            }
            Value::Null => vec![Test::Null],
            Value::Bool { text, .. } | Value::Number { text, .. } if is_keyword => {
                vec![self.text(Template::parse(&text))?]
            }
            Value::Bool { value, .. } => vec![Test::Bool(value)],
            Value::Number { number, text } => {
                let mut tests = vec![Test::Number(number)];
                if text.starts_with("0x") || text.starts_with("0o") {
                    // YAML reads 0x10 as 16, but logs carry it as text more often than not.
                    tests.push(self.text(Template::parse(&text))?);
                }
                tests
            }
            Value::Regex(regex) => regex.tests(allowance)?,
            Value::Cidr { text, placeholders } => {
                let texts = placeholders.expanded(text, allowance)?;
                let network = |text: &String| Ok(Test::Cidr(parse_cidr(text)?));
                texts.iter().map(network).collect::<Result<_, _>>()?
            }
            Value::Exists(presence) => vec![Test::Exists(presence)],
            Value::FieldRef { field, relation } => vec![Test::FieldRef(FieldRef {
                field,
                relation,
                case: self.case,
            })],
            Value::Compare { op, number } => vec![Test::Compare { op, number }],
            Value::Time { part, op, number } => vec![Test::TimePart { part, op, number }],
        })
    }

    fn text(&self, template: Template) -> Result<Test, ErrorKind> {
        let template = match self.field {
            Some(_) => template,
            None => template.any_before().any_behind(),
        };
        Ok(Test::Text(template.pattern(self.case)?))
    }
}

impl Placeholders {
    /// The texts that a text stands for.
    fn expanded(self, text: String, allowance: &Allowance<'_>) -> Result<Vec<String>, ErrorKind> {
        match self {
            Self::Written => expand_regex(&text, allowance.options),
            Self::None => Ok(vec![text]),
        }
    }
}

impl RegexValue {
    fn tests(self, allowance: &Allowance<'_>) -> Result<Vec<Test>, ErrorKind> {
        let sources = self.placeholders.expanded(self.source, allowance)?;
        let regex = |source: &String| {
            let (pattern, bytes) = match self.extent {
                Extent::Anywhere => pcre::translate(source, self.flags)?,
                Extent::Whole => pcre::translate(&format!("\\A(?s:{source})\\z"), self.flags)?,
            };
            allowance.take_regex(bytes)?;
            Ok(Test::Regex(pattern))
        };
        sources.iter().map(regex).collect()
    }
}
