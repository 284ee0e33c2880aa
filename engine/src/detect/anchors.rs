//! What must be in a value for a predicate to hold: the keys under which the indexes find it.

use std::collections::BTreeSet;

use citywatch_rules::fold::fold_char;
use citywatch_rules::rule::{Case, CompareOp, Number, Test, TextPart, TextPattern};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::ends::Place;
use super::literals::byte_frequency;
use super::predicate::{Check, Indexed, Predicate, Subject};

/// A necessary condition of a predicate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Anchor {
    /// The value, folded, has this text at this end.
    End(Place, String),
    /// The value, folded, contains this text, which is not empty.
    Contains(String),
    /// The value is this number.
    Number(Number),
    /// There is a value.
    Present,
}

/// Longest list of alternatives that is taken from a regular expression.
const ALTERNATIVES_MAX: usize = 64;
/// Shortest literal that is taken from a regular expression, but for signs that most texts lack: shorter ones are everywhere.
const REGEX_LITERAL_BYTES_MIN: usize = 2;

/// Anchors of which one must fit for `predicate` to hold, and what it means when one does.
pub(super) fn of(predicate: &Predicate, test: &Test) -> (Vec<Anchor>, Indexed) {
    let (anchors, indexed) = match (test, &predicate.check) {
        (Test::Text(pattern), _) => of_pattern(pattern),
        (_, Check::Compare(CompareOp::Equal, number)) => {
            (vec![Anchor::Number(*number)], Indexed::Exactly)
        }
        (_, Check::Bool(wanted)) => (
            vec![Anchor::End(Place::Whole, wanted.to_string())],
            Indexed::Exactly,
        ),
        (Test::Regex(regex), _) => match required_texts(&regex.pattern) {
            Some(literals) => (
                literals.into_iter().map(Anchor::Contains).collect(),
                Indexed::Perhaps,
            ),
            None => (vec![Anchor::Present], Indexed::Perhaps),
        },
        _ => (vec![Anchor::Present], Indexed::Perhaps),
    };
    match predicate.subject {
        Subject::Field(_) => (anchors, indexed),
        Subject::Keyword => of_keyword(anchors, indexed),
    }
}

/// Length of the shortest of the texts of which one is in whatever passes, if that is what the indexes look for.
pub(super) fn texts_within(predicate: &Predicate, test: &Test) -> Option<usize> {
    let (anchors, _) = of(predicate, test);
    let lengths = anchors.iter().map(|anchor| match anchor {
        Anchor::Contains(text) => Some(text.len()),
        Anchor::End(..) | Anchor::Number(_) | Anchor::Present => None,
    });
    lengths.collect::<Option<Vec<usize>>>()?.into_iter().min()
}

/// A keyword is looked for in any value; only what it contains is indexed.
fn of_keyword(anchors: Vec<Anchor>, indexed: Indexed) -> (Vec<Anchor>, Indexed) {
    let exact = anchors
        .iter()
        .all(|anchor| matches!(anchor, Anchor::Contains(_)));
    let anchors = anchors.into_iter().map(|anchor| match anchor {
        Anchor::End(_, text) if !text.is_empty() => Anchor::Contains(text),
        Anchor::Contains(text) => Anchor::Contains(text),
        Anchor::End(..) | Anchor::Number(_) | Anchor::Present => Anchor::Present,
    });
    (
        anchors.collect(),
        if exact { indexed } else { Indexed::Perhaps },
    )
}

