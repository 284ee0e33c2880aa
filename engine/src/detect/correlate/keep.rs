//! Whether there is room to hold a match's event, and holding it.

use std::sync::Arc;

use super::evidence::{Held, Kept, Shown};
use super::fields::FieldLists;
use super::first::FirstKept;
use super::input::CorrelationLimits;
use super::node::{Arrived, Arriving};
use crate::matches::EventSnapshot;

/// Of the bytes that may be held, evidence is no longer kept beyond this share: the rest is for groups.
const EVIDENCE_BYTES_SHARE: usize = 2;

/// Whether a match goes into groups of several keys, which hold it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HasOtherKeys {
    Yes,
    No,
}

/// Holds a match's event as evidence, if there is room.
pub(super) fn keep_as_evidence(
    arriving: &mut Arriving<'_>,
    held: &Arc<Held>,
    limits: CorrelationLimits,
) -> Option<Shown> {
    match &mut arriving.what {
        Arrived::Moment(shown) => Some(shown.clone()),
        Arrived::First(kept) => kept.is_whole().then(|| Shown::new(kept, None)),
        Arrived::Rule {
            event,
            matched,
            kept,
        } => {
            if kept.is_none() && has_room_for_evidence(held, limits) {
                *kept = Some(Arc::new(Kept::whole(held, event, matched)));
            }
            kept.as_ref().map(|kept| Shown::new(kept, None))
        }
    }
}

/// Holds a match's event for the correlations of a correlation: as evidence, or only the fields that correlations
/// read. `None` when there is no room even for these.
pub(super) fn keep_for_others(
    arriving: &mut Arriving<'_>,
    held: &Arc<Held>,
    lists: &FieldLists,
    limits: CorrelationLimits,
) -> Option<Shown> {
    if let Some(shown) = keep_as_evidence(arriving, held, limits) {
        return Some(shown);
    }
    let (event, kept) = match &mut arriving.what {
        Arrived::Rule { event, kept, .. } => (event, kept),
        Arrived::First(kept) => return Some(Shown::new(kept, None)),
        Arrived::Moment(_) => return None,
    };
    *kept = keep_fields(event, held, lists, limits).map(Arc::new);
    kept.as_ref().map(|kept| Shown::new(kept, None))
}

/// Holds the event of a rule's match that is the first of its key: as evidence, or only the fields that correlations
/// read. `None` when there is no room even for these.
pub(super) fn keep_as_first(
    arriving: &mut Arriving<'_>,
    has_other_keys: HasOtherKeys,
    held: &Arc<Held>,
    lists: &FieldLists,
    limits: CorrelationLimits,
) -> Option<FirstKept> {
    if has_other_keys == HasOtherKeys::Yes
        && let Some(shown) = keep_as_evidence(arriving, held, limits)
    {
        return Some(FirstKept::Shared(shown.kept));
    }
    let kept = match &arriving.what {
        Arrived::Rule { event, matched, .. } if has_room_for_evidence(held, limits) => {
            Some(Kept::whole(held, event, matched))
        }
        Arrived::Rule { event, .. } => keep_fields(event, held, lists, limits),
        Arrived::First(_) | Arrived::Moment(_) => None,
    };
    kept.map(FirstKept::Own)
}

fn has_room_for_evidence(held: &Held, limits: CorrelationLimits) -> bool {
    held.events() < limits.evidence_events_max
        && held.bytes() < limits.bytes_max / EVIDENCE_BYTES_SHARE
}

fn keep_fields(
    event: &EventSnapshot,
    held: &Arc<Held>,
    lists: &FieldLists,
    limits: CorrelationLimits,
) -> Option<Kept> {
    let has_room = held.bytes() < limits.bytes_max;
    has_room.then(|| Kept::fields_only(held, event, |name| lists.reads(name)))
}
