//! Suppressions: what people decided not to see, why, and until when.
//!
//! Invariants:
//! - Each has a reason and an end, and ends by itself.
//! - What one hides is counted exactly and kept to be looked at; a replay neither counts nor shows it, also
//!   after the suppression has ended.
//! - A match that became part of an alert stays there: a suppression hides what comes, never what was seen.

mod hide;
mod preview;
mod row;
mod target;

pub(crate) use hide::{forget, hide};
pub(crate) use preview::{Preview, preview};
pub(crate) use row::{HiddenMatch, NewSuppression, Standing, Suppression, Suppressions};
pub(crate) use target::{FieldValue, Target};
