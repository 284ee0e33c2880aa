//! Regular expressions: what is dear, and what says nothing.

use super::Notes;
use super::searches::Item;
use crate::rule::Position;

/// Characters in a row that must stand in a text for the search to be cheap.
const LITERAL_CHARS_MIN: usize = 2;

pub(super) fn check(item: &Item<'_>, text: &str, at: Position, notes: &mut Notes<'_>) {
    let special = |c: char| {
        matches!(
            c,
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '\\'
        )
    };
    if text.is_empty() {
        notes.add(
            "CW341",
            at,
            "an empty regular expression holds for every value; write |exists: true",
        );
        return;
    }
    if !text.contains(special) {
        notes.add("CW317", at, format!("{text:?} has nothing of a regular expression; write |contains, which is cheaper and ignores case"));
        return;
    }
    if text.starts_with(".*") && !text.starts_with(".*?") {
        notes.add(
            "CW316",
            at,
            "`.*` at the beginning says nothing: expressions are searched anywhere; remove it",
        );
    } else if text.ends_with(".*") && !text.ends_with("\\.*") {
        notes.add(
            "CW316",
            at,
            "`.*` at the end says nothing: expressions are searched anywhere; remove it",
        );
    }
    if let Some(name) = dot_in_name(text) {
        notes.add(
            "CW318",
            at,
            format!("the dot in {name:?} is any character; write \\."),
        );
    }
    if is_dear(text) {
        let words = format!(
            "the expression has no {LITERAL_CHARS_MIN} characters in a row that every match must hold, so it runs over every {}",
            item.field
        );
        notes.add("CW315", at, words);
    }
}

/// `cmd.exe` with a dot that is not escaped.
fn dot_in_name(text: &str) -> Option<&str> {
    for end in [
        ".exe", ".dll", ".com", ".ps1", ".bat", ".php", ".sys", ".vbs",
    ] {
        if let Some(found) = text.find(end) {
            let before = text[..found].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric())
                && !text[found + 1..].starts_with(['*', '+', '?', '{'])
            {
                let start = text[..found]
                    .rfind(|c: char| !c.is_alphanumeric())
                    .map_or(0, |at| at + 1);
                return text.get(start..found + end.len());
            }
        }
    }
    None
}

/// Whether no literal is required by every match.
fn is_dear(text: &str) -> bool {
    use regex_syntax::hir::{Hir, HirKind};
    fn literal_chars(hir: &Hir) -> usize {
        match hir.kind() {
            HirKind::Literal(literal) => {
                std::str::from_utf8(&literal.0).map_or(literal.0.len(), |text| text.chars().count())
            }
            HirKind::Concat(parts) => {
                // Letters in both cases are classes; a run of those is as good as a text.
                let (mut best, mut run) = (0, 0);
                for part in parts {
                    match part.kind() {
                        HirKind::Literal(_) => run += literal_chars(part),
                        HirKind::Class(class) if is_letter(class) => run += 1,
                        _ => {
                            best = best.max(literal_chars(part));
                            run = 0;
                        }
                    }
                    best = best.max(run);
                }
                best
            }
            HirKind::Capture(capture) => literal_chars(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => literal_chars(&repetition.sub),
            HirKind::Alternation(parts) => parts.iter().map(literal_chars).min().unwrap_or(0),
            _ => 0,
        }
    }
    fn is_letter(class: &regex_syntax::hir::Class) -> bool {
        match class {
            regex_syntax::hir::Class::Unicode(class) => {
                class
                    .ranges()
                    .iter()
                    .map(|range| range.len())
                    .sum::<usize>()
                    <= 3
            }
            regex_syntax::hir::Class::Bytes(class) => {
                class
                    .ranges()
                    .iter()
                    .map(|range| range.len())
                    .sum::<usize>()
                    <= 3
            }
        }
    }
    match regex_syntax::parse(text) {
        Ok(hir) => literal_chars(&hir) < LITERAL_CHARS_MIN,
        // What PCRE alone reads is told of elsewhere.
        Err(_) => false,
    }
}
