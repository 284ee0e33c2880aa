//! Assigned partitions: what of each is on its way through the engine, and what can be committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};

use crate::delivery::Acknowledged;
use crate::prefix::Prefix;

/// A batch of others' records is delivered when it has this many bytes or records.
const COLLECTED_BYTES_MAX: usize = 1 << 20;
const COLLECTED_RECORDS_MAX: usize = 4096;

/// A partition of a topic.
pub(super) type Partition = (Arc<str>, i32);

/// All partitions of an assignment.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_partition: HashMap<Partition, Lane>,
    by_number: HashMap<u32, Partition>,
    next_number: u32,
}

/// One partition: its deliveries on their way, marked with the offset to commit after each.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) number: u32,
    prefix: Prefix<i64>,
    collected: Option<Collected>,
}

/// Messages of others' agents, one record each, until there are enough of them for a batch.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) batch: RecordBatch,
    pub(super) next_offset: i64,
    since: Instant,
}

impl Lanes {
    /// The lane of a partition, made at its first message.
    pub(super) fn lane(&mut self, partition: &Partition) -> &mut Lane {
        let Self {
            by_partition,
            by_number,
            next_number,
        } = self;
        by_partition.entry(partition.clone()).or_insert_with(|| {
            let number = *next_number;
            *next_number += 1;
            by_number.insert(number, partition.clone());
            Lane {
                number,
                prefix: Prefix::new(),
                collected: None,
            }
        })
    }

    /// Whether the lane is still assigned.
    pub(super) fn holds(&self, number: u32) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Notes an answer; returns the partition and the offset it can be committed up to.
    pub(super) fn answer(&mut self, answer: Acknowledged) -> Option<(Partition, i64)> {
        // Of a partition that went away: whoever has it now reads it again.
        let partition = self.by_number.get(&answer.lane)?.clone();
        let offset = self
            .by_partition
            .get_mut(&partition)?
            .prefix
            .answer(answer.sequence)?;
        Some((partition, offset))
    }

    /// Deliveries of these partitions that have not been answered.
    pub(super) fn outstanding(&self, partitions: &[Partition]) -> usize {
        partitions
            .iter()
            .filter_map(|partition| self.by_partition.get(partition))
            .map(|lane| lane.prefix.outstanding())
            .sum()
    }

    /// Forgets a partition and what was collected of it.
    pub(super) fn remove(&mut self, partition: &Partition) {
        if let Some(lane) = self.by_partition.remove(partition) {
            self.by_number.remove(&lane.number);
        }
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.by_partition.keys().cloned().collect()
    }

    /// Partitions whose collected records have waited since before `deadline`.
    pub(super) fn due(&self, deadline: Instant) -> Vec<Partition> {
        let is_due = |lane: &Lane| {
            lane.collected
                .as_ref()
                .is_some_and(|collected| collected.since <= deadline)
        };
        self.by_partition
            .iter()
            .filter(|(_, lane)| is_due(lane))
            .map(|(partition, _)| partition.clone())
            .collect()
    }
}

impl Lane {
    /// Hands out a delivery that ends before `next_offset`; returns its sequence.
    pub(super) fn hand_out(&mut self, next_offset: i64) -> u64 {
        self.prefix.hand_out(next_offset)
    }

    /// Adds a record; returns a full batch, or one of another format that had to end.
    pub(super) fn collect(
        &mut self,
        origin: Origin,
        raw: &[u8],
        offset: i64,
        received_at: Timestamp,
    ) -> Option<Collected> {
        let differs = |collected: &Collected| *collected.batch.origin != origin;
        let before = self.collected.take_if(|collected| differs(collected));
        let collected = self.collected.get_or_insert_with(|| Collected {
            batch: RecordBatch::new(Arc::new(origin)),
            next_offset: offset,
            since: Instant::now(),
        });
        collected
            .batch
            .push(raw, position_of(offset), received_at, Truncated::No);
        collected.next_offset = offset + 1;
        before
    }

    /// What was collected, if it is enough.
    pub(super) fn take_full(&mut self) -> Option<Collected> {
        let full = |collected: &mut Collected| {
            collected.batch.bytes() >= COLLECTED_BYTES_MAX
                || collected.batch.len() >= COLLECTED_RECORDS_MAX
        };
        self.collected.take_if(full)
    }

    /// What was collected.
    pub(super) fn take_collected(&mut self) -> Option<Collected> {
        self.collected.take()
    }
}

/// An offset as a position; offsets of messages are never negative.
pub(super) fn position_of(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or_default()
}
