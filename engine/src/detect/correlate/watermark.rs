//! How far each stream has come, and which groups wait for it.
//!
//! A stream's watermark is the time of its latest event less the lateness bound: what is older is
//! taken to have arrived. A group waits for the streams that its own matches came from and for no
//! others, so an office that was cut off for hours neither holds up the rest nor is judged by the
//! clock of the rest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use citywatch_parsers::{AgentId, StreamId};

/// A stream: an index into [`Streams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StreamIndex(u32);

/// A group that waits: the correlation's index and the group's key.
pub(super) type Waiting = (usize, u128);

/// All streams that matches came from or that told how far they are.
#[derive(Debug, Default)]
pub(super) struct Streams {
    indexes: HashMap<AgentId, HashMap<StreamId, StreamIndex>>,
    states: Vec<State>,
    /// Streams whose watermark passed the time that a group waits for.
    ready: Vec<StreamIndex>,
}

#[derive(Debug, Default)]
struct State {
    watermark_us: i64,
    waiting: BinaryHeap<Reverse<(i64, Waiting)>>,
}

impl Streams {
    /// The index of a stream, new or known.
    pub(super) fn index(&mut self, agent: &AgentId, stream: &StreamId) -> StreamIndex {
        if let Some(index) = self
            .indexes
            .get(agent)
            .and_then(|streams| streams.get(stream))
        {
            return *index;
        }
        let index = StreamIndex(u32::try_from(self.states.len()).unwrap_or(u32::MAX));
        self.states.push(State {
            watermark_us: i64::MIN,
            waiting: BinaryHeap::new(),
        });
        self.indexes
            .entry(agent.clone())
            .or_default()
            .insert(stream.clone(), index);
        index
    }

    /// Whether the stream's watermark has passed this time.
    pub(super) fn has_passed(&self, stream: StreamIndex, time_us: i64) -> bool {
        time_us < self.states[stream.0 as usize].watermark_us
    }

    /// Moves a watermark on; it never goes back.
    pub(super) fn advance(&mut self, stream: StreamIndex, watermark_us: i64) {
        let state = &mut self.states[stream.0 as usize];
        if watermark_us <= state.watermark_us {
            return;
        }
        state.watermark_us = watermark_us;
        if state
            .waiting
            .peek()
            .is_some_and(|Reverse((due, _))| *due <= watermark_us)
        {
            self.ready.push(stream);
        }
    }

    /// The stream of these that is furthest behind, with its watermark.
    pub(super) fn slowest(
        &self,
        streams: impl Iterator<Item = StreamIndex>,
    ) -> Option<(StreamIndex, i64)> {
        let marked = streams.map(|stream| (stream, self.states[stream.0 as usize].watermark_us));
        marked.min_by_key(|&(stream, watermark_us)| (watermark_us, stream))
    }

    /// Lets a group wait until the stream's watermark has reached `due_us`.
    pub(super) fn wait(&mut self, stream: StreamIndex, due_us: i64, group: Waiting) {
        let state = &mut self.states[stream.0 as usize];
        state.waiting.push(Reverse((due_us, group)));
        if due_us <= state.watermark_us {
            self.ready.push(stream);
        }
    }

    /// The same with the groups of the correlations that have a place among others; the rest waits no longer.
    pub(super) fn with_places(mut self, place: impl Fn(usize) -> Option<usize>) -> Self {
        for state in &mut self.states {
            let waiting = std::mem::take(&mut state.waiting).into_iter();
            let moved = waiting.filter_map(|Reverse((due_us, (node, group)))| {
                Some(Reverse((due_us, (place(node)?, group))))
            });
            state.waiting = moved.collect();
        }
        self
    }

    /// The groups that need wait no longer.
    pub(super) fn take_ready(&mut self, groups: &mut Vec<Waiting>) {
        for stream in std::mem::take(&mut self.ready) {
            let state = &mut self.states[stream.0 as usize];
            while let Some(Reverse((due_us, group))) = state.waiting.peek().copied()
                && due_us <= state.watermark_us
            {
                state.waiting.pop();
                groups.push(group);
            }
        }
    }
}
