//! Whether the brokers are there, as librdkafka tells it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};

/// Whether the brokers are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// No answer yet.
    #[default]
    Connecting,
    /// At least one broker answers.
    Connected,
    /// None does; librdkafka tries again with backoff.
    Unreachable,
}

/// How the connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Whether the brokers are there.
    pub state: ConnectionState,
    /// The last fault, until it is over.
    pub last_error: Option<String>,
    /// Faults since this start.
    pub errors: u64,
    /// Records in the topic that have not been read, by partition; of a consumer only.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub lag_records: HashMap<String, u64>,
}

/// Hears librdkafka's events.
#[derive(Debug, Default)]
pub(crate) struct ConnectionWatch(Mutex<Connection>);

impl ConnectionWatch {
    pub(crate) fn get(&self) -> Connection {
        self.lock().clone()
    }

    pub(crate) fn works(&self) {
        let mut connection = self.lock();
        if connection.state != ConnectionState::Connected {
            tracing::info!("Kafka answers");
            connection.state = ConnectionState::Connected;
        }
        connection.last_error = None;
    }

    pub(crate) fn failed(&self, error: &str) {
        let mut connection = self.lock();
        connection.errors += 1;
        connection.last_error = Some(error.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Whole between assignments, whatever panicked while it was held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of librdkafka's statistics that is read.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, BrokerStatistics>,
    #[serde(default)]
    topics: HashMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct BrokerStatistics {
    state: String,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: HashMap<String, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    #[serde(default)]
    consumer_lag: i64,
}

/// What librdkafka says of TLS, with what it means.
fn with_remedy(reason: &str) -> String {
    let meanings = [
        (
            "alert certificate expired",
            "this side's certificate has expired: an agent renews it by itself while it can reach its server; otherwise enrol it anew",
        ),
        (
            "certificate verify failed",
            "the broker's certificate is not of the authority in `tls.ca`, has expired, or is for another name",
        ),
        (
            "broker certificate could not be verified",
            "the broker's certificate is not of the authority in `tls.ca`, has expired, or is for another name",
        ),
        (
            "alert",
            "the broker does not take this side's certificate: it has expired, or is not of an authority that the broker trusts",
        ),
        (
            "SSL",
            "TLS could not be agreed on: are address and `tls` right?",
        ),
    ];
    let is_tls = reason.contains("SSL");
    let meaning = meanings.iter().find(|(part, _)| reason.contains(part));
    match meaning.filter(|_| is_tls) {
        Some((_, meaning)) => format!("{meaning} ({reason})"),
        None => reason.to_owned(),
    }
}

impl ClientContext for ConnectionWatch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Faults come through `error` too, once; its log repeats them at each attempt.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, message, "librdkafka");
            }
            _ => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            return;
        };
        if statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP")
        {
            self.works();
        }
        let mut lag_records = HashMap::new();
        for (topic, statistics) in &statistics.topics {
            for (partition, statistics) in &statistics.partitions {
                // Negative: unknown, or the partition that stands for none.
                if let Ok(lag) = u64::try_from(statistics.consumer_lag) {
                    metrics::gauge!("citywatch_kafka_lag_messages", "topic" => topic.clone(), "partition" => partition.clone())
                        .set(lag as f64);
                    lag_records.insert(format!("{topic}/{partition}"), lag);
                }
            }
        }
        self.lock().lag_records = lag_records;
    }

    fn error(&self, error: KafkaError, reason: &str) {
        metrics::counter!("citywatch_kafka_errors_total").increment(1);
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        // That all brokers are down follows from what was said of the last one, which says why.
        if !all_down || self.lock().last_error.is_none() {
            self.failed(&with_remedy(reason));
        }
        if all_down {
            let mut connection = self.lock();
            if connection.state != ConnectionState::Unreachable {
                tracing::warn!(
                    reason,
                    "Kafka is unreachable, trying again until it answers"
                );
                connection.state = ConnectionState::Unreachable;
            }
        } else {
            tracing::debug!(%error, reason, "Kafka");
        }
    }
}
