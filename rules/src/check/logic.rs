//! What only who evaluates rules can know: conditions that always hold or never, tests that contradict each other.

use super::Notes;
use crate::rule::{Expr, FieldTest, Presence, Rule, Shape, Test};

/// Larger expressions are not compared part by part.
const PARTS_MAX: usize = 400;

pub(super) fn check(rule: &Rule, notes: &mut Notes<'_>) {
    let at = rule
        .conditions
        .first()
        .map_or(rule.meta.position, |condition| condition.position);
    match certain(&rule.condition) {
        Some(true) => notes.add("CW223", at, "the condition holds for every event"),
        Some(false) => notes.add("CW224", at, "the condition never holds: it asks for a thing and for its opposite"),
        None if holds_without_fields(&rule.condition) => notes.add(
            "CW230",
            at,
            "the condition holds for every event that lacks the rule's fields: it only says what must not be",
        ),
        None => {}
    }
    for search in &rule.searches {
        match certain(&search.expr) {
            Some(true) => notes.add(
                "CW225",
                search.position,
                format!("{:?} holds for every event", search.name),
            ),
            Some(false) => notes.add(
                "CW226",
                search.position,
                format!("{:?} can never hold", search.name),
            ),
            None => contradictions(&search.expr, search, notes),
        }
    }
}

/// Whether an expression holds whatever the event is, as far as that is plain to see.
fn certain(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Const(value) => Some(*value),
        Expr::Not(part) => certain(part).map(|value| !value),
        Expr::And(parts) => {
            let known: Vec<Option<bool>> = parts.iter().map(certain).collect();
            if known.contains(&Some(false)) || contradict(parts) {
                Some(false)
            } else if known.iter().all(|one| *one == Some(true)) {
                Some(true)
            } else {
                None
            }
        }
        Expr::Or(parts) => {
            let known: Vec<Option<bool>> = parts.iter().map(certain).collect();
            let covers = || {
                parts.len() <= PARTS_MAX
                    && parts
                        .iter()
                        .any(|part| matches!(part, Expr::Not(inner) if parts.contains(inner)))
            };
            if known.contains(&Some(true)) || covers() {
                Some(true)
            } else if known.iter().all(|one| *one == Some(false)) {
                Some(false)
            } else {
                None
            }
        }
        Expr::Field(_) | Expr::Keyword(_) => None,
    }
}

/// Whether one part of an And rules out another.
fn contradict(parts: &[Expr]) -> bool {
    if parts.len() > PARTS_MAX {
        return false;
    }
    parts.iter().any(|part| match part {
        Expr::Not(inner) => {
            inner.parts() <= PARTS_MAX
                && parts
                    .iter()
                    .any(|other| other.parts() <= PARTS_MAX && implies(other, inner, 8))
        }
        _ => false,
    })
}

/// Whether `b` holds whenever `a` does, as far as that is plain to see.
fn implies(a: &Expr, b: &Expr, depth: u32) -> bool {
    if a == b {
        return true;
    }
    if depth == 0 {
        return false;
    }
    match (a, b) {
        (Expr::Or(parts), _) => {
            !parts.is_empty() && parts.iter().all(|part| implies(part, b, depth - 1))
        }
        (_, Expr::And(parts)) => {
            !parts.is_empty() && parts.iter().all(|part| implies(a, part, depth - 1))
        }
        (Expr::And(parts), _) if parts.iter().any(|part| implies(part, b, depth - 1)) => true,
        (_, Expr::Or(parts)) => parts.iter().any(|part| implies(a, part, depth - 1)),
        (Expr::Field(a), Expr::Field(b)) => a.field == b.field && test_implies(&a.test, &b.test),
        _ => false,
    }
}

fn test_implies(a: &Test, b: &Test) -> bool {
    let (Test::Text(a), Test::Text(b)) = (a, b) else {
        return false;
    };
    if a.case() != b.case() {
        return false;
    }
    use Shape::{Anything, Contains, EndsWith, Equals, StartsWith};
    match (a.shape(), b.shape()) {
        (_, Anything) => true,
        (Equals(a) | StartsWith(a), StartsWith(b)) => a.starts_with(b),
        (Equals(a) | EndsWith(a), EndsWith(b)) => a.ends_with(b),
        (Equals(a) | StartsWith(a) | EndsWith(a) | Contains(a), Contains(b)) => a.contains(b),
        (Equals(a), Equals(b)) => a == b,
        _ => false,
    }
}

