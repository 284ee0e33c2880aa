//! Case folding: when two letters are the same to a case-insensitive rule.
//!
//! Sigma matches "case-insensitive" without saying how. We take Unicode's simple case folding
//! (CaseFolding.txt, status C and S), one character for one character: it is what `(?i)` means in
//! the regex crate and in Hyperscan's UTF-8 mode, so that text patterns, regular expressions and
//! the compiled engine agree, and `?` keeps meaning one character. So `Ứ` is `ứ` and the Kelvin
//! sign is `k`; `ß` is not `ss`, and the Turkish dotless `ı` is not `i`.

use std::borrow::Cow;

/// The character that stands for `c` and all its case variants.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // Upper case of it is `I`, but Unicode folds it to itself: it is another letter.
        '\u{131}' => c,
        // Folded by CaseFolding.txt alone; they have no single upper-case character.
        '\u{1FD3}' => '\u{390}',
        '\u{1FE3}' => '\u{3B0}',
        '\u{FB05}' => '\u{FB06}',
        _ => simple(simple(c, char::to_uppercase), char::to_lowercase),
    }
}

/// `text` with each character folded; borrowed when nothing changes.
pub fn fold_text(text: &str) -> Cow<'_, str> {
    // The same, many bytes at a time: nearly all texts are ASCII.
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    if text.chars().all(|c| fold_char(c) == c) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(fold_char).collect())
    }
}

/// A case mapping where it is one character; several (`ß` to `SS`) leave `c` as it is.
fn simple<I: Iterator<Item = char>>(c: char, mapping: impl Fn(char) -> I) -> char {
    let mut mapped = mapping(c);
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The regex crate carries Unicode's table: every character must match its folded form.
    #[test]
    fn agrees_with_the_table_of_the_regex_crate() {
        let all: String = ('\u{80}'..=char::MAX)
            .filter(|&c| fold_char(c) != c)
            .collect();
        // The standard library may know a newer Unicode than the crate.
        let unassigned = regex::Regex::new(r"\p{Cn}").unwrap();
        for c in all.chars().filter(|c| !unassigned.is_match(&c.to_string())) {
            let folded = fold_char(c);
            let regex =
                regex::Regex::new(&format!("(?i)^{}$", regex::escape(&c.to_string()))).unwrap();
            assert!(
                regex.is_match(&folded.to_string()),
                "{c:?} U+{:04X} folds to {folded:?}",
                c as u32
            );
        }
    }

    /// Upper and lower case of a character are the same, wherever the table says so.
    #[test]
    fn covers_the_table_of_the_regex_crate() {
        for c in '\u{80}'..=char::MAX {
            for other in c.to_lowercase().chain(c.to_uppercase()) {
                if fold_char(other) != fold_char(c)
                    && c.to_lowercase().count() == 1
                    && c.to_uppercase().count() == 1
                {
                    let regex =
                        regex::Regex::new(&format!("(?i)^{}$", regex::escape(&c.to_string())))
                            .unwrap();
                    assert!(
                        !regex.is_match(&other.to_string()),
                        "{c:?} and {other:?} are the same"
                    );
                }
            }
        }
    }

    #[test]
    fn knows_the_letters_that_matter() {
        assert_eq!(fold_text("ĐƯỜNG Ấp Ü Ω Σς"), "đường ấp ü ω σσ");
        assert_eq!(fold_char('\u{212A}'), 'k');
        assert_eq!(fold_char('ß'), 'ß');
        assert_eq!(fold_char('\u{1E9E}'), 'ß');
        assert_eq!(fold_char('ı'), 'ı');
        assert_eq!(fold_char('İ'), 'İ');
        assert!(matches!(fold_text("abc"), Cow::Borrowed(_)));
    }
}
