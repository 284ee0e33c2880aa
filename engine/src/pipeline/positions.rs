//! What the store holds of each stream: nothing of it is stored twice.
//!
//! Kafka's idempotence ends with a producer's session, and a spool replays from its last
//! acknowledgement: after a restart records come again. Their positions tell.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_parsers::{AgentId, Origin, StreamId};

use crate::matches::MatchId;

/// Streams remembered; beyond it, those that were silent for [`FORGET_AFTER`] are looked up anew.
const STREAMS_MAX: usize = 200_000;
/// By then all that was read of a stream is stored, so the store's answer is complete.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Which stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StreamKey {
    pub(super) agent: AgentId,
    pub(super) stream: StreamId,
}

impl StreamKey {
    pub(super) fn of(origin: &Origin) -> Self {
        Self {
            agent: origin.agent.clone(),
            stream: origin.stream.clone(),
        }
    }
}

/// What is known of a stream.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Highest position that is stored or on its way: at or below it, a record is known.
    pub(super) position: Option<u64>,
    /// The transport's lane that it came in. A new lane means that another engine may have had the
    /// stream in between.
    pub(super) lane: u32,
    /// Matches that were stored before a crash ahead of their events.
    pub(super) matches_ahead: Arc<HashSet<MatchId>>,
    /// Held by what is on its way.
    pub(super) in_flight: InFlight,
}

/// Shared by all that is on its way of a stream in a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<()>);

impl InFlight {
    /// Whether this is the only one left.
    pub(super) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// The streams of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Positions {
    streams: HashMap<StreamKey, (Known, Instant)>,
}

impl Positions {
    /// What is known of a stream, if it was looked up.
    pub(super) fn get(&self, key: &StreamKey) -> Option<&Known> {
        self.streams.get(key).map(|(known, _)| known)
    }

    /// Notes what the store said of a stream.
    pub(super) fn insert(&mut self, key: StreamKey, known: Known, now: Instant) {
        if self.streams.len() >= STREAMS_MAX {
            metrics::counter!("citywatch_engine_streams_forgotten_total").increment(1);
            self.streams
                .retain(|_, (_, seen)| now.duration_since(*seen) < FORGET_AFTER);
        }
        self.streams.insert(key, (known, now));
    }

    /// Notes that records up to `position` are on their way.
    pub(super) fn advance(&mut self, key: &StreamKey, position: u64, now: Instant) {
        if let Some((known, seen)) = self.streams.get_mut(key) {
            known.position = Some(
                known
                    .position
                    .map_or(position, |highest| highest.max(position)),
            );
            *seen = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(stream: &str) -> StreamKey {
        StreamKey {
            agent: "a".into(),
            stream: stream.into(),
        }
    }

    #[test]
    fn positions_only_grow() {
        let now = Instant::now();
        let mut positions = Positions::default();
        let unknown = Known {
            position: None,
            lane: 0,
            matches_ahead: Arc::default(),
            in_flight: InFlight::default(),
        };
        positions.insert(key("s"), unknown, now);
        positions.advance(&key("s"), 7, now);
        positions.advance(&key("s"), 3, now);
        assert_eq!(
            positions.get(&key("s")).and_then(|known| known.position),
            Some(7)
        );
        assert!(positions.get(&key("other")).is_none());
    }
}
