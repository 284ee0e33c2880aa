//! Rules as SQL over the events that ClickHouse keeps.
//!
//! A [`Translator`] turns what a rule says into a condition over the columns of table `events`. An exact one holds for the
//! events for which [`crate::reference`] says that the rule holds, and for no others; what SQL cannot say is told
//! ([`Unsaid`]), and never said nearly. A translator for narrowing says "may hold" there, so that every event of the rule is among the
//! rows; whoever asks then judges the rows.
//!
//! The columns: `fields` maps names to values as text (a list as JSON), `field_kinds` has a letter per field in the same order
//! (`n`ull, `b`ool, `i`nteger, `u`nsigned, `f`loat, `s`tring, `l`ist), `product`, `category`, `service` and
//! `other_log_sources` are the log sources, `raw` is the record.
//!
//! How exactness comes about:
//! - What tests ask of a field is made an array first: no element where it is absent or null, one where it is a scalar, its elements where it is a
//!   list. So a test is `arrayExists` over that array, and its negation `NOT`.
//! - Letters that differ in case: of a pattern in ASCII `lower()` decides, once the two other letters that fold to ASCII are replaced. Of any
//!   other pattern each letter is written as the class of letters that fold to it.
//! - Regular expressions are taken apart by the parser of the engine that the evaluator uses, and written anew with every class and
//!   flag spelled out, so that what RE2 knows of Unicode and its flags does not count.
//! - Rule values are literals whose every special character is escaped; no value of an event becomes SQL.

mod definitions;
mod letters;
mod literal;
mod log_source;
mod numbers;
mod regexes;
mod tests_of_values;

use std::fmt::Write;

use citywatch_parsers::LogSource;

use crate::rule::{Case, Expr, FieldRef, Presence, Relation, Rule, Test};
use definitions::Definitions;
use letters::Letters;
use literal::comment;
pub use literal::literal;
use tests_of_values::{Wanted, joined};

/// What of a rule SQL cannot say, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaid {
    /// The part of the rule.
    pub part: String,
    /// The reason.
    pub reason: String,
}

/// What becomes of parts that SQL cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// They are told, and the rule has no condition.
    Exact,
    /// They may hold: the condition holds for each event of the rule, and may hold for others.
    Narrowing,
}

/// Translates rules; those that share one share the definitions that their conditions speak of.
#[derive(Debug)]
pub struct Translator {
    bound: Bound,
    definitions: Definitions,
    letters: Letters,
    unsaid: Vec<Unsaid>,
}

/// Whether an expression stands under an odd number of `not`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Positive,
    Negated,
}

impl Translator {
    /// One without rules.
    pub fn new(bound: Bound) -> Self {
        Self {
            bound,
            definitions: Definitions::default(),
            letters: Letters::default(),
            unsaid: Vec::new(),
        }
    }

    /// The condition of a rule, its log source included.
    ///
    /// # Errors
    /// What cannot be said, in an exact translation only.
    pub fn rule(&mut self, rule: &Rule) -> Result<String, Vec<Unsaid>> {
        let parts = self.parts(rule)?;
        Ok(parts.join(" AND "))
    }

