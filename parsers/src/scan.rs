//! Small pieces that several grammars are made of: words, quoted texts, key=value pairs, addresses.

mod address;

use crate::bytes::{find_any, find_last, leading_number, places_in, same_bytes};
use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use nom::sequence::preceded;
use nom::{IResult, Parser};

pub(crate) use address::{ip, ip_and_port, is_ip};

/// A grammar's answer: the rest and what was read.
pub(crate) type Scan<'t, T> = IResult<&'t str, T, ()>;

/// What follows a prefix in a text that begins with it. As `str::strip_prefix`, which calls a function to compare even one
/// byte: this is on the way of each record.
#[inline(always)]
pub(crate) fn after<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    begins(text, prefix).then(|| &text[prefix.len()..])
}

/// Whether a text begins with a prefix; as [`after`].
#[inline(always)]
pub(crate) fn begins(text: &str, prefix: &str) -> bool {
    match text.as_bytes().get(..prefix.len()) {
        Some(beginning) => same_bytes(beginning, prefix.as_bytes()),
        None => false,
    }
}

/// Whether a text begins with the key of a pair, `date=`: most that do are nothing but pairs.
#[inline]
pub(crate) fn begins_with_pair(text: &str) -> bool {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let key = bytes.iter().take_while(|byte| is_of_key(byte)).count();
    key > 0 && !bytes[0].is_ascii_digit() && bytes.get(key) == Some(&b'=')
}

/// The first place of a byte that is expected within a few words: without a call for those.
#[inline]
pub(crate) fn find_near(wanted: u8, bytes: &[u8]) -> Option<usize> {
    find_any([wanted], bytes)
}

/// What stands before and behind the first of a byte, an ASCII character, that is expected within a few words.
#[inline]
pub(crate) fn split_near(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = find_near(at, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Characters up to the next space.
pub(crate) fn word(text: &str) -> Scan<'_, &str> {
    let end = find_near(b' ', text.as_bytes()).unwrap_or(text.len());
    if end == 0 {
        return Err(nom::Err::Error(()));
    }
    Ok((&text[end..], &text[..end]))
}

/// One or more spaces.
#[inline]
pub(crate) fn spaces(text: &str) -> Scan<'_, &str> {
    // Mostly there is one.
    let end = match text.as_bytes() {
        [b' ', behind, ..] if *behind != b' ' => 1,
        bytes => bytes.iter().take_while(|byte| **byte == b' ').count(),
    };
    if end == 0 {
        return Err(nom::Err::Error(()));
    }
    Ok((&text[end..], &text[..end]))
}

/// A word behind spaces.
pub(crate) fn next_word(text: &str) -> Scan<'_, &str> {
    preceded(spaces, word).parse(text)
}

/// What stands between `[` and `]`.
pub(crate) fn bracketed(text: &str) -> Scan<'_, &str> {
    let rest = after(text, "[").ok_or(nom::Err::Error(()))?;
    match find_near(b']', rest.as_bytes()) {
        Some(end) => Ok((&rest[end + 1..], &rest[..end])),
        None => Err(nom::Err::Error(())),
    }
}

/// A text that is looked for in others: found by the one of its bytes that is the rarest in logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    text: &'static str,
    /// Place of that byte.
    rarest: usize,
    beginning: Beginning,
}

/// The first bytes of a word, up to eight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    /// As one number, the first lowest.
    bytes: u64,
    /// The bits of that number that are of them.
    mask: u64,
}

impl Beginning {
    /// Whether a text that begins with these eight bytes begins so.
    #[inline(always)]
    pub(crate) fn is_of(self, first: [u8; 8]) -> bool {
        u64::from_le_bytes(first) & self.mask == self.bytes
    }
}

