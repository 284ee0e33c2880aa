//! How far each stream has come, and which groups wait for it.
//!
//! A stream's watermark is the time of its latest event less the lateness bound: what is older is
//! taken to have arrived. One that is quiet is taken by the clock to have come further, until it speaks again:
//! then it is where its own events are. A group waits for the streams that its own matches came from and for no
//! others, so an office that was cut off for hours neither holds up the rest nor is judged by the
//! clock of the rest.

use std::collections::{BTreeMap, HashMap};

use citywatch_parsers::{AgentId, StreamId};

/// Streams that are remembered, as long as no group needs more. One that was forgotten begins anew.
const STREAMS_MAX: usize = 200_000;

/// A stream: an index into [`Streams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StreamIndex(u32);

/// A group that waits: the index of its shelf, and its key.
pub(super) type Waiting = (usize, u128);

/// Stands for a shelf's index where not a group waits, but the first match of a key.
pub(super) const FIRST_MATCH: usize = usize::MAX;

/// The same where chained correlations read the match: what they are made of comes first.
pub(super) const FIRST_MATCH_OF_CHAIN: usize = usize::MAX - 1;

/// Whether texts are the same, which those of one batch are in memory, too.
fn is_same(known: &str, other: &str) -> bool {
    std::ptr::eq(known, other) || known == other
}

/// All streams that matches came from or that told how far they are.
#[derive(Debug)]
pub(super) struct Streams {
    indexes: HashMap<AgentId, HashMap<StreamId, StreamIndex>>,
    /// The stream that was asked for last, which is asked for again most of the time.
    last: Option<(AgentId, StreamId, StreamIndex)>,
    states: Vec<State>,
    /// Places of streams that were forgotten.
    free: Vec<StreamIndex>,
    /// With so many streams those that nobody needs are forgotten.
    full_at: usize,
    /// Streams whose watermark passed the time that a group waits for.
    ready: Vec<StreamIndex>,
}

#[derive(Debug)]
struct State {
    /// How far it is by its own events.
    events_us: i64,
    /// How far it is taken to be because it is quiet.
    quiet_us: i64,
    /// Groups by the watermark that they wait for. Most wait for the end of a cell, which they share.
    waiting: BTreeMap<i64, Vec<Waiting>>,
}

impl State {
    const NEW: Self = Self {
        events_us: i64::MIN,
        quiet_us: i64::MIN,
        waiting: BTreeMap::new(),
    };

    fn watermark_us(&self) -> i64 {
        self.events_us.max(self.quiet_us)
    }

    /// Whether a group need wait no longer.
    fn is_ready(&self) -> bool {
        let first = self.waiting.first_key_value();
        first.is_some_and(|(due_us, _)| *due_us <= self.watermark_us())
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            indexes: HashMap::new(),
            last: None,
            states: Vec::new(),
            free: Vec::new(),
            full_at: STREAMS_MAX,
            ready: Vec::new(),
        }
    }
}

impl Streams {
    /// The index of a stream, new or known.
    pub(super) fn index(&mut self, agent: &AgentId, stream: &StreamId) -> StreamIndex {
        if let Some((last_agent, last_stream, index)) = &self.last
            && is_same(last_stream.as_str(), stream.as_str())
            && is_same(last_agent.as_str(), agent.as_str())
        {
            return *index;
        }
        let known = self
            .indexes
            .get(agent)
            .and_then(|streams| streams.get(stream));
        let index = known.copied().unwrap_or_else(|| self.add(agent, stream));
        self.last = Some((agent.clone(), stream.clone(), index));
        index
    }

