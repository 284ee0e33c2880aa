//! How a file's bytes are text. Bytes go on as they are in every encoding whose line ends are a single byte;
//! UTF-16 is made UTF-8 here, so that a record is a whole line. Positions stay offsets in the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use citywatch_parsers::{FormatName, RecordBatch};

use super::Joining;
use super::lines::{self, BatchLimits, Chunk, Tail};

/// How a file's bytes are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// A line ends with the byte 0x0A.
    Bytes,
    /// A line ends with the unit 0x000A.
    Utf16(Order),
}

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// How a group's files are written, as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// As the mark at the beginning of each says.
    Auto,
    Always(Coding),
}

impl Expected {
    /// Of the name of an encoding.
    pub(crate) fn of(encoding: &str) -> Self {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "utf-16le" | "utf-16" => Self::Always(Coding::Utf16(Order::Little)),
            "utf-16be" => Self::Always(Coding::Utf16(Order::Big)),
            _ => Self::Always(Coding::Bytes),
        }
    }

    /// Of a file's first bytes.
    pub(crate) fn in_file(self, file: &File) -> io::Result<Coding> {
        let Self::Auto = self else {
            let Self::Always(coding) = self else {
                return Ok(Coding::Bytes);
            };
            return Ok(coding);
        };
        let mut mark = [0; 2];
        let read = file.read_at(&mut mark, 0)?;
        Ok(match &mark[..read] {
            [0xFF, 0xFE] => Coding::Utf16(Order::Little),
            [0xFE, 0xFF] => Coding::Utf16(Order::Big),
            _ => Coding::Bytes,
        })
    }
}

/// What is wrong with the name of an encoding, and with a format that names another.
pub(crate) fn problem(encoding: &str, format: &str) -> Option<String> {
    let is_plain = matches!(encoding, "auto" | "utf-8");
    if !is_plain && citywatch_parsers::encoding(encoding).is_none() {
        return Some(format!(
            "encoding: `{encoding}` is not known; use `auto`, `utf-16le`, `utf-16be`, `windows-1258` or another name of the WHATWG Encoding Standard, `viscii`, `tcvn3` or `vni`"
        ));
    }
    let charset = FormatName::of(format).charset?;
    (!is_plain).then(|| {
        format!("encoding: `format` names the charset `{charset}` already; keep one of the two")
    })
}

/// The format with the encoding of its records, where they are not UTF-8.
pub(crate) fn format_in(encoding: &str, format: &str) -> String {
    let is_bytes = Expected::of(encoding) == Expected::Always(Coding::Bytes);
    let named = FormatName::of(format);
    if !is_bytes || encoding.eq_ignore_ascii_case("utf-8") || named.charset.is_some() {
        return format.to_owned();
    }
    let name = if named.name.is_empty() {
        "auto"
    } else {
        named.name
    };
    let with_charset = format!("{name}; charset={}", encoding.trim());
    match named.header {
        Some(header) => format!("{with_charset}; header={header}"),
        None => with_charset,
    }
}

impl Coding {
    /// [`lines::split`] for this coding. `batch` is empty.
    pub(crate) fn split(
        self,
        chunk: Chunk<'_>,
        joining: Joining,
        tail: Tail,
        limits: BatchLimits,
        batch: &mut RecordBatch,
    ) -> usize {
        let Self::Utf16(order) = self else {
            return lines::split(chunk, joining, tail, limits, batch);
        };
        let text = Text::decode(chunk, order);
        let cuts: Vec<u64> = chunk
            .cuts
            .iter()
            .filter_map(|cut| text.place_of(*cut))
            .collect();
        let decoded = Chunk {
            bytes: &text.utf8,
            offset: 0,
            cuts: &cuts,
            received_at: chunk.received_at,
        };
        let mut records = RecordBatch::new(batch.origin.clone());
        let taken = lines::split(decoded, joining, tail, limits, &mut records);
        for record in records.iter() {
            batch.push(
                record.raw,
                text.offset_of(record.position),
                record.received_at,
                record.truncated,
            );
        }
        let end = text.offset_of(taken as u64) - chunk.offset;
        usize::try_from(end)
            .unwrap_or(usize::MAX)
            .min(chunk.bytes.len())
    }

