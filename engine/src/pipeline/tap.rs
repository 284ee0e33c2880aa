//! A look at what flows: samples of records, events or matches for somebody who watches.
//!
//! Watching must not slow the stream: what the watcher does not take in time is skipped and counted, and
//! while nobody watches a batch costs one comparison.

mod filter;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use citywatch_parsers::{Event, EventJson, Record, RecordBatch};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokio::sync::mpsc;

pub use filter::{FilterError, TapFilter};

use crate::matches::Match;

/// Watchers at once.
const WATCHERS_MAX: usize = 8;
/// Samples that wait for a watcher.
const SAMPLES_AHEAD: usize = 256;
/// Samples a second that one watcher gets at most.
const SAMPLES_PER_S: u64 = 2_000;
/// Bytes of a record that a sample shows.
const RAW_BYTES_MAX: usize = 8 * 1024;
/// Events in a match's sample.
const EVIDENCE_MAX: usize = 3;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TapKind {
    /// Records as they came.
    Records,
    /// Events.
    Events,
    /// Matches of rules and correlations.
    Matches,
}

/// Nobody more can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{WATCHERS_MAX} are watching already: try again when one of them has ended")]
pub struct TooManyWatchers;

/// Where samples come from; clones share it.
#[derive(Clone, Debug, Default)]
pub struct TapHandle(Arc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    is_watched: AtomicBool,
    watchers: Mutex<Vec<Arc<Watcher>>>,
}

#[derive(Debug)]
struct Watcher {
    kind: TapKind,
    filter: TapFilter,
    samples: mpsc::Sender<String>,
    skipped: Arc<AtomicU64>,
    second: Mutex<(Option<Instant>, u64)>,
}

/// Samples, a line of JSON each, until it is dropped.
#[derive(Debug)]
pub struct TapSamples {
    samples: mpsc::Receiver<String>,
    skipped: Arc<AtomicU64>,
}

impl TapSamples {
    /// The next sample; `None` when the pipeline has ended.
    pub async fn next(&mut self) -> Option<String> {
        self.samples.recv().await
    }

    /// How many that fit the filter were skipped so far, because they came too fast.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

impl TapHandle {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`TooManyWatchers`].
    pub fn watch(&self, kind: TapKind, filter: TapFilter) -> Result<TapSamples, TooManyWatchers> {
        let (sender, samples) = mpsc::channel(SAMPLES_AHEAD);
        let skipped = Arc::new(AtomicU64::new(0));
        let mut watchers = self.lock();
        watchers.retain(|watcher| !watcher.samples.is_closed());
        if watchers.len() >= WATCHERS_MAX {
            return Err(TooManyWatchers);
        }
        watchers.push(Arc::new(Watcher {
            kind,
            filter,
            samples: sender,
            skipped: Arc::clone(&skipped),
            second: Mutex::default(),
        }));
        self.0.is_watched.store(true, Ordering::Relaxed);
        Ok(TapSamples { samples, skipped })
    }

    /// Shows records to who watches records.
    pub(super) fn records(&self, batch: &RecordBatch) {
        for watcher in self.watchers(TapKind::Records) {
            for record in batch.iter() {
                if watcher.filter.holds_for_record(&record) {
                    watcher.show(|| record_json(&record));
                }
            }
        }
    }

