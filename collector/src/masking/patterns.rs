//! Kinds of one's own: regular expressions, matched in linear time.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::{Found, KINDS, MaskingError};

/// A match is no longer than this: searching for it over and over stays linear in the text's length.
const MATCH_BYTES_MAX: usize = 1024;
/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles an expression, if it has a name and a bound.
pub(super) fn compile(name: &str, pattern: &str) -> Result<Regex, MaskingError> {
    let refused = |reason: String| MaskingError::Pattern {
        name: name.to_owned(),
        reason,
    };
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 40 || !name.bytes().all(is_plain) {
        return Err(refused(
            "a name has lower-case letters, digits and `_`: it stands in the token".into(),
        ));
    }
    if KINDS.contains(&name) {
        return Err(refused(
            "a kind has this name already; choose another".into(),
        ));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| refused(error.to_string().replace('\n', " ")))?;
    let mut parser = ParserBuilder::new().utf8(false).build();
    let parsed = parser.parse(pattern);
    let properties = parsed.map_err(|error| refused(error.to_string().replace('\n', " ")))?;
    let properties = properties.properties();
    if properties.minimum_len().is_none_or(|least| least == 0) {
        return Err(refused(
            "it matches nothing at all, too: ask for one character at least".into(),
        ));
    }
    if properties
        .maximum_len()
        .is_none_or(|most| most > MATCH_BYTES_MAX)
    {
        return Err(refused(format!(
            "a match may have more than {MATCH_BYTES_MAX} bytes: write a bound, {{1,64}} instead of + or *"
        )));
    }
    Ok(regex)
}

/// Adds what an expression finds.
pub(super) fn find<'m>(text: &[u8], name: &'m str, pattern: &Regex, found: &mut Vec<Found<'m>>) {
    for captures in pattern.captures_iter(text) {
        let value = captures.get(1).or_else(|| captures.get(0));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.push(Found {
                range: value.range(),
                kind: name,
                value: value.as_bytes().to_vec(),
            });
        }
    }
}
