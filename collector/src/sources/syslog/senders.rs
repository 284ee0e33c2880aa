//! The senders of a listener: a stream and a batch for each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch};

use super::SyslogConfig;
use crate::clock;

/// Beyond this many senders the rest share one stream: addresses can be forged.
const SENDERS_MAX: usize = 10_000;

/// What a listener has received and not sent yet.
pub(super) struct Senders {
    config: SyslogConfig,
    agent: String,
    unit: String,
    /// Streams' names begin with it: protocol, address and time of the start.
    prefix: String,
    by_address: HashMap<Option<IpAddr>, Sender>,
    pending_bytes: usize,
}

struct Sender {
    origin: Arc<Origin>,
    next_position: u64,
    batch: RecordBatch,
}

impl Senders {
    pub(super) fn new(config: SyslogConfig, agent: &str, unit: &str, protocol: &str) -> Self {
        let prefix = format!(
            "syslog+{protocol}://{}#{:x}",
            config.listen,
            clock::now().as_micros()
        );
        Self {
            config,
            agent: agent.into(),
            unit: unit.into(),
            prefix,
            by_address: HashMap::new(),
            pending_bytes: 0,
        }
    }

    pub(super) fn push(&mut self, sender: IpAddr, raw: &[u8], truncated: Truncated) {
        let sender = sender.to_canonical();
        let known =
            self.by_address.len() < SENDERS_MAX || self.by_address.contains_key(&Some(sender));
        let key = known.then_some(sender);
        if !self.by_address.contains_key(&key) {
            let origin = Arc::new(self.origin(key));
            let batch = RecordBatch::new(Arc::clone(&origin));
            self.by_address.insert(
                key,
                Sender {
                    origin,
                    next_position: 0,
                    batch,
                },
            );
        }
        let Some(sender) = self.by_address.get_mut(&key) else {
            return;
        };
        sender
            .batch
            .push(raw, sender.next_position, clock::now(), truncated);
        sender.next_position += 1;
        self.pending_bytes += raw.len() + 64;
    }

    pub(super) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Takes everything that was received.
    pub(super) fn take(&mut self) -> Vec<RecordBatch> {
        self.pending_bytes = 0;
        let waiting = self
            .by_address
            .values_mut()
            .filter(|sender| !sender.batch.is_empty());
        waiting
            .map(|sender| {
                std::mem::replace(
                    &mut sender.batch,
                    RecordBatch::new(Arc::clone(&sender.origin)),
                )
            })
            .collect()
    }

    fn origin(&self, sender: Option<IpAddr>) -> Origin {
        let address = sender.map(|sender| sender.to_string());
        let unit = sender.map_or(self.config.unit.as_deref(), |sender| {
            self.config.unit_of(sender)
        });
        Origin {
            unit: unit.unwrap_or(&self.unit).into(),
            agent: self.agent.as_str().into(),
            stream: format!("{}/{}", self.prefix, address.as_deref().unwrap_or("others"))
                .as_str()
                .into(),
            host: address.map(Arc::from),
            format: self.config.format.as_str().into(),
            ..Origin::default()
        }
    }
}