impl Word {
    pub(crate) const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        let mut rarest = 0;
        let mut at = 1;
        while at < bytes.len() {
            if frequency(bytes[at]) < frequency(bytes[rarest]) {
                rarest = at;
            }
            at += 1;
        }
        let (mut first, mut mask) = (0, 0);
        let mut at = 0;
        while at < bytes.len() && at < 8 {
            first |= (bytes[at] as u64) << (8 * at);
            mask |= 0xFF << (8 * at);
            at += 1;
        }
        Self {
            text,
            rarest,
            beginning: Beginning { bytes: first, mask },
        }
    }

    /// Whether it stands there.
    #[inline(always)]
    fn stands_at(&self, bytes: &[u8], at: usize) -> bool {
        let wanted = self.text.as_bytes();
        let Some(found) = bytes.get(at..) else {
            return false;
        };
        match found.first_chunk() {
            Some(chunk) => {
                self.beginning.is_of(*chunk)
                    && (wanted.len() <= 8
                        || found
                            .get(8..wanted.len())
                            .is_some_and(|found| same_bytes(found, &wanted[8..])))
            }
            None => found
                .get(..wanted.len())
                .is_some_and(|found| same_bytes(found, wanted)),
        }
    }

    pub(crate) const fn beginning(&self) -> Beginning {
        self.beginning
    }

    pub(crate) const fn as_str(&self) -> &'static str {
        self.text
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its byte that is the rarest in logs; an empty one has none.
    pub(crate) fn rarest(&self) -> Option<u8> {
        self.text.as_bytes().get(self.rarest).copied()
    }

    /// What follows it in a text that begins with it.
    #[inline]
    pub(crate) fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.stands_at(text.as_bytes(), 0)
            .then(|| &text[self.text.len()..])
    }

    /// Where it is first found.
    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        let (bytes, wanted) = (text.as_bytes(), self.text.as_bytes());
        let Some(rarest) = wanted.get(self.rarest) else {
            return Some(0);
        };
        if wanted.len() == 1 {
            return find_any([*rarest], bytes);
        }
        let mut at = 0;
        loop {
            at += find_any([*rarest], bytes.get(self.rarest + at..)?)?;
            if self.stands_at(bytes, at) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Where it is last found.
    pub(crate) fn find_last(&self, text: &str) -> Option<usize> {
        let (bytes, wanted) = (text.as_bytes(), self.text.as_bytes());
        let Some(rarest) = wanted.get(self.rarest) else {
            return Some(text.len());
        };
        if wanted.len() == 1 {
            return find_last(*rarest, bytes);
        }
        let mut within = bytes.get(self.rarest..)?;
        loop {
            let at = find_last(*rarest, within)?;
            if self.stands_at(bytes, at) {
                return Some(at);
            }
            within = &within[..at];
        }
    }

    /// What stands before and behind the first of it.
    pub(crate) fn split<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let at = self.find(text)?;
        Some((&text[..at], &text[at + self.text.len()..]))
    }
}

/// How often a byte occurs in logs, roughly.
const fn frequency(byte: u8) -> u8 {
    match byte {
        b' ' => 9,
        b'e' | b'a' | b'i' | b'o' | b'n' | b's' | b't' | b'r' => 8,
        b'0'..=b'9' => 7,
        b'c' | b'd' | b'l' | b'm' | b'u' | b'p' => 6,
        b'.' | b':' | b'-' | b'/' | b'=' | b'"' => 5,
        b'a'..=b'z' => 4,
        b'A'..=b'Z' => 3,
        _ => 2,
    }
}

/// What stands between double quotes, with `\"` and `\\` inside left as they are; `unescape` resolves them.
/// A text that is never closed (cut lines) ends with the input.
pub(crate) fn quoted(text: &str) -> Scan<'_, &str> {
    let rest = after(text, "\"").ok_or(nom::Err::Error(()))?;
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(found) = find_any([b'"', b'\\'], &bytes[from..]) {
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
    if find_any([b'\\'], text.as_bytes()).is_none() {
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

/// One `key=value` pair; the value is quoted, or ends at the separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'t> {
    pub(crate) key: &'t str,
    /// Without its quotes, escapes left as they are.
    pub(crate) value: &'t str,
    pub(crate) quotes: Quotes,
}

/// What is known of a value from where its end was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is how this number would be printed.
    Number(i64),
    /// It is no number.
    Text,
    Nothing,
}

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    None,
    Double,
    Single,
}

