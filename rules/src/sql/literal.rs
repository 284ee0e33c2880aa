//! Texts of rules as literals of ClickHouse's SQL.

use std::fmt::Write;

/// A string literal. Quotes and backslashes are escaped; so is what a terminal would obey or hide, since people read statements.
pub fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_hidden(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    write!(quoted, "\\x{byte:02X}").expect("writing to a String cannot fail");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// Text behind `--`: one line of it.
pub(super) fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if is_hidden(c) { ' ' } else { c })
        .collect()
}

/// Control characters, and those that hide or turn around what stands beside them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Text as part of a pattern of `LIKE`, its own wildcards taken literally.
pub(super) fn like_part(text: &str, pattern: &mut String) {
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_literal_early() {
        assert_eq!(literal(r"C:\it's"), r"'C:\\it\'s'");
        assert_eq!(literal("a\n\0\u{202E}đ"), "'a\\n\\x00\\xE2\\x80\\xAEđ'");
        assert_eq!(comment("title\n; DROP TABLE"), "title ; DROP TABLE");
    }

    #[test]
    fn wildcards_of_like_are_text() {
        let mut pattern = String::new();
        like_part(r"50%_\x", &mut pattern);
        assert_eq!(pattern, r"50\%\_\\x");
    }
}
