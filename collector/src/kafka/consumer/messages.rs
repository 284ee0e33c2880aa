//! What a message says of itself, beside its payload.

use citywatch_parsers::{LogSource, Timestamp};
use rdkafka::message::{Headers, Message, OwnedMessage};

use super::super::{HEADER_FRAMING, HEADERS_LOG_SOURCE};
use crate::clock;
use crate::frame::{self, FRAMING_PACKED, sealed};

/// A longer value of a header names no log source.
const LOG_SOURCE_BYTES_MAX: usize = 64;

pub(super) fn agent_of(topic: &str) -> String {
    format!("kafka/{topic}")
}

pub(super) fn header<'a>(message: &'a OwnedMessage, key: &str) -> Option<&'a [u8]> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == key)?
        .value
}

/// What the message's headers say of its log source. What is no plain name says nothing.
pub(super) fn log_source(message: &OwnedMessage) -> LogSource<'static> {
    let is_name =
        |value: &&str| value.len() <= LOG_SOURCE_BYTES_MAX && !value.contains(char::is_whitespace);
    let [product, category, service] = HEADERS_LOG_SOURCE.map(|key| {
        let value = header(message, key).and_then(|value| std::str::from_utf8(value).ok());
        value.filter(is_name).unwrap_or("").to_lowercase().into()
    });
    LogSource {
        product,
        category,
        service,
    }
}

pub(super) fn is_packed(message: &OwnedMessage, payload: &[u8]) -> bool {
    header(message, HEADER_FRAMING).is_some_and(|framing| framing == FRAMING_PACKED.as_bytes())
        || frame::peek(payload).is_ok()
        || sealed::is_sealed(payload)
}

/// The broker's time where the topic has it; a producer's own claim is not believed.
pub(super) fn received_at(message: &OwnedMessage) -> Timestamp {
    match message.timestamp() {
        rdkafka::Timestamp::LogAppendTime(millis) => Timestamp::from_millis(millis),
        _ => clock::now(),
    }
}