/// Pairs of `key=value` separated by spaces, commas or semicolons; words without `=` are skipped.
pub(crate) struct Pairs<'t, S> {
    rest: &'t str,
    separators: S,
}

/// What stands between pairs, beside line ends: two ASCII characters, or the same one twice.
pub(crate) trait Separators: Copy {
    fn both(self) -> [u8; 2];
}

/// Spaces, as mostly.
#[derive(Clone, Copy)]
pub(crate) struct Spaces;

impl Separators for Spaces {
    #[inline(always)]
    fn both(self) -> [u8; 2] {
        [b' ', b' ']
    }
}

impl Separators for [u8; 2] {
    #[inline(always)]
    fn both(self) -> [u8; 2] {
        self
    }
}

/// Pairs separated by spaces.
pub(crate) fn pairs(text: &str) -> Pairs<'_, Spaces> {
    Pairs {
        rest: text,
        separators: Spaces,
    }
}

/// Pairs separated by any of `separators`: at most two, which are ASCII.
pub(crate) fn pairs_by<'t>(text: &'t str, separators: &'static [char]) -> Pairs<'t, [u8; 2]> {
    let ascii = |place: usize| {
        let separator = separators.get(place).copied();
        separator.and_then(|separator| u8::try_from(separator).ok())
    };
    // There is always a line end between pairs.
    let first = ascii(0).unwrap_or(b'\n');
    debug_assert!(separators.len() <= 2 && separators.iter().all(char::is_ascii));
    Pairs {
        rest: text,
        separators: [first, ascii(1).unwrap_or(first)],
    }
}

impl<'t, S: Separators> Iterator for Pairs<'t, S> {
    type Item = Pair<'t>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'t>> {
        loop {
            self.skip_separators();
            match self.piece() {
                Piece::Pair(pair) => return Some(pair),
                Piece::Word => {}
                Piece::End => return None,
            }
        }
    }
}

/// What stands between separators.
pub(crate) enum Piece<'t> {
    Pair(Pair<'t>),
    /// Something else, which is skipped.
    Word,
    End,
}

