//! The last heartbeat of each agent: who is there, who has fallen silent, whose clock is wrong.
//!
//! Kept in memory: after a restart an agent is shown from its next heartbeat on, which is a minute away. When each was last
//! heard is noted in the store by [`crate::watch::AgentsWatch`], which tells who fell silent, and who was silent already
//! before the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use citywatch_collector::heartbeat::Heartbeat;
use citywatch_parsers::RecordBatch;
use serde::Serialize;

use crate::store::AgentHeard;

/// Agents remembered; beyond it the one that was silent for longest is forgotten.
const AGENTS_MAX: usize = 20_000;
/// Agents with metrics of their own: each costs a time series per metric.
const METERED_MAX: usize = 2_000;

/// How an agent stands, by its own word and by when it was last heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentSeen {
    /// Its name.
    pub agent: String,
    /// Its unit.
    pub unit: String,
    /// Its host.
    pub host: String,
    /// Whether nothing was heard of it for longer than is allowed.
    pub silent: bool,
    /// Whether it was heard since the start; of one that was not, nothing else is known.
    pub heard_since_start: bool,
    /// Seconds since its last heartbeat.
    pub heard_s_ago: u64,
    /// By how much its clock seemed to be before this one when the last heartbeat came; what the way took
    /// makes it look behind.
    pub clock_seen_offset_us: i64,
    /// What it said.
    #[serde(flatten)]
    pub heartbeat: Heartbeat,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    clock_us: i64,
    unit: String,
    host: String,
    clock_seen_offset_us: i64,
    heartbeat: Heartbeat,
}

/// The last heartbeat of each agent.
#[derive(Debug, Default)]
pub(super) struct Agents {
    heard: Mutex<BTreeMap<String, Heard>>,
    /// Those that were silent already while others were heard, by the store's word.
    long_silent: Mutex<Vec<AgentHeard>>,
}

impl Agents {
    /// Takes a batch whose format says that it is a heartbeat.
    pub(super) fn hear(&self, batch: &RecordBatch, now: Instant, clock: SystemTime) {
        let origin = &batch.origin;
        let heartbeat = match Heartbeat::read(batch) {
            Ok(heartbeat) => heartbeat,
            Err(error) => {
                metrics::counter!("citywatch_heartbeats_unreadable_total").increment(1);
                tracing::warn!(agent = %origin.agent, error, "a heartbeat cannot be read");
                return;
            }
        };
        metrics::counter!("citywatch_heartbeats_total").increment(1);
        let since = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let heard = Heard {
            at: now,
            clock_us,
            unit: origin.unit.to_string(),
            host: origin.host.as_deref().unwrap_or_default().to_owned(),
            clock_seen_offset_us: heartbeat.sent_at_us.saturating_sub(clock_us),
            heartbeat,
        };
        let mut agents = self.lock();
        let agent = origin.agent.to_string();
        if agents.len() >= AGENTS_MAX && !agents.contains_key(&agent) {
            let oldest = agents.iter().min_by_key(|(_, heard)| heard.at);
            if let Some(oldest) = oldest.map(|(agent, _)| agent.clone()) {
                agents.remove(&oldest);
            }
        }
        if agents.len() < METERED_MAX || agents.contains_key(&agent) {
            meter(&agent, &heard);
        }
        agents.insert(agent, heard);
    }

    /// Agents that were heard after `since`, or since the start without it.
    pub(super) fn heard_after(&self, since: Option<Instant>) -> Vec<AgentHeard> {
        let agents = self.lock();
        let fresh = agents
            .iter()
            .filter(|(_, heard)| since.is_none_or(|since| heard.at > since));
        fresh
            .map(|(agent, heard)| AgentHeard {
                agent: agent.clone(),
                unit: heard.unit.clone(),
                host: heard.host.clone(),
                heard_at: heard.clock_us,
            })
            .collect()
    }

    /// Takes those that were silent already while others were heard, in place of those before.
    pub(super) fn know_silent(&self, mut agents: Vec<AgentHeard>) {
        agents.truncate(AGENTS_MAX);
        *self
            .long_silent
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = agents;
    }

