//! One distinct test of one field, as the engine evaluates it.
//!
//! All rules share their predicates: each is evaluated at most once per event.

use std::fmt::Write;

use citywatch_parsers::Value;
use citywatch_rules::reference::{parse_address, time_part};
use citywatch_rules::rule::{
    Case, CidrBlock, CompareOp, Number, Presence, Relation, Shape, Test, TextPart, TextPattern,
    TimePart,
};
use regex::Regex;
use smallvec::SmallVec;

use super::anchors::required_byte;
use super::find::{Pair, find_folded};
use super::literals::{Literal, Literals};
use super::names::FieldIndex;

/// A predicate: an index into the list of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PredicateId(pub(super) u32);

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Subject {
    /// One field.
    Field(FieldIndex),
    /// All values, and the raw text.
    Keyword,
}

/// A test of a subject.
#[derive(Debug)]
pub(super) struct Predicate {
    pub(super) subject: Subject,
    pub(super) check: Check,
    /// Which index finds it, if any: if that index was searched for this event and did not report
    /// it, the predicate is false.
    pub(super) indexed: Indexed,
}

impl Predicate {
    /// Which index finds it, if any, of those of all `fields` and of keywords.
    #[inline]
    pub(super) fn index(&self, fields: usize) -> Option<u32> {
        let slot = super::index::slot(self.subject, fields);
        (self.indexed != Indexed::No).then(|| super::keys::index_u32(slot))
    }
}

/// Where a text was found in another: the first byte of each place.
#[derive(Debug, Default)]
pub(super) struct Found {
    starts: SmallVec<[usize; 8]>,
    len: usize,
}

/// Most places that are told of.
const FOUND_MAX: usize = 64;

impl Found {
    /// The places.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Whether one of them is in a piece of the text that was searched.
    pub(super) fn is_within(&self, text: &[u8], piece: &str) -> bool {
        let begin = piece.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let range = begin..begin + piece.len();
        self.starts
            .iter()
            .any(|start| range.start <= *start && start + self.len <= range.end)
    }
}

/// Whether an index finds a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    /// None does.
    No,
    /// One does: not found means false, found means perhaps.
    Perhaps,
    /// One does: not found means false, found means true.
    Exactly,
}

/// A compiled test.
#[derive(Debug)]
pub(super) enum Check {
    /// The text has a simple shape.
    Text(TextCheck),
    /// The text fits a pattern with inner wildcards.
    Glob(Box<[GlobPart]>, Case),
    /// Any text.
    Anything,
    /// The regular expression is found, in texts that have a byte which it needs.
    Regex(Regex, Option<u8>),
    /// An address in the network.
    Cidr(CidrBlock),
    /// A number that compares so.
    Compare(CompareOp, Number),
    /// A boolean.
    Bool(bool),
    /// There or not.
    Exists(Presence),
    /// Absent or null.
    Null,
    /// Compared with another field.
    FieldRef {
        other: FieldIndex,
        relation: Relation,
        case: Case,
    },
    /// A part of a date.
    TimePart {
        part: TimePart,
        op: CompareOp,
        number: Number,
    },
}

/// A literal at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextCheck {
    pub(super) relation: Relation,
    pub(super) literal: Literal,
    pub(super) case: Case,
    /// How it is found.
    pair: Pair,
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) enum GlobPart {
    /// A text, and how it is found.
    Literal(Literal, Pair),
    One,
    Any,
}

/// A value as text, with its folded form where it is not ASCII.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// As it is.
    pub(super) raw: &'a str,
    /// Folded; the same as `raw` when that is ASCII, whose letters are compared without case.
    pub(super) folded: &'a str,
}

impl Check {
    /// Compiles a test. `name` gives the index of another field.
    pub(super) fn compile(
        test: &Test,
        literals: &mut Literals,
        mut name: impl FnMut(&std::sync::Arc<str>) -> FieldIndex,
    ) -> Self {
        match test {
            Test::Text(pattern) => Self::of_pattern(pattern, literals),
            Test::Regex(pattern) => {
                Self::Regex(pattern.regex.clone(), required_byte(&pattern.pattern))
            }
            Test::Cidr(block) => Self::Cidr(*block),
            Test::Compare { op, number } => Self::Compare(*op, *number),
            Test::Number(number) => Self::Compare(CompareOp::Equal, *number),
            Test::Bool(wanted) => Self::Bool(*wanted),
            Test::Exists(presence) => Self::Exists(*presence),
            Test::Null => Self::Null,
            Test::FieldRef(reference) => Self::FieldRef {
                other: name(&reference.field),
                relation: reference.relation,
                case: reference.case,
            },
            Test::TimePart { part, op, number } => Self::TimePart {
                part: *part,
                op: *op,
                number: *number,
            },
        }
    }

