//! Looks now and then whether hosts and units send what they usually send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use citywatch_parsers::{Timestamp, UnitId};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::notices::{Notice, NoticeRule, Notices};
use super::volume::{self, Change, DAYS, Deviation, Limits, ManySilent, Source, WEEKS, Windows};
use crate::matches::MatchId;
use crate::store::{Store, StoreError};

const MINUTE_US: i64 = 60 * 1_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// What was received in a window is stored by then.
const SETTLE_US: i64 = 2 * MINUTE_US;
/// Deviations that are told of one window; a counter has the others.
const TOLD_MAX: usize = 200;
/// For so long it is remembered here what was told; alerting itself remembers longer.
const REMEMBERED_US: i64 = 2 * DAY_US;

/// Whether and how sources are watched: section `[watch.sources]` of `citywatch.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesConfig {
    /// Whether they are watched.
    pub enabled: bool,
    /// Length of the window that is held against the weeks before, in minutes: who is silent for so long is told.
    pub window_minutes: u32,
    /// How often that is done, in minutes.
    pub check_interval_minutes: u32,
    /// Units of which no deviation is told.
    pub units_off: Vec<String>,
    /// Hosts of which no deviation is told.
    pub hosts_off: Vec<String>,
    /// What counts as silence, drop and leap.
    pub limits: Limits,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            window_minutes: 60,
            check_interval_minutes: 15,
            units_off: Vec::new(),
            hosts_off: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Tells whether the engine has caught up with its transport: what has not arrived must not look silent.
pub type CaughtUp = Arc<dyn Fn() -> bool + Send + Sync>;

/// Watches the sources of a store.
pub struct SourcesWatch {
    config: SourcesConfig,
    store: Store,
    told: BTreeMap<MatchId, Timestamp>,
}

impl std::fmt::Debug for SourcesWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourcesWatch").finish_non_exhaustive()
    }
}

impl SourcesWatch {
    /// Watches the sources whose events are in `store`.
    pub fn new(config: SourcesConfig, store: Store) -> Self {
        Self {
            config,
            store,
            told: BTreeMap::new(),
        }
    }

