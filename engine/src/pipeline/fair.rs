//! Gives each unit its share of the intake, so that one that floods starves no other.
//!
//! Deliveries wait here in a queue per unit. Of the units within their quota the one that was served least
//! comes next; who is beyond its quota comes when no other has anything waiting, or, if the configuration
//! says so, when its quota allows it. Nothing is dropped: what waits is not acknowledged, and when there is no more
//! room to wait in, the transport waits.
//!
//! Memory is bounded. While several units send, what a unit beyond its quota sends goes to a file that is
//! as good as memory: it holds nothing that the transport does not hold too, and is empty after a restart.

mod held_file;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_collector::Delivery;
use citywatch_parsers::{AgentId, RecordBatch, StreamId, UnitId};
use serde::{Deserialize, Serialize};

use held_file::HeldFile;

/// What a record costs beside its bytes.
const RECORD_BYTES: usize = 64;
/// Units that are remembered; those with nothing waiting go first.
const UNITS_MAX: usize = 10_000;
/// A unit has sent lately within this time.
const LATELY: Duration = Duration::from_secs(10);
/// Units that are shown.
const SHOWN_MAX: usize = 20;

/// What each unit may send before others: section `[engine.quota]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Records a second that a unit may send before others; 0: no bound.
    pub records_per_s: u64,
    /// Bytes a second; 0: no bound.
    pub bytes_per_s: u64,
    /// How many seconds of it may come at once.
    pub burst_s: u32,
    /// What becomes of that which exceeds it.
    pub beyond: Beyond,
    /// Bytes that may wait in memory.
    pub held_memory_bytes_max: usize,
    /// Bytes of units beyond their quota that may wait on disk.
    pub held_disk_bytes_max: u64,
    /// Quotas of single units.
    pub units: std::collections::BTreeMap<String, UnitQuota>,
}

/// The quota of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitQuota {
    /// Records a second; 0: no bound.
    pub records_per_s: u64,
    /// Bytes a second; 0: no bound.
    pub bytes_per_s: u64,
}

/// What becomes of records beyond their unit's quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beyond {
    /// They are taken when no other unit has anything waiting.
    #[default]
    Yields,
    /// They wait until the quota allows them, also while nothing else is to be done.
    Waits,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            records_per_s: 10_000,
            bytes_per_s: 10 << 20,
            burst_s: 10,
            beyond: Beyond::Yields,
            held_memory_bytes_max: 32 << 20,
            held_disk_bytes_max: 2 << 30,
            units: std::collections::BTreeMap::new(),
        }
    }
}

/// A unit of which deliveries wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldUnit {
    /// Which.
    pub unit: String,
    /// Records that wait.
    pub records: u64,
    /// Bytes that wait.
    pub bytes: u64,
    /// Whether it is beyond its quota.
    pub is_beyond: bool,
}

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Units with the most bytes waiting.
    pub units: Vec<HeldUnit>,
}

/// Deliveries by unit.
#[derive(Debug)]
pub(super) struct FairQueue {
    config: QuotaConfig,
    units: HashMap<UnitId, UnitQueue>,
    /// How far the unit that was served last had come: who begins anew begins there.
    served: u64,
    memory_bytes: usize,
    file: HeldFile,
    len: usize,
    /// Streams of which something could not be read back, with the lane in which it came: nothing that follows there is given
    /// out. A partition that comes back is another lane, and is read again from before the gap.
    unread: HashMap<Stream, u32>,
}

/// What has positions that grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    agent: AgentId,
    stream: StreamId,
}

impl Stream {
    fn of(delivery: &Delivery) -> Self {
        let origin = &delivery.batch.origin;
        Self {
            agent: origin.agent.clone(),
            stream: origin.stream.clone(),
        }
    }
}

#[derive(Debug)]
struct UnitQueue {
    waiting: VecDeque<Waiting>,
    tokens: Tokens,
    served: u64,
    bytes: usize,
    records: usize,
    seen: Instant,
}

#[derive(Debug)]
struct Waiting {
    /// Without its records while they are on disk.
    delivery: Delivery,
    place: Option<held_file::Place>,
    cost: usize,
    records: usize,
}

