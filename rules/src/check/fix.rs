//! Puts right what can be put right without a change of meaning, and keeps all else as it is written.

use crate::rule::Position;

/// A change of a file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// What is written at the place becomes something else.
    Replace {
        /// What is written there.
        from: String,
        /// What shall be.
        to: String,
    },
    /// The line goes.
    RemoveLine,
    /// Blanks at the line's end go.
    TrimEnd,
    /// The file ends with one line break.
    EndWithNewline,
    /// `\r\n` becomes `\n` in the whole file.
    UnixLineEnds,
    /// The byte order mark at the beginning goes.
    RemoveMark,
}

/// Applies fixes, each with its place; returns the text and how many were applied. One whose place does not read as expected
/// is left out: it would change something else.
pub fn apply(text: &str, fixes: &[(Position, &Fix)]) -> (String, usize) {
    let mark = text.starts_with('\u{FEFF}');
    let body = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut lines: Vec<Option<String>> = body
        .split_inclusive('\n')
        .map(|line| Some(line.to_owned()))
        .collect();
    let (mut applied, mut unix, mut unmark, mut ended) = (0, false, false, false);
    let mut ordered: Vec<&(Position, &Fix)> = fixes.iter().collect();
    // From the end of each line to its beginning, so that places stay right.
    ordered.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    for (position, fix) in ordered {
        let line = lines.get_mut((position.line as usize).wrapping_sub(1));
        let done = match (fix, line) {
            (Fix::UnixLineEnds, _) => !std::mem::replace(&mut unix, true),
            (Fix::RemoveMark, _) => mark && !std::mem::replace(&mut unmark, true),
            (Fix::EndWithNewline, _) => !std::mem::replace(&mut ended, true),
            (Fix::RemoveLine, Some(line)) => line.take().is_some(),
            (Fix::TrimEnd, Some(Some(line))) => trim_end(line),
            (Fix::Replace { from, to }, Some(Some(line))) => {
                replace(line, position.column, from, to)
            }
            _ => false,
        };
        applied += usize::from(done);
    }
    let mut made: String = lines.into_iter().flatten().collect();
    if unix {
        made = made.replace("\r\n", "\n");
    }
    if ended {
        made.truncate(made.trim_end_matches(['\n', '\r']).len());
        made.push('\n');
    }
    if mark && !unmark {
        made.insert(0, '\u{FEFF}');
    }
    (made, applied)
}

fn trim_end(line: &mut String) -> bool {
    let end = line.trim_end_matches(['\n', '\r']).len();
    let kept = line[..end].trim_end_matches([' ', '\t']).len();
    line.replace_range(kept..end, "");
    kept < end
}

fn replace(line: &mut String, column: u32, from: &str, to: &str) -> bool {
    let Some((mut at, first)) = line.char_indices().nth(column as usize - 1) else {
        return false;
    };
    // A text in quotes stands behind the first of them.
    if matches!(first, '\'' | '"') && !from.starts_with(first) {
        at += 1;
    }
    if !line[at..].starts_with(from) {
        return false;
    }
    line.replace_range(at..at + from.len(), to);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn fixes_change_their_place_and_nothing_else() {
        let text = "\u{FEFF}a: ế x  \r\nb: 1\r\nc: 2";
        let replaced = Fix::Replace {
            from: "x".to_owned(),
            to: "yy".to_owned(),
        };
        let fixes = [
            (at(1, 6), &replaced),
            (at(1, 1), &Fix::TrimEnd),
            (at(2, 1), &Fix::RemoveLine),
            (at(1, 1), &Fix::RemoveMark),
            (at(1, 1), &Fix::UnixLineEnds),
            (at(3, 1), &Fix::EndWithNewline),
        ];
        assert_eq!(apply(text, &fixes), ("a: ế yy\nc: 2\n".to_owned(), 6));
        assert_eq!(
            apply("a: b\n", &[(at(1, 4), &replaced)]),
            ("a: b\n".to_owned(), 0)
        );
    }
}
