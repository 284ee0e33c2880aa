//! The reference evaluator: slow, and simple enough to be checked against the specification by reading.
//!
//! It defines the meaning. The compiled engine must agree with it on every event; where the two
//! differ, this one is right until the specification says otherwise.

mod correlate;

use std::borrow::Cow;
use std::net::IpAddr;

use citywatch_parsers::{Event, Value};
use jiff::civil;

use crate::fold::fold_text;
use crate::rule::{
    Case, Expr, FieldRef, FieldTest, Number, Presence, Relation, Rule, Shape, Test, TextPart,
    TextPattern, TimePart,
};

pub use correlate::{Moment, RuleMatch, SettledAlert, correlate};

/// A field that made a rule match, with its value in that event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchedField {
    /// The event's field; empty for a keyword found in the raw text alone.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// Whether `rule` holds for `event`, and if so which fields passed tests that made it true. Tests
/// under an odd number of `not` made it true by failing and are not told. The log source is not
/// looked at: routing is the engine's.
pub fn matches(rule: &Rule, event: &Event<'_>) -> Option<Vec<MatchedField>> {
    if !holds(&rule.condition, event) {
        return None;
    }
    let mut fields = Vec::new();
    collect(&rule.condition, event, &mut fields);
    Some(fields)
}

/// Whether an expression holds for an event.
pub fn holds(expr: &Expr, event: &Event<'_>) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| holds(part, event)),
        Expr::Or(parts) => parts.iter().any(|part| holds(part, event)),
        Expr::Not(part) => !holds(part, event),
        Expr::Field(test) => field_passes(test, event),
        Expr::Keyword(test) => !keyword_places(test, event).is_empty(),
        Expr::Const(value) => *value,
    }
}

/// Fields in the order of the tests that they passed, each once.
fn collect(expr: &Expr, event: &Event<'_>, fields: &mut Vec<MatchedField>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts.iter().filter(|part| holds(part, event)) {
                collect(part, event, fields);
            }
        }
        Expr::Field(test) if field_passes(test, event) => {
            if let Some(value) = event.get(&test.field) {
                add(fields, &test.field, value.to_string());
            }
        }
        Expr::Keyword(test) => {
            for (name, value) in keyword_places(test, event) {
                add(fields, name, value);
            }
        }
        // What a Not hides was not found, so there is nothing to tell.
        Expr::Field(_) | Expr::Not(_) | Expr::Const(_) => {}
    }
}

fn add(fields: &mut Vec<MatchedField>, name: &str, value: String) {
    let field = MatchedField {
        name: name.to_owned(),
        value,
    };
    if !fields.contains(&field) {
        fields.push(field);
    }
}

/// Whether the event's field passes the test.
fn field_passes(test: &FieldTest, event: &Event<'_>) -> bool {
    let value = event.get(&test.field);
    match (&test.test, value) {
        // "only verifies the presence of a field, not its value, be it empty or null"
        (Test::Exists(Presence::Present), value) => value.is_some(),
        (Test::Exists(Presence::Absent), value) => value.is_none(),
        (Test::Null, None) => true,
        (_, None) => false,
        (Test::FieldRef(reference), Some(value)) => match event.get(&reference.field) {
            None => false,
            Some(other) => any(value, &|value| {
                any(other, &|other| relates(reference, value, other))
            }),
        },
        (test, Some(value)) => any(value, &|value| passes(test, value)),
    }
}

/// Where a keyword is found: fields with the value, or the raw text with an empty name when no field has it
/// (the text of a document is markup around its values and is not searched).
fn keyword_places<'e>(test: &Test, event: &Event<'e>) -> Vec<(&'e str, String)> {
    let mut places: Vec<(&str, String)> = Vec::new();
    for field in &event.fields {
        if any(field.value, &|value| passes(test, value)) {
            places.push((field.name, field.value.to_string()));
        }
    }
    if places.is_empty() && !event.record.is_document() {
        let raw = String::from_utf8_lossy(event.record.raw);
        if text_passes(test, &raw) {
            places.push(("", raw.into_owned()));
        }
    }
    places
}

/// Whether the value, or one of the elements of a list, passes.
fn any(value: Value<'_>, passes: &dyn Fn(Value<'_>) -> bool) -> bool {
    match value {
        Value::List(values) => values.iter().any(|&value| any(value, passes)),
        value => passes(value),
    }
}

/// Whether a single value, no list, passes.
fn passes(test: &Test, value: Value<'_>) -> bool {
    match (test, value) {
        (Test::Null, value) => value == Value::Null,
        (_, Value::Null) => false,
        (Test::Number(number), value) => {
            Number::of_value(value).is_some_and(|value| value == *number)
        }
        (Test::Compare { op, number }, value) => {
            Number::of_value(value).is_some_and(|value| op.holds(value.cmp(number)))
        }
        (Test::Bool(expected), Value::Bool(value)) => value == *expected,
        (Test::Bool(expected), Value::Str(text)) => {
            text.eq_ignore_ascii_case(if *expected { "true" } else { "false" })
        }
        (Test::Bool(_), _) => false,
        (Test::Cidr(block), Value::Str(text)) => {
            parse_address(text).is_some_and(|address| block.contains(address))
        }
        (Test::Cidr(_), _) => false,
        (Test::TimePart { part, op, number }, Value::Str(text)) => time_part(text, *part)
            .is_some_and(|value| op.holds(Number::Int(value.into()).cmp(number))),
        (Test::TimePart { .. }, _) => false,
        (Test::Text(_) | Test::Regex(_), value) => text_passes(test, &text_of(value)),
        // Answered where the event is at hand.
        (Test::Exists(_) | Test::FieldRef(_), _) => false,
    }
}