fn of_pattern(pattern: &TextPattern) -> (Vec<Anchor>, Indexed) {
    let folded = |text: &str| -> String { text.chars().map(fold_char).collect() };
    let parts = pattern.parts();
    let simple = match parts {
        [] => Some(Anchor::End(Place::Whole, String::new())),
        [TextPart::Literal(text)] => Some(Anchor::End(Place::Whole, folded(text))),
        [TextPart::Literal(text), TextPart::Any] => Some(Anchor::End(Place::Start, folded(text))),
        [TextPart::Any, TextPart::Literal(text)] => Some(Anchor::End(Place::End, folded(text))),
        [TextPart::Any, TextPart::Literal(text), TextPart::Any] => {
            Some(Anchor::Contains(folded(text)))
        }
        _ => None,
    };
    if let Some(anchor) = simple {
        let exactly = if pattern.case() == Case::Insensitive {
            Indexed::Exactly
        } else {
            Indexed::Perhaps
        };
        return (vec![anchor], exactly);
    }
    let literals = parts
        .iter()
        .enumerate()
        .filter_map(|(at, part)| match part {
            TextPart::Literal(text) => Some((at, folded(text))),
            TextPart::One | TextPart::Any => None,
        });
    let anchor =
        literals
            .max_by_key(|(_, text)| rarity(text))
            .map_or(Anchor::Present, |(at, text)| {
                if at + 1 == parts.len() {
                    Anchor::End(Place::End, text)
                } else {
                    Anchor::Contains(text)
                }
            });
    (vec![anchor], Indexed::Perhaps)
}

/// Grows with how seldom a text occurs in logs.
fn rarity(text: &str) -> u32 {
    text.bytes().map(|byte| 90 - byte_frequency(byte)).sum()
}

/// Texts of which one must occur, folded, in whatever the regular expression matches.
pub(super) fn required_texts(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let tells = |text: &String| {
        text.len() >= REGEX_LITERAL_BYTES_MIN
            || text.bytes().any(|byte| byte_frequency(byte) <= VERY_SELDOM)
    };
    required(&hir).filter(|texts| texts.iter().all(tells))
}

/// The byte that logs have least often of those that are in whatever the regular expression matches, if it is one
/// that they seldom have: a look for it spares most texts the expression.
pub(super) fn required_byte(pattern: &str) -> Option<u8> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let rarest = required_bytes(&hir)
        .into_iter()
        .min_by_key(|byte| byte_frequency(*byte))?;
    (byte_frequency(rarest) <= SELDOM).then_some(rarest)
}

/// A [`byte_frequency`] of bytes that most texts lack.
const SELDOM: u32 = 4;
const VERY_SELDOM: u32 = 2;

fn required_bytes(hir: &Hir) -> BTreeSet<u8> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            // Letters may stand for their other case, by a flag that is not in the pattern.
            let bytes = literal.0.iter().copied();
            bytes
                .filter(|byte| byte.is_ascii() && !byte.is_ascii_alphabetic())
                .collect()
        }
        HirKind::Capture(capture) => required_bytes(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required_bytes(&repetition.sub),
        HirKind::Alternation(alternatives) => alternatives
            .iter()
            .map(required_bytes)
            .reduce(|all, one| &all & &one)
            .unwrap_or_default(),
        HirKind::Concat(parts) => parts.iter().flat_map(required_bytes).collect(),
        HirKind::Class(_) | HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => {
            BTreeSet::new()
        }
    }
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => texts_of(hir),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.extend(required(alternative)?);
            }
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
        HirKind::Concat(parts) => of_concat(parts),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best of: runs of literals, and what single parts require.
fn of_concat(parts: &[Hir]) -> Option<Vec<String>> {
    let mut options: Vec<Vec<String>> = Vec::new();
    let mut run = vec![String::new()];
    for part in parts {
        match texts_of(part) {
            Some(texts) if run.len() * texts.len() <= RUN_ALTERNATIVES_MAX => {
                let ends = |start: &String| -> Vec<String> {
                    texts.iter().map(|end| format!("{start}{end}")).collect()
                };
                run = run.iter().flat_map(ends).collect();
            }
            _ => {
                options.push(std::mem::replace(&mut run, vec![String::new()]));
                options.extend(required(part));
            }
        }
    }
    options.push(run);
    options.retain(|texts| texts.iter().all(|text| !text.is_empty()));
    let worst = |texts: &Vec<String>| {
        texts
            .iter()
            .map(|text| rarity(text))
            .min()
            .unwrap_or(u32::MAX)
            / index_weight(texts.len())
    };
    options.into_iter().max_by_key(worst)
}

