//! Records in UTF-16: a whole file, a message, or a line of a file that was cut at its line ends, which are two bytes there.

use std::borrow::Cow;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use encoding_rs::{UTF_16BE, UTF_16LE};

use super::{Charset, Decoded, Table};
use crate::event::{Problem, ProblemKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

/// Bytes of UTF-16, whole units.
pub(super) struct Utf16<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

/// Bytes that are looked at to tell the orders apart.
const JUDGED_BYTES: usize = 2_048;

/// UTF-16 by its mark, by its name, or by the zero bytes that its ASCII has in every second place.
pub(super) fn find<'a>(raw: &'a [u8], named: Option<Charset>) -> Option<Utf16<'a>> {
    match raw {
        [0xFF, 0xFE, bytes @ ..] => return Some(line_of(bytes, ByteOrder::Little)),
        [0xFE, 0xFF, bytes @ ..] => return Some(line_of(bytes, ByteOrder::Big)),
        _ => {}
    }
    if named.is_some() {
        for (encoding, order) in [(UTF_16LE, ByteOrder::Little), (UTF_16BE, ByteOrder::Big)] {
            if named == Some(Charset(Table::Standard(encoding))) {
                return Some(line_of(raw, order));
            }
        }
    }
    // Nearly all records end here.
    if !has_zero(*raw.first_chunk()?) {
        return None;
    }
    by_zeros(raw)
}

/// A line that was cut off at the byte 0x0A has a byte too many: the second half of the line end before it, or the first of its own.
fn line_of(bytes: &[u8], order: ByteOrder) -> Utf16<'_> {
    let bytes = match (order, bytes) {
        (ByteOrder::Little, [0, rest @ ..]) if !bytes.len().is_multiple_of(2) => rest,
        (ByteOrder::Big, [rest @ .., 0]) if !bytes.len().is_multiple_of(2) => rest,
        _ => bytes,
    };
    Utf16 { bytes, order }
}

/// Whether one of the bytes is 0.
#[inline]
pub(super) fn has_zero(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let bytes = u64::from_le_bytes(bytes);
    // Only of a byte that is 0 the highest bit is set by taking one away, and was not set before.
    bytes.wrapping_sub(ONES) & !bytes & ONES << 7 != 0
}

#[cold]
fn by_zeros(raw: &[u8]) -> Option<Utf16<'_>> {
    let is_cut = !raw.len().is_multiple_of(2);
    let little = line_of(raw, ByteOrder::Little);
    let big = line_of(raw, ByteOrder::Big);
    // With a byte too many the places of the zeros are the same in both orders; what is no ASCII tells.
    let candidates = [&little, &big]
        .map(|candidate| (!is_cut || candidate.bytes.len() < raw.len()).then(|| likely(candidate)));
    let (order, share) = match candidates {
        [Some(little), Some(big)] if big > little => (ByteOrder::Big, big),
        [Some(little), _] => (ByteOrder::Little, little),
        [None, Some(big)] => (ByteOrder::Big, big),
        [None, None] => return None,
    };
    /// Of a hundred characters; digits, spaces and punctuation are ASCII everywhere.
    const LIKELY_MIN: usize = 80;
    (share >= LIKELY_MIN).then(|| line_of(raw, order))
}

/// How many of a hundred units are letters as they are written in Latin scripts, Vietnamese among them, half of them at least ASCII.
fn likely(utf16: &Utf16<'_>) -> usize {
    let (mut units, mut likely, mut ascii) = (0, 0, 0);
    for unit in utf16.units().take(JUDGED_BYTES / 2) {
        units += 1;
        let is_ascii = matches!(unit, 0x09 | 0x0D | 0x20..=0x7E);
        ascii += usize::from(is_ascii);
        let is_letter = matches!(unit, 0xC0..=0x17F | 0x1A0..=0x1B0 | 0x300..=0x323 | 0x1EA0..=0x1EF9 | 0x2010..=0x203A);
        likely += usize::from(is_ascii || is_letter);
    }
    if units == 0 || ascii * 2 < units {
        return 0;
    }
    likely * 100 / units
}

impl Utf16<'_> {
    fn units(&self) -> impl Iterator<Item = u16> {
        self.bytes.chunks_exact(2).map(|pair| match self.order {
            ByteOrder::Little => u16::from_le_bytes([pair[0], pair[1]]),
            ByteOrder::Big => u16::from_be_bytes([pair[0], pair[1]]),
        })
    }
}

pub(super) fn decode<'a>(utf16: &Utf16<'_>, arena: &'a Bump) -> Decoded<'a> {
    let mut text = ArenaString::with_capacity_in(utf16.bytes.len(), arena);
    let mut broken = !utf16.bytes.len().is_multiple_of(2);
    for unit in char::decode_utf16(utf16.units()) {
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

#[cfg(test)]
mod tests {
    use super::super::{Charset, decode, encoding};
    use super::has_zero;
    use bumpalo::Bump;

    fn text(raw: &[u8], named: Option<Charset>) -> (String, bool) {
        let arena = Bump::new();
        let decoded = decode(raw, None, named, &arena);
        let text = decoded.text.trim_matches(['\0', '\r', '\n']);
        (text.to_owned(), decoded.problem.is_some())
    }

    #[test]
    fn a_zero_is_seen_wherever_it_is() {
        for others in [1, 0x7F, 0x80, 0x81, 0xFF] {
            assert!(!has_zero([others; 8]));
            for place in 0..8 {
                let mut bytes = [others; 8];
                bytes[place] = 0;
                assert!(has_zero(bytes));
            }
        }
    }

    #[test]
    fn the_lines_of_a_file_are_read_wherever_it_was_cut() {
        let lines = [
            "Nov 22 03:00:00 gw app: Nguyễn Văn Đức đăng nhập",
            "{\"user\":\"Lê Thị B\"}",
            "user=ư ở ừ, plain",
            "2026-11-22 03:00:00.12 Logon Login failed for user 'sa'.",
        ];
        for end in ["\n", "\r\n"] {
            let file = lines.join(end) + end;
            let little: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = file.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for (file, mark, name) in [
                (little, [0xFF, 0xFE], "utf-16le"),
                (big, [0xFE, 0xFF], "utf-16be"),
            ] {
                let marked = [&mark[..], &file[..]].concat();
                for (file, named) in [
                    (&marked, None),
                    (&file, None),
                    (&file, encoding(name)),
                    (&marked, encoding(name)),
                ] {
                    let found: Vec<_> = file
                        .split(|byte| *byte == b'\n')
                        .map(|line| text(line, named))
                        .collect();
                    for (line, found) in lines.iter().zip(&found) {
                        assert_eq!(found, &((*line).to_owned(), false), "{name} {named:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_alone_make_no_utf16() {
        for raw in [
            &b"a\0b\0c"[..],
            b"\0\0\0\0\0\0\0\0\0",
            b"Failed\0 password for lan",
            b"\0Nov 22 03:00:00 gw a: b",
            b"\x01\0\x02\0\x03\0\x04\0\x05\0",
        ] {
            assert!(super::find(raw, None).is_none(), "{raw:?}");
        }
    }
}