    fn of_pattern(pattern: &TextPattern, literals: &mut Literals) -> Self {
        let (relation, literal) = match pattern.shape() {
            Shape::Equals(text) => (Relation::Equals, text),
            Shape::StartsWith(text) => (Relation::StartsWith, text),
            Shape::EndsWith(text) => (Relation::EndsWith, text),
            Shape::Contains(text) => (Relation::Contains, text),
            Shape::Anything => return Self::Anything,
            Shape::Other => {
                let parts = pattern.parts().iter().map(|part| match part {
                    TextPart::Literal(text) => {
                        GlobPart::Literal(literals.add(text), Pair::of(text.as_bytes()))
                    }
                    TextPart::One => GlobPart::One,
                    TextPart::Any => GlobPart::Any,
                });
                return Self::Glob(parts.collect(), pattern.case());
            }
        };
        let pair = Pair::of(literal.as_bytes());
        Self::Text(TextCheck {
            relation,
            literal: literals.add(literal),
            case: pattern.case(),
            pair,
        })
    }

    /// Whether an event without the field passes.
    pub(super) fn holds_when_absent(&self) -> bool {
        matches!(self, Self::Null | Self::Exists(Presence::Absent))
    }

    /// Whether a text passes. Only for tests that look at texts.
    #[inline]
    pub(super) fn holds_for_text(&self, text: Text<'_>, literals: &Literals) -> bool {
        match self {
            Self::Text(check) => check.holds(text, literals),
            Self::Glob(parts, case) => match case {
                Case::Insensitive => glob::<true>(parts, text.folded, literals),
                Case::Sensitive => glob::<false>(parts, text.raw, literals),
            },
            Self::Anything => true,
            Self::Regex(regex, needed) => {
                needed.is_none_or(|byte| memchr::memchr(byte, text.raw.as_bytes()).is_some())
                    && regex.is_match(text.raw)
            }
            Self::Cidr(block) => {
                parse_address(text.raw).is_some_and(|address| block.contains(address))
            }
            Self::Compare(op, number) => {
                Number::parse(text.raw).is_some_and(|value| op.holds(value.cmp(number)))
            }
            Self::Bool(wanted) => {
                text.raw
                    .eq_ignore_ascii_case(if *wanted { "true" } else { "false" })
            }
            Self::TimePart { part, op, number } => time_part(text.raw, *part)
                .is_some_and(|value| op.holds(Number::Int(value.into()).cmp(number))),
            Self::Exists(_) | Self::Null | Self::FieldRef { .. } => false,
        }
    }

    /// The answer for a value that is neither text, list nor null, where it does not need its text.
    #[inline]
    pub(super) fn holds_for_plain(&self, value: Value<'_>, literals: &Literals) -> Option<bool> {
        match self {
            Self::Text(_) if matches!(value, Value::Int(_) | Value::UInt(_)) => {
                (!self.may_hold_for_whole_number(literals)).then_some(false)
            }
            Self::Compare(op, number) => {
                Some(number_of(value).is_some_and(|value| op.holds(value.cmp(number))))
            }
            Self::Bool(wanted) => match value {
                Value::Bool(value) => Some(value == *wanted),
                _ => Some(false),
            },
            Self::Anything => Some(true),
            Self::Cidr(_) | Self::TimePart { .. } => Some(false),
            _ => None,
        }
    }

    /// Whether a whole number, as text, may pass: such are nothing but digits, so most texts need not be looked for.
    #[inline]
    pub(super) fn may_hold_for_whole_number(&self, literals: &Literals) -> bool {
        let Self::Text(check) = self else { return true };
        let is_of_numbers = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
        literals.get(check.literal).iter().all(is_of_numbers)
    }

    /// Whether a text passes wherever a piece of it does.
    pub(super) fn holds_for_whole(&self) -> bool {
        matches!(self, Self::Text(check) if check.relation == Relation::Contains)
    }