    /// Shows events to who watches events.
    pub(super) fn events(&self, events: &[Event<'_>]) {
        for watcher in self.watchers(TapKind::Events) {
            for event in events {
                if watcher.filter.holds_for_event(event) {
                    watcher.show(|| event_json(event));
                }
            }
        }
    }

    /// Shows matches to who watches matches.
    pub(super) fn matches<'m>(&self, matches: &(impl Iterator<Item = &'m Match> + Clone)) {
        for watcher in self.watchers(TapKind::Matches) {
            for found in matches.clone() {
                if watcher.filter.holds_for_match(found) {
                    watcher.show(|| match_json(found));
                }
            }
        }
    }

    fn watchers(&self, kind: TapKind) -> Vec<Arc<Watcher>> {
        if !self.0.is_watched.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut watchers = self.lock();
        watchers.retain(|watcher| !watcher.samples.is_closed());
        self.0
            .is_watched
            .store(!watchers.is_empty(), Ordering::Relaxed);
        let of_kind = watchers.iter().filter(|watcher| watcher.kind == kind);
        of_kind.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Watcher>>> {
        self.0
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Shows a sample, or counts it as skipped: it is made only if there is room for it.
    fn show(&self, sample: impl FnOnce() -> serde_json::Value) {
        let shown = self.is_within_rate() && {
            let permit = self.samples.try_reserve();
            permit.is_ok_and(|permit| {
                permit.send(sample().to_string());
                true
            })
        };
        if !shown {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_within_rate(&self) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, shown) = &mut *second;
        if begun.is_none_or(|begun| begun.elapsed().as_secs() >= 1) {
            (*begun, *shown) = (Some(Instant::now()), 0);
        }
        *shown += 1;
        *shown <= SAMPLES_PER_S
    }
}

fn shown_raw(raw: &[u8]) -> String {
    String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]).into_owned()
}

fn record_json(record: &Record<'_>) -> serde_json::Value {
    let origin = record.origin;
    json!({
        "received_at": record.received_at.to_string(),
        "unit": origin.unit,
        "host": origin.host,
        "agent": origin.agent,
        "stream": origin.stream,
        "position": record.position,
        "format": origin.format,
        "raw": shown_raw(record.raw),
    })
}

fn event_json(event: &Event<'_>) -> serde_json::Value {
    let mut value = serde_json::to_value(EventJson(event)).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        let origin = event.record.origin;
        map.insert("unit".to_owned(), origin.unit.as_str().into());
        map.insert("raw".to_owned(), shown_raw(event.record.raw).into());
    }
    value
}

fn match_json(found: &Match) -> serde_json::Value {
    let evidence = found.evidence.iter().take(EVIDENCE_MAX);
    let events: Vec<&str> = evidence.map(|shown| shown.event.raw.as_str()).collect();
    json!({
        "event_time": found.event_time.to_string(),
        "rule": found.rule.id,
        "title": found.rule.title,
        "level": found.rule.level,
        "unit": found.unit,
        "host": found.host,
        "group": found.group,
        "event_count": found.event_count,
        "events": events,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use citywatch_parsers::record::Truncated;
    use citywatch_parsers::{Origin, Timestamp};

    use super::*;

    fn batch(host: &str, records: u64) -> RecordBatch {
        let origin = Origin {
            host: Some(host.into()),
            unit: "u".into(),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        for position in 0..records {
            batch.push(b"a\x1b[2Jline", position, Timestamp(0), Truncated::No);
        }
        batch
    }

    fn filter(text: &str) -> TapFilter {
        TapFilter::parse([text]).unwrap()
    }

    #[test]
    fn a_watcher_sees_what_fits_and_how_much_was_skipped() {
        let taps = TapHandle::default();
        taps.records(&batch("web01", 5));
        let mut samples = taps.watch(TapKind::Records, filter("host=web01")).unwrap();
        taps.records(&batch("web01", 1_000));
        taps.records(&batch("db01", 1_000));
        taps.matches(&std::iter::empty());
        let first = samples.samples.try_recv().unwrap();
        let value: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!(value["host"], "web01");
        assert_eq!(value["raw"], "a\u{1b}[2Jline");
        assert!(!first.contains('\u{1b}'), "{first}");
        let mut shown = 1;
        while samples.samples.try_recv().is_ok() {
            shown += 1;
        }
        assert_eq!((shown, samples.skipped()), (256, 744));
    }

    #[test]
    fn who_went_away_costs_nothing_and_leaves_room() {
        let taps = TapHandle::default();
        let mut watching = Vec::new();
        for _ in 0..WATCHERS_MAX {
            watching.push(taps.watch(TapKind::Records, TapFilter::default()).unwrap());
        }
        let refused = taps.watch(TapKind::Records, TapFilter::default());
        assert_eq!(refused.unwrap_err(), TooManyWatchers);
        watching.clear();
        taps.records(&batch("web01", 1));
        assert!(!taps.0.is_watched.load(Ordering::Relaxed));
        assert!(taps.watch(TapKind::Records, TapFilter::default()).is_ok());
    }
}
