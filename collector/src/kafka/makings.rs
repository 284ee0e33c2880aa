//! Which making of its topic a message is of: a topic that was deleted and made anew begins at offset zero again, and
//! its records are others than those that were stored under the same offsets.
//!
//! The stream of a foreign record is its partition with the topic's id, `0@5rGJ...`. The id is asked for when a
//! partition comes here, and when its offsets go back: between two messages whose offsets grow no topic was made.
//!
//! Offsets of the same making that go back are of messages that came before: librdkafka goes back to a partition's beginning
//! when it loses its way in a damaged batch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};

use super::lanes::Partition;
use super::topic_ids::topic_id;

/// How long the brokers are asked before polling goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// The makings of all partitions that were read.
#[derive(Debug, Default)]
pub(super) struct Makings(HashMap<Partition, Making>);

#[derive(Debug)]
struct Making {
    stream: Arc<str>,
    /// The first offset that its next message may have; none after the partition went away.
    next_offset: Option<i64>,
    /// What lies before this offset came already since the partition came here.
    came_until: i64,
}

/// Whether a message is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// It came before, since its partition came here.
    Again,
}

/// The brokers did not tell.
#[derive(Debug)]
pub(super) struct Untold;

impl Makings {
    /// Looks at each message as it comes.
    ///
    /// # Errors
    /// [`Untold`]: the message is to be looked at again later.
    pub(super) fn arrived<C: ClientContext>(
        &mut self,
        client: &Client<C>,
        partition: &Partition,
        offset: i64,
    ) -> Result<Arrival, Untold> {
        if let Some(making) = self.0.get_mut(partition)
            && making.next_offset.is_some_and(|next| offset >= next)
        {
            return Ok(making.arrived(offset));
        }
        let id = topic_id(client, &partition.0, PATIENCE).map_err(|error| {
            tracing::debug!(error, topic = %partition.0, "the topic's id is not told, trying again");
            Untold
        })?;
        Ok(self.learned(partition, offset, id.as_deref()))
    }

    fn learned(
        &mut self,
        (topic, partition): &Partition,
        offset: i64,
        id: Option<&str>,
    ) -> Arrival {
        let stream: Arc<str> = match id {
            Some(id) => format!("{partition}@{id}").into(),
            // Brokers before Kafka 2.8: a topic that is made anew cannot be told from the old one.
            None => partition.to_string().into(),
        };
        let place = (Arc::clone(topic), *partition);
        if id.is_some()
            && let Some(making) = self.0.get_mut(&place)
            && making.stream == stream
            && making.next_offset.is_some()
        {
            return making.arrived(offset);
        }
        let making = Making {
            stream: Arc::clone(&stream),
            next_offset: Some(offset + 1),
            came_until: offset + 1,
        };
        let before = self.0.insert(place, making);
        if before.is_some_and(|before| before.stream != stream) {
            metrics::counter!("citywatch_kafka_partitions_made_anew_total").increment(1);
            tracing::warn!(%topic, partition, offset, "the topic was deleted and made anew: it is read from its beginning");
        }
        Arrival::New
    }

    /// The first offset of a partition that has not come since the partition came here; none if nothing has.
    pub(super) fn came_until(&self, partition: &Partition) -> Option<i64> {
        let making = self.0.get(partition)?;
        making.next_offset.map(|_| making.came_until)
    }

    /// The stream of a partition's messages: of the one that arrived last.
    pub(super) fn stream(&self, partition: &Partition) -> Arc<str> {
        let known = self.0.get(partition);
        known.map_or_else(
            || partition.1.to_string().into(),
            |making| Arc::clone(&making.stream),
        )
    }

    /// Notes that partitions went away: when they come back, their topics may be others.
    pub(super) fn gone(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(making) = self.0.get_mut(partition) {
                making.next_offset = None;
            }
        }
    }
}

impl Making {
    fn arrived(&mut self, offset: i64) -> Arrival {
        self.next_offset = Some(offset + 1);
        if offset < self.came_until {
            return Arrival::Again;
        }
        self.came_until = offset + 1;
        Arrival::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_making_has_a_stream_of_its_own() {
        let mut makings = Makings::default();
        let partition: Partition = ("t".into(), 3);
        assert_eq!(&*makings.stream(&partition), "3");
        makings.learned(&partition, 41, Some("first"));
        assert_eq!(&*makings.stream(&partition), "3@first");
        makings.gone(std::slice::from_ref(&partition));
        assert_eq!(&*makings.stream(&partition), "3@first");
        makings.learned(&partition, 0, Some("second"));
        assert_eq!(&*makings.stream(&partition), "3@second");
        makings.learned(&partition, 0, None);
        assert_eq!(&*makings.stream(&partition), "3");
    }

    #[test]
    fn what_came_before_is_told_while_the_partition_stays() {
        let mut makings = Makings::default();
        let partition: Partition = ("t".into(), 0);
        assert_eq!(makings.came_until(&partition), None);
        for offset in [5, 6] {
            assert_eq!(makings.learned(&partition, offset, Some("a")), Arrival::New);
        }
        for offset in [0, 5, 6] {
            assert_eq!(
                makings.learned(&partition, offset, Some("a")),
                Arrival::Again
            );
        }
        assert_eq!(makings.came_until(&partition), Some(7));
        assert_eq!(makings.learned(&partition, 7, Some("a")), Arrival::New);
        // Made anew, or here again: whoever had it meanwhile may not have stored it.
        assert_eq!(makings.learned(&partition, 0, Some("b")), Arrival::New);
        makings.gone(std::slice::from_ref(&partition));
        assert_eq!(makings.came_until(&partition), None);
        assert_eq!(makings.learned(&partition, 0, Some("b")), Arrival::New);
        // Without ids a topic that was made anew cannot be told from this.
        assert_eq!(makings.learned(&partition, 0, None), Arrival::New);
        assert_eq!(makings.learned(&partition, 0, None), Arrival::New);
    }
}
