//! What no other format reads: the record is the message.

use super::{Fit, Format};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};

pub(super) const TEXT: Format = Format {
    name: "text",
    description: "plain text: the record is the message",
    begins: Begins::NOTHING,
    detect: |_| None,
    read,
};

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let asked_for = &*draft.event.record.origin.format == "text";
    if !asked_for {
        draft.note(ProblemKind::Unparsed, "no format knows it; kept as text");
    }
    draft.push("message", Value::Str(text));
    Ok(())
}
