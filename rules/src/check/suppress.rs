//! Comments that take remarks away: `# citywatch: allow CW123, CW124 why`.

use super::{Notes, Remark, Severity, kind_by_code};
use crate::load::RuleSource;
use crate::rule::Position;

const MARK: &str = "citywatch: allow";

/// A comment that allows something.
struct Allowance<'a> {
    position: Position,
    /// The line that it speaks of; none for the whole file.
    line: Option<u32>,
    codes: Vec<&'a str>,
    used: bool,
}

/// Takes away what is allowed, and adds remarks about allowances that are for nothing.
pub(super) fn apply(source: &RuleSource, least: Severity, remarks: &mut Vec<Remark>) {
    if !source.text.contains(MARK) {
        return;
    }
    let mut allowances = read(&source.text);
    remarks.retain(|remark| {
        let fitting = allowances.iter_mut().find(|allowance| {
            let line_fits = allowance
                .line
                .is_none_or(|line| line == remark.position.line);
            line_fits
                && (allowance.codes)
                    .iter()
                    .any(|code| *code == remark.kind.code || *code == remark.kind.name)
        });
        fitting.map(|allowance| allowance.used = true).is_none()
    });
    let mut notes = Notes::new(&source.path, least, remarks);
    for allowance in allowances {
        let unknown = allowance
            .codes
            .iter()
            .find(|code| kind_by_code(code).is_none());
        if let Some(code) = unknown {
            notes.add(
                "CW031",
                allowance.position,
                format!("{code:?} is no code of a check"),
            );
        } else if !allowance.used && least == Severity::Info {
            let codes = allowance.codes.join(", ");
            notes.add(
                "CW030",
                allowance.position,
                format!("nothing here is remarked as {codes}; remove the comment"),
            );
        }
    }
    remarks.sort_by(|a, b| (a.position, a.kind.code).cmp(&(b.position, b.kind.code)));
}

fn read(text: &str) -> Vec<Allowance<'_>> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(hash) = line.find('#').filter(|_| line.contains(MARK)) else {
            continue;
        };
        let Some((_, rest)) = line[hash..].split_once(MARK) else {
            continue;
        };
        let (whole_file, rest) = match rest.strip_prefix("-file") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let words = rest.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        let codes: Vec<&str> = words
            .take_while(|word| {
                kind_by_code(word).is_some()
                    || word
                        .strip_prefix("CW")
                        .is_some_and(|number| number.parse::<u32>().is_ok())
            })
            .collect();
        let is_alone = line[..hash].trim().is_empty();
        // Alone on its line it speaks of the next line that is none of comments.
        let meant = if is_alone {
            let next = lines[index + 1..].iter().position(|line| {
                let line = line.trim();
                !line.is_empty() && !line.starts_with('#')
            });
            index + 1 + next.unwrap_or(0)
        } else {
            index
        };
        let number = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
        found.push(Allowance {
            position: Position {
                line: number(index),
                column: number(line[..hash].chars().count()),
            },
            line: (!whole_file).then(|| number(meant)),
            codes,
            used: false,
        });
    }
    found
}
