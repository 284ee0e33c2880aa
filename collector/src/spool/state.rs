//! What the spool's writer and reader share: the list of segments, the bound, and the counts.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::SpoolLimits;
use super::segment::{SegmentInfo, SegmentReader, Step};
use crate::frame::{self, sealed};

/// Shared by the two halves of a spool.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) limits: SpoolLimits,
    /// Entries below this sequence are on disk.
    pub(super) durable: watch::Sender<u64>,
    state: Mutex<State>,
    freed: Condvar,
    dropped_records: AtomicU64,
    damaged_entries: AtomicU64,
    waits: AtomicU64,
    _lock: File,
}

#[derive(Debug)]
struct State {
    segments: VecDeque<SegmentInfo>,
    acknowledged: u64,
    fault: Option<String>,
}

/// How a spool stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    /// Bytes on disk.
    pub bytes: u64,
    /// The most there may be.
    pub bytes_max: u64,
    /// Files they lie in.
    pub segments: usize,
    /// Frames appended since the spool exists.
    pub appended: u64,
    /// Frames acknowledged since the spool exists.
    pub acknowledged: u64,
    /// Records dropped at the bound since this start.
    pub dropped_records: u64,
    /// Entries that could not be read back since this start.
    pub damaged_entries: u64,
    /// How often a sender had to wait for room since this start.
    pub waits: u64,
    /// Why nothing can be written at the moment, if so.
    pub fault: Option<String>,
}

/// Tells how a spool stands, from anywhere.
#[derive(Clone, Debug)]
pub struct SpoolMonitor(pub(super) Arc<Shared>);

impl SpoolMonitor {
    /// How the spool stands now.
    pub fn status(&self) -> SpoolStatus {
        let shared = &self.0;
        let state = shared.lock();
        SpoolStatus {
            bytes: state.bytes(),
            bytes_max: shared.limits.bytes_max,
            segments: state.segments.len(),
            appended: *shared.durable.borrow(),
            acknowledged: state.acknowledged,
            dropped_records: shared.dropped_records.load(Ordering::Relaxed),
            damaged_entries: shared.damaged_entries.load(Ordering::Relaxed),
            waits: shared.waits.load(Ordering::Relaxed),
            fault: state.fault.clone(),
        }
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Takes segments off the list that lie wholly below the acknowledged position.
    fn take_acknowledged(&mut self) -> Vec<PathBuf> {
        let mut gone = Vec::new();
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.first <= self.acknowledged)
        {
            gone.extend(self.segments.pop_front().map(|segment| segment.path));
        }
        gone
    }
}

impl Shared {
    pub(super) fn new(
        dir: PathBuf,
        limits: SpoolLimits,
        segments: VecDeque<SegmentInfo>,
        acknowledged: u64,
        next: u64,
        lock: File,
    ) -> Self {
        Self {
            dir,
            limits,
            durable: watch::Sender::new(next),
            state: Mutex::new(State {
                segments,
                acknowledged,
                fault: None,
            }),
            freed: Condvar::new(),
            dropped_records: AtomicU64::new(0),
            damaged_entries: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            _lock: lock,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between statements: a panic elsewhere while it was held broke nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the acknowledged position and frees what lies below it.
    pub(super) fn acknowledge(&self, position: u64) {
        self.lock().acknowledged = position;
        self.remove_acknowledged();
    }

    /// Deletes segments below the acknowledged position, but for the one being written.
    pub(super) fn remove_acknowledged(&self) {
        let gone = self.lock().take_acknowledged();
        for path in &gone {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot delete a segment of the spool that is done with");
            }
        }
        if !gone.is_empty() {
            self.freed.notify_all();
        }
        self.gauge();
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.lock().acknowledged
    }

    pub(super) fn has_room_for(&self, bytes: u64) -> Room {
        if self.lock().bytes() + bytes <= self.limits.bytes_max {
            Room::Enough
        } else {
            Room::Full
        }
    }

    /// Waits until something was freed, `patience` at most.
    pub(super) fn wait_for_room(&self, patience: Duration) {
        let state = self.lock();
        // Woken early or late, the caller looks again.
        drop(self.freed.wait_timeout(state, patience));
    }

    pub(super) fn count_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("citywatch_spool_waits_total").increment(1);
    }

    /// Drops the oldest segment that is not being written and counts the records it took along.
    pub(super) fn drop_oldest(&self) -> Dropped {
        let (segment, acknowledged) = {
            let mut state = self.lock();
            if state.segments.len() < 2 {
                return Dropped::Nothing;
            }
            let Some(segment) = state.segments.pop_front() else {
                return Dropped::Nothing;
            };
            (segment, state.acknowledged)
        };
        let records = records_above(&segment, acknowledged);
        self.dropped_records.fetch_add(records, Ordering::Relaxed);
        metrics::counter!("citywatch_spool_dropped_records_total").increment(records);
        tracing::warn!(
            records,
            bytes = segment.bytes,
            "the spool is full: its oldest segment was dropped"
        );
        if let Err(error) = fs::remove_file(&segment.path) {
            tracing::warn!(path = %segment.path.display(), %error, "cannot delete a dropped segment of the spool");
        }
        Dropped::Segment
    }

    pub(super) fn push_segment(&self, segment: SegmentInfo) {
        self.lock().segments.push_back(segment);
    }

    /// The active segment grew; its entries below `next` are on disk.
    pub(super) fn grown(&self, active: &SegmentInfo, next: u64) {
        {
            let mut state = self.lock();
            state.fault = None;
            if let Some(last) = state.segments.back_mut() {
                last.bytes = active.bytes;
            }
        }
        self.durable.send_replace(next);
        self.gauge();
    }

    pub(super) fn set_fault(&self, fault: String) {
        self.lock().fault = Some(fault);
    }

    pub(super) fn count_damaged(&self, entries: u64) {
        self.damaged_entries.fetch_add(entries, Ordering::Relaxed);
        metrics::counter!("citywatch_spool_damaged_entries_total").increment(entries);
    }

    /// The segment that holds `sequence`, or else the first after it.
    pub(super) fn segment_for(&self, sequence: u64) -> Option<SegmentInfo> {
        let state = self.lock();
        let holds = state
            .segments
            .iter()
            .rev()
            .find(|segment| segment.first <= sequence);
        holds.or_else(|| state.segments.front()).cloned()
    }

    /// The first segment that begins above `first`.
    pub(super) fn segment_after(&self, first: u64) -> Option<SegmentInfo> {
        self.lock()
            .segments
            .iter()
            .find(|segment| segment.first > first)
            .cloned()
    }

    fn gauge(&self) {
        metrics::gauge!("citywatch_spool_bytes").set(self.lock().bytes() as f64);
    }
}

/// Whether a frame fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    Full,
}

/// What [`Shared::drop_oldest`] did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Segment,
    Nothing,
}

fn records_above(segment: &SegmentInfo, acknowledged: u64) -> u64 {
    let Ok(mut reader) = SegmentReader::open(&segment.path, segment.first) else {
        return 0;
    };
    let mut records = 0;
    loop {
        let sequence = reader.next;
        match reader.step() {
            Ok(Step::Entry(bytes)) if sequence >= acknowledged => {
                let frame = sealed::split(&bytes).map_or(&bytes[..], |sealed| sealed.frame);
                records += frame::peek(frame).map_or(1, |header| u64::from(header.records));
            }
            Ok(Step::Entry(_) | Step::Damaged) => {}
            Ok(Step::End) | Err(_) => return records,
        }
    }
}
