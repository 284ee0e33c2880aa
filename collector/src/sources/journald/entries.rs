//! The journal's export format, entry by entry (systemd, "Journal Export Formats"): lines `KEY=value`; a
//! value that is no plain text stands behind the line `KEY` as eight bytes of length, the lowest first, and
//! its bytes. An empty line ends an entry.

use citywatch_parsers::record::Truncated;

use crate::sources::files::lines::RECORD_BYTES_MAX;

/// An entry as it was written, without the empty line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) raw: &'a [u8],
    pub(super) truncated: Truncated,
}

impl<'a> Entry<'a> {
    /// The entry's address in the journal: its first line.
    pub(super) fn cursor(&self) -> Option<&'a str> {
        let line = self.raw.split(|byte| *byte == b'\n').next()?;
        std::str::from_utf8(line.strip_prefix(b"__CURSOR=")?).ok()
    }
}

/// Bytes that are not an entry yet: at most one record's bound of them is held.
#[derive(Debug, Default)]
pub(super) struct Entries {
    kept: Vec<u8>,
    is_cut: bool,
    part: Part,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Line { bytes: usize, has_equals: bool },
    Length { bytes: u32, value: u64 },
    Value { left: u64 },
    LineEnd,
}

impl Default for Part {
    fn default() -> Self {
        Self::LINE
    }
}

impl Part {
    const LINE: Self = Self::Line {
        bytes: 0,
        has_equals: false,
    };
}

impl Entries {
    /// Adds what was read and hands out each entry that is complete.
    pub(super) fn receive(&mut self, mut bytes: &[u8], mut entry: impl FnMut(Entry<'_>)) {
        while !bytes.is_empty() {
            let used = match self.part {
                Part::Line { .. } => self.line(bytes, &mut entry),
                Part::Length { bytes: read, value } => {
                    let value = value | u64::from(bytes[0]) << (8 * read);
                    self.keep(&bytes[..1]);
                    self.part = match read {
                        7 if value == 0 => Part::LineEnd,
                        7 => Part::Value { left: value },
                        _ => Part::Length {
                            bytes: read + 1,
                            value,
                        },
                    };
                    1
                }
                Part::Value { left } => {
                    let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.keep(&bytes[..used]);
                    let left = left - used as u64;
                    self.part = if left == 0 {
                        Part::LineEnd
                    } else {
                        Part::Value { left }
                    };
                    used
                }
                Part::LineEnd => {
                    self.keep(&bytes[..1]);
                    self.part = Part::LINE;
                    1
                }
            };
            bytes = &bytes[used..];
        }
    }

    /// A line's next bytes; returns how many.
    fn line(&mut self, bytes: &[u8], entry: &mut impl FnMut(Entry<'_>)) -> usize {
        let Part::Line {
            bytes: before,
            has_equals,
        } = self.part
        else {
            return 0;
        };
        let newline = memchr::memchr(b'\n', bytes);
        let text = &bytes[..newline.unwrap_or(bytes.len())];
        let has_equals = has_equals || memchr::memchr(b'=', text).is_some();
        let length = before + text.len();
        let Some(newline) = newline else {
            self.keep(text);
            self.part = Part::Line {
                bytes: length,
                has_equals,
            };
            return text.len();
        };
        self.part = Part::LINE;
        if length == 0 {
            self.close(entry);
        } else {
            self.keep(&bytes[..=newline]);
            if !has_equals {
                self.part = Part::Length { bytes: 0, value: 0 };
            }
        }
        newline + 1
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = RECORD_BYTES_MAX - self.kept.len();
        self.is_cut |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn close(&mut self, entry: &mut impl FnMut(Entry<'_>)) {
        let raw = self.kept.strip_suffix(b"\n").unwrap_or(&self.kept);
        if !raw.is_empty() {
            let truncated = if self.is_cut {
                Truncated::Yes
            } else {
                Truncated::No
            };
            entry(Entry { raw, truncated });
        }
        self.kept.clear();
        self.kept.shrink_to(64 << 10);
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(pieces: &[&[u8]]) -> Vec<(Vec<u8>, Truncated)> {
        let mut found = Vec::new();
        let mut entries = Entries::default();
        for piece in pieces {
            entries.receive(piece, |entry| {
                found.push((entry.raw.to_vec(), entry.truncated))
            });
            assert!(entries.kept.len() <= RECORD_BYTES_MAX);
        }
        found
    }

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u64).to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    #[test]
    fn values_with_line_ends_belong_to_their_entry() {
        let one = [
            b"__CURSOR=s=a;i=1\n".to_vec(),
            binary("MESSAGE", b"x\n\n=\ny"),
            binary("EMPTY", b""),
        ]
        .concat();
        let two = b"__CURSOR=s=a;i=2\nMESSAGE=two\n".to_vec();
        let bytes = [one.as_slice(), b"\n\n", &two, b"\nMESSAGE=not complete\n"].concat();
        let whole = |raw: &[u8]| (raw[..raw.len() - 1].to_vec(), Truncated::No);
        let expected = vec![whole(&one), whole(&two)];
        for size in [1, 3, bytes.len()] {
            assert_eq!(
                entries(&bytes.chunks(size).collect::<Vec<_>>()),
                expected,
                "pieces of {size}"
            );
        }
        let raw = &expected[1].0;
        let entry = Entry {
            raw,
            truncated: Truncated::No,
        };
        assert_eq!(entry.cursor(), Some("s=a;i=2"));
    }

    #[test]
    fn an_entry_beyond_the_bound_is_cut_and_the_next_is_whole() {
        let long = binary("MESSAGE", &vec![b'\n'; 3 * RECORD_BYTES_MAX]);
        let bytes = [
            b"__CURSOR=s=a;i=1\n",
            long.as_slice(),
            b"\n__CURSOR=s=a;i=2\n\n",
        ]
        .concat();
        let found = entries(&bytes.chunks(64 << 10).collect::<Vec<_>>());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, Truncated::Yes);
        assert_eq!(found[1], (b"__CURSOR=s=a;i=2".to_vec(), Truncated::No));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), size in 1_usize..30) {
            let mut bytes = Vec::new();
            for value in &values {
                bytes.extend(binary("FIELD", value));
                bytes.extend_from_slice(b"\n");
            }
            let found = entries(&bytes.chunks(size).collect::<Vec<_>>());
            prop_assert_eq!(found.len(), values.len());
            for ((raw, _), value) in found.iter().zip(&values) {
                let whole = binary("FIELD", value);
                prop_assert_eq!(raw.as_slice(), &whole[..whole.len() - 1]);
            }
        }
    }
}
