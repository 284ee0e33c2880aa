//! Where an agent's batches go: the spool or Kafka.

use citywatch_parsers::RecordBatch;

use crate::frame::{self, FrameError};
use crate::kafka::{self, ProduceError};
use crate::spool::{self, SpoolError, SpoolMonitor, SpoolWriter};
use crate::status::SinkStatus;
use crate::uplink::{self, Uplink, UplinkError};

/// Takes batches and tells when they are durable.
#[derive(Clone, Debug)]
pub enum Sink {
    /// The durable queue on this machine's disk.
    Spool(SpoolWriter),
    /// A Kafka topic.
    Kafka(kafka::Producer),
    /// An engine's HTTPS intake.
    Https(Uplink),
}

/// Why a batch did not become durable. Batches of the same stream that were submitted after it are
/// not durable either: their sender starts again from the first that failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The spool's fault.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Kafka's fault.
    #[error(transparent)]
    Kafka(#[from] ProduceError),
    /// The intake's, or the way's to it.
    #[error(transparent)]
    Https(#[from] UplinkError),
    /// Nothing was sent.
    #[error("the batch could not be handed on")]
    Ended,
    /// The batch cannot be packed.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Answers once for a batch: when it is durable, or that it will not be.
#[derive(Debug)]
pub enum SinkTicket {
    /// From the spool.
    Spool(spool::Ticket),
    /// From Kafka.
    Kafka(kafka::Ticket),
    /// From the intake.
    Https(uplink::Ticket),
}

impl SinkError {
    /// The most bytes that a message may have, if this one had more.
    pub(crate) fn message_bytes_max(&self) -> Option<usize> {
        match self {
            Self::Kafka(ProduceError::TooLarge { bytes_max, .. }) => Some(*bytes_max),
            _ => None,
        }
    }
}

impl Sink {
    /// Takes a batch over. Batches become durable in the order of submission.
    ///
    /// # Errors
    /// When the batch cannot be taken at all.
    pub async fn submit(&self, batch: &RecordBatch) -> Result<SinkTicket, SinkError> {
        match self {
            Self::Spool(writer) => Ok(SinkTicket::Spool(
                writer.submit(frame::encode(batch)?).await?,
            )),
            Self::Kafka(producer) => Ok(SinkTicket::Kafka(producer.submit(batch).await?)),
            Self::Https(uplink) => Ok(SinkTicket::Https(uplink.submit(batch).await?)),
        }
    }

    /// Takes the bytes of a batch that another agent packed and sealed.
    ///
    /// # Errors
    /// As [`Self::submit`]; a message that is too large is not divided, because that would break its seal.
    pub(crate) async fn submit_sealed(
        &self,
        batch: &RecordBatch,
        bytes: Vec<u8>,
    ) -> Result<SinkTicket, SinkError> {
        match self {
            Self::Spool(writer) => Ok(SinkTicket::Spool(writer.submit(bytes).await?)),
            Self::Kafka(producer) => Ok(SinkTicket::Kafka(
                producer.submit_sealed(batch, bytes).await?,
            )),
            Self::Https(uplink) => Ok(SinkTicket::Https(uplink.submit_sealed(bytes).await?)),
        }
    }

    /// How it stands, asked again at any time.
    pub fn monitor(&self) -> SinkMonitor {
        match self {
            Self::Spool(writer) => SinkMonitor::Spool(writer.monitor()),
            Self::Kafka(producer) => SinkMonitor::Kafka(producer.monitor()),
            Self::Https(uplink) => SinkMonitor::Https(uplink.monitor()),
        }
    }
}

/// Tells how a sink stands, without keeping it open.
#[derive(Clone, Debug)]
pub enum SinkMonitor {
    /// Of the spool.
    Spool(SpoolMonitor),
    /// Of Kafka.
    Kafka(kafka::ProducerMonitor),
    /// Of the uplink.
    Https(uplink::UplinkMonitor),
}

impl SinkMonitor {
    /// How the sink stands now.
    pub fn status(&self) -> SinkStatus {
        match self {
            Self::Spool(monitor) => SinkStatus::Spool(monitor.status()),
            Self::Kafka(monitor) => SinkStatus::Kafka(monitor.status()),
            Self::Https(monitor) => SinkStatus::Https(monitor.status()),
        }
    }
}

impl SinkTicket {
    /// Waits for the answer. May be called again if it was not waited out.
    ///
    /// # Errors
    /// When the batch is not durable and will not be.
    pub async fn settled(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Spool(ticket) => ticket
                .await
                .unwrap_or(Err(SpoolError::Closed))
                .map(drop)
                .map_err(SinkError::from),
            Self::Kafka(ticket) => ticket.settled().await.map_err(SinkError::from),
            Self::Https(ticket) => ticket.settled().await.map_err(SinkError::from),
        }
    }
}
