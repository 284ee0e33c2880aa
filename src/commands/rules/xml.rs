//! Text within XML.

use std::fmt::Write;

/// Text for an element or an attribute. What XML 1.0 cannot hold (section 2.2) is written as `\u{..}`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(c),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{FFFE}' | '\u{FFFF}' => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn hostile_text_is_no_markup() {
        assert_eq!(
            super::escape("<a href=\"x\">&\u{1b}\n"),
            "&lt;a href=&quot;x&quot;&gt;&amp;\\u{1b}&#10;"
        );
    }
}
