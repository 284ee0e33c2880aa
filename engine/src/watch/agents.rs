//! Looks whether agents fell silent: who sends no heartbeat any more; and whose certificate is not renewed in time.
//!
//! What is heard is noted in the store, so that neither a restart nor another engine that reads the heartbeats by now
//! makes an agent look silent, or its silence go unseen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use citywatch_parsers::{Timestamp, UnitId};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::CaughtUp;
use super::notices::{Notice, NoticeRule, Notices};
use super::sources::shown;
use crate::matches::MatchId;
use crate::pipeline::{AgentSeen, StatusHandle};
use crate::store::{AgentHeard, Store, StoreError};

const DAY_US: i64 = 86_400 * 1_000_000;
/// How often it is looked, unless agents are silent after less.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Agents that are told one by one of one look; a counter has the others.
const TOLD_MAX: usize = 200;
/// So many agents silent at once, and more than half of all, are told as one.
const MANY_MIN: usize = 10;

/// Whether agents are watched: section `[watch.agents]` of `citywatch.toml`. After how long one is silent is `[engine]
/// agent_silent_after_s`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentsConfig {
    /// Whether they are watched.
    pub enabled: bool,
    /// Agents of which no silence is told: machines that are off at night.
    pub agents_off: Vec<String>,
}

impl Default for AgentsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            agents_off: Vec::new(),
        }
    }
}

/// Watches the agents whose heartbeats an engine reads.
#[derive(Debug)]
pub struct AgentsWatch {
    config: AgentsConfig,
    store: Store,
    silent_after: Duration,
    certificate_left: Duration,
    told: BTreeMap<MatchId, Timestamp>,
}

impl AgentsWatch {
    /// Agents are silent after `silent_after` without a heartbeat. One whose certificate ends within `certificate_left` does
    /// not manage to renew it.
    pub fn new(
        config: AgentsConfig,
        store: Store,
        silent_after: Duration,
        certificate_left: Duration,
    ) -> Self {
        Self {
            config,
            store,
            silent_after: silent_after.max(Duration::from_secs(1)),
            certificate_left,
            told: BTreeMap::new(),
        }
    }

    /// Notes what the pipeline hears, and looks who fell silent, until `shutdown`. A silence is told once the process ran
    /// for as long itself, and while it has caught up: heartbeats that were not read make no one silent.
    pub async fn run(
        mut self,
        pipeline: StatusHandle,
        notices: Notices,
        caught_up: CaughtUp,
        shutdown: CancellationToken,
    ) {
        if !self.config.enabled {
            return;
        }
        let began = Instant::now();
        let mut noted = None;
        let mut every = tokio::time::interval(LOOK_EVERY.min(self.silent_after));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            let look = Instant::now();
            if let Err(error) = self.store.note_agents(&pipeline.heard_after(noted)).await {
                tracing::warn!(%error, "cannot note which agents were heard, trying again");
                continue;
            }
            noted = Some(look);
            match self.store.agents_heard(now()).await {
                Ok(agents) => pipeline.know_silent(silent_before(agents, self.silent_after)),
                Err(error) => tracing::warn!(%error, "cannot read which agents were heard before"),
            }
            if began.elapsed() <= self.silent_after || !caught_up() {
                continue;
            }
            let now = now();
            let seen = pipeline.agents_seen(self.silent_after);
            let ending = certificates(&seen, self.certificate_left, now);
            match self.look(now, ending).await {
                Ok(found) => notices.tell(&found).await,
                Err(error) => tracing::warn!(%error, "cannot look whether agents fell silent"),
            }
        }
    }

    /// Judges at `now`; returns what was not told before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn check(&mut self, now: Timestamp) -> Result<Vec<Notice>, StoreError> {
        self.look(now, Vec::new()).await
    }

    async fn look(
        &mut self,
        now: Timestamp,
        ending: Vec<Notice>,
    ) -> Result<Vec<Notice>, StoreError> {
        let agents = self.store.agents_heard(now).await?;
        let after_us = i64::try_from(self.silent_after.as_micros()).unwrap_or(i64::MAX);
        let silent: Vec<&AgentHeard> = agents
            .iter()
            .filter(|heard| now.as_micros() - heard.heard_at > after_us)
            .filter(|heard| !self.config.agents_off.contains(&heard.agent))
            .collect();
        metrics::gauge!("citywatch_agents_silent").set(silent.len() as f64);
        // A network or Kafka rather than each of them.
        let are_many = silent.len() >= MANY_MIN && silent.len() * 2 > agents.len();
        let mut notices: Vec<Notice> = if are_many {
            vec![many_silent(silent.len(), agents.len(), now)]
        } else {
            silent.iter().map(|heard| notice(heard, now)).collect()
        };
        notices.extend(ending);
        notices.retain(|notice| {
            let id = notice.to_match().id;
            // Told again each time while it lasts, it is forgotten only once it is over.
            self.told.insert(id, now).is_none()
        });
        self.told.retain(|_, told| *told == now);
        let untold = notices.len().saturating_sub(TOLD_MAX);
        metrics::counter!("citywatch_agents_untold_total").increment(untold as u64);
        notices.truncate(TOLD_MAX);
        Ok(notices)
    }
}

