//! Formats of results: which can be streamed, and what each chunk repeats.

/// How a result in a format can be given chunk by chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streaming {
    /// Chunks follow each other as they are.
    Plain,
    /// Each chunk begins with the names of the columns, one text each, after their number.
    BinaryNames,
    /// Each chunk begins with names, then types.
    BinaryNamesAndTypes,
    /// Each chunk begins with so many header lines.
    Lines(usize),
    /// The whole is one document: not to be cut into chunks.
    Whole,
}

/// How results in `format` are streamed, and their media type.
pub(super) fn streaming(format: &str) -> (Streaming, &'static str) {
    const BINARY: &str = "application/octet-stream";
    const TABS: &str = "text/tab-separated-values; charset=UTF-8";
    const LINES: &str = "application/x-ndjson; charset=UTF-8";
    match format {
        "RowBinary" | "Native" => (Streaming::Plain, BINARY),
        "RowBinaryWithNames" => (Streaming::BinaryNames, BINARY),
        "RowBinaryWithNamesAndTypes" => (Streaming::BinaryNamesAndTypes, BINARY),
        "TabSeparated" | "TSV" | "TabSeparatedRaw" | "TSVRaw" => (Streaming::Plain, TABS),
        "TabSeparatedWithNames" | "TSVWithNames" => (Streaming::Lines(1), TABS),
        "TabSeparatedWithNamesAndTypes" | "TSVWithNamesAndTypes" => (Streaming::Lines(2), TABS),
        "CSV" => (Streaming::Plain, "text/csv; charset=UTF-8; header=absent"),
        "JSONEachRow" | "JSONLines" | "NDJSON" | "JSONCompactEachRow" => (Streaming::Plain, LINES),
        "JSON" | "JSONCompact" | "JSONStrings" => {
            (Streaming::Whole, "application/json; charset=UTF-8")
        }
        _ => (Streaming::Whole, "text/plain; charset=UTF-8"),
    }
}

impl Streaming {
    /// Length of what `chunk` repeats, to be left out of every chunk but the first. All of a chunk
    /// that ends within its header is header.
    pub(super) fn header_bytes(self, chunk: &[u8]) -> usize {
        let header = match self {
            Self::Plain | Self::Whole => Some(0),
            Self::BinaryNames => binary_texts(chunk, 1),
            Self::BinaryNamesAndTypes => binary_texts(chunk, 2),
            Self::Lines(count) => memchr::memchr_iter(b'\n', chunk)
                .nth(count - 1)
                .map(|end| end + 1),
        };
        header.unwrap_or(chunk.len())
    }
}

/// Length of a number and `times` as many texts, all lengths as LEB128.
fn binary_texts(chunk: &[u8], times: u64) -> Option<usize> {
    let mut at = 0;
    let count = leb128(chunk, &mut at)?;
    for _ in 0..count.checked_mul(times)? {
        let length = usize::try_from(leb128(chunk, &mut at)?).ok()?;
        at = at.checked_add(length)?;
    }
    (at <= chunk.len()).then_some(at)
}

fn leb128(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_measured() {
        let names = b"\x02\x01a\x02bc\x06UInt64\x06String\x01\x00";
        assert_eq!(Streaming::BinaryNames.header_bytes(names), 6);
        assert_eq!(Streaming::BinaryNamesAndTypes.header_bytes(names), 20);
        assert_eq!(
            Streaming::BinaryNamesAndTypes.header_bytes(&names[..10]),
            10
        );
        assert_eq!(
            Streaming::Lines(2).header_bytes(b"a\tb\nUInt8\tString\n1\tx\n"),
            17
        );
        assert_eq!(Streaming::Plain.header_bytes(b"1\n"), 0);
        assert_eq!(Streaming::BinaryNames.header_bytes(&[0xff; 30]), 30);
    }
}