    /// The parts of the condition, all of which must hold.
    fn parts(&mut self, rule: &Rule) -> Result<Vec<String>, Vec<Unsaid>> {
        let mut parts: Vec<String> = log_source::condition(&rule.log_source)
            .into_iter()
            .collect();
        match &rule.condition {
            Expr::And(children) => {
                parts.extend(
                    children
                        .iter()
                        .map(|child| self.expr(child, Side::Positive)),
                );
            }
            other => parts.push(self.expr(other, Side::Positive)),
        }
        if parts.is_empty() {
            parts.push("1".to_owned());
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        if unsaid.is_empty() {
            Ok(parts)
        } else {
            Err(unsaid)
        }
    }

    /// What conditions made so far speak of, as a `WITH` clause; empty when they speak of columns alone.
    pub fn with_clause(&self) -> String {
        self.definitions.with_clause()
    }

    fn unsaid(&mut self, part: String, reason: &str, side: Side) -> String {
        match (self.bound, side) {
            (Bound::Exact, _) => {
                self.unsaid.push(Unsaid {
                    part,
                    reason: reason.to_owned(),
                });
                "0".to_owned()
            }
            (Bound::Narrowing, Side::Positive) => "1".to_owned(),
            (Bound::Narrowing, Side::Negated) => "0".to_owned(),
        }
    }

    fn expr(&mut self, expr: &Expr, side: Side) -> String {
        match expr {
            Expr::Const(value) => u8::from(*value).to_string(),
            Expr::And(parts) if parts.is_empty() => "1".to_owned(),
            Expr::And(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.expr(part, side)).collect();
                joined(&parts, " AND ")
            }
            Expr::Or(parts) => self.any_of(parts, side),
            Expr::Not(part) => {
                let side = match side {
                    Side::Positive => Side::Negated,
                    Side::Negated => Side::Positive,
                };
                format!("NOT ({})", self.expr(part, side))
            }
            Expr::Field(test) => self.field_tests(&test.field, &[&test.test], side),
            Expr::Keyword(test) => self.keywords(&[test], side),
        }
    }

    /// One of the parts holds. Tests of the same field are asked together.
    fn any_of(&mut self, parts: &[Expr], side: Side) -> String {
        enum Group<'r> {
            Field(&'r str, Vec<&'r Test>),
            Keywords(Vec<&'r Test>),
            Other(&'r Expr),
        }
        let mut groups: Vec<Group<'_>> = Vec::new();
        for part in parts {
            match part {
                Expr::Field(test) => {
                    let known = groups.iter_mut().find_map(|group| match group {
                        Group::Field(field, tests) if *field == &*test.field => Some(tests),
                        _ => None,
                    });
                    match known {
                        Some(tests) => tests.push(&test.test),
                        None => groups.push(Group::Field(&test.field, vec![&test.test])),
                    }
                }
                Expr::Keyword(test) => {
                    let known = groups.iter_mut().find_map(|group| match group {
                        Group::Keywords(tests) => Some(tests),
                        _ => None,
                    });
                    match known {
                        Some(tests) => tests.push(test),
                        None => groups.push(Group::Keywords(vec![test])),
                    }
                }
                other => groups.push(Group::Other(other)),
            }
        }
        let mut alternatives = Vec::with_capacity(groups.len());
        for group in groups {
            alternatives.push(match group {
                Group::Field(field, tests) => self.field_tests(field, &tests, side),
                Group::Keywords(tests) => self.keywords(&tests, side),
                Group::Other(part) => self.expr(part, side),
            });
        }
        if alternatives.is_empty() {
            return "0".to_owned();
        }
        joined(&alternatives, " OR ")
    }

    /// The field passes one of the tests.
    fn field_tests(&mut self, field: &str, tests: &[&Test], side: Side) -> String {
        let mut alternatives = Vec::new();
        let mut of_values = Vec::new();
        for test in tests {
            match test {
                Test::Exists(presence) => {
                    let sign = match presence {
                        Presence::Present => "!=",
                        Presence::Absent => "=",
                    };
                    alternatives.push(format!("{} {sign} ''", self.definitions.kind(field)));
                }
                Test::Null => {
                    let kind = self.definitions.kind(field);
                    let items = self.definitions.items(field);
                    alternatives.push(format!(
                        "({kind} IN ('', 'n') OR ({kind} = 'l' AND has({items}, 'null')))"
                    ));
                }
                Test::FieldRef(reference) => alternatives.push(self.field_ref(field, reference)),
                Test::TimePart { part, op, number } => {
                    let parts = self.definitions.time_parts(field, *part);
                    let condition = numbers::compares(*op, *number, &mut self.definitions);
                    alternatives.push(format!("arrayExists(x -> {condition}, {parts})"));
                }
                test => of_values.push(*test),
            }
        }
        for wanted in self.wanted(field, &of_values, side) {
            match wanted {
                Wanted::Folded(condition) => {
                    let values = self.definitions.folded(field);
                    alternatives.push(format!("arrayExists(x -> {condition}, {values})"));
                }
                Wanted::AsIs(condition) => {
                    let values = self.definitions.values(field);
                    alternatives.push(format!("arrayExists(x -> {condition}, {values})"));
                }
                Wanted::Unsaid(condition) => alternatives.push(condition),
            }
        }
        joined(&alternatives, " OR ")
    }

    fn wanted(&mut self, field: &str, tests: &[&Test], side: Side) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let mut sayable = Vec::with_capacity(tests.len());
        for test in tests {
            match test {
                Test::Regex(pattern) => match regexes::re2_of(&pattern.pattern) {
                    Ok(regex) => {
                        wanted.push(Wanted::AsIs(format!("match(x, {})", literal(&regex))))
                    }
                    Err(reason) => {
                        let part =
                            format!("the regular expression {:?} of {field}", pattern.source);
                        wanted.push(Wanted::Unsaid(self.unsaid(part, &reason, side)));
                    }
                },
                test => sayable.push(*test),
            }
        }
        wanted.extend(tests_of_values::conditions(
            &sayable,
            &mut self.letters,
            &mut self.definitions,
        ));
        wanted
    }

