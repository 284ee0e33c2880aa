//! The senders of a listener: a stream and a batch for each, and the office by the sender's network.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch};

use crate::clock;

/// Beyond this many senders the rest share one stream: addresses can be forged.
const SENDERS_MAX: usize = 10_000;

/// A batch takes no more than this before the next begins, but for its last record.
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCH_RECORDS_MAX: usize = 4096;

/// What a listener knows of all its senders.
#[derive(Clone, Debug)]
pub(crate) struct SenderSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) format: String,
    pub(crate) unit: Option<String>,
    pub(crate) units: BTreeMap<String, String>,
}

impl SenderSettings {
    /// The office of a sender, if this configuration names it.
    pub(crate) fn unit_of(&self, sender: IpAddr) -> Option<&str> {
        let networks = self
            .units
            .iter()
            .filter_map(|(network, unit)| Some((parse_network(network)?, unit)));
        let holding = networks.filter(|((address, bits), _)| holds(*address, *bits, sender));
        let narrowest = holding
            .max_by_key(|((_, bits), _)| *bits)
            .map(|(_, unit)| unit.as_str());
        narrowest.or(self.unit.as_deref())
    }
}

/// What makes no sense in a table of networks, one sentence each.
pub(crate) fn network_problems(units: &BTreeMap<String, String>) -> Vec<String> {
    let unknown = units
        .keys()
        .filter(|network| parse_network(network).is_none());
    let problem = |network: &String| {
        format!("units: `{network}` is not a network; write it as `10.7.0.0/16`")
    };
    unknown.map(problem).collect()
}

/// What a listener has received and not sent yet.
pub(crate) struct Senders {
    config: SenderSettings,
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
    full: Vec<RecordBatch>,
}

impl Sender {
    fn take_batch(&mut self) -> RecordBatch {
        let next = RecordBatch::new(Arc::clone(&self.origin));
        std::mem::replace(&mut self.batch, next)
    }
}

impl Senders {
    pub(crate) fn new(config: SenderSettings, agent: &str, unit: &str, scheme: &str) -> Self {
        let prefix = format!(
            "{scheme}://{}#{:x}",
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

    pub(crate) fn push(&mut self, sender: IpAddr, raw: &[u8], truncated: Truncated) {
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
                    full: Vec::new(),
                },
            );
        }
        let Some(sender) = self.by_address.get_mut(&key) else {
            return;
        };
        let is_full =
            sender.batch.bytes() >= BATCH_BYTES_MAX || sender.batch.len() >= BATCH_RECORDS_MAX;
        if is_full {
            let full = sender.take_batch();
            sender.full.push(full);
        }
        sender
            .batch
            .push(raw, sender.next_position, clock::now(), truncated);
        sender.next_position += 1;
        self.pending_bytes += raw.len() + 64;
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Takes everything that was received.
    pub(crate) fn take(&mut self) -> Vec<RecordBatch> {
        self.pending_bytes = 0;
        let mut taken = Vec::new();
        for sender in self.by_address.values_mut() {
            taken.append(&mut sender.full);
            if !sender.batch.is_empty() {
                taken.push(sender.take_batch());
            }
        }
        taken
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

/// An address as 128 bits; IPv4 is mapped, so that one comparison does for both.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A network's address and how many of its 128 bits count.
fn parse_network(text: &str) -> Option<(u128, u32)> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?);
    let (above, most) = if address.is_ipv4() {
        (96, 32)
    } else {
        (0, 128)
    };
    (length <= most).then(|| (bits_of(address), above + length))
}

fn holds(network: u128, bits: u32, sender: IpAddr) -> bool {
    (network ^ bits_of(sender)).leading_zeros() >= bits
}
