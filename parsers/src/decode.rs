//! From bytes to text: byte order marks, UTF-16, the encoding that the source or the record names, broken UTF-8.
//! The raw bytes are kept by the record; here only the view that the grammars read is made.

mod utf16;
mod vietnamese;

use std::borrow::Cow;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1258};
use unicode_normalization::UnicodeNormalization;

use crate::event::{Problem, ProblemKind};
use crate::scan;
use vietnamese::Vietnamese;

/// The record's text and what was wrong with its bytes.
pub(crate) struct Decoded<'a> {
    pub(crate) text: &'a str,
    pub(crate) problem: Option<Problem>,
}

/// A character encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Table);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// One that browsers know.
    Standard(&'static Encoding),
    Vietnamese(Vietnamese),
}

/// A character encoding by one of its names: of the WHATWG Encoding Standard (`windows-1258`, `gb18030`, `utf-16le`, ...), or
/// `viscii`, `tcvn3`, `vni`.
pub fn encoding(name: &str) -> Option<Charset> {
    let standard = Encoding::for_label(name.trim().as_bytes()).map(Table::Standard);
    standard
        .or_else(|| vietnamese::named(name).map(Table::Vietnamese))
        .map(Charset)
}

/// Whether a text begins neither with a byte order mark nor as UTF-16 does.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    const MARK: u8 = "\u{FEFF}".as_bytes()[0];
    match text.as_bytes().first_chunk() {
        Some(first) => first[0] != MARK && !utf16::has_zero(*first),
        None => false,
    }
}

/// Reads bytes as text: UTF-8, with or without a byte order mark, or UTF-16; else in the encoding that is named.
/// UTF-8 comes first in any case, for many sources write both, and a text in another encoding is hardly ever UTF-8.
/// `utf8` are the same bytes, where they are known to be UTF-8.
pub(crate) fn decode<'a>(
    raw: &'a [u8],
    utf8: Option<&'a str>,
    named: Option<Charset>,
    arena: &'a Bump,
) -> Decoded<'a> {
    if let Some(utf16) = utf16::find(raw, named) {
        return utf16::decode(&utf16, arena);
    }
    if let Some(text) = utf8 {
        return Decoded {
            text: scan::after(text, "\u{FEFF}").unwrap_or(text),
            problem: None,
        };
    }
    let raw = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    if let Ok(text) = simdutf8::basic::from_utf8(raw) {
        return Decoded {
            text,
            problem: None,
        };
    }
    decode_other(raw, named, arena)
}

/// Reads what is not UTF-8: in the encoding that is named, or with replacement characters and a Problem that says where
/// they begin.
#[cold]
fn decode_other<'a>(raw: &'a [u8], named: Option<Charset>, arena: &'a Bump) -> Decoded<'a> {
    match named
        .map(|charset| charset.0)
        .or_else(|| declared(raw).map(Table::Standard))
    {
        Some(Table::Vietnamese(encoding)) => {
            return Decoded {
                text: encoding.decode(raw, arena),
                problem: None,
            };
        }
        Some(Table::Standard(encoding)) if encoding != UTF_8 => {
            return decode_as(raw, encoding, arena);
        }
        _ => {}
    }
    let valid = std::str::from_utf8(raw).map_or_else(|error| error.valid_up_to(), str::len);
    Decoded {
        text: ArenaString::from_utf8_lossy_in(raw, arena).into_bump_str(),
        problem: Some(Problem {
            kind: ProblemKind::BadEncoding,
            detail: Cow::Owned(format!("byte {valid} is no UTF-8; such bytes are replaced")),
        }),
    }
}

/// The encoding that an XML declaration names.
fn declared(raw: &[u8]) -> Option<&'static Encoding> {
    let head = raw.strip_prefix(b"<?xml")?;
    let head = &head[..memchr::memchr(b'>', &head[..head.len().min(200)])?];
    let value = &head[memchr::memmem::find(head, b"encoding=")? + b"encoding=".len()..];
    let (quote, value) = value.split_first()?;
    Encoding::for_label(&value[..memchr::memchr(*quote, value)?])
}

fn decode_as<'a>(raw: &[u8], encoding: &'static Encoding, arena: &'a Bump) -> Decoded<'a> {
    let (text, broken) = encoding.decode_without_bom_handling(raw);
    let text = if encoding == WINDOWS_1258 {
        // Tones are characters of their own there; rules and searches have them joined to their letters.
        let mut joined = ArenaString::with_capacity_in(text.len(), arena);
        joined.extend(text.nfc());
        joined.into_bump_str()
    } else {
        arena.alloc_str(&text)
    };
    Decoded {
        text,
        problem: broken.then(|| Problem {
            kind: ProblemKind::BadEncoding,
            detail: Cow::Owned(format!(
                "bytes that are not {}; they are replaced",
                encoding.name()
            )),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &[u8], named: &str) -> (String, bool) {
        let arena = Bump::new();
        let decoded = decode(raw, None, encoding(named), &arena);
        (decoded.text.to_owned(), decoded.problem.is_some())
    }

    #[test]
    fn windows_1258_becomes_the_text_that_people_write() {
        let (raw, _, _) = encoding_rs::WINDOWS_1258.encode("Qu\u{1EAD}n");
        assert!(raw.contains(&b'&'), "joined letters are not in it: {raw:?}");
        // `Nguyễn Văn Ấn: mật khẩu`, the tones behind their letters.
        let raw = b"Nguy\xEA\xDEn V\xE3n \xC2\xECn: m\xE2\xF2t kh\xE2\xD2u";
        assert_eq!(
            text(raw, "windows-1258"),
            ("Nguyễn Văn Ấn: mật khẩu".to_owned(), false)
        );
        // The same in UTF-8 stays what it is, and without a name the bytes are marked.
        assert_eq!(
            text("Nguyễn".as_bytes(), "windows-1258"),
            ("Nguyễn".to_owned(), false)
        );
        assert!(text(raw, "").1);
    }

    #[test]
    fn other_encodings_are_read_where_they_are_named() {
        assert_eq!(text(b"caf\xE9", "latin1"), ("café".to_owned(), false));
        assert_eq!(text(b"\xD6\xD0", "gb18030"), ("中".to_owned(), false));
        assert_eq!(text(b"a\0\xE1\0", "utf-16le"), ("aá".to_owned(), false));
        assert!(text(b"\xFF\xFF", "gb18030").1);
        let xml = b"<?xml version=\"1.0\" encoding=\"windows-1252\"?><a>\xE9</a>";
        let (found, is_marked) = text(xml, "");
        assert!(found.ends_with("<a>é</a>") && !is_marked);
    }
}