impl<'t, S: Separators> Pairs<'t, S> {
    /// What has not been read, from the first character on that is no separator.
    #[inline(always)]
    pub(crate) fn skip_separators(&mut self) -> &'t str {
        let [one, other] = self.separators.both();
        let is_between = |byte: u8| byte == b' ' || byte == one || byte == other || byte == b'\n';
        // Mostly there is one, or none before the first.
        let begin = match self.rest.as_bytes() {
            [first, ..] if !is_between(*first) => 0,
            [_, second, ..] if !is_between(*second) => 1,
            bytes => bytes
                .iter()
                .position(|byte| !is_between(*byte))
                .unwrap_or(bytes.len()),
        };
        self.rest = &self.rest[begin..];
        self.rest
    }

    /// What follows, separators aside.
    #[inline]
    pub(crate) fn piece(&mut self) -> Piece<'t> {
        let [one, other] = self.separators.both();
        let text = self.rest;
        if text.is_empty() {
            return Piece::End;
        }
        let end = find_any([one, other, b' ', b'\n', b'='], text.as_bytes());
        let (key, behind) = text.split_at(end.unwrap_or(text.len()));
        let Some(value_text) = after(behind, "=") else {
            self.rest = behind;
            return Piece::Word;
        };
        let (rest, value, quotes) = self.value(value_text);
        self.rest = rest;
        if key.is_empty() {
            return Piece::Word;
        }
        Piece::Pair(Pair { key, value, quotes })
    }

    /// The pair that follows, whose key is known to be of that length, with `=` behind it.
    #[inline(always)]
    pub(crate) fn pair_with_key(&mut self, length: usize) -> (Pair<'t>, Told) {
        let (key, behind) = self.rest.split_at(length);
        let text = behind.get(1..).unwrap_or("");
        if let Some((end, told)) = self.near_end(text.as_bytes()) {
            let (value, rest) = text.split_at(end);
            self.rest = rest;
            let quotes = Quotes::None;
            return (Pair { key, value, quotes }, told);
        }
        let (rest, value, quotes) = self.value(text);
        self.rest = rest;
        (Pair { key, value, quotes }, Told::Nothing)
    }

    /// Where a value without quotes ends that is as short as most are.
    #[inline(always)]
    fn near_end(&self, text: &[u8]) -> Option<(usize, Told)> {
        let [one, other] = self.separators.both();
        let block = text.first_chunk()?;
        let first = block[0];
        let ends = places_in([one, other, b'\n'], block);
        if ends == 0 || matches!(first, b'"' | b'\'') {
            return None;
        }
        let end = ends.trailing_zeros() as usize;
        let told = match leading_number(block) {
            Some((digits, number)) if digits == end => {
                if first == b'0' && end > 1 {
                    Told::Text
                } else {
                    Told::Number(i64::from(number))
                }
            }
            Some((digits, _)) if digits < end => Told::Text,
            None if end > 0 && !matches!(first, b'0'..=b'9' | b'-') => Told::Text,
            _ => Told::Nothing,
        };
        Some((end, told))
    }

    #[inline]
    fn value(&self, text: &'t str) -> (&'t str, &'t str, Quotes) {
        match text.as_bytes().first() {
            Some(b'"') => {
                if let Ok((rest, value)) = quoted(text) {
                    return (rest, value, Quotes::Double);
                }
            }
            Some(b'\'') => {
                if let Some((value, rest)) = text[1..].split_once('\'') {
                    return (rest, value, Quotes::Single);
                }
            }
            _ => {}
        }
        let [one, other] = self.separators.both();
        let end = find_any([one, other, b'\n'], text.as_bytes()).unwrap_or(text.len());
        (&text[end..], &text[..end], Quotes::None)
    }
}

/// A text without the white space around it; mostly there is none.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    let is_graphic = |byte: &u8| byte.is_ascii_graphic();
    match text.as_bytes() {
        [] => text,
        [first, ..] if !is_graphic(first) => text.trim(),
        [.., last] if !is_graphic(last) => text.trim(),
        _ => text,
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
    fn a_byte_is_found_near_and_far() {
        for length in 0..70 {
            let mut bytes = vec![b'!'; length];
            assert_eq!(find_near(b' ', &bytes), None);
            for place in (0..length).rev() {
                bytes[place] = b' ';
                assert_eq!(find_near(b' ', &bytes), Some(place), "of {length}");
            }
        }
    }

    #[test]
    fn words_are_found_wherever_they_are() {
        for wanted in [
            " ",
            "=",
            " : ",
            "COMMAND=",
            ": client=",
            " by invalid user ",
        ] {
            let word = Word::new(wanted);
            for before in 0..30 {
                for behind in 0..12 {
                    let text = format!("{}{wanted}{}", "x".repeat(before), "y".repeat(behind));
                    assert_eq!(word.find(&text), Some(before), "{text}");
                    assert_eq!(word.find_last(&text), Some(before), "{text}");
                    assert_eq!(
                        word.strip(&text[before..]),
                        Some(&text[before + wanted.len()..])
                    );
                    let cut = &text[..before + wanted.len() - 1];
                    assert_eq!((word.find(cut), word.find_last(cut)), (None, None), "{cut}");
                    assert_eq!(word.strip(&cut[before..]), None);
                }
            }
        }
    }
}
