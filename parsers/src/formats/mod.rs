//! The table of formats: one line each, the unmistakable ones first, for `auto` asks in this order.

use crate::draft::Draft;

mod json;
mod text;

/// A grammar does not fit the record; the caller tries another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThisFormat;

/// What a grammar answers: it has filled the draft, or the record is not of its format.
pub(crate) type Fit = Result<(), NotThisFormat>;

/// A format: how to know it and how to read it.
pub struct Format {
    /// The name that configuration, origins and events give it.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// From a record's first bytes: the reason why it is of this format, if it is.
    pub(crate) detect: fn(&str) -> Option<&'static str>,
    /// Reads a record.
    pub(crate) read: for<'a> fn(&mut Draft<'a, '_>, &'a str) -> Fit,
}

/// All formats in the order of detection.
pub static FORMATS: &[Format] = &[json::JSON];

/// The format of what no other format reads.
pub static TEXT: Format = text::TEXT;

/// The format of that name.
pub fn format_by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().chain([&TEXT]).find(|format| format.name == name)
}
