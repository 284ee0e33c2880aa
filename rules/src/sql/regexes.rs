//! Regular expressions and patterns as RE2 reads them, with nothing left to its flags and tables.

use std::fmt::Write;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::letters::Letters;
use crate::rule::{TextPart, TextPattern};

/// RE2 repeats no more often.
const REPEATED_MAX: u32 = 1_000;
/// As in the compiled expression.
const NESTED_MAX: u32 = 250;

/// The same expression for RE2.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn re2_of(pattern: &str) -> Result<String, String> {
    let mut parser = ParserBuilder::new().nest_limit(NESTED_MAX).build();
    let hir = parser
        .parse(pattern)
        .map_err(|error| format!("it cannot be read again: {error}"))?;
    let mut regex = String::new();
    write_hir(&hir, &mut regex)?;
    Ok(regex)
}

fn write_hir(hir: &Hir, out: &mut String) -> Result<(), String> {
    match hir.kind() {
        HirKind::Empty => out.push_str("(?:)"),
        HirKind::Literal(text) => {
            let text =
                std::str::from_utf8(&text.0).map_err(|_| "it looks at single bytes".to_owned())?;
            text.chars().for_each(|c| write_char(c, out));
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class
                .ranges()
                .iter()
                .map(|range| (range.start(), range.end()));
            write_class(ranges, out);
        }
        HirKind::Class(Class::Bytes(class)) => {
            if class.ranges().iter().any(|range| range.end() > 0x7F) {
                return Err("it looks at single bytes".to_owned());
            }
            let ranges = class.ranges().iter();
            write_class(
                ranges.map(|range| (range.start().into(), range.end().into())),
                out,
            );
        }
        HirKind::Look(look) => out.push_str(look_of(*look)?),
        HirKind::Repetition(repetition) => write_repetition(repetition, out)?,
        HirKind::Capture(capture) => write_group(&capture.sub, out)?,
        HirKind::Concat(parts) => {
            for part in parts {
                match part.kind() {
                    HirKind::Alternation(_) => write_group(part, out)?,
                    _ => write_hir(part, out)?,
                }
            }
        }
        HirKind::Alternation(parts) => {
            out.push_str("(?:");
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                write_hir(part, out)?;
            }
            out.push(')');
        }
    }
    Ok(())
}

fn write_group(hir: &Hir, out: &mut String) -> Result<(), String> {
    out.push_str("(?:");
    write_hir(hir, out)?;
    out.push(')');
    Ok(())
}

fn write_repetition(repetition: &Repetition, out: &mut String) -> Result<(), String> {
    let (min, max) = (repetition.min, repetition.max);
    if min > REPEATED_MAX || max.is_some_and(|max| max > REPEATED_MAX) {
        return Err(format!(
            "ClickHouse repeats a part at most {REPEATED_MAX} times"
        ));
    }
    match repetition.sub.kind() {
        HirKind::Class(_) => write_hir(&repetition.sub, out)?,
        _ => write_group(&repetition.sub, out)?,
    }
    // Whether it is found does not depend on greed.
    match (min, max) {
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (min, None) => write!(out, "{{{min},}}").expect("writing to a String cannot fail"),
        (min, Some(max)) => {
            write!(out, "{{{min},{max}}}").expect("writing to a String cannot fail");
        }
    }
    Ok(())
}

fn look_of(look: Look) -> Result<&'static str, String> {
    match look {
        Look::Start => Ok(r"\A"),
        Look::End => Ok(r"\z"),
        Look::StartLF => Ok("(?m:^)"),
        Look::EndLF => Ok("(?m:$)"),
        Look::WordAscii => Ok(r"\b"),
        Look::WordAsciiNegate => Ok(r"\B"),
        _ => Err("ClickHouse knows words of ASCII only".to_owned()),
    }
}

fn write_char(c: char, out: &mut String) {
    match c {
        c if c.is_control() => {
            write!(out, r"\x{{{:X}}}", u32::from(c)).expect("writing to a String cannot fail");
        }
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    }
}

fn write_class(ranges: impl Iterator<Item = (char, char)>, out: &mut String) {
    let ranges: Vec<_> = ranges.collect();
    if ranges.is_empty() {
        // Nothing fits: no text goes on behind its end.
        out.push_str(r"[^\x{0}-\x{10FFFF}]");
        return;
    }
    out.push('[');
    for (start, end) in ranges {
        write_class_char(start, out);
        if end > start {
            out.push('-');
            write_class_char(end, out);
        }
    }
    out.push(']');
}

fn write_class_char(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        write!(out, r"\x{{{:X}}}", u32::from(c)).expect("writing to a String cannot fail");
    }
}

/// A pattern, folded, as a regular expression in which each letter is the class of those that fold to it.
pub(super) fn regex_of_pattern(pattern: &TextPattern, letters: &mut Letters) -> String {
    let mut regex = String::from(r"\A");
    for part in pattern.parts() {
        match part {
            TextPart::Any => regex.push_str(r"[\x{0}-\x{10FFFF}]*"),
            TextPart::One => regex.push_str(r"[\x{0}-\x{10FFFF}]"),
            TextPart::Literal(text) => {
                for c in text.chars() {
                    match letters.same_as(c) {
                        [] | [_] => write_char(c, &mut regex),
                        same => write_class(same.iter().map(|&c| (c, c)), &mut regex),
                    }
                }
            }
        }
    }
    regex.push_str(r"\z");
    regex
}