/// Those that were silent while others were heard: while nobody is, it is not they that are silent.
fn silent_before(mut agents: Vec<AgentHeard>, silent_after: Duration) -> Vec<AgentHeard> {
    let after_us = i64::try_from(silent_after.as_micros()).unwrap_or(i64::MAX);
    let newest = agents.iter().map(|heard| heard.heard_at).max();
    agents.retain(|heard| newest.is_some_and(|newest| newest - heard.heard_at > after_us));
    agents
}

fn notice(heard: &AgentHeard, now: Timestamp) -> Notice {
    let silent_us = now.as_micros().saturating_sub(heard.heard_at);
    let minutes = u64::try_from(silent_us / 60_000_000).unwrap_or(0);
    Notice {
        rule: NoticeRule::AgentSilent,
        unit: UnitId::from(heard.unit.as_str()),
        host: heard.host.clone(),
        time: now,
        // One silence has one beginning.
        key: format!("{}\0{}", heard.agent, heard.heard_at),
        words: format!(
            "agent {} of unit {} has sent no heartbeat since {}",
            heard.agent,
            heard.unit,
            shown(Timestamp(heard.heard_at))
        ),
        numbers: vec![("silent_minutes", minutes)],
    }
}

/// What there is to say of agents' certificates: once a day for each that is not renewed.
fn certificates(agents: &[AgentSeen], left_min: Duration, now: Timestamp) -> Vec<Notice> {
    let now_s = now.as_micros().div_euclid(1_000_000);
    let left_min_s = i64::try_from(left_min.as_secs()).unwrap_or(i64::MAX);
    let ending = agents.iter().filter_map(|agent| {
        let left_s = agent.heartbeat.certificate_until? - now_s;
        (left_s < left_min_s).then_some((agent, left_s))
    });
    let told = ending.map(|(agent, left_s)| {
        let days = u64::try_from(left_s / 86_400).unwrap_or(0);
        let when = if left_s > 0 {
            format!("ends in {days} days and has not been renewed")
        } else {
            "has ended".to_owned()
        };
        Notice {
            rule: NoticeRule::CertificateEnds,
            unit: UnitId::from(agent.unit.as_str()),
            host: agent.host.clone(),
            time: now,
            key: format!("{}\0{}", agent.agent, now.as_micros().div_euclid(DAY_US)),
            words: format!(
                "the certificate of agent {} of unit {} {when}: can it reach the server where it was enrolled?",
                agent.agent, agent.unit
            ),
            numbers: vec![("days_left", days)],
        }
    });
    told.collect()
}

fn many_silent(silent: usize, of: usize, now: Timestamp) -> Notice {
    Notice {
        rule: NoticeRule::ManySourcesSilent,
        unit: UnitId::from(""),
        host: String::new(),
        time: now,
        // Told once a day.
        key: format!("agents\0{}", now.as_micros().div_euclid(DAY_US)),
        words: format!("{silent} of {of} agents are silent at once"),
        numbers: vec![("silent", silent as u64), ("of", of as u64)],
    }
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use citywatch_collector::heartbeat::Heartbeat;

    use super::*;

    #[test]
    fn who_was_silent_while_others_were_heard_is_known_from_the_start() {
        let heard = |agent: &str, seconds: i64| AgentHeard {
            agent: agent.to_owned(),
            unit: "u".to_owned(),
            host: "h".to_owned(),
            heard_at: seconds * 1_000_000,
        };
        let silent = |agents: Vec<AgentHeard>| -> Vec<String> {
            let silent = silent_before(agents, Duration::from_secs(300));
            silent.into_iter().map(|heard| heard.agent).collect()
        };
        assert_eq!(
            silent(vec![heard("a", 1_000), heard("b", 900), heard("c", 600)]),
            ["c"]
        );
        // However long the engine itself was away.
        assert!(silent(vec![heard("a", 100), heard("b", 100)]).is_empty());
        assert!(silent(Vec::new()).is_empty());
    }

    #[test]
    fn a_certificate_that_is_not_renewed_is_told_before_its_end() {
        let day_s = 86_400;
        let told = |until: Option<i64>| -> Vec<String> {
            let agent = AgentSeen {
                agent: "web01".to_owned(),
                unit: "u".to_owned(),
                host: "h".to_owned(),
                silent: false,
                heard_since_start: true,
                heard_s_ago: 0,
                clock_seen_offset_us: 0,
                heartbeat: Heartbeat {
                    certificate_until: until,
                    ..Heartbeat::default()
                },
            };
            let now = Timestamp::from_seconds(1_000 * day_s);
            let left_min = Duration::from_secs(15 * 86_400);
            let notices = certificates(&[agent], left_min, now);
            notices.into_iter().map(|notice| notice.words).collect()
        };
        assert!(told(None).is_empty(), "one that was not enrolled");
        assert!(told(Some(1_016 * day_s)).is_empty());
        assert!(told(Some(1_010 * day_s))[0].contains("ends in 10 days"));
        assert!(told(Some(999 * day_s))[0].contains("has ended"));
    }
}
