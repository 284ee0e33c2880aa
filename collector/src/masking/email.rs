//! E-mail addresses, also with their sign escaped as URLs and JSON have it.

use super::Found;
use super::syntax::{Syntax, escape_bytes};

/// Longest part before the sign (RFC 5321, 4.5.3.1.1), and longest domain.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// How the sign is written.
const SIGNS: [&[u8]; 4] = [b"@", b"%40", b"\\u0040", b"&#64;"];

/// Adds all addresses.
pub(super) fn find<'m>(text: &[u8], syntax: Syntax, found: &mut Vec<Found<'m>>) {
    for sign in SIGNS {
        for at in memchr::memmem::find_iter(text, sign) {
            let Some(start) = local_start(text, at, syntax) else {
                continue;
            };
            let domain = at + sign.len();
            let Some(end) = domain_end(text, domain) else {
                continue;
            };
            let value = [&text[start..at], b"@", &text[domain..end]].concat();
            found.push(Found {
                range: start..end,
                kind: "email",
                value: String::from_utf8_lossy(&value).to_lowercase().into_bytes(),
            });
        }
    }
}

fn local_start(text: &[u8], at: usize, syntax: Syntax) -> Option<usize> {
    let is_local = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || *byte >= 0x80
            || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'')
    };
    let before = &text[at.saturating_sub(LOCAL_BYTES_MAX)..at];
    let length = before
        .iter()
        .rev()
        .take_while(|byte| is_local(byte))
        .count();
    let mut start = at - length;
    start += escape_bytes(text, start, syntax).min(length);
    // An address begins with a letter or a digit; what stands before it is punctuation.
    let is_beginning = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || *byte == b'_';
    start += text[start..at].iter().position(is_beginning)?;
    Some(start)
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let rest = &text[start..];
    let rest = &rest[..rest.len().min(DOMAIN_BYTES_MAX)];
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || matches!(byte, b'.' | b'-');
    let length = rest.iter().take_while(|byte| is_part(byte)).count();
    let mut domain = &rest[..length];
    while let [shorter @ .., b'.' | b'-'] = domain {
        domain = shorter;
    }
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let is_name = top.len() >= 2
        && top
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    let (mut count, mut all_full) = (0, true);
    for label in labels {
        count += 1;
        all_full &= !label.is_empty();
    }
    (is_name && count > 0 && all_full).then(|| start + domain.len())
}
