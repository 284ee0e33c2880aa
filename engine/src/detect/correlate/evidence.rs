//! Events that correlations hold on to: each once, however many correlations and windows show it, and
//! all within a budget of bytes.
//!
//! A correlation that others refer to passes its moments on with their windows. Such a window holds no list
//! of its events, or a burst of n matches would cost n lists of n events: it names a stretch of time in the
//! [`Log`]s that its group keeps, one per cell. A log grows while moments refer to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use smallvec::SmallVec;

use super::entries::Entry;
use crate::SnapshotFields;
use crate::matches::{EventSnapshot, Evidence, MatchedField};

/// What is held at the moment, over all correlations of one correlator.
///
/// Only the correlator holds what is counted here, so one thread at a time changes the counts: they are read and
/// written, but not changed in one step, which would wait for all that was written before to reach memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

fn add(count: &AtomicUsize, more: usize) {
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}

fn take(count: &AtomicUsize, less: usize) {
    count.store(
        count.load(Ordering::Relaxed).wrapping_sub(less),
        Ordering::Relaxed,
    );
}

impl Held {
    /// Events.
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    /// Bytes of events and of the values of groups.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Bytes that are counted as held for as long as it lives.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    held: Arc<Held>,
}

impl Charge {
    pub(super) fn new(held: &Arc<Held>, bytes: usize) -> Self {
        add(&held.bytes, bytes);
        Self {
            bytes,
            held: Arc::clone(held),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        take(&self.held.bytes, self.bytes);
    }
}

/// An event that is held.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) event: Arc<EventSnapshot>,
    /// What made the rule match. `None` where only the fields that correlations read were kept, so that the
    /// event is no evidence.
    matched: Option<Arc<[MatchedField]>>,
    charge: Charge,
}

impl Kept {
    /// Holds an event as evidence.
    pub(super) fn whole(
        held: &Arc<Held>,
        event: &Arc<EventSnapshot>,
        matched: &Arc<[MatchedField]>,
    ) -> Self {
        let matched_bytes: usize = matched
            .iter()
            .map(|field| size_of::<MatchedField>() + field.name.len() + field.value.len())
            .sum();
        Self::new(
            held,
            Arc::clone(event),
            Some(Arc::clone(matched)),
            matched_bytes,
        )
    }

    /// Holds of an event what correlations read.
    pub(super) fn fields_only(
        held: &Arc<Held>,
        event: &EventSnapshot,
        is_read: impl Fn(&str) -> bool,
    ) -> Self {
        let mut fields = SnapshotFields::default();
        for (name, value) in event.fields.iter().filter(|(name, _)| is_read(name)) {
            fields.add_copy(name, value);
        }
        let event = EventSnapshot {
            id: event.id,
            record: event.record.clone(),
            unit: event.unit.clone(),
            event_time: event.event_time,
            received_at: event.received_at,
            host: CompactString::default(),
            format: CompactString::default(),
            fields,
            raw: String::new(),
        };
        Self::new(held, Arc::new(event), None, 0)
    }

    fn new(
        held: &Arc<Held>,
        event: Arc<EventSnapshot>,
        matched: Option<Arc<[MatchedField]>>,
        matched_bytes: usize,
    ) -> Self {
        add(&held.events, 1);
        let bytes = size_of::<EventSnapshot>()
            + event.host.len()
            + event.raw.len()
            + event.fields.bytes()
            + matched_bytes;
        Self {
            charge: Charge::new(held, bytes),
            event,
            matched,
        }
    }

    /// Whether it is evidence, not only the fields that correlations read.
    pub(super) fn is_whole(&self) -> bool {
        self.matched.is_some()
    }

    /// As evidence, if it is.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        Some(Evidence {
            event: Arc::clone(&self.event),
            matched: Arc::clone(self.matched.as_ref()?),
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        take(&self.charge.held.events, 1);
    }
}

/// Has the processor fetch the counters of many events at once. Changing them one after the other would wait for
/// memory each time, since nothing goes on before a counter is changed.
pub(super) fn fetch<'k>(all: impl Iterator<Item = &'k Kept> + Clone) {
    let counters = |kept: &Kept| {
        let matched = kept.matched.as_ref().map_or(0, Arc::strong_count);
        Arc::strong_count(&kept.event) + matched
    };
    std::hint::black_box(all.map(counters).sum::<usize>());
}

/// The event of an entry, for its fields and as evidence.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) kept: Arc<Kept>,
    /// For a match of a correlation.
    pub(super) chain: Option<Arc<Chain>>,
    /// [`Kept::is_whole`], which would have to be fetched for each.
    is_whole: bool,
}

impl Shown {
    /// The event of a match of a rule, or with `chain` of a correlation.
    pub(super) fn new(kept: &Arc<Kept>, chain: Option<Arc<Chain>>) -> Self {
        Self {
            kept: Arc::clone(kept),
            chain,
            is_whole: kept.is_whole(),
        }
    }
}

/// What a match of a correlation has besides its event.
#[derive(Debug)]
pub(super) struct Chain {
    /// The names and values that correlations add to the event's fields.
    pub(super) extra: Arc<[(String, String)]>,
    /// Where the window begins that ends with the match.
    pub(super) begin: Begin,
    /// The logs that hold the events of its window. They are shared and grow: what comes later and belongs to the
    /// window is in them.
    pub(super) logs: Arc<[Arc<Log>]>,
    /// What `extra` costs, where it is not shared with the group.
    pub(super) _charge: Option<Charge>,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// So long before its end.
    Before(i64),
    /// At this time.
    At(i64),
}

