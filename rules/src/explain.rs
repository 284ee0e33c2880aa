//! Why a rule holds for an event or does not: its condition as a tree, each leaf with the value that it saw.
//!
//! The tree is that of the reference evaluator. Where the rule does not hold, [`Explanation::nearest`] is the
//! smallest set of leaves that would have had to be otherwise.

use citywatch_parsers::{Event, Value};

use crate::reference::holds;
use crate::rule::{
    Case, CompareOp, Expr, FieldTest, Presence, Relation, Rule, Shape, Test, TextPart, TimePart,
};

/// Children of one node that are shown; of long lists of values those that hold or come near.
const CHILDREN_MAX: usize = 12;
/// Characters of a value that are compared when the nearest of many is looked for.
const COMPARED_CHARS_MAX: usize = 200;

/// Why a rule holds for an event or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether it holds. The log source is not looked at.
    pub holds: bool,
    /// The condition.
    pub root: Branch,
    /// The fewest leaves that are not as the rule wants them; none where it holds.
    pub nearest: Vec<Branch>,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// The search's name, where the part is a search.
    pub search: Option<String>,
    /// What it asks, in Sigma's words: `all of`, `one of`, `not`, `Image|endswith: \cmd.exe`.
    pub asks: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the event has for it; none for parts that are no tests.
    pub seen: Option<String>,
    /// What it is made of.
    pub children: Vec<Branch>,
    /// Children that are not shown.
    pub left_out: usize,
}

/// Explains what `rule` says of `event`.
pub fn explain(rule: &Rule, event: &Event<'_>) -> Explanation {
    let root = branch(&rule.condition, rule, event);
    let mut nearest = Vec::new();
    if !root.holds {
        missing(&rule.condition, true, rule, event, &mut nearest);
    }
    Explanation {
        holds: root.holds,
        root,
        nearest,
    }
}

fn branch(expr: &Expr, rule: &Rule, event: &Event<'_>) -> Branch {
    let search = rule.searches.iter().find(|search| search.expr == *expr);
    let mut made = Branch {
        search: search.map(|search| search.name.to_string()),
        asks: String::new(),
        holds: holds(expr, event),
        seen: None,
        children: Vec::new(),
        left_out: 0,
    };
    match expr {
        Expr::And(parts) => {
            "all of".clone_into(&mut made.asks);
            add_children(&mut made, parts, rule, event);
        }
        Expr::Or(parts) => {
            "one of".clone_into(&mut made.asks);
            add_children(&mut made, parts, rule, event);
        }
        Expr::Not(part) => {
            "not".clone_into(&mut made.asks);
            made.children.push(branch(part, rule, event));
        }
        Expr::Field(test) => {
            made.asks = field_test_in_words(test);
            made.seen = Some(seen(&test.field, event));
        }
        Expr::Keyword(test) => {
            made.asks = format!(
                "any value {}",
                test_in_words("", test).trim_start_matches('|')
            );
            made.seen = Some("all values and the record's text".to_owned());
        }
        Expr::Const(value) => made.asks = if *value { "always" } else { "never" }.to_owned(),
    }
    made
}

/// All parts where there are few; of many those that hold, and the one that comes nearest.
fn add_children(made: &mut Branch, parts: &[Expr], rule: &Rule, event: &Event<'_>) {
    if parts.len() <= CHILDREN_MAX {
        made.children = parts.iter().map(|part| branch(part, rule, event)).collect();
        return;
    }
    // In `all of`, what fails decides; in `one of`, what holds.
    let is_and = made.asks == "all of";
    let mut shown: Vec<usize> = (0..parts.len())
        .filter(|&place| holds(&parts[place], event) != is_and)
        .take(CHILDREN_MAX)
        .collect();
    if shown.is_empty() {
        shown.extend(nearest_of(parts, event));
    }
    made.left_out = parts.len() - shown.len();
    made.children = shown
        .into_iter()
        .map(|place| branch(&parts[place], rule, event))
        .collect();
}

