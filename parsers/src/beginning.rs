//! What a text begins with. Each format says with which beginnings its records come, so that `auto` asks the few
//! formats that a record may have instead of all.

use crate::scan;

/// What a text begins with; each text has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Beginning {
    /// A key and an equals sign: `type=`.
    Pair,
    /// A year's four digits and what separates them from a month.
    Date,
    /// A digit, but no date.
    Digit,
    /// A letter or an underscore, but no pair.
    Letter,
    /// `{`
    Brace,
    /// `[`
    Bracket,
    /// `<`
    Angle,
    /// Spaces, other signs, letters beyond ASCII, nothing.
    Other,
}

impl Beginning {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    pub(crate) const ALL: [Self; 8] = [
        Self::Pair,
        Self::Date,
        Self::Digit,
        Self::Letter,
        Self::Brace,
        Self::Bracket,
        Self::Angle,
        Self::Other,
    ];

    #[inline]
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let Some(first) = bytes.first() else {
            return Self::Other;
        };
        match first {
            b'0'..=b'9' => match bytes {
                [_, second, third, fourth, b'-' | b'/' | b'.', ..]
                    if [second, third, fourth]
                        .iter()
                        .all(|byte| byte.is_ascii_digit()) =>
                {
                    Self::Date
                }
                _ => Self::Digit,
            },
            b'a'..=b'z' | b'A'..=b'Z' | b'_' if scan::begins_with_pair(text) => Self::Pair,
            first => Self::of_letter_or_sign(*first),
        }
    }

    /// By a first byte that begins neither a pair nor a date.
    const fn of_letter_or_sign(first: u8) -> Self {
        match first {
            b'0'..=b'9' => Self::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Self::Letter,
            b'{' => Self::Brace,
            b'[' => Self::Bracket,
            b'<' => Self::Angle,
            _ => Self::Other,
        }
    }
}

/// A set of beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begins(u8);

impl Begins {
    pub(crate) const NOTHING: Self = Self(0);
    pub(crate) const PAIR: Self = Self::with(Beginning::Pair);
    pub(crate) const DATE: Self = Self::with(Beginning::Date);
    pub(crate) const DIGIT: Self = Self::with(Beginning::Digit);
    pub(crate) const LETTER: Self = Self::with(Beginning::Letter);
    pub(crate) const BRACE: Self = Self::with(Beginning::Brace);
    pub(crate) const BRACKET: Self = Self::with(Beginning::Bracket);
    pub(crate) const ANGLE: Self = Self::with(Beginning::Angle);
    pub(crate) const OTHER: Self = Self::with(Beginning::Other);
    /// A word that is no pair: a host's name, an address of either kind.
    pub(crate) const WORD: Self = Self::DATE.or(Self::DIGIT).or(Self::LETTER).or(Self::OTHER);

    const fn with(beginning: Beginning) -> Self {
        Self(1 << beginning as u8)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(crate) const fn has(self, beginning: Beginning) -> bool {
        self.0 & Self::with(beginning).0 != 0
    }

    /// What fits a pattern of a log's header, which begins with a place (`{name}`, a number as `{name:n}`) or a sign.
    pub(crate) const fn of_pattern(pattern: &str) -> Self {
        match pattern.as_bytes() {
            [b'{', place @ ..] => Self::of_place(place),
            [first, ..] => Self::with(Beginning::of_letter_or_sign(*first)),
            [] => Self::WORD.or(Self::BRACE).or(Self::BRACKET).or(Self::ANGLE),
        }
    }

    const fn of_place(mut place: &[u8]) -> Self {
        while let [first, rest @ ..] = place {
            match rest {
                [b':', b'n', b'}', ..] => return Self::DIGIT,
                [b':', b'i', b'}', ..] => return Self::WORD.or(Self::BRACKET),
                _ if *first == b'}' => break,
                _ => place = rest,
            }
        }
        Self::WORD.or(Self::BRACE).or(Self::BRACKET).or(Self::ANGLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one() {
        let texts = [
            ("type=SYSCALL msg=audit(", Beginning::Pair),
            ("_key=1", Beginning::Pair),
            ("2026-11-21 21:00:00", Beginning::Date),
            ("2026/11/21", Beginning::Date),
            ("2026.", Beginning::Date),
            ("10.0.0.1 - -", Beginning::Digit),
            ("221128 14:49:17", Beginning::Digit),
            ("2026", Beginning::Digit),
            ("Nov 21 21:00:00", Beginning::Letter),
            ("a b=c", Beginning::Letter),
            ("{\"a\":1}", Beginning::Brace),
            ("[Sat Nov", Beginning::Bracket),
            ("<13>", Beginning::Angle),
            ("*Nov 21", Beginning::Other),
            ("\u{1ee9}ng d\u{1ee5}ng=1", Beginning::Other),
            ("=", Beginning::Other),
            ("", Beginning::Other),
        ];
        for (text, beginning) in texts {
            assert_eq!(Beginning::of(text), beginning, "{text}");
        }
    }

    #[test]
    fn patterns_tell_what_fits_them() {
        assert_eq!(Begins::of_pattern("Auth: [{_}"), Begins::LETTER);
        assert_eq!(Begins::of_pattern("[{time}] {_}"), Begins::BRACKET);
        assert_eq!(Begins::of_pattern("{vmid:n} {chain}"), Begins::DIGIT);
        let address = Begins::of_pattern("{c-ip:i}:{c-port:n} [{time}]");
        for text in ["10.0.0.1:1 ", "fe80::1:1 ", "::1:1 ", "[::1]:1 "] {
            assert!(address.has(Beginning::of(text)), "{text}");
        }
        assert!(!address.has(Beginning::Brace));
        assert!(!Begins::of_pattern("{level} [{logger}]").has(Beginning::Pair));
    }
}
