//! What the consumer is configured with, in the form in which it is used.

use std::collections::HashMap;
use std::time::Duration;

use super::super::{ConsumerConfig, TopicConfig, client_config};
use crate::kafka::senders::UnitsByAddress;

/// librdkafka's own bound of the time between polls.
const POLL_INTERVAL_MAX_DEFAULT: Duration = Duration::from_secs(300);

pub(super) fn native_config(config: &ConsumerConfig) -> rdkafka::ClientConfig {
    let mut client = client_config(&config.brokers, config.tls.as_ref());
    client.set("group.id", &config.group);
    client.set("auto.offset.reset", "earliest");
    // A topic that is made, or made anew, is noticed within this time.
    client.set("topic.metadata.refresh.interval.ms", "10000");
    client.set("partition.assignment.strategy", "cooperative-sticky");
    // The default of 1000 holds a fast loop to 200,000 messages/s.
    client.set("fetch.queue.backoff.ms", "5");
    // What lies in memory ahead of the engine, however far it lags.
    client.set("queued.max.messages.kbytes", "32768");
    // librdkafka takes what a disk has damaged for what was sent, unless it is asked to look.
    client.set("check.crcs", "true");
    for (name, value) in &config.options {
        client.set(name, value);
    }
    // Nobody else commits: a commit without its plan would wipe that out.
    client.set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false");
    client
}

/// How long a consumer may go without polling, as librdkafka reads it.
pub(super) fn poll_interval_max(native: &rdkafka::ClientConfig) -> Duration {
    let millis = native.get("max.poll.interval.ms");
    let millis = millis.and_then(|millis| millis.parse().ok());
    millis.map_or(POLL_INTERVAL_MAX_DEFAULT, Duration::from_millis)
}

/// A topic's settings, ready for each message.
pub(super) struct Topic {
    pub(super) unit: String,
    /// With the zone, if the topic has one.
    pub(super) format: String,
    pub(super) units: UnitsByAddress,
    pub(super) require_signed: bool,
}

pub(super) fn topics_of(config: &ConsumerConfig) -> HashMap<String, Topic> {
    let topic = |settings: &TopicConfig| Topic {
        unit: settings.unit.clone(),
        require_signed: settings.require_signed,
        format: match &settings.time_zone {
            Some(zone) => with_zone(&settings.format, zone),
            None => settings.format.clone(),
        },
        units: UnitsByAddress::new(
            settings.units_by_address.iter(),
            settings.address_field.clone(),
        ),
    };
    let topics = config.topics.iter();
    topics
        .map(|(name, settings)| (name.clone(), topic(settings)))
        .collect()
}

/// A header comes last in a format's name, for it may hold anything.
fn with_zone(format: &str, zone: &str) -> String {
    match format.split_once(';') {
        Some((name, parameters)) => format!("{name}; zone={zone};{parameters}"),
        None => format!("{format}; zone={zone}"),
    }
}