/// How many leaves would have to be otherwise for `expr` to be `wanted`.
fn distance(expr: &Expr, wanted: bool, event: &Event<'_>) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            let every = matches!(expr, Expr::And(_)) == wanted;
            let each = parts.iter().map(|part| distance(part, wanted, event));
            if every {
                each.fold(0, usize::saturating_add)
            } else {
                each.min().unwrap_or(usize::MAX / 2)
            }
        }
        Expr::Not(part) => distance(part, !wanted, event),
        Expr::Const(value) if *value != wanted => usize::MAX / 2,
        _ => usize::from(holds(expr, event) != wanted),
    }
}

/// Adds the fewest leaves that keep `expr` from being `wanted`.
fn missing(expr: &Expr, wanted: bool, rule: &Rule, event: &Event<'_>, found: &mut Vec<Branch>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            if matches!(expr, Expr::And(_)) == wanted {
                for part in parts {
                    missing(part, wanted, rule, event, found);
                }
            } else if !parts.iter().any(|part| holds(part, event) == wanted) {
                let least = parts.iter().map(|part| distance(part, wanted, event)).min();
                let tied: Vec<Expr> = parts
                    .iter()
                    .filter(|part| Some(distance(part, wanted, event)) == least)
                    .cloned()
                    .collect();
                if let Some(place) = nearest_of(&tied, event) {
                    missing(&tied[place], wanted, rule, event, found);
                }
            }
        }
        Expr::Not(part) => missing(part, !wanted, rule, event, found),
        leaf => {
            if holds(leaf, event) != wanted {
                found.push(branch(leaf, rule, event));
            }
        }
    }
}

/// The part of which the wanted text is most like the event's; the first where none can be told.
fn nearest_of(parts: &[Expr], event: &Event<'_>) -> Option<usize> {
    let likeness = |part: &Expr| -> f64 {
        let Expr::Field(FieldTest {
            field,
            test: Test::Text(pattern),
        }) = part
        else {
            return 0.0;
        };
        let Some(value) = event.get(field) else {
            return -1.0;
        };
        let literals = pattern.parts().iter().map(|part| match part {
            TextPart::Literal(text) => &**text,
            TextPart::One | TextPart::Any => "",
        });
        let wanted: String = literals
            .collect::<String>()
            .chars()
            .take(COMPARED_CHARS_MAX)
            .collect();
        let is = value.to_string().to_lowercase();
        let length = wanted.chars().count();
        let is: String = match pattern.shape() {
            Shape::EndsWith(_) => {
                let skipped = is
                    .chars()
                    .count()
                    .saturating_sub(length.min(COMPARED_CHARS_MAX));
                is.chars().skip(skipped).collect()
            }
            Shape::StartsWith(_) => is.chars().take(length).collect(),
            _ => is.chars().take(COMPARED_CHARS_MAX).collect(),
        };
        strsim::jaro_winkler(&wanted, &is)
    };
    let scored = parts
        .iter()
        .enumerate()
        .map(|(place, part)| (place, likeness(part)));
    scored
        .fold(None, |best: Option<(usize, f64)>, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        })
        .map(|(place, _)| place)
}

fn seen(field: &str, event: &Event<'_>) -> String {
    match event.get(field) {
        None => "absent".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Str(text)) => format!("{text:?}"),
        Some(Value::List(values)) => {
            let values = values.iter().map(|value| match value {
                Value::Str(text) => format!("{text:?}"),
                value => value.to_string(),
            });
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(value) => value.to_string(),
    }
}

/// A test in Sigma's words: `Image|endswith: \cmd.exe`.
pub fn field_test_in_words(test: &FieldTest) -> String {
    test_in_words(&test.field, &test.test)
}

