//! Words and phrases of the search line, as conditions on column `text`.

use super::condition::{Param, Params, escaped};

/// A word or a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Tokens of it that stand whole in the event: what the text index looks up.
    tokens: Vec<String>,
    /// The exact text, where the tokens alone do not say it.
    part: Option<String>,
}

impl Word {
    /// A folded word or phrase; none where nothing is asked for.
    pub(super) fn of(text: &str, quoted: bool) -> Option<Self> {
        if quoted {
            return (!text.is_empty()).then(|| Self {
                tokens: Vec::new(),
                part: Some(text.into()),
            });
        }
        plain_word(text)
    }

    /// The condition on column `text`.
    pub(super) fn condition(&self, params: &mut Params) -> String {
        let mut all = Vec::new();
        if !self.tokens.is_empty() {
            let place = params.place(Param::Texts(self.tokens.clone()));
            all.push(format!("hasAllTokens(text, {place})"));
        }
        if let Some(part) = &self.part {
            let place = params.place(Param::Text(format!("%{}%", escaped(part))));
            all.push(format!("text LIKE {place}"));
        }
        format!("({})", all.join(" AND "))
    }
}

fn plain_word(text: &str) -> Option<Word> {
    let part = text.trim_matches('*');
    if part.is_empty() {
        return None;
    }
    if part.len() < text.len() {
        return Some(Word {
            tokens: Vec::new(),
            part: Some(part.into()),
        });
    }
    let tokens: Vec<String> = tokens(part).map(str::to_owned).collect();
    let whole = tokens.len() == 1 && tokens[0].len() == part.len();
    Some(Word {
        tokens,
        part: (!whole).then(|| part.into()),
    })
}

/// As ClickHouse's `splitByNonAlpha`: all that is not an ASCII separator belongs to a token.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let separates = |letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric();
    text.split(separates).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(tokens: &[&str], part: Option<&str>) -> Option<Word> {
        Some(Word {
            tokens: tokens.iter().map(ToString::to_string).collect(),
            part: part.map(Into::into),
        })
    }

    #[test]
    fn words_are_looked_up_by_their_tokens() {
        assert_eq!(Word::of("dang", false), word(&["dang"], None));
        assert_eq!(Word::of("nhap*", false), word(&[], Some("nhap")));
        assert_eq!(Word::of("that bai", true), word(&[], Some("that bai")));
        let address = word(&["10", "0", "0", "5"], Some("10.0.0.5"));
        assert_eq!(Word::of("10.0.0.5", false), address);
        for nothing in ["*", ""] {
            assert_eq!(Word::of(nothing, false), None);
        }
    }

    #[test]
    fn wildcards_of_like_are_text() {
        assert_eq!(escaped(r"50%_\x"), r"50\%\_\\x");
    }
}