    /// Some value, or the raw text of what is no document, passes one of the tests.
    fn keywords(&mut self, tests: &[&Test], side: Side) -> String {
        let mut alternatives = Vec::new();
        for wanted in self.wanted("a keyword", tests, side) {
            let (condition, values, raw) = match wanted {
                Wanted::Folded(condition) => (
                    condition,
                    self.definitions.all_folded(),
                    self.definitions.raw_folded(),
                ),
                Wanted::AsIs(condition) => (
                    condition,
                    self.definitions.all_values(),
                    self.definitions.raw(),
                ),
                Wanted::Unsaid(condition) => {
                    alternatives.push(condition);
                    continue;
                }
            };
            alternatives.push(format!("arrayExists(x -> {condition}, {values})"));
            alternatives.push(format!("arrayExists(x -> {condition}, {raw})"));
        }
        joined(&alternatives, " OR ")
    }

    fn field_ref(&mut self, field: &str, reference: &FieldRef) -> String {
        let (values, others) = match reference.case {
            Case::Sensitive => (
                self.definitions.values(field),
                self.definitions.values(&reference.field),
            ),
            Case::Insensitive => (
                self.definitions.wholly_folded(field),
                self.definitions.wholly_folded(&reference.field),
            ),
        };
        let relation = match reference.relation {
            Relation::Equals => "x = y",
            Relation::StartsWith => "startsWith(x, y)",
            Relation::EndsWith => "endsWith(x, y)",
            Relation::Contains => "position(x, y) > 0",
        };
        format!("arrayExists(x -> arrayExists(y -> {relation}, {others}), {values})")
    }
}

/// A condition that holds for the events of which one of these log sources speaks, and may hold for others; none when one of
/// them is of any event.
pub fn log_sources<'r>(sources: impl Iterator<Item = &'r LogSource<'static>>) -> Option<String> {
    log_source::any_of(sources)
}

/// One statement that finds the rule's events, with the columns that tell them apart. `more` is a condition besides, such
/// as a span of time.
///
/// # Errors
/// What cannot be said exactly.
pub fn statement(rule: &Rule, table: &str, more: Option<&str>) -> Result<String, Vec<Unsaid>> {
    let mut translator = Translator::new(Bound::Exact);
    let mut parts = translator.parts(rule)?;
    if let Some(more) = more {
        parts.insert(0, more.to_owned());
    }
    let mut sql = format!(
        "-- {}\n-- {}\n",
        comment(&rule.meta.title),
        comment(rule.meta.id.as_str())
    );
    let definitions = translator.with_clause();
    if !definitions.is_empty() {
        sql.push_str(&definitions);
        sql.push('\n');
    }
    write!(
        sql,
        "SELECT event_id, event_time, unit, host, fields\nFROM {table}\nWHERE {}\nORDER BY event_time, event_id\n\
         SETTINGS precise_float_parsing = 1",
        parts.join("\n  AND ")
    )
    .expect("writing to a String cannot fail");
    Ok(sql)
}
