//! Dead letters once more through the pipeline, under the identity that they had.
//!
//! A replay is a pipeline of its own, without the look-up that drops what lies at or below a stream's highest
//! stored position: here each record is looked up by itself. It must not break what that look-up
//! rests on, so a record that lies above the highest stored position of its stream has to wait: stored now, it would
//! say of records before it, which may still be on their way, that they are stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use citywatch_collector::delivery::Acknowledged;
use citywatch_collector::frame;
use citywatch_collector::identity::{Door, Refused, Unsigned};
use citywatch_collector::{Delivery, Receipt};
use citywatch_parsers::{Definitions, RecordBatch, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::correlate::Correlation;
use super::dispatch::Assigned;
use super::events::EventInserts;
use super::positions::{InFlight, Known, StreamKey};
use super::status::StatusHandle;
use super::worker::Worker;
use super::writer::Writer;
use super::{LoadedRules, PipelineConfig, PipelineError, QUEUE_BATCHES, RulesHandle};
use crate::matches::MatchDelivery;
use crate::store::{DeadLetterRow, Store, StoreError};

/// Positions that are asked for at once: they travel in the address of a request.
const POSITIONS_AT_ONCE: usize = 500;

/// How a dead letter stands before its replay.
#[derive(Debug)]
pub enum Standing {
    /// These records of it can be replayed.
    Ready(RecordBatch),
    /// All of it is stored.
    Stored,
    /// Nothing behind it in its stream is stored yet.
    Waits,
    /// It is a frame that still cannot be unpacked.
    Undecodable,
    /// It stands for messages whose bytes never came out of Kafka.
    Unreadable,
    /// Nobody vouches for it, for this reason.
    Refused(String),
}

/// How each of the letters stands, in their order. What was refused is judged at `door` once more: by the authority's files as
/// they are now.
///
/// # Errors
/// See [`StoreError`].
pub async fn standings(
    store: &Store,
    letters: &[DeadLetterRow],
    door: &Door,
) -> Result<Vec<Standing>, StoreError> {
    let batches: Vec<Result<RecordBatch, Standing>> = letters
        .iter()
        .map(|letter| records_of(letter, door))
        .collect();
    let stored = Stored::look_up(store, batches.iter().flatten()).await?;
    let mut highest: HashMap<StreamKey, Option<u64>> = HashMap::new();
    let mut standings = Vec::with_capacity(letters.len());
    for batch in batches {
        let batch = match batch {
            Ok(batch) => batch,
            Err(standing) => {
                standings.push(standing);
                continue;
            }
        };
        let missing = stored.missing_of(&batch);
        let Some(last) = missing.last_position() else {
            standings.push(Standing::Stored);
            continue;
        };
        let key = StreamKey::of(&batch.origin);
        let highest = match highest.get(&key) {
            Some(highest) => *highest,
            None => {
                let found = store.highest_position(&key.agent, &key.stream).await?;
                highest.insert(key, found);
                found
            }
        };
        standings.push(if highest.is_some_and(|highest| last < highest) {
            Standing::Ready(missing)
        } else {
            Standing::Waits
        });
    }
    Ok(standings)
}

/// The records of a letter, or why there are none: bytes that never came, a frame that cannot be unpacked or that nobody vouches for. What was
/// refused at the door does not come in through the window.
fn records_of(letter: &DeadLetterRow, door: &Door) -> Result<RecordBatch, Standing> {
    if letter.kind == "unreadable" {
        return Err(Standing::Unreadable);
    }
    let unsigned = if letter.kind == "refused" {
        Unsigned::Refused
    } else if letter.format == frame::UNDECODABLE {
        Unsigned::Taken
    } else {
        return Ok(letter.to_batch());
    };
    door.open(&letter.raw, unsigned)
        .map_err(|refused| match refused {
            Refused::Frame(_) => Standing::Undecodable,
            Refused::Identity(refusal) => Standing::Refused(refusal.to_string()),
        })
}

/// Which records the store has events of.
struct Stored(HashMap<StreamKey, HashSet<u64>>);

impl Stored {
    async fn look_up(
        store: &Store,
        batches: impl Iterator<Item = &RecordBatch>,
    ) -> Result<Self, StoreError> {
        let mut asked: HashMap<StreamKey, Vec<(u64, Timestamp)>> = HashMap::new();
        for batch in batches {
            let records = batch
                .iter()
                .map(|record| (record.position, record.received_at));
            asked
                .entry(StreamKey::of(&batch.origin))
                .or_default()
                .extend(records);
        }
        let mut stored: HashMap<StreamKey, HashSet<u64>> = HashMap::new();
        for (key, records) in asked {
            let mut found = HashSet::new();
            for records in records.chunks(POSITIONS_AT_ONCE) {
                let positions: Vec<u64> = records.iter().map(|(position, _)| *position).collect();
                let times = || records.iter().map(|(_, received_at)| *received_at);
                if let (Some(first), Some(last)) = (times().min(), times().max()) {
                    let (agent, stream) = (key.agent.as_str(), key.stream.as_str());
                    let range = (first, last);
                    found.extend(
                        store
                            .stored_positions(agent, stream, &positions, range)
                            .await?,
                    );
                }
            }
            stored.insert(key, found);
        }
        Ok(Self(stored))
    }

    fn missing_of(&self, batch: &RecordBatch) -> RecordBatch {
        let stored = self.0.get(&StreamKey::of(&batch.origin));
        let mut missing = RecordBatch::new(Arc::clone(&batch.origin));
        let is_stored = |position| stored.is_some_and(|stored| stored.contains(&position));
        for record in batch.iter().filter(|record| !is_stored(record.position)) {
            missing.push(
                record.raw,
                record.position,
                record.received_at,
                record.truncated,
            );
        }
        missing
    }
}

/// What a replay works with: see [`super::PipelineParts`].
#[derive(Debug)]
pub struct ReplayParts {
    /// Where events and matches go.
    pub store: Store,
    /// The rules.
    pub rules: Arc<LoadedRules>,
    /// The site's own text formats.
    pub definitions: Definitions,
    /// Where matches that raise alerts go.
    pub alerts: mpsc::Sender<MatchDelivery>,
}

/// A pipeline for dead letters.
#[derive(Debug)]
pub struct Replay {
    work: mpsc::Sender<Assigned>,
    answers: mpsc::UnboundedReceiver<Acknowledged>,
    receipts: mpsc::UnboundedSender<Acknowledged>,
    writer: JoinHandle<()>,
}

impl Replay {
    /// Starts it.
    ///
    /// # Errors
    /// When its thread cannot be started, or the configuration names an unknown time zone.
    pub fn start(config: &PipelineConfig, parts: ReplayParts) -> Result<Self, PipelineError> {
        let status = StatusHandle::default();
        let rules = RulesHandle::new(parts.rules);
        let (work, assigned) = mpsc::channel(QUEUE_BATCHES);
        let (processed, results) = mpsc::channel(QUEUE_BATCHES);
        let worker = Worker::new(
            &config.parse_context()?,
            rules.subscribe(),
            watch::channel(parts.definitions).1,
            status.clone(),
        );
        std::thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || worker.run(assigned, &processed))
            .map_err(PipelineError::Thread)?;
        let inserts =
            EventInserts::new(parts.store, None, status.clone(), CancellationToken::new());
        let writer = Writer::new(
            config,
            inserts,
            Correlation::new(rules.subscribe(), config),
            parts.alerts,
            status,
        );
        let (receipts, answers) = mpsc::unbounded_channel();
        Ok(Self {
            work,
            answers,
            receipts,
            writer: tokio::spawn(writer.run(results)),
        })
    }

    /// Sends records through and waits until what became of them is stored: events, or dead letters
    /// again. `false` when the pipeline ended before.
    pub async fn pass(&mut self, batches: Vec<RecordBatch>) -> bool {
        let count = batches.len();
        for (sequence, batch) in (0u64..).zip(batches) {
            let known = Known {
                position: None,
                lane: 0,
                matches_ahead: Arc::default(),
                in_flight: InFlight::default(),
            };
            let receipt = Receipt::new(0, sequence, self.receipts.clone());
            let delivery = Delivery {
                batch,
                receipt,
                left_behind: None,
            };
            if self.work.send(Assigned { delivery, known }).await.is_err() {
                return false;
            }
        }
        for _ in 0..count {
            tokio::select! {
                answer = self.answers.recv() => if answer.is_none() { return false },
                () = self.work.closed() => return false,
            }
        }
        true
    }

    /// Ends it once everything is stored.
    pub async fn ended(self) {
        drop(self.work);
        if let Err(error) = self.writer.await {
            tracing::error!(%error, "the replay's writer failed");
        }
    }
}
