//! What an analyst types into the search line, as conditions on column `text`.

use clickhouse::query::Query;

use super::StoreError;
use super::fold::fold_into;

/// Most words of one search.
const WORDS_MAX: usize = 32;
/// Longest search line.
const TEXT_BYTES_MAX: usize = 2_000;

/// One condition of a search line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Tokens of it that stand whole in the event: what the text index looks up.
    tokens: Vec<String>,
    /// The exact text, where the tokens alone do not say it.
    part: Option<String>,
    wanted: Wanted,
}

/// Whether events that have a word are looked for, or those that have it not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    With,
    Without,
}

/// Reads a search line.
///
/// # Errors
/// [`StoreError::Invalid`] for a line that is too long.
pub(super) fn words(line: &str) -> Result<Vec<Word>, StoreError> {
    let invalid = |reason: String| StoreError::invalid("search text", line, &reason);
    if line.len() > TEXT_BYTES_MAX {
        return Err(invalid(format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mut folded = String::with_capacity(line.len());
    fold_into(line, &mut folded);
    let mut words = Vec::new();
    let mut rest = folded.trim_start();
    while !rest.is_empty() {
        let (word, after) = next_word(rest);
        words.extend(word);
        if words.len() > WORDS_MAX {
            return Err(invalid(format!("it has more than {WORDS_MAX} words")));
        }
        rest = after.trim_start();
    }
    Ok(words)
}

/// The first word of `text`, and what follows it. A quote that nothing closes ends with the line.
fn next_word(text: &str) -> (Option<Word>, &str) {
    let (wanted, text) = match text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(char::is_whitespace) => {
            (Wanted::Without, rest)
        }
        _ => (Wanted::With, text),
    };
    if let Some(quoted) = text.strip_prefix('"') {
        let (phrase, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        let word = (!phrase.is_empty()).then(|| Word {
            tokens: Vec::new(),
            part: Some(phrase.into()),
            wanted,
        });
        return (word, after);
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (plain_word(&text[..end], wanted), &text[end..])
}

fn plain_word(text: &str, wanted: Wanted) -> Option<Word> {
    let part = text.trim_matches('*');
    if part.is_empty() {
        return None;
    }
    if part.len() < text.len() {
        return Some(Word {
            tokens: Vec::new(),
            part: Some(part.into()),
            wanted,
        });
    }
    let tokens: Vec<String> = tokens(part).map(str::to_owned).collect();
    let whole = tokens.len() == 1 && tokens[0].len() == part.len();
    Some(Word {
        tokens,
        part: (!whole).then(|| part.into()),
        wanted,
    })
}

/// As ClickHouse's `splitByNonAlpha`: all that is not an ASCII separator belongs to a token.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let separates = |letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric();
    text.split(separates).filter(|token| !token.is_empty())
}

impl Word {
    /// The condition on column `text`, with parameters numbered by `index`.
    pub(super) fn condition(&self, index: usize) -> String {
        let mut all = Vec::new();
        if !self.tokens.is_empty() {
            all.push(format!(
                "hasAllTokens(text, {{tokens{index}:Array(String)}})"
            ));
        }
        if self.part.is_some() {
            all.push(format!("text LIKE {{part{index}:String}}"));
        }
        let all = all.join(" AND ");
        match self.wanted {
            Wanted::With => format!("({all})"),
            Wanted::Without => format!("NOT ({all})"),
        }
    }

    /// Gives `call` the parameters of [`Word::condition`].
    pub(super) fn bind(&self, mut call: Query, index: usize) -> Query {
        if !self.tokens.is_empty() {
            call = call.param(&format!("tokens{index}"), &self.tokens);
        }
        if let Some(part) = &self.part {
            call = call.param(&format!("part{index}"), like_pattern(part));
        }
        call
    }
}

/// A LIKE pattern that finds `part` anywhere, its own wildcards taken literally.
fn like_pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for letter in part.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(tokens: &[&str], part: Option<&str>, wanted: Wanted) -> Word {
        Word {
            tokens: tokens.iter().map(ToString::to_string).collect(),
            part: part.map(Into::into),
            wanted,
        }
    }

    #[test]
    fn a_line_is_read_word_by_word() {
        let line = "Đăng  nhap* -\"Thất bại\" 10.0.0.5 -root \"open";
        let expected = [
            word(&["dang"], None, Wanted::With),
            word(&[], Some("nhap"), Wanted::With),
            word(&[], Some("that bai"), Wanted::Without),
            word(&["10", "0", "0", "5"], Some("10.0.0.5"), Wanted::With),
            word(&["root"], None, Wanted::Without),
            word(&[], Some("open"), Wanted::With),
        ];
        assert_eq!(words(line).unwrap(), expected);
    }

    #[test]
    fn a_line_of_nothing_finds_all() {
        for line in ["", "  ", "*", "\"\"", "-"] {
            let words = words(line).unwrap();
            // A lone dash is text to be found.
            assert!(words.is_empty() || line == "-", "{line:?}: {words:?}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        assert!(words(&"a ".repeat(WORDS_MAX)).is_ok());
        assert!(words(&"a ".repeat(WORDS_MAX + 1)).is_err());
        assert!(words(&"a".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn wildcards_of_like_are_text() {
        assert_eq!(like_pattern(r"50%_\x"), r"%50\%\_\\x%");
    }
}