    /// All agents that were heard since the start, and those that were silent before it; the silent ones first.
    pub(super) fn seen(
        &self,
        now: Instant,
        clock: SystemTime,
        silent_after: Duration,
    ) -> Vec<AgentSeen> {
        let since = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let heard = self.lock();
        let long_silent = self
            .long_silent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = long_silent
            .iter()
            .filter(|agent| !heard.contains_key(&agent.agent))
            .map(|agent| AgentSeen {
                agent: agent.agent.clone(),
                unit: agent.unit.clone(),
                host: agent.host.clone(),
                silent: true,
                heard_since_start: false,
                heard_s_ago: u64::try_from((clock_us - agent.heard_at) / 1_000_000).unwrap_or(0),
                clock_seen_offset_us: 0,
                heartbeat: Heartbeat::default(),
            });
        let mut seen: Vec<AgentSeen> = heard
            .iter()
            .map(|(agent, heard)| {
                let ago = now.saturating_duration_since(heard.at);
                AgentSeen {
                    agent: agent.clone(),
                    unit: heard.unit.clone(),
                    host: heard.host.clone(),
                    silent: ago > silent_after,
                    heard_since_start: true,
                    heard_s_ago: ago.as_secs(),
                    clock_seen_offset_us: heard.clock_seen_offset_us,
                    heartbeat: heard.heartbeat.clone(),
                }
            })
            .chain(before)
            .collect();
        seen.sort_by(|a, b| (!a.silent, &a.agent).cmp(&(!b.silent, &b.agent)));
        let silent = seen.iter().filter(|agent| agent.silent).count();
        metrics::gauge!("citywatch_agents", "state" => "silent").set(silent as f64);
        metrics::gauge!("citywatch_agents", "state" => "heard").set((seen.len() - silent) as f64);
        seen
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn meter(agent: &str, heard: &Heard) {
    let said = &heard.heartbeat;
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "agent" => agent.to_owned(), "unit" => heard.unit.clone()).set(value);
    };
    gauge(
        "citywatch_agent_heartbeat_sent_seconds",
        said.sent_at_us as f64 / 1e6,
    );
    gauge("citywatch_agent_lag_bytes", said.lag_bytes as f64);
    gauge("citywatch_agent_spool_bytes", said.spool_bytes as f64);
    gauge("citywatch_agent_dropped_records", said.dropped as f64);
    let offset_us = said.clock_offset_us.unwrap_or(heard.clock_seen_offset_us);
    gauge(
        "citywatch_agent_clock_offset_seconds",
        offset_us as f64 / 1e6,
    );
    if let Some(until) = said.certificate_until {
        gauge("citywatch_agent_certificate_until_seconds", until as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use citywatch_parsers::record::Truncated;
    use citywatch_parsers::{Origin, Timestamp};

    use super::*;

    fn heartbeat(agent: &str, text: &str) -> RecordBatch {
        let origin = Origin {
            unit: "hcmc".into(),
            agent: agent.into(),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        batch.push(text.as_bytes(), 1, Timestamp(0), Truncated::No);
        batch
    }

    #[test]
    fn an_agent_without_heartbeats_is_silent() {
        let agents = Agents::default();
        let (start, clock) = (Instant::now(), UNIX_EPOCH + Duration::from_secs(100));
        let minute = Duration::from_secs(60);
        agents.hear(
            &heartbeat("a", "{\"sent_at_us\": 90000000, \"lag_bytes\": 5}"),
            start,
            clock,
        );
        agents.hear(&heartbeat("b", "{}"), start, clock);
        agents.hear(&heartbeat("c", "no heartbeat"), start, clock);
        agents.hear(
            &heartbeat("b", "{\"version\": \"2\"}"),
            start + 4 * minute,
            clock,
        );
        let silent = |agent: &str| AgentHeard {
            agent: agent.to_owned(),
            unit: "hcmc".to_owned(),
            host: "h".to_owned(),
            heard_at: 0,
        };
        // By the store's word; one of them came back.
        agents.know_silent(vec![silent("b"), silent("d")]);
        let seen = agents.seen(start + 6 * minute, clock, 5 * minute);
        let names: Vec<(&str, bool, u64)> = seen
            .iter()
            .map(|agent| (agent.agent.as_str(), agent.silent, agent.heard_s_ago))
            .collect();
        assert_eq!(
            names,
            [("a", true, 360), ("d", true, 100), ("b", false, 120)]
        );
        let since_start: Vec<bool> = seen.iter().map(|agent| agent.heard_since_start).collect();
        assert_eq!(since_start, [true, false, true]);
        assert_eq!(seen[0].clock_seen_offset_us, -10_000_000);
        assert_eq!(
            (
                seen[0].heartbeat.lag_bytes,
                seen[2].heartbeat.version.as_str()
            ),
            (5, "2")
        );
    }
}