fn test_in_words(field: &str, test: &Test) -> String {
    let cased = |case: Case| match case {
        Case::Sensitive => "|cased",
        Case::Insensitive => "",
    };
    match test {
        Test::Text(pattern) => {
            let (modifier, text) = match pattern.shape() {
                Shape::StartsWith(text) => ("|startswith", text.to_owned()),
                Shape::EndsWith(text) => ("|endswith", text.to_owned()),
                Shape::Contains(text) => ("|contains", text.to_owned()),
                Shape::Equals(text) => (
                    "",
                    if text.is_empty() {
                        "''".to_owned()
                    } else {
                        text.to_owned()
                    },
                ),
                Shape::Anything | Shape::Other => ("", pattern.to_string()),
            };
            format!("{field}{modifier}{}: {text}", cased(pattern.case()))
        }
        Test::Regex(pattern) => format!("{field}|re: {}", pattern.source),
        Test::Cidr(block) => format!("{field}|cidr: {block}"),
        Test::Compare { op, number } => format!("{field}|{}: {number}", op_name(*op)),
        Test::Number(number) => format!("{field}: {number}"),
        Test::Bool(value) => format!("{field}: {value}"),
        Test::Exists(presence) => format!("{field}|exists: {}", *presence == Presence::Present),
        Test::Null => format!("{field}: null"),
        Test::FieldRef(reference) => {
            let relation = match reference.relation {
                Relation::Equals => "",
                Relation::StartsWith => "|startswith",
                Relation::EndsWith => "|endswith",
                Relation::Contains => "|contains",
            };
            format!(
                "{field}|fieldref{relation}{}: {}",
                cased(reference.case),
                reference.field
            )
        }
        Test::TimePart { part, op, number } => {
            let part = match part {
                TimePart::Minute => "minute",
                TimePart::Hour => "hour",
                TimePart::Day => "day",
                TimePart::Week => "week",
                TimePart::Month => "month",
                TimePart::Year => "year",
            };
            match op {
                CompareOp::Equal => format!("{field}|{part}: {number}"),
                op => format!("{field}|{part}|{}: {number}", op_name(*op)),
            }
        }
    }
}

fn op_name(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Less => "lt",
        CompareOp::LessOrEqual => "lte",
        CompareOp::Greater => "gt",
        CompareOp::GreaterOrEqual => "gte",
        CompareOp::Equal => "eq",
        CompareOp::NotEqual => "neq",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use citywatch_parsers::{LogSource, ParseContext};

    use super::*;
    use crate::{LoadOptions, RuleSet, RuleSource, rule_tests};

    const RULE: &str = r"
title: Shells
logsource: {product: windows}
detection:
  selection_image:
    Image|endswith: ['\cmd.exe', '\powershell.exe', '\pwsh.exe']
  selection_line:
    CommandLine|contains|all: [' -enc', 'http']
  filter:
    User: SYSTEM
  condition: all of selection_* and not filter
";

    fn explained(fields: &str) -> Explanation {
        let set = RuleSet::load([RuleSource::new("r.yml", RULE)], &LoadOptions::default());
        assert!(set.problems.is_empty(), "{:?}", set.problems);
        let text = format!("tests:\n- {{name: x, matches: 0, events: [{fields}]}}\n");
        let tests = rule_tests::read("r.test.yml", &text).unwrap();
        let mut found = None;
        rule_tests::play(
            &tests[0],
            &LogSource::default(),
            &ParseContext::default(),
            |event, _| {
                found = Some(explain(&set.rules[0], event));
            },
        );
        found.unwrap()
    }

    #[test]
    fn a_rule_that_holds_has_nothing_missing() {
        let found = explained(
            r"{Image: 'C:\Windows\powershell.exe', CommandLine: 'powershell -enc http', User: an}",
        );
        assert!(found.holds);
        assert_eq!(found.nearest, []);
        assert_eq!(
            found.root.children[0].children[0].search.as_deref(),
            Some("selection_image")
        );
    }

    #[test]
    fn the_nearest_is_told_with_what_was_seen() {
        let found = explained(
            r"{Image: 'C:\Windows\powershel.exe', CommandLine: 'powershell -enc', User: SYSTEM}",
        );
        assert!(!found.holds);
        let told: Vec<(&str, &str)> = found
            .nearest
            .iter()
            .map(|one| (one.asks.as_str(), one.seen.as_deref().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    r"Image|endswith: \powershell.exe",
                    r#""C:\\Windows\\powershel.exe""#
                ),
                ("CommandLine|contains: http", r#""powershell -enc""#),
                ("User: system", r#""SYSTEM""#),
            ]
        );
    }

    #[test]
    fn an_absent_field_is_said_to_be() {
        let found = explained("{User: an}");
        assert!(
            found
                .nearest
                .iter()
                .all(|one| one.seen.as_deref() == Some("absent"))
        );
        assert_eq!(found.nearest.len(), 3);
    }
}