    /// Whether some of these bytes, which are ASCII texts with something else between them, pass. Only for what
    /// [`Self::holds_for_whole`].
    pub(super) fn is_within(&self, texts: &[u8], literals: &Literals) -> bool {
        match self {
            Self::Text(check) => check.find(texts, literals).is_some(),
            _ => false,
        }
    }

    /// Where all pieces of a text (ASCII, or several such with something else between them) are that pass, if that is to be
    /// told.
    pub(super) fn places_within(&self, text: &[u8], literals: &Literals) -> Option<Found> {
        let check = match self {
            Self::Text(check) if self.holds_for_whole() => check,
            _ => return None,
        };
        let mut found = Found {
            len: check.literal.len(),
            ..Found::default()
        };
        let mut from = 0;
        while let Some(at) = check.find(text.get(from..)?, literals) {
            if found.starts.len() == FOUND_MAX {
                return None;
            }
            found.starts.push(from + at);
            from += at + 1;
        }
        Some(found)
    }

    /// How dear an evaluation is, for the order in which a rule's predicates are asked.
    pub(super) fn cost(&self, subject: Subject) -> u32 {
        let own = match self {
            Self::Exists(_) | Self::Null | Self::Anything => 1,
            Self::Bool(_) | Self::Compare(..) => 2,
            Self::Text(check) if check.relation == Relation::Contains => 10,
            Self::Text(_) => 3,
            Self::FieldRef { .. } => 5,
            Self::Cidr(_) => 8,
            Self::TimePart { .. } => 15,
            Self::Glob(..) => 12,
            Self::Regex(_, Some(_)) => 20,
            Self::Regex(_, None) => 60,
        };
        if subject == Subject::Keyword {
            own * 30
        } else {
            own
        }
    }
}

/// The number that a value without text is.
pub(super) fn number_of(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Int(number) => Some(Number::Int(number.into())),
        Value::UInt(number) => Some(Number::Int(number.into())),
        Value::Float(number) => Number::from_f64(number),
        Value::Null | Value::Bool(_) | Value::Str(_) | Value::List(_) => None,
    }
}

/// Writes a value that is not text as text.
pub(super) fn write_value(value: Value<'_>, text: &mut String) {
    text.clear();
    write!(text, "{value}").expect("writing to a string does not fail");
}

impl TextCheck {
    /// Where its text is first in some bytes, which are ASCII where its case does not count.
    fn find(self, bytes: &[u8], literals: &Literals) -> Option<usize> {
        let literal = literals.get(self.literal);
        match self.case {
            Case::Insensitive => find_folded(bytes, literal, self.pair),
            Case::Sensitive => memchr::memmem::find(bytes, literal),
        }
    }

    #[inline]
    fn holds(self, text: Text<'_>, literals: &Literals) -> bool {
        let literal = literals.get(self.literal);
        match self.case {
            Case::Insensitive => {
                let text = text.folded.as_bytes();
                match self.relation {
                    Relation::Equals => text.eq_ignore_ascii_case(literal),
                    Relation::StartsWith => text
                        .get(..literal.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(literal)),
                    Relation::EndsWith => text
                        .len()
                        .checked_sub(literal.len())
                        .is_some_and(|at| text[at..].eq_ignore_ascii_case(literal)),
                    Relation::Contains => find_folded(text, literal, self.pair).is_some(),
                }
            }
            Case::Sensitive => relate(self.relation, text.raw.as_bytes(), literal),
        }
    }
}

/// Whether two texts stand in a relation, byte for byte.
pub(super) fn relate(relation: Relation, text: &[u8], other: &[u8]) -> bool {
    match relation {
        Relation::Equals => text == other,
        Relation::StartsWith => text.starts_with(other),
        Relation::EndsWith => text.ends_with(other),
        Relation::Contains => memchr::memmem::find(text, other).is_some(),
    }
}