    /// Checks until `shutdown`. A window is judged if the process ran for all of it and has caught up.
    pub async fn run(mut self, notices: Notices, caught_up: CaughtUp, shutdown: CancellationToken) {
        if !self.config.enabled {
            return;
        }
        let began = now();
        let mut judged = Timestamp(0);
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            let end = self.window_end(now());
            if end <= judged || end.as_micros() - self.window_us() < began.as_micros() {
                continue;
            }
            judged = end;
            if !caught_up() {
                metrics::counter!("citywatch_sources_windows_skipped_total").increment(1);
                continue;
            }
            match self.check(end).await {
                Ok(found) => notices.tell(&found).await,
                Err(error) => {
                    metrics::counter!("citywatch_sources_windows_skipped_total").increment(1);
                    tracing::warn!(%error, "cannot look whether sources fell silent");
                }
            }
        }
    }

    fn window_us(&self) -> i64 {
        i64::from(self.config.window_minutes.max(1)) * MINUTE_US
    }

    /// The end of the last window that is settled at `now`.
    fn window_end(&self, now: Timestamp) -> Timestamp {
        let step = i64::from(self.config.check_interval_minutes.max(1)) * MINUTE_US;
        Timestamp((now.as_micros() - SETTLE_US).div_euclid(step) * step)
    }

    /// Judges the window that ends at `end`; returns what was not told before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn check(&mut self, end: Timestamp) -> Result<Vec<Notice>, StoreError> {
        let windows = self.windows(end).await?;
        let judgement = volume::judge(&windows, &self.config.limits);
        metrics::gauge!("citywatch_sources_known").set(judgement.hosts_known as f64);
        let mut deviations = judgement.deviations;
        deviations.retain(|deviation| !self.is_off(&deviation.source));
        for (change, name) in [
            (Change::Silent, "silent"),
            (Change::Dropped, "dropped"),
            (Change::Leapt, "leapt"),
        ] {
            let count = deviations
                .iter()
                .filter(|found| found.change == change)
                .count();
            metrics::gauge!("citywatch_sources_deviating", "change" => name).set(count as f64);
        }
        let untold = deviations.len().saturating_sub(TOLD_MAX);
        metrics::counter!("citywatch_sources_untold_total").increment(untold as u64);
        let mut notices = Vec::new();
        if let Some(many) = &judgement.many_silent {
            notices.push(many_silent(many, end));
        }
        for deviation in deviations.into_iter().take(TOLD_MAX) {
            notices.push(self.notice(deviation, end).await?);
        }
        self.told
            .retain(|_, told| end.as_micros() - told.as_micros() < REMEMBERED_US);
        notices.retain(|notice| {
            let id = notice.to_match().id;
            // Told again each time while it lasts, it is forgotten only once it is over.
            self.told.insert(id, end).is_none()
        });
        Ok(notices)
    }

    async fn windows(&self, end: Timestamp) -> Result<Windows, StoreError> {
        let window = self.window_us();
        let back = |days: usize| {
            let end = end.as_micros() - i64::try_from(days).unwrap_or(0) * DAY_US;
            (Timestamp(end - window), Timestamp(end))
        };
        let mut windows = Windows {
            now: self.store.volumes(back(0)).await?,
            ..Windows::default()
        };
        for week in 1..=WEEKS {
            windows
                .weeks
                .push(self.store.volumes(back(7 * week)).await?);
        }
        for day in 1..=DAYS {
            windows.days.push(self.store.volumes(back(day)).await?);
        }
        Ok(windows)
    }

    fn is_off(&self, source: &Source) -> bool {
        let is_named = |names: &[String], name: &str| names.iter().any(|off| off == name);
        is_named(&self.config.units_off, source.unit.as_str())
            || (!source.host.is_empty() && is_named(&self.config.hosts_off, &source.host))
    }

    async fn notice(&self, deviation: Deviation, end: Timestamp) -> Result<Notice, StoreError> {
        let Deviation {
            source,
            change,
            events,
            usual_min,
            usual_max,
        } = deviation;
        let who = if source.host.is_empty() {
            format!("unit {}", source.unit)
        } else {
            format!("host {} of unit {}", source.host, source.unit)
        };
        let minutes = self.config.window_minutes;
        let usual = format!("{usual_min} to {usual_max}");
        let (rule, key, words) = match change {
            Change::Silent => {
                let last = self.store.last_received(&source, end).await?;
                let since = last.map_or_else(String::new, |last| format!(" since {}", shown(last)));
                // One silence has one beginning.
                let key = last.unwrap_or_default().as_micros().to_string();
                let words = format!(
                    "{who} has sent nothing{since}; at this time of its week it sends {usual} events in {minutes} minutes"
                );
                (NoticeRule::SourceSilent, key, words)
            }
            Change::Dropped | Change::Leapt => {
                let rule = match change {
                    Change::Dropped => NoticeRule::VolumeDropped,
                    _ => NoticeRule::VolumeLeapt,
                };
                // Told once a day.
                let key = end.as_micros().div_euclid(DAY_US).to_string();
                let words = format!(
                    "{who} has sent {events} events in the {minutes} minutes before {}; at this time of its week it sends {usual}",
                    shown(end)
                );
                (rule, key, words)
            }
        };
        Ok(Notice {
            rule,
            unit: source.unit,
            host: source.host,
            time: end,
            key,
            words,
            numbers: vec![
                ("events", events),
                ("usual_min", usual_min),
                ("usual_max", usual_max),
                ("window_minutes", u64::from(minutes)),
            ],
        })
    }
}

fn many_silent(many: &ManySilent, end: Timestamp) -> Notice {
    Notice {
        rule: NoticeRule::ManySourcesSilent,
        unit: UnitId::from(""),
        host: String::new(),
        time: end,
        key: end.as_micros().div_euclid(DAY_US).to_string(),
        words: format!(
            "{} of {} hosts that usually speak at this time are silent at once",
            many.silent, many.of
        ),
        numbers: vec![("silent", many.silent as u64), ("of", many.of as u64)],
    }
}

pub(super) fn shown(time: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.as_micros()).map_or_else(
        |_| time.as_micros().to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}
