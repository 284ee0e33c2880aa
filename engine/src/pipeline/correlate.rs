//! Correlation within the pipeline: feeds the correlator, tells it of streams that went quiet, and
//! rebuilds it after a restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use citywatch_parsers::Timestamp;

use super::config::PipelineConfig;
use super::positions::StreamKey;
use super::rules::{CurrentRules, LoadedRules};
use super::worker::{Found, Processed};
use crate::detect::{
    CorrelationInput, CorrelationLimits, CorrelationStatus, Correlator, RuleIndex,
};
use crate::matches::Match;
use crate::store::StoredMatch;

/// A stream may have been cut off: matches received this much before the longest window are read
/// back as well after a restart.
const REBUILD_SLACK: Duration = Duration::from_secs(24 * 3_600);
/// Clocks of sources may be wrong by so much without making a replayed alert look whole that is not.
const CLOCK_ERROR_US: i64 = 12 * 3_600 * 1_000_000;

/// The correlator with what it cannot know by itself: time, and which streams are quiet.
#[derive(Debug)]
pub(super) struct Correlation {
    rules: CurrentRules,
    correlator: Correlator,
    limits: CorrelationLimits,
    quiet_after: Duration,
    /// From when on the matches of the last run were read back, by their receipt.
    replayed_from: Option<Timestamp>,
    /// When streams spoke last, for as long as they may have open windows.
    speaking: HashMap<StreamKey, Instant>,
}

