//! Which format a record has, when nobody says: a few bytes decide, and the answer says why.

use crate::formats::{FORMATS, Format, LAST_RESORT, TEXT};

/// What [`detect_format`] found, and why.
#[derive(Clone, Copy)]
pub struct Detection {
    /// The format.
    pub format: &'static Format,
    /// What in the record decided, for people.
    pub reason: &'static str,
}

/// Finds the format of a record from its first bytes. Formats are asked in the table's order, the
/// unmistakable ones first; `text` is the answer when none of them knows the record.
pub fn detect_format(raw: &[u8]) -> Detection {
    let arena = bumpalo::Bump::new();
    // Bytes beyond the head decide nothing; kept well above any header's length.
    let head = &raw[..raw.len().min(4_096)];
    let decoded = crate::decode::decode(head, &arena);
    detect_text(decoded.text)
}

pub(crate) fn detect_text(text: &str) -> Detection {
    FORMATS
        .iter()
        .chain([&LAST_RESORT])
        .find_map(|format| (format.detect)(text).map(|reason| Detection { format, reason }))
        .unwrap_or(Detection {
            format: &TEXT,
            reason: "no other format knows it",
        })
}
