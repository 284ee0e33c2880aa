//! Small pieces that several grammars are made of: addresses, quoted texts, key=value pairs.

use std::net::IpAddr;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::char;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// A grammar's answer: the rest and what was read.
pub(crate) type Scan<'t, T> = IResult<&'t str, T, ()>;

/// Characters up to the next space.
pub(crate) fn word(text: &str) -> Scan<'_, &str> {
    take_while1(|c: char| c != ' ').parse(text)
}

/// One or more spaces.
pub(crate) fn spaces(text: &str) -> Scan<'_, &str> {
    take_while1(|c: char| c == ' ').parse(text)
}

/// A word behind spaces.
pub(crate) fn next_word(text: &str) -> Scan<'_, &str> {
    preceded(spaces, word).parse(text)
}

/// What stands between `[` and `]`.
pub(crate) fn bracketed(text: &str) -> Scan<'_, &str> {
    let (rest, inner) = preceded(char('['), take_till(|c| c == ']')).parse(text)?;
    let (rest, _) = char(']').parse(rest)?;
    Ok((rest, inner))
}

/// What stands between double quotes, with `\"` and `\\` inside left as they are; `unescape` resolves them.
/// A text that is never closed (cut lines) ends with the input.
pub(crate) fn quoted(text: &str) -> Scan<'_, &str> {
    let (rest, _) = char('"').parse(text)?;
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[from..]) {
        let at = from + found;
        if bytes[at] == b'"' {
            return Ok((&rest[at + 1..], &rest[..at]));
        }
        // The escaped character may be of several bytes; only its first can be a quote or a backslash.
        from = at + 2;
        if from > bytes.len() {
            break;
        }
    }
    Ok(("", rest))
}

/// Removes the backslashes before `"` and `\`; borrows where there is none.
pub(crate) fn unescape<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut plain = ArenaString::with_capacity_in(text.len(), arena);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(&next @ ('"' | '\\'))) => {
                plain.push(next);
                rest.next();
            }
            _ => plain.push(c),
        }
    }
    plain.into_bump_str()
}

/// An address, with or without brackets and zone index; IPv4 in IPv6's clothes is given as IPv4.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    // The cheapest way to say no to the many words that are none.
    if !text
        .as_bytes()
        .first()
        .is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':')
    {
        return None;
    }
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

/// An address and a port: `1.2.3.4:80`, `[::1]:80`, `::ffff:1.2.3.4:80`.
pub(crate) fn ip_and_port(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    let port_ok =
        !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let address = address
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(address);
    (port_ok && ip(address).is_some()).then_some((address, port))
}

/// One `key=value` pair; the value is quoted, or ends at the separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// Without its quotes, escapes left as they are.
    pub(crate) value: &'t str,
    pub(crate) quotes: Quotes,
}

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    None,
    Double,
    Single,
}

/// Pairs of `key=value` separated by spaces, commas or semicolons; words without `=` are skipped.
pub(crate) struct Pairs<'t> {
    rest: &'t str,
    separators: AsciiSet,
}

/// ASCII characters, one bit each.
#[derive(Clone, Copy)]
struct AsciiSet(u128);

impl AsciiSet {
    fn of(characters: &[char]) -> Self {
        let bits = characters.iter().filter(|c| c.is_ascii());
        Self(bits.fold(0, |set, c| set | 1 << u32::from(*c)))
    }

    fn has(self, byte: u8) -> bool {
        byte.is_ascii() && self.0 >> byte & 1 == 1
    }

    /// The place of the first of them.
    fn find(self, text: &str) -> Option<usize> {
        text.bytes().position(|byte| self.has(byte))
    }
}

/// Pairs separated by spaces.
pub(crate) fn pairs(text: &str) -> Pairs<'_> {
    pairs_by(text, &[' '])
}

/// Pairs separated by any of `separators`, which are ASCII.
pub(crate) fn pairs_by<'t>(text: &'t str, separators: &'static [char]) -> Pairs<'t> {
    Pairs {
        rest: text,
        separators: AsciiSet::of(separators),
    }
}

impl<'t> Iterator for Pairs<'t> {
    type Item = Pair<'t>;

    fn next(&mut self) -> Option<Pair<'t>> {
        let between = AsciiSet(self.separators.0 | AsciiSet::of(&[' ', '\n']).0);
        let behind_key = AsciiSet(between.0 | AsciiSet::of(&['=']).0);
        loop {
            let begin = self.rest.bytes().position(|byte| !between.has(byte))?;
            let text = &self.rest[begin..];
            let end = behind_key.find(text).unwrap_or(text.len());
            let (key, behind) = text.split_at(end);
            let Some(value_text) = behind.strip_prefix('=') else {
                self.rest = behind;
                if behind.is_empty() {
                    return None;
                }
                continue;
            };
            let (rest, value, quotes) = self.value(value_text);
            self.rest = rest;
            if !key.is_empty() {
                return Some(Pair { key, value, quotes });
            }
        }
    }
}

impl<'t> Pairs<'t> {
    fn value(&self, text: &'t str) -> (&'t str, &'t str, Quotes) {
        if let Ok((rest, value)) = quoted(text) {
            return (rest, value, Quotes::Double);
        }
        if let Some((value, rest)) = text
            .strip_prefix('\'')
            .and_then(|text| text.split_once('\''))
        {
            return (rest, value, Quotes::Single);
        }
        let behind_value = AsciiSet(self.separators.0 | AsciiSet::of(&['\n']).0);
        let end = behind_value.find(text).unwrap_or(text.len());
        (&text[end..], &text[..end], Quotes::None)
    }
}

/// The text between `before` and `after`, and what follows it.
pub(crate) fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<(&'t str, &'t str)> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after)
}

/// Bytes written as hexadecimal digits, if the text is that.
pub(crate) fn hex<'a>(text: &str, arena: &'a Bump) -> Option<&'a [u8]> {
    if text.len() < 2
        || !text.len().is_multiple_of(2)
        || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let digit = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .unwrap_or(0)
    };
    Some(
        arena.alloc_slice_fill_iter(
            text.as_bytes()
                .chunks_exact(2)
                .map(|pair| digit(pair[0]) << 4 | digit(pair[1])),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_quotes_apart() {
        let read: Vec<_> = pairs(r#"a=1 b="two \"words\"" junk c='x y' d= e=f=g"#)
            .map(|pair| (pair.key, pair.value))
            .collect();
        assert_eq!(
            read,
            [
                ("a", "1"),
                ("b", r#"two \"words\""#),
                ("c", "x y"),
                ("d", ""),
                ("e", "f=g")
            ]
        );
        assert_eq!(quoted("\"never closed \\"), Ok(("", "never closed \\")));
        assert_eq!(quoted("\"x\\é\" y"), Ok((" y", "x\\é")));
    }

    #[test]
    fn addresses_have_many_forms() {
        assert_eq!(ip("::ffff:1.2.3.4"), ip("1.2.3.4"));
        assert!(ip("fe80::1%eth0").is_some() && ip("[::1]").is_some());
        assert!(ip("example.com").is_none() && ip("").is_none() && ip("1.2.3").is_none());
        assert_eq!(ip_and_port("[::1]:80"), Some(("::1", "80")));
        assert_eq!(ip_and_port("1.2.3.4:80"), Some(("1.2.3.4", "80")));
        assert_eq!(ip_and_port("host:80"), None);
    }
}
