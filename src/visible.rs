//! Log content on a terminal: what would move the cursor, change colours or turn the direction of writing
//! is shown as it is written in JSON instead.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with its control characters made visible.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            hidden if is_hidden(hidden) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{:04x}", u32::from(hidden));
            }
            character => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// C0, C1 and DEL; line and paragraph separators; marks that turn the direction of writing or hide.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn nothing_reaches_the_terminal_but_letters() {
        assert_eq!(visible("Đăng nhập thất bại"), "Đăng nhập thất bại");
        assert_eq!(
            visible("a\x1b[2J\x1b]0;x\x07b\nc\u{9b}31m\u{202e}\x7f\t"),
            "a\\u001b[2J\\u001b]0;x\\u0007b\\nc\\u009b31m\\u202e\\u007f\\t"
        );
    }

    #[test]
    fn json_stays_json() {
        let line = serde_json::json!({"raw": "x\u{9b}31m\u{202e}\x7f"}).to_string();
        let shown = visible(&line);
        assert!(!shown.chars().any(|c| c == '\u{9b}' || c == '\u{202e}'));
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(value["raw"], "x\u{9b}31m\u{202e}\x7f");
    }
}
