//! From bytes to text: byte order marks, UTF-16, broken UTF-8. The raw bytes are kept by the record;
//! here only the view that the grammars read is made.

use std::borrow::Cow;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use crate::event::{Problem, ProblemKind};

/// The record's text and what was wrong with its bytes.
pub(crate) struct Decoded<'a> {
    pub(crate) text: &'a str,
    pub(crate) problem: Option<Problem>,
}

/// Reads bytes as text: UTF-8, with or without a byte order mark, or UTF-16.
pub(crate) fn decode<'a>(raw: &'a [u8], arena: &'a Bump) -> Decoded<'a> {
    if let Some(utf16) = utf16_of(raw) {
        return decode_utf16(&utf16, arena);
    }
    let raw = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    match std::str::from_utf8(raw) {
        Ok(text) => Decoded {
            text,
            problem: None,
        },
        Err(error) => Decoded {
            text: ArenaString::from_utf8_lossy_in(raw, arena).into_bump_str(),
            problem: Some(Problem {
                kind: ProblemKind::BadEncoding,
                detail: Cow::Owned(format!(
                    "byte {} is no UTF-8; such bytes are replaced",
                    error.valid_up_to()
                )),
            }),
        },
    }
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

struct Utf16<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

/// UTF-16 by its mark, or by the zero bytes that its ASCII has in every second place.
fn utf16_of(raw: &[u8]) -> Option<Utf16<'_>> {
    match raw {
        [0xFF, 0xFE, bytes @ ..] => {
            return Some(Utf16 {
                bytes,
                order: ByteOrder::Little,
            });
        }
        [0xFE, 0xFF, bytes @ ..] => {
            return Some(Utf16 {
                bytes,
                order: ByteOrder::Big,
            });
        }
        _ => {}
    }
    let head = raw.get(..8)?;
    let zeros = |odd: usize| {
        (0..4).all(|pair| (head[pair * 2 + odd] == 0) && head[pair * 2 + 1 - odd] != 0)
    };
    if zeros(1) {
        Some(Utf16 {
            bytes: raw,
            order: ByteOrder::Little,
        })
    } else if zeros(0) {
        Some(Utf16 {
            bytes: raw,
            order: ByteOrder::Big,
        })
    } else {
        None
    }
}

fn decode_utf16<'a>(utf16: &Utf16<'_>, arena: &'a Bump) -> Decoded<'a> {
    let mut text = ArenaString::with_capacity_in(utf16.bytes.len(), arena);
    let mut broken = !utf16.bytes.len().is_multiple_of(2);
    let units = utf16.bytes.chunks_exact(2).map(|pair| match utf16.order {
        ByteOrder::Little => u16::from_le_bytes([pair[0], pair[1]]),
        ByteOrder::Big => u16::from_be_bytes([pair[0], pair[1]]),
    });
    for unit in char::decode_utf16(units) {
        broken |= unit.is_err();
        text.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Decoded {
        text: text.into_bump_str(),
        problem: broken.then_some(Problem {
            kind: ProblemKind::BadEncoding,
            detail: Cow::Borrowed("broken UTF-16; such units are replaced"),
        }),
    }
}
