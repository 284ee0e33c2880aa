//! CRI's wrapper around a container's output: `time stdout F line`. Docker's JSON wrapper is a shape of JSON.

use super::{Fit, Format, NotThisFormat, read_inner};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::scan;
use crate::when;

pub(super) const CRI: Format = Format {
    name: "cri",
    description: "a container's output as CRI runtimes write it",
    begins: Begins::DATE.or(Begins::DIGIT),
    detect,
    read,
};

fn detect(text: &str) -> Option<&'static str> {
    // The time begins with a year and has the hours behind a `T` (RFC 3339).
    let is_time = matches!(
        text.as_bytes(),
        [b'0'..=b'9', _, _, _, _, _, _, _, _, _, b'T', ..]
    );
    is_time.then_some(())?;
    let head = text.get(19..text.len().min(48))?;
    let marked = ["stdout F ", "stdout P ", "stderr F ", "stderr P "]
        .iter()
        .any(|mark| head.contains(mark));
    marked.then_some("has a time, a stream and a flag, as CRI runtimes write")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (time, rest) = when::iso(text, &draft.context.default_zone).ok_or(NotThisFormat)?;
    let (rest, stream) = scan::next_word(rest).map_err(|_| NotThisFormat)?;
    let (rest, flag) = scan::next_word(rest).map_err(|_| NotThisFormat)?;
    draft.time(time);
    draft.text("stream", stream);
    draft.text("flag", flag);
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    container_message(draft, message);
    Ok(())
}

/// The line that a container wrote, in whatever format it wrote it.
pub(super) fn container_message<'a>(draft: &mut Draft<'a, '_>, message: &'a str) {
    draft.text("message", message);
    draft.nested(|draft| read_inner(draft, message));
}