/// Token buckets of records and bytes; they may be overdrawn by one delivery.
#[derive(Debug)]
struct Tokens {
    quota: UnitQuota,
    burst_s: f64,
    records: f64,
    bytes: f64,
    filled: Instant,
}

impl FairQueue {
    /// Waits in memory, and in a file in `folder` if there is one.
    pub(super) fn new(config: QuotaConfig, folder: Option<&Path>) -> Self {
        let folder: Option<PathBuf> = folder.map(Path::to_owned);
        Self {
            config,
            units: HashMap::new(),
            served: 0,
            memory_bytes: 0,
            file: HeldFile::new(folder),
            len: 0,
            unread: HashMap::new(),
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether another delivery may come.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.memory_bytes < self.config.held_memory_bytes_max
            || (self.has_others(now) && self.file.has_room(self.config.held_disk_bytes_max))
    }

    /// Whether more than one unit has sent lately: only then reading ahead helps anybody.
    fn has_others(&self, now: Instant) -> bool {
        let lately = self
            .units
            .values()
            .filter(|unit| now.saturating_duration_since(unit.seen) < LATELY);
        lately.take(2).count() > 1
    }

    /// Adds a delivery; whether its unit is beyond its quota.
    pub(super) fn push(&mut self, mut delivery: Delivery, now: Instant) -> bool {
        let unit = delivery.batch.origin.unit.clone();
        if self.units.len() >= UNITS_MAX && !self.units.contains_key(&unit) {
            self.units.retain(|_, queue| !queue.waiting.is_empty());
        }
        let config = &self.config;
        let queue = self
            .units
            .entry(unit.clone())
            .or_insert_with(|| UnitQueue::new(config, &unit, now));
        queue.seen = now;
        queue.tokens.fill(now);
        if queue.waiting.is_empty() {
            queue.served = queue.served.max(self.served);
        }
        let records = delivery.batch.len();
        let cost = delivery.batch.bytes() + records * RECORD_BYTES;
        let is_beyond = !queue.tokens.allow(queue.records, queue.bytes);
        let mut place = None;
        let is_too_much = self.memory_bytes + cost > self.config.held_memory_bytes_max;
        if is_beyond && is_too_much && self.has_others(now) {
            place = self
                .file
                .put(&delivery.batch, self.config.held_disk_bytes_max);
        }
        if place.is_some() {
            delivery.batch = RecordBatch::new(Arc::clone(&delivery.batch.origin));
        } else {
            self.memory_bytes += cost;
        }
        let waiting = Waiting {
            delivery,
            place,
            cost,
            records,
        };
        if let Some(queue) = self.units.get_mut(&unit) {
            queue.bytes += cost;
            queue.records += records;
            queue.waiting.push_back(waiting);
        }
        self.len += 1;
        is_beyond
    }

    /// The delivery whose turn it is, if there is one at this time.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Delivery> {
        loop {
            let unit = self.turn(now)?;
            let mut next = self.next_of(&unit)?;
            let stream = Stream::of(&next.delivery);
            let lane = next.delivery.receipt.lane();
            let is_behind_a_gap = self.unread.get(&stream) == Some(&lane);
            match next.place.take() {
                None => self.memory_bytes -= next.cost,
                Some(place) => match self.file.take(place) {
                    Some(batch) => next.delivery.batch = batch,
                    None if is_behind_a_gap => continue,
                    None => {
                        tracing::error!(%unit, stream = %stream.stream, records = next.records, "records that waited on disk cannot be read back; none is lost, the transport has them still, but their stream stands until the engine is restarted. First look at the disk under [data] dir (free space, and `dmesg` for its faults); if it is failing, set [engine.quota] held_disk_bytes_max = 0, so that nothing waits on disk. Then restart the engine: it reads this stream again from these records on");
                        metrics::counter!("citywatch_engine_held_unread_total").increment(1);
                        self.unread.insert(stream, lane);
                        continue;
                    }
                },
            }
            if is_behind_a_gap {
                // Stored, they would make those before them look as if they had been stored too.
                continue;
            }
            return Some(next.delivery);
        }
    }