/// Whether the whole of `text` fits the parts. A `*` takes as little as it can: where the rest up to
/// the next `*` fits first, it fits best, so no place is tried twice but within one such stretch.
fn glob<const FOLDED: bool>(parts: &[GlobPart], text: &str, literals: &Literals) -> bool {
    let mut stretches = parts.split(|part| matches!(part, GlobPart::Any));
    let first = stretches.next().unwrap_or(&[]);
    let Some(mut rest) = strip::<FOLDED>(first, text, literals) else {
        return false;
    };
    let Some(last) = stretches.next_back() else {
        return rest.is_empty();
    };
    // What is at the end is seen at once, so it is looked at before anything is searched.
    let ends_with_literal = match last {
        [] => true,
        [GlobPart::Literal(literal, _)] => {
            let literal = literals.get(*literal);
            let Some(at) = rest.len().checked_sub(literal.len()) else {
                return false;
            };
            if !is_same::<FOLDED>(&rest.as_bytes()[at..], literal) {
                return false;
            }
            rest = &rest[..at];
            true
        }
        _ => false,
    };
    for stretch in stretches {
        match find_stretch::<FOLDED>(stretch, rest, literals) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    ends_with_literal
        || starts_within(rest)
            .any(|start| strip::<FOLDED>(last, start, literals).is_some_and(str::is_empty))
}

/// What remains of `text` after the first place where a stretch without `*` is.
fn find_stretch<'a, const FOLDED: bool>(
    stretch: &[GlobPart],
    text: &'a str,
    literals: &Literals,
) -> Option<&'a str> {
    let Some((&GlobPart::Literal(literal, pair), behind)) = stretch.split_first() else {
        return starts_within(text).find_map(|start| strip::<FOLDED>(stretch, start, literals));
    };
    let literal = literals.get(literal);
    let mut rest = text;
    loop {
        let at = if FOLDED {
            find_folded(rest.as_bytes(), literal, pair)?
        } else {
            memchr::memmem::find(rest.as_bytes(), literal)?
        };
        let after = rest.get(at + literal.len()..)?;
        if let Some(found) = strip::<FOLDED>(behind, after, literals) {
            return Some(found);
        }
        let mut next = rest[at..].chars();
        next.next()?;
        rest = next.as_str();
    }
}

fn is_same<const FOLDED: bool>(text: &[u8], literal: &[u8]) -> bool {
    if FOLDED {
        text.eq_ignore_ascii_case(literal)
    } else {
        text == literal
    }
}

/// `text` and all that remains of it without its first characters, one by one.
fn starts_within(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices()
        .map(|(at, _)| &text[at..])
        .chain(std::iter::once(""))
}

/// What remains of `text` after a stretch without `*` that it begins with.
fn strip<'a, const FOLDED: bool>(
    stretch: &[GlobPart],
    text: &'a str,
    literals: &Literals,
) -> Option<&'a str> {
    let mut rest = text;
    for part in stretch {
        rest = match part {
            GlobPart::Literal(literal, _) => {
                let literal = literals.get(*literal);
                let start = rest.as_bytes().get(..literal.len())?;
                if !is_same::<FOLDED>(start, literal) {
                    return None;
                }
                rest.get(literal.len()..)?
            }
            GlobPart::One => {
                let mut chars = rest.chars();
                chars.next()?;
                chars.as_str()
            }
            GlobPart::Any => rest,
        };
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use citywatch_rules::fold::fold_text;
    use proptest::prelude::*;

    use super::*;

    fn fits(parts: &[TextPart], text: &[char]) -> bool {
        match parts {
            [] => text.is_empty(),
            [TextPart::Any, rest @ ..] => (0..=text.len()).any(|at| fits(rest, &text[at..])),
            [TextPart::One, rest @ ..] => !text.is_empty() && fits(rest, &text[1..]),
            [TextPart::Literal(literal), rest @ ..] => {
                let literal: Vec<char> = literal.chars().collect();
                text.starts_with(&literal) && fits(rest, &text[literal.len()..])
            }
        }
    }

    fn part() -> impl Strategy<Value = TextPart> {
        prop_oneof![
            Just(TextPart::One),
            Just(TextPart::Any),
            "[aAbß]{1,2}".prop_map(|text| TextPart::Literal(text.into()))
        ]
    }

    proptest! {
        #[test]
        fn patterns_fit_as_their_definition_says(
            parts in prop::collection::vec(part(), 0..7),
            text in "[aAbBßẞ]{0,10}",
            sensitive in any::<bool>(),
        ) {
            let case = if sensitive { Case::Sensitive } else { Case::Insensitive };
            let pattern = TextPattern::new(parts, case);
            let mut literals = Literals::default();
            let check = Check::of_pattern(&pattern, &mut literals);
            let folded = fold_text(&text);
            let compared: Vec<char> = if sensitive { text.chars().collect() } else { folded.chars().collect() };
            let folded = if text.is_ascii() { text.as_str() } else { &folded };
            prop_assert_eq!(
                check.holds_for_text(Text { raw: &text, folded }, &literals),
                fits(pattern.parts(), &compared)
            );
        }
    }
}
