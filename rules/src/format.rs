//! The canonical form of a rule file: keys in SigmaHQ's order, four blanks of indentation, nothing behind lines. Comments stay with
//! what they stand before.
//!
//! The text is moved, never written anew, and what comes out is read again: where it would not say the same, the file stays as it is.

use crate::check::KEY_ORDER;
use crate::yaml::{self, Kind, Node};

/// Blanks per level.
const INDENT: usize = 4;

/// Why a file cannot be formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It is not YAML: place and reason.
    NotYaml(String),
    /// Its form is too unusual to be moved without a change of meaning.
    Unusual,
}

/// The canonical form of a file.
///
/// # Errors
/// When it cannot be read, or would say something else afterwards.
pub fn format(text: &str) -> Result<String, FormatError> {
    let body = text
        .strip_prefix('\u{FEFF}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    for document in yaml::read_documents(&body) {
        if let Err(problem) = &document.root {
            return Err(FormatError::NotYaml(format!(
                "{}: {}",
                problem.position, problem.kind
            )));
        }
    }
    let mut made = String::with_capacity(body.len() + 64);
    let mut document: Vec<&str> = Vec::new();
    for line in body.lines() {
        if line == "---" || line.starts_with("--- ") {
            write_document(&document, &mut made);
            document.clear();
            made.push_str(line.trim_end());
            made.push('\n');
        } else {
            document.push(line);
        }
    }
    write_document(&document, &mut made);
    if says_the_same(&body, &made) {
        Ok(made)
    } else {
        Err(FormatError::Unusual)
    }
}

fn says_the_same(before: &str, after: &str) -> bool {
    let read = |text: &str| -> Option<Vec<_>> {
        yaml::read_documents(text)
            .map(|document| document.root.ok())
            .collect()
    };
    match (read(before), read(after)) {
        (Some(before), Some(after)) => {
            before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| same_root(a, b))
        }
        _ => false,
    }
}

/// The order of the keys of the rule itself may differ, nothing else.
fn same_root(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Map(a), Kind::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|entry| {
                    b.iter()
                        .any(|other| entry.key == other.key && same(&entry.value, &other.value))
                })
        }
        _ => same(a, b),
    }
}

fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar(a), Kind::Scalar(b)) => a.text == b.text && a.value == b.value,
        (Kind::List(a), Kind::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Kind::Map(a), Kind::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        _ => false,
    }
}

/// A key of the rule with all that belongs to it.
struct Section<'t> {
    key: &'t str,
    /// Comments before it.
    before: Vec<&'t str>,
    lines: Vec<&'t str>,
}

fn write_document(lines: &[&str], made: &mut String) {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut waiting: Vec<&str> = Vec::new();
    for line in lines {
        let is_comment = line.starts_with('#');
        let begins = !line.is_empty()
            && !line.starts_with([' ', '\t', '#', '-', '}', ']', '"', '\''])
            && line.contains(':');
        if begins {
            sections.push(Section {
                key: line.split(':').next().unwrap_or(""),
                before: std::mem::take(&mut waiting),
                lines: vec![line],
            });
        } else if is_comment || line.trim().is_empty() {
            waiting.push(line);
        } else {
            match sections.last_mut() {
                Some(section) => {
                    section.lines.append(&mut waiting);
                    section.lines.push(line);
                }
                None => waiting.push(line),
            }
        }
    }
    // Keys of one's own follow those that are known, in their order.
    let place = |section: &Section<'_>| {
        KEY_ORDER
            .iter()
            .position(|key| *key == section.key)
            .unwrap_or(KEY_ORDER.len())
    };
    sections.sort_by_key(place);
    for section in &sections {
        for comment in section.before.iter().filter(|line| !line.trim().is_empty()) {
            made.push_str(comment.trim_end());
            made.push('\n');
        }
        write_section(&section.lines, made);
    }
    for comment in waiting.iter().filter(|line| !line.trim().is_empty()) {
        made.push_str(comment.trim_end());
        made.push('\n');
    }
}