    /// Where the first line ends in bytes that begin at `offset` of the file.
    pub(crate) fn line_end(self, bytes: &[u8], offset: u64) -> Option<usize> {
        let Self::Utf16(order) = self else {
            return memchr::memchr(b'\n', bytes).map(|newline| newline + 1);
        };
        newlines(bytes, offset, order).next()
    }

    /// Where the last line that is complete ends.
    pub(crate) fn last_line_end(self, bytes: &[u8], offset: u64) -> Option<usize> {
        let Self::Utf16(order) = self else {
            return memchr::memrchr(b'\n', bytes).map(|newline| newline + 1);
        };
        newlines(bytes, offset, order).last()
    }

    /// How many of so many bytes from `offset` are whole units.
    pub(crate) fn whole(self, bytes: usize, offset: u64) -> usize {
        match self {
            Self::Utf16(_) if !(offset + bytes as u64).is_multiple_of(2) => bytes.saturating_sub(1),
            _ => bytes,
        }
    }

    /// As UTF-8, or as it is.
    pub(crate) fn text(self, bytes: Vec<u8>, offset: u64) -> Vec<u8> {
        let Self::Utf16(order) = self else {
            return bytes;
        };
        let chunk = Chunk {
            bytes: &bytes,
            offset,
            cuts: &[],
            received_at: citywatch_parsers::Timestamp(0),
        };
        Text::decode(chunk, order).utf8
    }
}

/// Ends of all lines; units lie at even offsets of the file.
fn newlines(bytes: &[u8], offset: u64, order: Order) -> impl Iterator<Item = usize> + '_ {
    let first = usize::from(!offset.is_multiple_of(2));
    let units = bytes.get(first..).unwrap_or_default().chunks_exact(2);
    units.enumerate().filter_map(move |(index, pair)| {
        (unit(pair, order) == 0x0A).then_some(first + 2 * index + 2)
    })
}

fn unit(pair: &[u8], order: Order) -> u16 {
    match order {
        Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
        Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
    }
}

/// A piece of a file as UTF-8, and where its lines lie in the file.
struct Text {
    utf8: Vec<u8>,
    /// Places in `utf8` with their offsets: beginnings of lines, cuts, the end.
    marks: Vec<(u64, u64)>,
}

