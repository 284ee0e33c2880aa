//! Kafka: what agents send to and engines read from, through librdkafka.
//!
//! Invariants:
//! - A producer lets nothing pass after a failure: with idempotence and the gapless guarantee a
//!   stream in a topic has repetitions at worst, never holes.
//! - A consumer's committed offset lies behind the longest acknowledged prefix of each partition.
//! - What arrives is hostile: a message that cannot be read becomes a dead letter, never an end.

mod connection;
mod consumer;
mod lanes;
mod makings;
mod probe;
mod producer;
mod senders;
mod topic_ids;
mod unpacking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

pub use connection::{Connection, ConnectionState};
pub use consumer::{ConsumeError, Consumer, ConsumerMonitor, ConsumerStatus, ConsumerTask};
pub(crate) use producer::pack;
pub use producer::{ProduceError, Producer, ProducerMonitor, ProducerStatus, Ticket};

/// Message header: how the payload is packed; see [`crate::frame::FRAMING_PACKED`].
pub(crate) const HEADER_FRAMING: &str = "framing";
/// Message header: the agent.
pub(crate) const HEADER_AGENT: &str = "agent";
/// Message header: the agent's stream.
pub(crate) const HEADER_STREAM: &str = "stream";
/// Message header: the records' format.
pub(crate) const HEADER_FORMAT: &str = "format";
/// What a producer says of its records' log source: product, category and service.
pub(crate) const HEADERS_LOG_SOURCE: [&str; 3] = ["product", "category", "service"];

/// Where an agent sends its batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProducerConfig {
    /// `host:port`, several joined by commas.
    pub brokers: String,
    /// The topic.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// Largest message in bytes; the topic's `max.message.bytes` must allow it.
    #[serde(default = "default_message_bytes_max")]
    pub message_bytes_max: usize,
    /// Certificates for mutual TLS; without them the connection is plain.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Further librdkafka properties, by name.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Where an engine reads from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerConfig {
    /// `host:port`, several joined by commas.
    pub brokers: String,
    /// Topics with the settings of each.
    #[serde(default = "default_topics")]
    pub topics: BTreeMap<String, TopicConfig>,
    /// The engines' consumer group: they share the partitions.
    #[serde(default = "default_group")]
    pub group: String,
    /// Certificates for mutual TLS; without them the connection is plain.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Further librdkafka properties, by name.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// What is known of messages that other agents wrote to a topic, one record each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicConfig {
    /// The office they come from.
    pub unit: String,
    /// Their format, unless the message's header `format` names it.
    pub format: String,
    /// Whether only batches signed by our agents are taken; everything else becomes a dead letter.
    pub require_signed: bool,
    /// Time zone of times that name none (IANA name); without it, the engine's.
    pub time_zone: Option<String>,
    /// Offices of devices that send through a relay, by their address: `"10.20.7.0/24" = "ward-7"`. The narrowest
    /// range decides; who is of none is of `unit`.
    pub units_by_address: BTreeMap<String, String>,
    /// The member of JSON messages that holds the device's address. Without it: `fromhost-ip`, `source_ip`, `SOURCEIP`,
    /// `MessageSourceAddress`, the message's key, or the host in a syslog header.
    pub address_field: Option<String>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            unit: "local".into(),
            format: "auto".into(),
            require_signed: false,
            time_zone: None,
            units_by_address: BTreeMap::new(),
            address_field: None,
        }
    }
}

/// Files for mutual TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The authority that signed the brokers' certificates.
    pub ca: PathBuf,
    /// This side's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ProducerConfig {
    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = connection_problems(&self.brokers, self.tls.as_ref());
        if self.topic.is_empty() {
            problems.push("topic: empty; name the topic to send to".into());
        }
        if !(16 << 10..=64 << 20).contains(&self.message_bytes_max) {
            problems.push(format!(
                "message_bytes_max: {} is out of range; choose 16384 to 67108864",
                self.message_bytes_max
            ));
        }
        problems
    }
}

impl ProducerConfig {
    /// Whether its certificate or key is in this file.
    pub(crate) fn uses_file(&self, path: &Path) -> bool {
        let tls = self.tls.iter();
        tls.flat_map(|tls| [&tls.certificate, &tls.key])
            .any(|file| file == path)
    }
}

impl ConsumerConfig {
    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = connection_problems(&self.brokers, self.tls.as_ref());
        if self.topics.is_empty() {
            problems.push("topics: empty; name at least one topic to read".into());
        }
        for (name, topic) in &self.topics {
            for range in topic.units_by_address.keys() {
                if senders::AddressRange::parse(range).is_none() {
                    problems.push(format!(
                        "topics.\"{name}\".units_by_address: \"{range}\" is no range of addresses; write it as 10.20.0.0/16, without bits beyond its length"
                    ));
                }
            }
            if let Some(zone) = &topic.time_zone
                && !citywatch_parsers::is_time_zone(zone)
            {
                problems.push(format!(
                    "topics.\"{name}\".time_zone: \"{zone}\" is not known; use a name such as Asia/Ho_Chi_Minh"
                ));
            }
        }
        if self.group.is_empty() {
            problems.push("group: empty; name the engines' consumer group".into());
        }
        problems
    }
}

fn connection_problems(brokers: &str, tls: Option<&TlsConfig>) -> Vec<String> {
    let mut problems = Vec::new();
    for broker in brokers.split(',').map(str::trim) {
        let port = broker
            .rsplit_once(':')
            .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
        if port.is_none() {
            problems.push(format!("brokers: `{broker}` is not `host:port`"));
        }
    }
    let files = tls.map(|tls| {
        [
            ("ca", &tls.ca),
            ("certificate", &tls.certificate),
            ("key", &tls.key),
        ]
    });
    for (key, path) in files.into_iter().flatten() {
        if let Err(error) = std::fs::File::open(path) {
            problems.push(format!("tls.{key}: {}: {error}", path.display()));
        }
    }
    problems
}

fn client_config(brokers: &str, tls: Option<&TlsConfig>) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    client.set("client.id", "citywatch");
    client.set("statistics.interval.ms", "5000");
    client.set("reconnect.backoff.ms", "200");
    client.set("reconnect.backoff.max.ms", "10000");
    if let Some(tls) = tls {
        client.set("security.protocol", "ssl");
        client.set("ssl.ca.location", tls.ca.to_string_lossy());
        client.set(
            "ssl.certificate.location",
            tls.certificate.to_string_lossy(),
        );
        client.set("ssl.key.location", tls.key.to_string_lossy());
    }
    client
}

fn default_topic() -> String {
    "citywatch-records".into()
}

fn default_topics() -> BTreeMap<String, TopicConfig> {
    BTreeMap::from([(default_topic(), TopicConfig::default())])
}

fn default_group() -> String {
    "citywatch-engine".into()
}

/// Below Kafka's own default of 1,048,588 bytes for a message with its headers.
fn default_message_bytes_max() -> usize {
    1_000_000
}