/// Moves each line to the indentation of its level.
fn write_section(lines: &[&str], made: &mut String) {
    // Levels that are open: where they begin as written, and as they will be. A list under a key may begin where the key does.
    let mut open: Vec<(usize, bool, usize)> = vec![(0, false, 0)];
    // Within `|` or `>`: the indentation of its key, and the shift of its lines once the first is known.
    let mut block: Option<(usize, usize, Option<isize>)> = None;
    let mut comments: Vec<&str> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start_matches(' ');
        let indent = line.len() - trimmed.len();
        if let Some((key_indent, key_new, shift)) = &mut block {
            if trimmed.trim().is_empty() {
                made.push('\n');
                continue;
            }
            if indent > *key_indent {
                let shift = *shift.get_or_insert((*key_new + INDENT) as isize - indent as isize);
                let new = (indent as isize + shift).max(0);
                made.push_str(&" ".repeat(usize::try_from(new).unwrap_or(0)));
                made.push_str(trimmed.trim_end());
                made.push('\n');
                continue;
            }
            block = None;
        }
        if trimmed.trim().is_empty() {
            continue;
        }
        if trimmed.starts_with('#') {
            comments.push(trimmed.trim_end());
            continue;
        }
        let is_item = trimmed.starts_with("- ") || trimmed == "-";
        if number > 0 {
            while open.len() > 1
                && open
                    .last()
                    .is_some_and(|(at, item, _)| *at > indent || *at == indent && *item && !is_item)
            {
                open.pop();
            }
            let (at, item, new) = open.last().copied().unwrap_or((0, false, 0));
            if indent > at || is_item && !item && indent == at {
                open.push((
                    indent,
                    is_item,
                    new + if item && !is_item { 2 } else { INDENT },
                ));
            }
        }
        let new = open.last().map_or(0, |level| level.2);
        let new = if number == 0 { 0 } else { new };
        // Comments stand where what they speak of stands.
        write_comments(&mut comments, new, made);
        made.push_str(&" ".repeat(new));
        made.push_str(trimmed.trim_end());
        made.push('\n');
        if is_item {
            // What follows the dash is a level of its own.
            let inner = trimmed[1..].len() - trimmed[1..].trim_start().len() + 1;
            if trimmed[inner..].contains(':') {
                open.push((indent + inner, false, new + 2));
            }
        }
        let code = trimmed.split(" #").next().unwrap_or(trimmed).trim_end();
        let opener = code.rsplit(' ').next().unwrap_or("");
        let is_block = opener.starts_with(['|', '>'])
            && opener[1..].chars().all(|c| matches!(c, '-' | '+'))
            && (code.len() == opener.len()
                || code[..code.len() - opener.len()]
                    .trim_end()
                    .ends_with([':', '-']));
        if is_block {
            block = Some((indent, new, None));
        }
    }
    let new = open.last().map_or(0, |level| level.2);
    write_comments(&mut comments, new, made);
}

fn write_comments(comments: &mut Vec<&str>, indent: usize, made: &mut String) {
    for comment in comments.drain(..) {
        made.push_str(&" ".repeat(indent));
        made.push_str(comment);
        made.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_levels_indented_and_comments_kept() {
        let before = "level: high   \n# about the title\ntitle: X # short\ntags:\n- attack.t1059   # why\n- attack.execution\ndetection:\n  selection:\n    - A: 1\n      B|contains:\n      - x\n      - y\n    # the other\n    - C: 2\n  condition: selection\ndescription: |\n  one\n    two\n\n  three\nlogsource: {product: linux}\nmine: 1\n";
        let after = "# about the title\ntitle: X # short\ndescription: |\n    one\n      two\n\n    three\ntags:\n    - attack.t1059   # why\n    - attack.execution\nlogsource: {product: linux}\ndetection:\n    selection:\n        - A: 1\n          B|contains:\n              - x\n              - y\n        # the other\n        - C: 2\n    condition: selection\nlevel: high\nmine: 1\n";
        assert_eq!(format(before).as_deref(), Ok(after));
        assert_eq!(format(after).as_deref(), Ok(after));
    }

    #[test]
    fn documents_stay_apart_and_what_is_no_yaml_stays_as_it_is() {
        assert_eq!(
            format("level: low\ntitle: A\r\n---\nlevel: low\ntitle: B").as_deref(),
            Ok("title: A\nlevel: low\n---\ntitle: B\nlevel: low\n")
        );
        assert!(matches!(format("title: ["), Err(FormatError::NotYaml(_))));
    }
}