/// A single value as text.
fn text_of(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.to_string()),
    }
}

fn text_passes(test: &Test, text: &str) -> bool {
    match test {
        Test::Text(pattern) => text_fits(pattern, text),
        Test::Regex(pattern) => pattern.regex.is_match(text),
        _ => false,
    }
}

/// Whether the whole text fits the pattern.
pub fn text_fits(pattern: &TextPattern, text: &str) -> bool {
    let folded = match pattern.case() {
        Case::Insensitive => fold_text(text),
        Case::Sensitive => Cow::Borrowed(text),
    };
    match pattern.shape() {
        Shape::Equals(literal) => *folded == *literal,
        Shape::StartsWith(literal) => folded.starts_with(literal),
        Shape::EndsWith(literal) => folded.ends_with(literal),
        Shape::Contains(literal) => folded.contains(literal),
        Shape::Anything => true,
        Shape::Other => parts_fit(pattern.parts(), &folded),
    }
}

/// Whether the whole text fits the parts one behind the other.
fn parts_fit(parts: &[TextPart], text: &str) -> bool {
    #[derive(Clone, Copy)]
    enum Symbol {
        Char(char),
        One,
        Any,
    }
    let mut symbols = Vec::new();
    for part in parts {
        match part {
            TextPart::Literal(literal) => symbols.extend(literal.chars().map(Symbol::Char)),
            TextPart::One => symbols.push(Symbol::One),
            TextPart::Any => symbols.push(Symbol::Any),
        }
    }
    // `reached[i]`: the first i symbols fit the characters read so far. An `Any` fits none, too.
    let mut reached = vec![false; symbols.len() + 1];
    reached[0] = true;
    let skip_any = |reached: &mut [bool]| {
        for (index, symbol) in symbols.iter().enumerate() {
            if matches!(symbol, Symbol::Any) && reached[index] {
                reached[index + 1] = true;
            }
        }
    };
    skip_any(&mut reached);
    let mut next = vec![false; symbols.len() + 1];
    for c in text.chars() {
        next.fill(false);
        for (index, symbol) in symbols.iter().enumerate() {
            match symbol {
                Symbol::Char(expected) if *expected == c && reached[index] => {
                    next[index + 1] = true
                }
                Symbol::One if reached[index] => next[index + 1] = true,
                Symbol::Any if reached[index] => next[index] = true,
                _ => {}
            }
        }
        skip_any(&mut next);
        std::mem::swap(&mut reached, &mut next);
    }
    reached[symbols.len()]
}

/// Whether a value stands in the relation to the other. Null stands in none.
fn relates(reference: &FieldRef, value: Value<'_>, other: Value<'_>) -> bool {
    if value == Value::Null || other == Value::Null {
        return false;
    }
    let (value, other) = (text_of(value), text_of(other));
    let (value, other) = match reference.case {
        Case::Insensitive => (fold_text(&value), fold_text(&other)),
        Case::Sensitive => (value, other),
    };
    match reference.relation {
        Relation::Equals => value == other,
        Relation::StartsWith => value.starts_with(&*other),
        Relation::EndsWith => value.ends_with(&*other),
        Relation::Contains => value.contains(&*other),
    }
}

/// The IP address that a text is; a zone (`%eth0`) is left out.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

/// A date of the form `2026-11-22`.
fn date_of(text: &[u8]) -> Option<civil::Date> {
    let digits = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0i16, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + i16::from(byte - b'0'))
        })
    };
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (month, day) = (i8::try_from(digits(5, 7)?), i8::try_from(digits(8, 10)?));
    civil::Date::new(digits(0, 4)?, month.ok()?, day.ok()?).ok()
}

/// A part of a date as it is written, without regard to time zones. Dates are `2026-11-22`, followed
/// or not by `T` or a space and a time of at least hour and minute.
pub fn time_part(text: &str, part: TimePart) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    if !rest.is_empty() && !rest.starts_with(['T', 't', ' ']) {
        return None;
    }
    let date = date_of(date.as_bytes())?;
    match part {
        TimePart::Year => Some(date.year().into()),
        TimePart::Month => Some(date.month().into()),
        TimePart::Day => Some(date.day().into()),
        TimePart::Week => Some(date.iso_week_date().week().into()),
        TimePart::Hour | TimePart::Minute => {
            // `T12:34`, ` 12:34:56.789Z`, `t12:34+07:00`.
            let time = rest.strip_prefix(['T', 't', ' '])?.as_bytes();
            let two = |at: usize| match time.get(at..at + 2) {
                Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
                    Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
                }
                _ => None,
            };
            let (hour, minute) = (two(0)?, two(3)?);
            let valid = time[2] == b':' && hour <= 23 && minute <= 59;
            valid.then_some(if part == TimePart::Hour { hour } else { minute })
        }
    }
}
