//! Which format a record has, when nobody says: a few bytes decide, and the answer says why.

use std::sync::LazyLock;

use crate::beginning::Beginning;
use crate::context::ParseContext;
use crate::definitions::{Definition, Definitions};
use crate::draft::Draft;
use crate::formats::{
    FORMATS, Fit, Format, JSON_ALONE, LAST_RESORTS, OTLP, TEXT, format_by_name, is_protobuf,
};

/// A format: built in, or defined by data.
#[derive(Clone, Copy)]
pub enum Known<'f> {
    /// A grammar of this crate.
    Grammar(&'static Format),
    /// A definition, shipped or a site's own.
    Defined(&'f Definition),
}

impl<'f> Known<'f> {
    /// The format of that name, a site's own first.
    pub fn by_name(name: &str, definitions: &'f Definitions) -> Option<Self> {
        format_by_name(name)
            .map(Self::Grammar)
            .or_else(|| definitions.by_name(name).map(Self::Defined))
    }

    /// The name that configuration, origins and events give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grammar(format) => format.name,
            Self::Defined(definition) => definition.name,
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Grammar(format) => format.description,
            Self::Defined(definition) => definition.description,
        }
    }

    pub(crate) fn read<'a>(self, draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
        match self {
            Self::Grammar(format) => (format.read)(draft, text),
            Self::Defined(definition) => definition.read(draft, text),
        }
    }
}

/// What [`detect_format`] found, and why.
#[derive(Clone, Copy)]
pub struct Detection<'f> {
    /// The format.
    pub format: Known<'f>,
    /// What in the record decided, for people.
    pub reason: &'static str,
}

/// Finds the format of a record from its first bytes. A site's own formats are asked first, then the built-in ones
/// in the table's order, the unmistakable ones first, then the definitions that are shipped; `text` is the answer
/// when none of them knows the record.
pub fn detect_format<'f>(raw: &[u8], context: &'f ParseContext) -> Detection<'f> {
    let arena = bumpalo::Bump::new();
    // Bytes beyond the head decide nothing; kept well above any header's length.
    let head = &raw[..raw.len().min(4_096)];
    let decoded = crate::decode::decode(head, None, None, &arena);
    detect_record(raw, decoded.text, &context.definitions)
}

/// By the record's bytes where they are no text, else by its text.
pub(crate) fn detect_record<'f>(
    raw: &[u8],
    text: &str,
    definitions: &'f Definitions,
) -> Detection<'f> {
    if is_protobuf(raw) {
        return Detection {
            format: Known::Grammar(&OTLP),
            reason: "is an export of OpenTelemetry's logs in protobuf, all lengths fit",
        };
    }
    detect_text(text, definitions)
}

/// Of each beginning the formats of the table that have it, in the table's order, one bit each.
static BY_BEGINNING: LazyLock<[u64; Beginning::COUNT]> = LazyLock::new(|| {
    let mut sets = [0; Beginning::COUNT];
    for beginning in Beginning::ALL {
        for (place, format) in FORMATS.iter().enumerate() {
            sets[beginning as usize] |= u64::from(format.begins.has(beginning)) << place;
        }
    }
    sets
});
const _: () = assert!(FORMATS.len() <= 64, "a set has a bit for each format");

fn detect_in_table(text: &str, beginning: Beginning) -> Option<Detection<'static>> {
    let mut asked = BY_BEGINNING[beginning as usize];
    while asked != 0 {
        let format = &FORMATS[asked.trailing_zeros() as usize];
        if let Some(reason) = (format.detect)(text) {
            return Some(Detection {
                format: Known::Grammar(format),
                reason,
            });
        }
        asked &= asked - 1;
    }
    None
}

fn detect_text<'f>(text: &str, definitions: &'f Definitions) -> Detection<'f> {
    let beginning = Beginning::of(text);
    let grammar = |formats: &'static [Format]| {
        formats.iter().find_map(|format| {
            let reason = format.knows(text, beginning)?;
            Some(Detection {
                format: Known::Grammar(format),
                reason,
            })
        })
    };
    let defined = |definition: &'f Definition| Detection {
        format: Known::Defined(definition),
        reason: definition.description,
    };
    // No other format of the table begins with a brace, and many logs are JSON.
    let object = || {
        let begins = beginning == Beginning::Brace;
        begins.then(|| grammar(JSON_ALONE)).flatten()
    };
    definitions
        .detect_site(text)
        .map(defined)
        .or_else(object)
        .or_else(|| detect_in_table(text, beginning))
        .or_else(|| Definitions::detect_shipped(text).map(defined))
        .or_else(|| grammar(&LAST_RESORTS))
        .unwrap_or(Detection {
            format: Known::Grammar(&TEXT),
            reason: "no other format knows it",
        })
}