impl Correlation {
    pub(super) fn new(rules: CurrentRules, config: &PipelineConfig) -> Self {
        let lateness = Duration::from_secs(config.lateness_s);
        let lateness_us = i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX);
        let limits = CorrelationLimits {
            lateness_us,
            ..CorrelationLimits::default()
        };
        Self {
            correlator: correlator_of(rules.get(), limits),
            rules,
            limits,
            quiet_after: lateness,
            replayed_from: None,
            speaking: HashMap::new(),
        }
    }

    /// The rules that it works with.
    pub(super) fn rules(&self) -> &LoadedRules {
        self.rules.get()
    }

    /// Takes over rules that were loaded since. Correlations that stay the same go on with what they
    /// have; those that are new or were changed begin anew.
    pub(super) fn catch_up(&mut self) {
        if self.rules.catch_up() {
            let next = correlator_of(self.rules.get(), self.limits);
            let before = std::mem::replace(&mut self.correlator, next);
            self.correlator.adopt(before);
        }
    }

    /// Whether there is nothing to correlate.
    pub(super) fn is_idle(&self) -> bool {
        self.rules.get().set().correlations.is_empty()
    }

    /// What it holds and what it had to let go.
    pub(super) fn status(&self) -> CorrelationStatus {
        self.correlator.status()
    }

    /// From when on matches must be read back, by their receipt: those that windows may need that were open
    /// when the last run ended.
    pub(super) fn replay_from(&mut self) -> Timestamp {
        let horizon =
            Duration::from_micros(u64::try_from(self.correlator.horizon_us()).unwrap_or(u64::MAX));
        let back_us = i64::try_from((horizon + REBUILD_SLACK).as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp(now().as_micros().saturating_sub(back_us));
        self.replayed_from = Some(since);
        since
    }

    /// The ids of the rules that correlations refer to.
    pub(super) fn rules_read(&self) -> Vec<String> {
        let rules = self.rules.get().set().rules.iter().enumerate();
        let wanted = rules.filter(|(index, _)| self.correlator.wants(rule_index(*index)));
        wanted.map(|(_, rule)| rule.meta.id.to_string()).collect()
    }

    /// Takes matches of the last run in again, those of the earliest events first, and returns what they lead
    /// to: alerts that were raised then, under the same ids, so that alerting and store know them. Windows close
    /// in between, so that what is held at once is what was held then.
    pub(super) fn replay(&mut self, stored: &[StoredMatch]) -> Vec<Match> {
        let by_id = by_id(self.rules.get());
        let read_at = Instant::now();
        for found in stored {
            let Some(&rule) = by_id.get(found.rule_id.as_str()) else {
                continue;
            };
            for evidence in &found.evidence {
                self.correlator.observe(CorrelationInput {
                    rule,
                    event: &evidence.event,
                    matched: &evidence.matched,
                });
                // It may never speak again.
                let record = &evidence.event.record;
                let stream = StreamKey {
                    agent: record.agent.clone(),
                    stream: record.stream.clone(),
                };
                self.speaking.entry(stream).or_insert(read_at);
            }
        }
        self.drain()
    }

    /// Takes in what was found in a stream, and returns the correlations that hold by now.
    pub(super) fn observe(&mut self, processed: &Processed, found: &[Found]) -> Vec<Match> {
        let (stream, newest_event) = (&processed.stream, processed.newest_event);
        if self.is_idle() {
            return Vec::new();
        }
        // A batch that was matched before the rules changed, or already after: its rules go by their ids.
        let others = !Arc::ptr_eq(self.rules.get(), &processed.rules);
        let by_id = (others && !found.is_empty()).then(|| by_id(self.rules.get()));
        for Found { rule, found } in found {
            let rule = match &by_id {
                None => *rule,
                Some(by_id) => match by_id.get(found.rule.id.as_str()) {
                    Some(rule) => *rule,
                    None => continue,
                },
            };
            for evidence in &found.evidence {
                let input = CorrelationInput {
                    rule,
                    event: &evidence.event,
                    matched: &evidence.matched,
                };
                self.correlator.observe(input);
            }
        }
        if let Some(newest) = newest_event {
            // A clock that runs ahead must not close the windows of everybody's future.
            self.correlator
                .advance(&stream.agent, &stream.stream, newest.min(now()));
            self.speaking.insert(stream.clone(), Instant::now());
        }
        self.drain()
    }

    /// Moves on the watermarks of streams that were quiet for as long as an event may be late: nothing
    /// of theirs is expected any more, so their windows close.
    pub(super) fn close_quiet_streams(&mut self) -> Vec<Match> {
        self.close_streams_quiet_at(Instant::now(), now())
    }

    /// The same at a time. A stream's windows end later than its last match: its watermark follows the clock until
    /// the longest of them can only be over.
    fn close_streams_quiet_at(&mut self, instant: Instant, time: Timestamp) -> Vec<Match> {
        let horizon_us = u64::try_from(self.correlator.horizon_us()).unwrap_or(u64::MAX);
        let over_after = self
            .quiet_after
            .saturating_add(Duration::from_micros(horizon_us));
        let (quiet_after, correlator) = (self.quiet_after, &mut self.correlator);
        let mut has_closed = false;
        self.speaking.retain(|stream, spoke| {
            let quiet = instant.saturating_duration_since(*spoke);
            if quiet >= quiet_after {
                correlator.advance_quiet(&stream.agent, &stream.stream, time);
                has_closed = true;
            }
            quiet < over_after
        });
        if has_closed { self.drain() } else { Vec::new() }
    }

    fn drain(&mut self) -> Vec<Match> {
        let mut matches = Vec::new();
        self.correlator.drain(&mut matches);
        matches.retain(|found| self.is_whole(found));
        matches
    }

    /// Whether none of a match's events can be missing because they came before what was read back. Such a match
    /// was settled long before the restart: it has been told, with all its events, or never held.
    fn is_whole(&self, found: &Match) -> bool {
        let (Some(replayed_from), Some((begin, end))) = (self.replayed_from, found.window) else {
            return true;
        };
        let replayed_from_us = replayed_from.as_micros();
        let reach_us = self.correlator.reach_us(&found.rule.id);
        let earliest_us = begin.as_micros().saturating_sub(reach_us);
        if earliest_us >= replayed_from_us.saturating_add(CLOCK_ERROR_US) {
            return true;
        }
        // So old by their own clock. Events of an office that was cut off are, too, but they came lately: the
        // others of their window did as well.
        let span_us =
            (end.as_micros() - begin.as_micros()).saturating_add(reach_us.saturating_mul(2));
        let settled_us = span_us.saturating_add(self.limits.lateness_us);
        let mut received = found.evidence.iter().map(|shown| shown.event.received_at);
        received.all(|at| at.as_micros() >= replayed_from_us.saturating_add(settled_us))
    }
}

fn correlator_of(rules: &LoadedRules, limits: CorrelationLimits) -> Correlator {
    let set = rules.set();
    Correlator::new(&set.correlations, set.rules.len(), limits)
}

fn by_id(rules: &LoadedRules) -> HashMap<&str, RuleIndex> {
    let rules = rules.set().rules.iter().enumerate();
    rules
        .map(|(index, rule)| (rule.meta.id.as_str(), rule_index(index)))
        .collect()
}

fn rule_index(index: usize) -> RuleIndex {
    RuleIndex(u32::try_from(index).expect("a rule set has far fewer than 4 billion rules"))
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