impl Text {
    fn decode(chunk: Chunk<'_>, order: Order) -> Self {
        let (bytes, offset) = (chunk.bytes, chunk.offset);
        let mut text = Self {
            utf8: Vec::with_capacity(bytes.len()),
            marks: vec![(0, offset)],
        };
        let mut at = 0;
        if !offset.is_multiple_of(2) && !bytes.is_empty() {
            // The second half of a unit whose first was taken when its writer was gone.
            text.push(char::REPLACEMENT_CHARACTER);
            at = 1;
        }
        while at + 1 < bytes.len() {
            if chunk.cuts.contains(&(offset + at as u64)) {
                text.mark(offset + at as u64);
            }
            let first = unit(&bytes[at..at + 2], order);
            at += 2;
            let second = bytes.get(at..at + 2).map(|pair| unit(pair, order));
            let decoded = match (first, second) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    at += 2;
                    char::decode_utf16([first, low]).next().and_then(Result::ok)
                }
                _ => char::from_u32(u32::from(first)),
            };
            if decoded == Some('\u{FEFF}') && offset + at as u64 == 2 {
                continue;
            }
            text.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
            if decoded == Some('\n') {
                text.mark(offset + at as u64);
            }
        }
        if at < bytes.len() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text.mark(offset + bytes.len() as u64);
        text
    }

    fn push(&mut self, character: char) {
        let mut buffer = [0; 4];
        self.utf8
            .extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
    }

    fn mark(&mut self, offset: u64) {
        let place = self.utf8.len() as u64;
        if self.marks.last().is_some_and(|last| last.0 < place) {
            self.marks.push((place, offset));
        }
    }

    /// The offset of a place: lines and cuts begin at marks.
    fn offset_of(&self, place: u64) -> u64 {
        let after = self.marks.partition_point(|mark| mark.0 <= place);
        self.marks[after - 1].1
    }

    /// The place of an offset that was marked.
    fn place_of(&self, offset: u64) -> Option<u64> {
        let found = self.marks.iter().find(|mark| mark.1 == offset)?;
        Some(found.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use citywatch_parsers::{Origin, Timestamp};
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        records_max: 1000,
        bytes_max: 1 << 22,
    };

    fn utf16(text: &str, order: Order) -> Vec<u8> {
        let bytes = |unit: u16| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn records(bytes: &[u8], offset: u64, tail: Tail, order: Order) -> (Vec<(u64, String)>, usize) {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        let chunk = Chunk {
            bytes,
            offset,
            cuts: &[],
            received_at: Timestamp(0),
        };
        let taken = Coding::Utf16(order).split(chunk, Joining::None, tail, LIMITS, &mut batch);
        let text = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
        (
            batch
                .iter()
                .map(|record| (record.position, text(record.raw)))
                .collect(),
            taken,
        )
    }

    #[test]
    fn lines_of_utf16_are_whole_and_lie_where_they_lie() {
        for order in [Order::Little, Order::Big] {
            // U+0A0D and U+0D0A have the bytes of line ends.
            let bytes = utf16("\u{FEFF}Đăng nhập\r\n\u{A0D}\u{D0A}\n😀 ba\nnửa", order);
            let (found, taken) = records(&bytes, 0, Tail::Waits, order);
            let expected = [(0, "Đăng nhập"), (24, "\u{A0D}\u{D0A}"), (30, "😀 ba")];
            assert_eq!(found, expected.map(|(at, text)| (at, text.to_owned())));
            assert_eq!(taken, 42);
            let (rest, all) = records(&bytes[taken..], taken as u64, Tail::TakeAll, order);
            assert_eq!((rest, all), (vec![(42, "nửa".into())], bytes.len() - 42));
        }
    }

    #[test]
    fn halves_of_units_and_of_pairs_are_replaced_and_the_next_line_is_whole() {
        let mut bytes = utf16("a\n", Order::Little);
        bytes.extend_from_slice(&[0x3D, 0xD8, b'x', 0, b'\n', 0, b'b', 0, b'c']);
        let (found, taken) = records(&bytes, 0, Tail::TakeAll, Order::Little);
        let expected = [(0, "a"), (4, "\u{FFFD}x"), (10, "b\u{FFFD}")];
        assert_eq!(found, expected.map(|(at, text)| (at, text.to_owned())));
        assert_eq!(taken, bytes.len());
        // What comes next begins in the middle of a unit.
        let (found, _) = records(&[0, b'd', 0, b'\n', 0], 13, Tail::Waits, Order::Little);
        assert_eq!(found, [(13, "\u{FFFD}d".into())]);
    }

    #[test]
    fn the_format_names_the_encoding_that_the_records_keep() {
        for (encoding, format, expected) in [
            ("auto", "syslog", "syslog"),
            ("utf-8", "csv", "csv"),
            ("utf-16le", "csv", "csv"),
            ("windows-1258", "auto", "auto; charset=windows-1258"),
            (
                "viscii",
                "csv; header=a,b",
                "csv; charset=viscii; header=a,b",
            ),
        ] {
            assert_eq!(format_in(encoding, format), expected);
            assert_eq!(problem(encoding, format), None, "{encoding}");
        }
        assert!(
            problem("utf-61", "auto")
                .unwrap()
                .contains("`utf-61` is not known")
        );
        let twice = problem("windows-1258", "csv; charset=viscii").unwrap();
        assert!(
            twice.contains("names the charset `viscii` already"),
            "{twice}"
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "([a-zđ😀]{1,3}|\n|\r\n){0,30}", size in 1_usize..40) {
            let bytes = utf16(&format!("\u{FEFF}{text}"), Order::Big);
            let (whole, _) = records(&bytes, 0, Tail::TakeAll, Order::Big);
            let (mut found, mut start, mut end) = (Vec::new(), 0, 0);
            while start < bytes.len() {
                end = (end + size).min(bytes.len());
                let tail = if end == bytes.len() { Tail::TakeAll } else { Tail::Waits };
                let (records, taken) = records(&bytes[start..end], start as u64, tail, Order::Big);
                found.extend(records);
                start += taken;
                if end == bytes.len() && taken == 0 {
                    break;
                }
            }
            prop_assert_eq!(found, whole);
        }
    }
}
