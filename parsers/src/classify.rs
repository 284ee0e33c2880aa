//! Which log sources an event belongs to, once its fields are known.

use std::borrow::Cow;

use crate::draft::Draft;
use crate::event::LogSource;

/// Fills what classification left open from the origin's configuration.
#[inline]
pub(crate) fn complete(draft: &mut Draft<'_, '_>) {
    let origin = &draft.event.record.origin.log_source;
    if !(origin.product.is_empty() && origin.category.is_empty() && origin.service.is_empty()) {
        complete_by(draft, origin);
    }
}

fn complete_by<'a>(draft: &mut Draft<'a, '_>, origin: &'a LogSource<'static>) {
    for source in &mut draft.event.log_sources {
        fill(&mut source.product, &origin.product);
        fill(&mut source.category, &origin.category);
        fill(&mut source.service, &origin.service);
    }
    if draft.event.log_sources.is_empty() {
        draft.event.log_sources.push(LogSource::clone(origin));
    }
}

/// Fills a part that is open.
pub(crate) fn fill<'a>(part: &mut Cow<'a, str>, given: &'a str) {
    if part.is_empty() {
        *part = Cow::Borrowed(given);
    }
}