/// Whether it holds for an event that has none of the fields.
fn holds_without_fields(expr: &Expr) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(holds_without_fields),
        Expr::Or(parts) => parts.iter().any(holds_without_fields),
        Expr::Not(part) => !holds_without_fields(part),
        Expr::Const(value) => *value,
        // Who asks for absence means it.
        Expr::Field(_) | Expr::Keyword(_) => false,
    }
}

/// Tests of one field that no single value passes.
fn contradictions(expr: &Expr, search: &crate::rule::Search, notes: &mut Notes<'_>) {
    expr.walk(&mut |part| {
        let Expr::And(parts) = part else { return };
        if parts.len() > PARTS_MAX {
            return;
        }
        for (place, a) in parts.iter().enumerate() {
            for b in &parts[..place] {
                if let Some(field) = same_field(a, b)
                    && !compatible(a, b)
                {
                    let words = format!("no single value of {field} passes all tests of {:?}: it holds for lists only, or never", search.name);
                    notes.add("CW236", search.position, words);
                    return;
                }
            }
        }
    });
}

/// The tests of one field: a test, or one of several.
fn alternatives(expr: &Expr) -> Option<Vec<&FieldTest>> {
    match expr {
        Expr::Field(test) => Some(vec![test]),
        Expr::Or(parts) if parts.len() <= PARTS_MAX => parts
            .iter()
            .map(|part| match part {
                Expr::Field(test) => Some(test),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn same_field<'e>(a: &'e Expr, b: &'e Expr) -> Option<&'e str> {
    let (a, b) = (alternatives(a)?, alternatives(b)?);
    let field = &a.first()?.field;
    a.iter()
        .chain(&b)
        .all(|test| test.field == *field)
        .then_some(field)
}

fn compatible(a: &Expr, b: &Expr) -> bool {
    let (Some(a), Some(b)) = (alternatives(a), alternatives(b)) else {
        return true;
    };
    if a.len() * b.len() > PARTS_MAX * 10 {
        return true;
    }
    a.iter()
        .any(|a| b.iter().any(|b| tests_compatible(&a.test, &b.test)))
}

/// Whether some value passes both, as far as that is plain to see.
fn tests_compatible(a: &Test, b: &Test) -> bool {
    use Shape::{Contains, EndsWith, Equals, StartsWith};
    match (a, b) {
        (Test::Text(a), Test::Text(b)) if a.case() == b.case() => match (a.shape(), b.shape()) {
            (Equals(a), Equals(b)) => a == b,
            (Equals(a), StartsWith(b)) | (StartsWith(b), Equals(a)) => a.starts_with(b),
            (Equals(a), EndsWith(b)) | (EndsWith(b), Equals(a)) => a.ends_with(b),
            (Equals(a), Contains(b)) | (Contains(b), Equals(a)) => a.contains(b),
            (StartsWith(a), StartsWith(b)) => a.starts_with(b) || b.starts_with(a),
            (EndsWith(a), EndsWith(b)) => a.ends_with(b) || b.ends_with(a),
            _ => true,
        },
        (Test::Number(a), Test::Number(b)) => a == b,
        (Test::Bool(a), Test::Bool(b)) => a == b,
        (Test::Compare { op, number }, Test::Number(value))
        | (Test::Number(value), Test::Compare { op, number }) => op.holds(value.cmp(number)),
        (Test::Exists(a), Test::Exists(b)) => a == b,
        (Test::Exists(Presence::Absent), Test::Text(_) | Test::Number(_) | Test::Regex(_))
        | (
            Test::Text(_) | Test::Number(_) | Test::Regex(_),
            Test::Exists(Presence::Absent) | Test::Null,
        )
        | (Test::Null, Test::Text(_) | Test::Number(_) | Test::Regex(_)) => false,
        _ => true,
    }
}