impl Begin {
    fn of_window_to(self, to_us: i64) -> i64 {
        match self {
            Self::Before(span_us) => to_us.saturating_sub(span_us),
            Self::At(from_us) => from_us,
        }
    }
}

/// The matches of a group in one cell, in no order.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<Logged>>);

#[derive(Clone, Debug)]
struct Logged {
    time_us: i64,
    event: u128,
    shown: Option<Shown>,
}

impl Log {
    /// Adds a match.
    pub(super) fn add(&self, time_us: i64, event: u128, shown: Option<Shown>) {
        self.lock().push(Logged {
            time_us,
            event,
            shown,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event that a correlation holds because of.
#[derive(Debug)]
pub(super) struct Witness<'g> {
    pub(super) time_us: i64,
    pub(super) event: u128,
    /// `None` beyond the bounds of evidence.
    kept: Option<Source<'g>>,
    /// Whether it is evidence.
    pub(super) is_shown: bool,
}

/// Where a witness's event is held.
#[derive(Debug)]
enum Source<'g> {
    Group(&'g Kept),
    /// In a log, which is open only while it is read.
    Log(Arc<Kept>),
}

impl Witness<'_> {
    /// Its event, where it was kept.
    pub(super) fn kept(&self) -> Option<&Kept> {
        match self.kept.as_ref()? {
            Source::Group(kept) => Some(kept),
            Source::Log(kept) => Some(kept),
        }
    }
}

/// From when and to when.
pub(super) type Stretches = SmallVec<[(i64, i64); 2]>;

/// Gathers the different events of matches, those of the windows of correlations included.
#[derive(Debug, Default)]
pub(super) struct Witnesses<'g> {
    found: Vec<Witness<'g>>,
    /// Windows that are still to be looked into, by their logs.
    windows: BTreeMap<usize, (Arc<Log>, Stretches)>,
}

impl<'g> Witnesses<'g> {
    /// Makes room for so many more matches.
    pub(super) fn reserve(&mut self, matches: usize) {
        self.found.reserve(matches);
    }

    /// Adds a match: its event, or those in its window.
    pub(super) fn add(&mut self, entry: &'g Entry) {
        let shown = entry.shown.as_ref();
        match shown {
            Some(Shown {
                chain: Some(chain), ..
            }) => self.add_window(chain, entry.time_us),
            _ => self.found.push(Witness {
                time_us: entry.time_us,
                event: entry.origin,
                is_shown: shown.is_some_and(|shown| shown.is_whole),
                kept: shown.map(|shown| Source::Group(&shown.kept)),
            }),
        }
    }

    /// Adds a match of which nothing is shown.
    pub(super) fn add_hidden(&mut self, entry: &Entry) {
        self.found.push(Witness {
            time_us: entry.time_us,
            event: entry.origin,
            is_shown: false,
            kept: None,
        });
    }

    fn add_logged(&mut self, logged: &Logged) {
        let shown = logged.shown.as_ref();
        match shown {
            Some(Shown {
                chain: Some(chain), ..
            }) => self.add_window(chain, logged.time_us),
            _ => self.found.push(Witness {
                time_us: logged.time_us,
                event: logged.event,
                is_shown: shown.is_some_and(|shown| shown.is_whole),
                kept: shown.map(|shown| Source::Log(Arc::clone(&shown.kept))),
            }),
        }
    }

    fn add_window(&mut self, chain: &Chain, to_us: i64) {
        let from_us = chain.begin.of_window_to(to_us);
        for log in chain.logs.iter() {
            let (_, stretches) = self
                .windows
                .entry(Arc::as_ptr(log) as usize)
                .or_insert_with(|| (Arc::clone(log), Stretches::new()));
            match stretches.last_mut() {
                Some(last) if last.0 <= from_us && from_us <= last.1 => {
                    last.1 = last.1.max(to_us);
                }
                _ => stretches.push((from_us, to_us)),
            }
        }
    }

    /// All, by time and id, each event once.
    pub(super) fn finish(mut self) -> Vec<Witness<'g>> {
        while !self.windows.is_empty() {
            for (_, (log, mut stretches)) in std::mem::take(&mut self.windows) {
                stretches.sort_unstable();
                let mut merged = Stretches::new();
                let all = stretches.into_iter();
                all.for_each(|stretch| add_stretch(&mut merged, stretch));
                let stretches = merged;
                for logged in log.lock().iter() {
                    let before = stretches.partition_point(|stretch| stretch.0 <= logged.time_us);
                    let is_within = before > 0 && logged.time_us <= stretches[before - 1].1;
                    if is_within {
                        self.add_logged(logged);
                    }
                }
            }
        }
        // What is kept as evidence comes first among those of the same event, and stays.
        let order = |witness: &Witness<'_>| (witness.time_us, witness.event, !witness.is_shown);
        if !self.found.is_sorted_by_key(order) {
            self.found.sort_unstable_by_key(order);
        }
        self.found.dedup_by_key(|witness| witness.event);
        self.found
    }
}

/// Adds a window to others, those that overlap as one. They come in the order of their beginnings.
pub(super) fn add_stretch(stretches: &mut Stretches, (from_us, to_us): (i64, i64)) {
    match stretches.last_mut() {
        Some(last) if from_us <= last.1 => last.1 = last.1.max(to_us),
        _ => stretches.push((from_us, to_us)),
    }
}