/// Most texts that a run of parts is multiplied out to.
const RUN_ALTERNATIVES_MAX: usize = 8;

/// The texts that a part matches, folded, if it matches a few texts only: `a`, `[aA]`, `(a|bc)`.
fn texts_of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => texts_of(&capture.sub),
        HirKind::Alternation(alternatives) => {
            let texts: Option<Vec<_>> = alternatives.iter().map(texts_of).collect();
            Some(texts?.concat()).filter(|texts| texts.len() <= RUN_ALTERNATIVES_MAX)
        }
        HirKind::Class(Class::Unicode(class)) => {
            let chars = class
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .take(CLASS_CHARS_MAX + 1)
                .map(|c| fold_char(c).to_string());
            let chars: Vec<String> = chars.collect();
            let few = chars.len() <= CLASS_CHARS_MAX;
            let chars: BTreeSet<String> = chars.into_iter().collect();
            (few && !chars.is_empty()).then(|| chars.into_iter().collect())
        }
        _ => folded_literal(hir).map(|text| vec![text]),
    }
}

/// Most characters of a class that are taken one by one.
const CLASS_CHARS_MAX: usize = 8;

/// More alternatives are found more often.
fn index_weight(alternatives: usize) -> u32 {
    if alternatives > 4 { 2 } else { 1 }
}

/// The text of a literal, folded.
fn folded_literal(hir: &Hir) -> Option<String> {
    let HirKind::Literal(literal) = hir.kind() else {
        return None;
    };
    let text = std::str::from_utf8(&literal.0).ok()?;
    Some(text.chars().map(fold_char).collect())
}

/// The longest literal of a test's pattern: what rules look for, to guess what logs hold.
pub(super) fn longest_literal(test: &Test) -> Option<&[u8]> {
    let Test::Text(pattern) = test else {
        return None;
    };
    let literals = pattern.parts().iter().filter_map(|part| match part {
        TextPart::Literal(text) => Some(text.as_bytes()),
        TextPart::One | TextPart::Any => None,
    });
    literals.max_by_key(|literal| literal.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_give_the_texts_that_they_need() {
        let cases: [(&str, Option<&[&str]>); 14] = [
            ("-(W|R)\\s?(\\s|\"|')", Some(&["-r", "-w"])),
            ("\\w+`(?:\\w+|-|.)`", Some(&["`"])),
            ("a(?:bc|[de])f\\d", Some(&["abcf", "adf", "aef"])),
            ("[a-d][e-h][i-l]", None),
            ("(?i)net\\s+user", Some(&["user"])),
            ("(?i)invoke-\\w+Kerberoast", Some(&["kerberoast"])),
            (
                "(?:cmd|powershell)\\.exe",
                Some(&["cmd.exe", "powershell.exe"]),
            ),
            ("(?:foo|.*)", None),
            ("a*b+c?", None),
            (":[^\\\\]", None),
            ("(?i)k\u{17f}", Some(&["ks"])),
            ("[0-9]{8}", None),
            ("(abc){2,}", Some(&["abc"])),
            ("^\\s*$", None),
        ];
        for (pattern, expected) in cases {
            let expected: Option<Vec<String>> =
                expected.map(|texts| texts.iter().map(ToString::to_string).collect());
            assert_eq!(required_texts(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn regular_expressions_give_a_byte_that_they_need() {
        let cases = [
            ("\\w+`(?:\\w+|-|.)`", Some(b'`')),
            ("\"(?:\\{\\d\\})+\"\\s*-f", Some(b'"')),
            ("(?:\\^a|b\\^)+", Some(b'^')),
            ("(?:\\^a|b)", None),
            ("\\^*", None),
            ("a|`", None),
            ("k", None),
        ];
        for (pattern, expected) in cases {
            assert_eq!(required_byte(pattern), expected, "{pattern}");
        }
    }
}