    fn add(&mut self, agent: &AgentId, stream: &StreamId) -> StreamIndex {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.states.push(State::NEW);
                StreamIndex(u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.indexes
            .entry(agent.clone())
            .or_default()
            .insert(stream.clone(), index);
        index
    }

    /// Whether there are so many that those that nobody needs should be forgotten.
    pub(super) fn is_full(&self) -> bool {
        self.states.len() - self.free.len() >= self.full_at
    }

    /// Forgets the streams that no group has matches from, and returns the groups that wait for one of them
    /// all the same: a group may wait for the stream of a correlation that it refers to, which has let go of
    /// it since. They wait no longer and must be looked at, or nothing would ever wake them.
    pub(super) fn forget(&mut self, is_needed: impl Fn(StreamIndex) -> bool) -> Vec<Waiting> {
        let (free, states) = (&mut self.free, &mut self.states);
        let mut left_waiting = Vec::new();
        for streams in self.indexes.values_mut() {
            streams.retain(|_, index| {
                let stays = is_needed(*index);
                if !stays {
                    free.push(*index);
                    let state = std::mem::replace(&mut states[index.0 as usize], State::NEW);
                    left_waiting.extend(state.waiting.into_values().flatten());
                }
                stays
            });
        }
        self.indexes.retain(|_, streams| !streams.is_empty());
        self.last = None;
        let left = self.states.len() - self.free.len();
        self.full_at = STREAMS_MAX.max(left.saturating_mul(2));
        left_waiting
    }

    /// The stream's watermark.
    pub(super) fn watermark_us(&self, stream: StreamIndex) -> i64 {
        self.states[stream.0 as usize].watermark_us()
    }

    /// Moves a watermark on because of an event. It goes back only where the stream was quiet and now speaks of
    /// earlier times, as an office does that was cut off.
    pub(super) fn advance(&mut self, stream: StreamIndex, events_us: i64) {
        let state = &mut self.states[stream.0 as usize];
        if events_us < state.quiet_us {
            state.quiet_us = i64::MIN;
        }
        if events_us > state.events_us {
            state.events_us = events_us;
            if state.is_ready() {
                self.ready.push(stream);
            }
        }
    }

    /// Moves the watermark of a quiet stream on.
    pub(super) fn advance_quiet(&mut self, stream: StreamIndex, quiet_us: i64) {
        let state = &mut self.states[stream.0 as usize];
        state.quiet_us = quiet_us.max(state.quiet_us);
        if state.is_ready() {
            self.ready.push(stream);
        }
    }

    /// The stream of these that is furthest behind, with its watermark.
    pub(super) fn slowest(
        &self,
        streams: impl Iterator<Item = StreamIndex>,
    ) -> Option<(StreamIndex, i64)> {
        let marked = streams.map(|stream| (stream, self.watermark_us(stream)));
        marked.min_by_key(|&(stream, watermark_us)| (watermark_us, stream))
    }

    /// Lets a group wait until the stream's watermark has reached `due_us`.
    pub(super) fn wait(&mut self, stream: StreamIndex, due_us: i64, group: Waiting) {
        let state = &mut self.states[stream.0 as usize];
        state.waiting.entry(due_us).or_default().push(group);
        if due_us <= state.watermark_us() {
            self.ready.push(stream);
        }
    }

    /// The same with the groups of the shelves that have a place among others; the rest waits no longer.
    pub(super) fn with_places(mut self, place: impl Fn(usize) -> Option<usize>) -> Self {
        for state in &mut self.states {
            state.waiting.retain(|_, waiting| {
                waiting.retain_mut(|(shelf, _)| match place(*shelf) {
                    Some(other) => {
                        *shelf = other;
                        true
                    }
                    None => false,
                });
                !waiting.is_empty()
            });
        }
        self
    }

    /// The groups that need wait no longer.
    pub(super) fn take_ready(&mut self) -> Vec<Waiting> {
        let mut groups = Vec::new();
        for stream in self.ready.drain(..) {
            let state = &mut self.states[stream.0 as usize];
            let watermark_us = state.watermark_us();
            while let Some(first) = state.waiting.first_entry()
                && *first.key() <= watermark_us
            {
                groups.append(&mut first.remove());
            }
        }
        groups
    }
}
