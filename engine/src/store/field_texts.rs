//! The fields of an event as texts, as a row holds them.

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

/// Names and values in order. They lie one after the other, each after its length as the store's formats write it: an
/// event has dozens, and a text of its own for each would cost more than all else about the row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldTexts {
    count: usize,
    names: Vec<u8>,
    values: Vec<u8>,
}

impl FieldTexts {
    /// None yet, with room for so many bytes of names and values, lengths included.
    pub(super) fn with_capacity(name_bytes: usize, value_bytes: usize) -> Self {
        Self {
            count: 0,
            names: Vec::with_capacity(name_bytes),
            values: Vec::with_capacity(value_bytes),
        }
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.count += 1;
        push_text(&mut self.names, name.as_bytes());
        push_text(&mut self.values, value.as_bytes());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names, each after its length.
    pub(super) fn names(&self) -> &[u8] {
        &self.names
    }

    /// Values, each after its length.
    pub(super) fn values(&self) -> &[u8] {
        &self.values
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        texts(&self.names).zip(texts(&self.values))
    }
}

/// As a list of pairs: what a map is to ClickHouse.
impl Serialize for FieldTexts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.count))?;
        for pair in self.iter() {
            all.serialize_element(&pair)?;
        }
        all.end()
    }
}

/// Appends a text after its length.
pub(super) fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// LEB128.
pub(super) fn push_number(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The texts that [`push_text`] wrote.
fn texts(mut bytes: &[u8]) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut length = 0;
        let mut read = 0;
        loop {
            let byte = *bytes.get(read)?;
            length |= usize::from(byte & 0x7f) << (7 * read);
            read += 1;
            if byte < 0x80 {
                break;
            }
        }
        let (text, rest) = bytes[read..].split_at(length);
        bytes = rest;
        Some(std::str::from_utf8(text).expect("only texts are pushed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_comes_out() {
        let long = "x".repeat(70_000);
        let fields = [
            ("user", "an"),
            ("", ""),
            ("Đường", "Nguyễn Huệ"),
            ("long", &long),
        ];
        let mut texts = FieldTexts::with_capacity(1, 1);
        for (name, value) in fields {
            texts.push(name, value);
        }
        assert_eq!(texts.iter().collect::<Vec<_>>(), fields);
        assert_eq!((texts.len(), texts.is_empty()), (4, false));
        assert_eq!(FieldTexts::default().iter().count(), 0);
    }

    #[test]
    fn numbers_are_leb128() {
        let mut out = Vec::new();
        [0, 127, 128, 300, 1 << 21]
            .into_iter()
            .for_each(|value| push_number(&mut out, value));
        assert_eq!(out, [0, 127, 0x80, 1, 0xac, 2, 0x80, 0x80, 0x80, 1]);
    }
}
