//! A message becomes part of a batch: of its own if our agent packed it, else of its partition's; or a dead letter.

use std::sync::atomic::Ordering;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Message, OwnedMessage};
use tokio_util::sync::CancellationToken;

use super::messages::{agent_of, header, is_packed, log_source, received_at};
use super::{Over, Partition, Poller};
use crate::clock;
use crate::frame;
use crate::heartbeat::HEARTBEAT;
use crate::identity::{Refusal, Refused, Unsigned};
use crate::kafka::HEADER_FORMAT;
use crate::kafka::lanes::{Collected, position_of};

/// A longer message is cut: no batch of ours is as long, nor does a topic take it uncompressed by default.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// What is kept of it.
const CUT_BYTES: usize = 1 << 20;
/// Header that marks it on its way through this program.
const HEADER_CUT: &str = "citywatch-cut";

impl Poller {
    pub(super) fn take(
        &mut self,
        message: &OwnedMessage,
        partition: &Partition,
        shutdown: &CancellationToken,
    ) -> Result<(), Over> {
        let Some(payload) = message.payload() else {
            // A tombstone: nothing to store, so it is answered as soon as it is read.
            return self.deliver(partition, None, message.offset() + 1, shutdown);
        };
        let unsigned = self.unsigned(message.topic());
        let packed = is_packed(message, payload);
        if packed || unsigned == Unsigned::Refused {
            self.deliver_collected(partition, shutdown)?;
            let opened = if packed {
                self.door.open(payload, unsigned)
            } else {
                self.door.refuse(Refusal::Unsigned)
            };
            let batch = opened.unwrap_or_else(|refused| self.dead(message, payload, &refused));
            return self.deliver(partition, Some(batch), message.offset() + 1, shutdown);
        }
        let origin = self.foreign_origin(message, partition);
        let received_at = received_at(message);
        let truncated = match header(message, HEADER_CUT) {
            Some(_) => Truncated::Yes,
            None => Truncated::No,
        };
        let (before, full) = {
            let mut shared = self.consumer.context().lock();
            let Some(lane) = shared.lanes.lane(partition) else {
                return Ok(());
            };
            (
                lane.collect(origin, payload, message.offset(), received_at, truncated),
                lane.take_full(),
            )
        };
        for Collected {
            batch, next_offset, ..
        } in before.into_iter().chain(full)
        {
            self.deliver(partition, Some(batch), next_offset, shutdown)?;
        }
        Ok(())
    }

    fn unsigned(&self, topic: &str) -> Unsigned {
        match self.topics.get(topic) {
            Some(topic) if topic.require_signed => Unsigned::Refused,
            _ => Unsigned::Taken,
        }
    }

    /// The message without what lies beyond every bound: Kafka bounds what is sent, not what a producer's compression
    /// unpacks to, and each further copy of it would cost as much again.
    pub(super) fn detached(&self, message: &BorrowedMessage<'_>) -> OwnedMessage {
        let bytes = message.payload_len();
        if bytes <= MESSAGE_BYTES_MAX {
            return message.detach();
        }
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        metrics::counter!("citywatch_kafka_messages_cut_total").increment(1);
        tracing::warn!(
            topic,
            partition,
            offset,
            bytes,
            "a message is far too long, its beginning is kept"
        );
        let cut = Header {
            key: HEADER_CUT,
            value: Some(b"1"),
        };
        let headers = message.headers().map(BorrowedHeaders::detach);
        OwnedMessage::new(
            message
                .payload()
                .map(|payload| payload[..CUT_BYTES].to_vec()),
            message.key().map(<[u8]>::to_vec),
            topic.to_owned(),
            message.timestamp(),
            partition,
            offset,
            Some(headers.unwrap_or_default().insert(cut)),
        )
    }

    /// The office that the topic's settings name.
    pub(super) fn unit_of(&self, topic: &str) -> &str {
        self.topics.get(topic).map_or("", |topic| &topic.unit)
    }

    /// What cannot be taken, on its way to the dead letters.
    fn dead(&self, message: &OwnedMessage, payload: &[u8], refused: &Refused) -> RecordBatch {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::warn!(%refused, topic, partition, offset, "a message cannot be taken, it goes to the dead letters");
        let place = frame::Place {
            unit: self.unit_of(topic),
            agent: &agent_of(topic),
            stream: &self.makings.stream(&(topic.into(), partition)),
            position: position_of(offset),
        };
        let now = clock::now();
        match refused {
            Refused::Frame(_) => {
                self.counts.undecodable.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("citywatch_undecodable_frames_total").increment(1);
                frame::undecodable(place, payload, now)
            }
            Refused::Identity(refusal) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                frame::refused(place, payload, now, &refusal.to_string())
            }
        }
    }

    fn foreign_origin(&self, message: &OwnedMessage, partition: &Partition) -> Origin {
        let topic = self.topics.get(message.topic());
        let named =
            header(message, HEADER_FORMAT).and_then(|format| std::str::from_utf8(format).ok());
        // A name that only the transport may give.
        let format = named
            .filter(|format| !frame::is_transports_own(format) && *format != HEARTBEAT)
            .unwrap_or_else(|| topic.map_or("auto", |topic| &topic.format));
        let by_address = topic.and_then(|topic| {
            topic
                .units
                .unit_of(message.key(), message.payload().unwrap_or_default())
        });
        let unit = by_address.unwrap_or_else(|| self.unit_of(message.topic()));
        Origin {
            unit: unit.into(),
            agent: agent_of(message.topic()).as_str().into(),
            stream: (&*self.makings.stream(partition)).into(),
            format: format.into(),
            log_source: log_source(message),
            ..Origin::default()
        }
    }
}
