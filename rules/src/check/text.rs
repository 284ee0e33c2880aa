//! How a file is written: ends of lines, blanks, its name.

use super::{Fix, Notes, Severity};
use crate::load::RuleSource;
use crate::rule::Position;

pub(super) fn check(source: &RuleSource, notes: &mut Notes<'_>) {
    if notes.least > Severity::Info {
        // All of these are matters of taste.
        return;
    }
    let text = &*source.text;
    let at = |line: usize, column: usize| Position {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    };
    if text.starts_with('\u{FEFF}') {
        notes.fix(
            "CW023",
            at(1, 1),
            "the file begins with a byte order mark; remove it",
            Fix::RemoveMark,
        );
    }
    if text.contains("\r\n") {
        notes.fix(
            "CW022",
            at(1, 1),
            "lines end with \\r\\n; write \\n",
            Fix::UnixLineEnds,
        );
    }
    let mut lines = 0;
    for (index, line) in text.lines().enumerate() {
        lines = index + 1;
        let line = line.trim_end_matches('\r');
        let kept = line.trim_end_matches([' ', '\t']);
        if kept.len() < line.len() {
            let column = kept.chars().count() + 1;
            notes.fix(
                "CW020",
                at(lines, column),
                "blanks at the end of the line; remove them",
                Fix::TrimEnd,
            );
        }
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        if let Some(tab) = indent.find('\t') {
            notes.add(
                "CW026",
                at(lines, tab + 1),
                "a tab in the indentation; YAML wants blanks",
            );
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        let words = "the file does not end with one line break; end it so";
        notes.fix("CW021", at(lines.max(1), 1), words, Fix::EndWithNewline);
    }
    let name = source.path.rsplit('/').next().unwrap_or(&source.path);
    if let Some(stem) = name.strip_suffix(".yaml") {
        notes.add(
            "CW025",
            at(1, 1),
            format!("rule files end with .yml: rename it {stem}.yml"),
        );
    } else if let Some(stem) = name.strip_suffix(".yml") {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(10..=90).contains(&name.len()) || !stem.chars().all(fits) {
            let words = format!("{name:?}: file names have 10 to 90 letters a to z, digits and _");
            notes.add("CW024", at(1, 1), words);
        }
    }
}
