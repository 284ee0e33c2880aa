//! Gaps: batches that cannot be unpacked are passed over, each with a dead letter that names what is missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::{ClientConfig, Offset};
use tokio_util::sync::CancellationToken;

use super::messages::agent_of;
use super::{Over, Partition, Poller};
use crate::clock;
use crate::frame;
use crate::kafka::lanes::position_of;
use crate::kafka::probe::{Place, Probe, UnreadableBatch};

/// Wait before it is looked again where nothing was found.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long librdkafka may take to go to another place.
const SEEK_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of batches that cannot be unpacked.
pub(super) struct Gaps {
    /// How the consumer was configured.
    reader: ClientConfig,
    /// Whether Kafka told of one since it was last looked.
    are_told: bool,
    search: Option<Receiver<Vec<UnreadableBatch>>>,
    not_before: Instant,
    cancelled: CancellationToken,
}

impl Gaps {
    pub(super) fn new(reader: ClientConfig, cancelled: CancellationToken) -> Self {
        Self {
            reader,
            are_told: false,
            search: None,
            not_before: Instant::now(),
            cancelled,
        }
    }

    /// Kafka tells that some batch cannot be unpacked.
    pub(super) fn told(&mut self) {
        self.are_told = true;
    }

    fn is_due(&self) -> bool {
        self.are_told && self.search.is_none() && Instant::now() >= self.not_before
    }

    /// Looks at these partitions, on a thread of its own: it takes seconds.
    fn search(&mut self, places: Vec<Place>) {
        self.are_told = false;
        let (found, search) = mpsc::channel();
        let (reader, cancelled) = (self.reader.clone(), self.cancelled.clone());
        let looks = move || {
            // Who asked may have ended.
            let _ = found.send(look_at(&reader, &places, &cancelled));
        };
        let started = thread::Builder::new()
            .name("kafka-probe".into())
            .spawn(looks);
        match started {
            Ok(_) => self.search = Some(search),
            Err(error) => {
                tracing::warn!(%error, "no thread can be started that looks for a batch that cannot be read");
                self.not_before = Instant::now() + AGAIN_AFTER;
            }
        }
    }

    /// What was found, once.
    fn found(&mut self) -> Vec<UnreadableBatch> {
        let found = match self.search.as_ref().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => return Vec::new(),
            Some(Ok(found)) => found,
            Some(Err(TryRecvError::Disconnected)) => Vec::new(),
        };
        self.search = None;
        if found.is_empty() {
            self.not_before = Instant::now() + AGAIN_AFTER;
        }
        found
    }
}

fn look_at(
    reader: &ClientConfig,
    places: &[Place],
    cancelled: &CancellationToken,
) -> Vec<UnreadableBatch> {
    let probe = match Probe::new(reader, cancelled.clone()) {
        Ok(probe) => probe,
        Err(error) => {
            tracing::warn!(%error, "a batch that cannot be read is not found");
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for place in places {
        match probe.unreadable_at(place) {
            Ok(batch) => found.extend(batch),
            Err(error) => {
                let (topic, partition) = &place.partition;
                tracing::debug!(%topic, partition, error, "it is not told whether a batch cannot be read");
            }
        }
        if cancelled.is_cancelled() {
            break;
        }
    }
    found
}

impl Poller {
    /// Looks for what Kafka told of, and passes over what was found. Nothing that came before may be waiting.
    pub(super) fn pass_over_gaps(&mut self, shutdown: &CancellationToken) -> Result<(), Over> {
        if self.gaps.is_due() {
            let places = self.places();
            self.gaps.search(places);
        }
        let found = self.gaps.found();
        found
            .iter()
            .try_for_each(|batch| self.pass_over(batch, shutdown))
    }

    /// Where the assigned partitions stand.
    fn places(&self) -> Vec<Place> {
        let Ok(assignment) = self.consumer.assignment() else {
            return Vec::new();
        };
        let place = |partition: Partition| Place {
            offset: self.makings.came_until(&partition),
            partition,
        };
        let elements = assignment.elements();
        let names = elements
            .iter()
            .map(|element| (element.topic().into(), element.partition()));
        names.map(place).collect()
    }

    fn pass_over(
        &mut self,
        batch: &UnreadableBatch,
        shutdown: &CancellationToken,
    ) -> Result<(), Over> {
        let partition: &Partition = &batch.place.partition;
        let UnreadableBatch { first, next, .. } = *batch;
        let is_there = self.places().contains(&batch.place);
        if !is_there || self.arrived(partition, first).is_err() {
            // The partition went, or the brokers are away. If the batch is still there, Kafka tells of it again.
            return Ok(());
        }
        self.deliver_collected(partition, shutdown)?;
        if self.makings.came_until(partition) != Some(first + 1) {
            // It went meanwhile. If it is here again, it is read again from what is committed.
            return Ok(());
        }
        let (topic, number) = partition;
        let goes_on = Offset::Offset(next);
        if let Err(error) = self.consumer.seek(topic, *number, goes_on, SEEK_PATIENCE) {
            tracing::debug!(%error, %topic, partition = number, "a batch that cannot be read is not passed over yet");
            self.makings.gone(std::slice::from_ref(partition));
            return Ok(());
        }
        if next - 1 > first {
            // It never asks the brokers: offsets grow.
            let _ = self.arrived(partition, next - 1);
        }
        let messages = position_of(next - first);
        let (counts, reason) = (&self.counts, &batch.reason);
        counts.unreadable.fetch_add(messages, Ordering::Relaxed);
        metrics::counter!("citywatch_kafka_unreadable_batches_total").increment(1);
        metrics::counter!("citywatch_kafka_unreadable_messages_total").increment(messages);
        tracing::warn!(reason, "a batch is passed over, a dead letter tells of it");
        let place = frame::Place {
            unit: self.unit_of(topic),
            agent: &agent_of(topic),
            stream: &self.makings.stream(&(Arc::clone(topic), *number)),
            position: position_of(first),
        };
        let letter = frame::unreadable(place, clock::now(), reason);
        self.deliver(partition, Some(letter), next, shutdown)
    }
}