    /// The unit whose turn it is, which pays for it.
    fn turn(&mut self, now: Instant) -> Option<UnitId> {
        let waiting = self
            .units
            .iter_mut()
            .filter(|(_, unit)| !unit.waiting.is_empty());
        let mut within: Option<(u64, &UnitId)> = None;
        let mut beyond: Option<(u64, &UnitId)> = None;
        for (name, unit) in waiting {
            unit.tokens.fill(now);
            let best = if unit.tokens.allow(0, 0) {
                &mut within
            } else {
                &mut beyond
            };
            if best.is_none_or(|(served, _)| unit.served < served) {
                *best = Some((unit.served, name));
            }
        }
        let is_beyond = within.is_none();
        let beyond = beyond.filter(|_| self.config.beyond == Beyond::Yields);
        let (served, unit) = within.or(beyond)?;
        let unit = unit.clone();
        self.served = self.served.max(served);
        let queue = self.units.get_mut(&unit)?;
        let next = queue.waiting.front()?;
        queue.served += next.cost as u64;
        if !is_beyond {
            // What is taken when nobody else has anything costs its unit nothing.
            queue.tokens.take(next.records, next.cost);
        }
        Some(unit)
    }

    fn next_of(&mut self, unit: &UnitId) -> Option<Waiting> {
        let queue = self.units.get_mut(unit)?;
        let next = queue.waiting.pop_front()?;
        queue.bytes -= next.cost;
        queue.records -= next.records;
        self.len -= 1;
        Some(next)
    }

    /// How long until a quota allows what waits; none if nothing waits.
    pub(super) fn wait(&self) -> Option<Duration> {
        let waiting = self.units.values().filter(|unit| !unit.waiting.is_empty());
        waiting.map(|unit| unit.tokens.wait()).min()
    }

    /// What waits.
    pub(super) fn held(&self) -> Held {
        let mut units: Vec<HeldUnit> = self
            .units
            .iter()
            .filter(|(_, unit)| !unit.waiting.is_empty())
            .map(|(name, unit)| HeldUnit {
                unit: name.to_string(),
                records: unit.records as u64,
                bytes: unit.bytes as u64,
                is_beyond: !unit.tokens.allow(0, 0),
            })
            .collect();
        units.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.unit.cmp(&b.unit)));
        units.truncate(SHOWN_MAX);
        Held {
            memory_bytes: self.memory_bytes as u64,
            disk_bytes: self.file.bytes(),
            units,
        }
    }
}

impl UnitQueue {
    fn new(config: &QuotaConfig, unit: &UnitId, now: Instant) -> Self {
        let quota = config.units.get(unit.as_str()).copied();
        let quota = quota.unwrap_or(UnitQuota {
            records_per_s: config.records_per_s,
            bytes_per_s: config.bytes_per_s,
        });
        let burst_s = f64::from(config.burst_s.max(1));
        Self {
            waiting: VecDeque::new(),
            tokens: Tokens {
                quota,
                burst_s,
                records: quota.records_per_s as f64 * burst_s,
                bytes: quota.bytes_per_s as f64 * burst_s,
                filled: now,
            },
            served: 0,
            bytes: 0,
            records: 0,
            seen: now,
        }
    }
}

impl Tokens {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        let fill = |tokens: &mut f64, per_s: u64| {
            *tokens = (*tokens + passed * per_s as f64).min(per_s as f64 * self.burst_s);
        };
        fill(&mut self.records, self.quota.records_per_s);
        fill(&mut self.bytes, self.quota.bytes_per_s);
    }

    /// Whether something more may come after so much that waits already.
    fn allow(&self, records: usize, bytes: usize) -> bool {
        (self.quota.records_per_s == 0 || self.records > records as f64)
            && (self.quota.bytes_per_s == 0 || self.bytes > bytes as f64)
    }

    fn take(&mut self, records: usize, bytes: usize) {
        self.records -= records as f64;
        self.bytes -= bytes as f64;
    }

    /// Until there is something again.
    fn wait(&self) -> Duration {
        let wait = |tokens: f64, per_s: u64| match per_s {
            0 => 0.0,
            per_s => (-tokens).max(0.0) / per_s as f64,
        };
        let seconds = wait(self.records, self.quota.records_per_s)
            .max(wait(self.bytes, self.quota.bytes_per_s));
        // A little later than it comes out, so that it is there then.
        Duration::from_secs_f64(seconds.min(3_600.0)) + Duration::from_millis(1)
    }
}

#[cfg(test)]
mod tests;
