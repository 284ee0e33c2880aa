//! The journal's export format, entry by entry (systemd, "Journal Export Formats"): lines `KEY=value`; a
//! value that is no plain text stands behind the line `KEY` as eight bytes of length, the lowest first, and
//! its bytes. An empty line ends an entry.

use std::borrow::Cow;

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

/// The entry with each value changed by `change`; lengths before values are those of what it gives.
pub(super) fn map_values<'r>(
    raw: &'r [u8],
    change: impl for<'v> Fn(&'v [u8]) -> Cow<'v, [u8]>,
) -> Cow<'r, [u8]> {
    let mut mapped = Vec::with_capacity(raw.len());
    let (mut rest, mut is_changed) = (raw, false);
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        let value = memchr::memchr(b'=', line).map(|equals| &line[equals + 1..]);
        let with_length = behind
            .strip_prefix(b"\n")
            .and_then(<[u8]>::split_first_chunk::<8>);
        rest = match (value, with_length) {
            // What the journal itself says of the entry (its cursor, its times) is no one's.
            (Some(value), _) if !line.starts_with(b"__") => {
                let changed = change(value);
                is_changed |= matches!(changed, Cow::Owned(_));
                mapped.extend_from_slice(&line[..line.len() - value.len()]);
                mapped.extend_from_slice(&changed);
                behind
            }
            (None, Some((length, value))) if !line.is_empty() => {
                let length = u64::from_le_bytes(*length);
                // An entry that was cut ends within its value.
                let here = usize::try_from(length)
                    .unwrap_or(usize::MAX)
                    .min(value.len());
                let (value, behind) = value.split_at(here);
                let changed = change(value);
                is_changed |= matches!(changed, Cow::Owned(_));
                let length = length
                    .wrapping_sub(here as u64)
                    .wrapping_add(changed.len() as u64);
                mapped.extend_from_slice(line);
                mapped.push(b'\n');
                mapped.extend_from_slice(&length.to_le_bytes());
                mapped.extend_from_slice(&changed);
                behind
            }
            _ => {
                mapped.extend_from_slice(line);
                behind
            }
        };
        if let Some(behind) = rest.strip_prefix(b"\n") {
            mapped.push(b'\n');
            rest = behind;
        }
    }
    if is_changed {
        Cow::Owned(mapped)
    } else {
        Cow::Borrowed(raw)
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

    #[test]
    fn values_are_changed_and_lengths_with_them() {
        let entry = |c: &[u8], a: &str| {
            [
                b"__CURSOR=s=x\nA=",
                a.as_bytes(),
                b"\nB=\n",
                &binary("C", c),
                b"D=y",
            ]
            .concat()
        };
        let raw = entry(b"x\nx=\n", "x");
        let same = map_values(&raw, |value| Cow::Borrowed(value));
        assert!(matches!(same, Cow::Borrowed(_)));
        assert_eq!(map_values(&raw, |value| Cow::Owned(value.to_vec())), raw);
        let long = |value: &[u8]| {
            String::from_utf8_lossy(value)
                .replace('x', "long")
                .into_bytes()
        };
        let changed = map_values(&raw, |value| Cow::Owned(long(value)));
        assert_eq!(changed, entry(b"long\nlong=\n", "long"));
        let cut = &raw[..raw.len() - 8];
        assert_eq!(map_values(cut, |value| Cow::Owned(value.to_vec())), cut);
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
