//! Assigned partitions: what of each is on its way through the engine, and what can be committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use tokio::sync::mpsc::UnboundedSender;

use crate::delivery::{Acknowledged, LaneLife, Receipt};
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
    life: Arc<LaneLife>,
    /// The plan that was kept when it began.
    pub(super) left_behind: Option<Arc<str>>,
    prefix: Prefix<i64>,
    collected: Option<Collected>,
    to_commit: CommitMark,
    committed: CommitMark,
}

/// What a commit says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommitMark {
    /// The first offset that is not acknowledged.
    pub(super) next_offset: i64,
    /// What was last planned to be stored of it.
    pub(super) plan: Option<Arc<str>>,
}

/// Messages of others' agents, one record each, until there are enough of them for a batch.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) batch: RecordBatch,
    pub(super) next_offset: i64,
    since: Instant,
}

impl Lanes {
    /// The lane of a partition; none before it begins and after the partition went away.
    pub(super) fn lane(&mut self, partition: &Partition) -> Option<&mut Lane> {
        self.by_partition.get_mut(partition)
    }

    /// Begins the lane of a partition: `next_offset` is the first that is not committed, `left_behind` the
    /// plan that was kept there.
    pub(super) fn begin(
        &mut self,
        partition: &Partition,
        next_offset: i64,
        left_behind: Option<Arc<str>>,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        self.remove(partition);
        self.by_number.insert(number, partition.clone());
        let mark = CommitMark {
            next_offset,
            plan: left_behind.clone(),
        };
        let lane = Lane {
            number,
            life: Arc::default(),
            left_behind,
            prefix: Prefix::new(),
            collected: None,
            committed: mark.clone(),
            to_commit: mark,
        };
        self.by_partition.insert(partition.clone(), lane);
    }

    /// Whether the lane is still assigned.
    pub(super) fn holds(&self, number: u32) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Notes an answer: what it releases can be committed. One of a partition that went away releases
    /// nothing: whoever has it now reads it again.
    pub(super) fn answer(&mut self, answer: Acknowledged) {
        let lane = self
            .by_number
            .get(&answer.lane)
            .and_then(|partition| self.by_partition.get_mut(partition));
        let Some(lane) = lane else { return };
        if let Some(next_offset) = lane.prefix.answer(answer.sequence) {
            lane.to_commit.next_offset = next_offset;
        }
    }

    /// Keeps a plan for lanes, from their next commit on.
    pub(super) fn plan(&mut self, numbers: &[u32], plan: &Arc<str>) {
        for number in numbers {
            let lane = self
                .by_number
                .get(number)
                .and_then(|partition| self.by_partition.get_mut(partition));
            if let Some(lane) = lane {
                lane.to_commit.plan = Some(Arc::clone(plan));
            }
        }
    }

    /// What has changed since it was committed.
    pub(super) fn to_commit(&self) -> Vec<(Partition, CommitMark)> {
        self.by_partition
            .iter()
            .filter(|(_, lane)| lane.to_commit != lane.committed)
            .map(|(partition, lane)| (partition.clone(), lane.to_commit.clone()))
            .collect()
    }

    /// Notes what is committed now.
    pub(super) fn committed(&mut self, marks: Vec<(Partition, CommitMark)>) {
        for (partition, mark) in marks {
            if let Some(lane) = self.by_partition.get_mut(&partition) {
                lane.committed = mark;
            }
        }
    }

    /// Deliveries of these partitions that have not been answered.
    pub(super) fn outstanding(&self, partitions: &[Partition]) -> usize {
        let lanes = self.of(partitions);
        lanes.map(|lane| lane.prefix.outstanding()).sum()
    }

    /// Deliveries of these partitions that the engine has begun with and not answered.
    pub(super) fn at_work(&self, partitions: &[Partition]) -> usize {
        self.of(partitions).map(|lane| lane.life.at_work()).sum()
    }

    fn of<'a>(&'a self, partitions: &'a [Partition]) -> impl Iterator<Item = &'a Lane> {
        let lane = |partition| self.by_partition.get(partition);
        partitions.iter().filter_map(lane)
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
    /// The receipt for a delivery that ends before `next_offset`.
    pub(super) fn hand_out(
        &mut self,
        next_offset: i64,
        answers: UnboundedSender<Acknowledged>,
    ) -> Receipt {
        let sequence = self.prefix.hand_out(next_offset);
        Receipt::of(&self.life, self.number, sequence, answers)
    }

    /// It goes away: what was collected is dropped, what waits is not begun with any more.
    pub(super) fn end(&mut self) {
        self.collected = None;
        self.life.end();
    }

    /// Adds a record; returns a full batch, or one of another format that had to end.
    pub(super) fn collect(
        &mut self,
        origin: Origin,
        raw: &[u8],
        offset: i64,
        received_at: Timestamp,
        truncated: Truncated,
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
            .push(raw, position_of(offset), received_at, truncated);
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
