//! Our own faults raise alerts for the operators: a part that does not run, an engine that is behind, a
//! spool that fills, a certificate that ends soon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use citywatch_engine::watch::notices::{Notice, NoticeRule, Notices};
use citywatch_parsers::{Timestamp, UnitId};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::certificate_end::ends_of_file;
use crate::parts::{Part, PartState, Parts};

/// How often parts and lag are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often certificates are.
const CERTIFICATES_EVERY_S: u64 = 3_600;
const DAY_S: i64 = 86_400;
/// A part that was tried again so often within ten minutes does not run, whatever it says in between.
const RETRIES_MAX: u64 = 10;
const RETRIES_WITHIN_S: u64 = 600;

/// When operators are told: section `[watch.faults]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultsConfig {
    /// A part that does not run for so long is told, in seconds.
    pub part_down_s: u64,
    /// An engine that is behind by more than `behind_max` for so long is told, in seconds.
    pub behind_s: u64,
    /// Messages in Kafka, or batches in the spool, that may wait.
    pub behind_max: u64,
    /// From this share of its bound on a spool is told, in percent.
    pub spool_percent: u64,
    /// Certificates are told so many days before their end.
    pub certificate_days: u32,
    /// PEM files of certificates to look at besides those that this configuration names.
    pub certificates: Vec<PathBuf>,
}

impl Default for FaultsConfig {
    fn default() -> Self {
        Self {
            part_down_s: 60,
            behind_s: 300,
            behind_max: 100_000,
            spool_percent: 85,
            certificate_days: 30,
            certificates: Vec::new(),
        }
    }
}

/// How far the engine is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages or batches that wait, if that is known.
    pub waiting: Option<u64>,
    /// How full the spool is, in percent, where there is one.
    pub spool_percent: Option<u64>,
}

/// What is watched.
pub struct FaultsWatch {
    /// Settings.
    pub config: FaultsConfig,
    /// The register of parts.
    pub parts: Parts,
    /// How far the engine is behind.
    pub backlog: Box<dyn Fn() -> Backlog + Send + Sync>,
    /// PEM files of certificates.
    pub certificates: Vec<PathBuf>,
}

/// What was seen of each part and of the backlog; times in seconds.
#[derive(Debug, Default)]
struct Seen {
    down_since: BTreeMap<String, u64>,
    retries: BTreeMap<String, Vec<(u64, u64)>>,
    behind_since: Option<u64>,
    spool_told: bool,
    told: BTreeMap<String, u64>,
}

impl FaultsWatch {
    /// Watches until `shutdown`.
    pub async fn run(self, notices: Notices, shutdown: CancellationToken) {
        let mut seen = Seen::default();
        let mut certificates_at = 0;
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            let now_s = now_s();
            let mut found = seen.parts(&self.parts.snapshot(), &self.config, now_s);
            found.extend(seen.backlog(&(self.backlog)(), &self.config, now_s));
            if now_s >= certificates_at {
                certificates_at = now_s + CERTIFICATES_EVERY_S;
                let files = self.certificates.iter().chain(&self.config.certificates);
                found.extend(files.flat_map(|path| certificate(path, &self.config, now_s)));
            }
            // One fault must not keep the others from being looked at.
            let notices = notices.clone();
            tokio::spawn(async move { notices.tell(&found).await });
        }
    }
}

impl Seen {
    fn parts(
        &mut self,
        parts: &BTreeMap<String, Part>,
        config: &FaultsConfig,
        now_s: u64,
    ) -> Vec<Notice> {
        let mut found = Vec::new();
        for (name, part) in parts {
            if part.state == PartState::Running {
                self.down_since.remove(name);
            } else {
                self.down_since.entry(name.clone()).or_insert(now_s);
            }
            let down_s = self.down_since.get(name).map_or(0, |since| now_s - since);
            let history = self.retries.entry(name.clone()).or_default();
            history.retain(|(at, _)| now_s - at <= RETRIES_WITHIN_S);
            history.push((now_s, part.retries));
            let retried = part.retries - history.first().map_or(0, |(_, retries)| *retries);
            let is_down = down_s >= config.part_down_s && self.down_since.contains_key(name);
            if !is_down && retried < RETRIES_MAX {
                self.told.remove(name);
                continue;
            }
            if self.told.insert(name.clone(), now_s).is_some() {
                continue;
            }
            let words = if is_down {
                format!("part {name} does not run for {down_s} s: {}", part.detail)
            } else {
                format!(
                    "part {name} was tried again {retried} times within {RETRIES_WITHIN_S} s: {}",
                    part.detail
                )
            };
            let numbers = vec![("down_s", down_s), ("retries", part.retries)];
            found.push(notice(NoticeRule::PartDown, name, words, numbers, now_s));
        }
        found
    }

    fn backlog(&mut self, backlog: &Backlog, config: &FaultsConfig, now_s: u64) -> Vec<Notice> {
        let mut found = Vec::new();
        let waiting = backlog.waiting.unwrap_or(0);
        let is_behind = waiting > config.behind_max;
        if !is_behind {
            self.behind_since = None;
            self.told.remove("(behind)");
        }
        let since = is_behind.then(|| *self.behind_since.get_or_insert(now_s));
        let is_long = since.is_some_and(|since| now_s - since >= config.behind_s);
        if is_long && self.told.insert("(behind)".to_owned(), now_s).is_none() {
            let words = format!(
                "the engine is behind: {} messages or batches have been waiting for more than {} s",
                waiting, config.behind_s
            );
            let numbers = vec![("waiting", waiting)];
            found.push(notice(
                NoticeRule::EngineBehind,
                "backlog",
                words,
                numbers,
                now_s,
            ));
        }
        let percent = backlog.spool_percent.unwrap_or(0);
        let fills = percent >= config.spool_percent.max(1);
        if fills && !self.spool_told {
            let words = format!("the spool is full to {percent} %: at its bound sources wait");
            let numbers = vec![("spool_percent", percent)];
            found.push(notice(
                NoticeRule::EngineBehind,
                "spool",
                words,
                numbers,
                now_s,
            ));
        }
        self.spool_told = fills;
        found
    }
}

/// What there is to say of a certificate file.
fn certificate(path: &Path, config: &FaultsConfig, now_s: u64) -> Vec<Notice> {
    let shown = path.display();
    let ends = match std::fs::read(path) {
        Ok(text) => ends_of_file(&text),
        Err(error) => {
            let words = format!("certificate {shown} cannot be read: {error}");
            return vec![day_notice(&shown.to_string(), words, Vec::new(), now_s)];
        }
    };
    let Some(end) = ends.into_iter().min() else {
        let words = format!("certificate {shown}: no certificate is in this file");
        return vec![day_notice(&shown.to_string(), words, Vec::new(), now_s)];
    };
    let now = i64::try_from(now_s).unwrap_or(i64::MAX);
    let left_days = (end - now).div_euclid(DAY_S);
    metrics::gauge!("citywatch_certificate_days_left", "file" => shown.to_string())
        .set(left_days as f64);
    if left_days >= i64::from(config.certificate_days) {
        return Vec::new();
    }
    let words = if end <= now {
        format!("certificate {shown} has ended: renew it and start again")
    } else {
        format!("certificate {shown} ends in {left_days} days")
    };
    let left = u64::try_from(left_days).unwrap_or(0);
    vec![day_notice(
        &shown.to_string(),
        words,
        vec![("days_left", left)],
        now_s,
    )]
}

/// Told once a day while it lasts.
fn day_notice(about: &str, words: String, numbers: Vec<(&'static str, u64)>, now_s: u64) -> Notice {
    let day = now_s / 86_400;
    let key = format!("{about}\0{day}");
    notice(NoticeRule::CertificateEnds, &key, words, numbers, now_s)
}

fn notice(
    rule: NoticeRule,
    about: &str,
    words: String,
    numbers: Vec<(&'static str, u64)>,
    now_s: u64,
) -> Notice {
    // A fault that comes back within the hour is the same.
    let hour = match rule {
        NoticeRule::CertificateEnds => 0,
        _ => now_s / 3_600,
    };
    Notice {
        rule,
        unit: UnitId::from(""),
        host: String::new(),
        time: Timestamp::from_seconds(i64::try_from(now_s).unwrap_or(i64::MAX)),
        key: format!("{about}\0{hour}"),
        words,
        numbers,
    }
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(state: PartState, retries: u64) -> BTreeMap<String, Part> {
        let part = Part {
            state,
            detail: "no route".to_owned(),
            said: serde_json::Value::Null,
            retries,
        };
        BTreeMap::from([("store".to_owned(), part)])
    }

    #[test]
    fn a_part_is_told_once_it_is_down_for_a_while_and_again_after_it_came_back() {
        let config = FaultsConfig::default();
        let mut seen = Seen::default();
        let mut told = |state, at| seen.parts(&parts(state, 1), &config, at).len();
        assert_eq!(told(PartState::Running, 1_000), 0);
        assert_eq!(told(PartState::Retrying, 1_010), 0);
        assert_eq!(told(PartState::Retrying, 1_069), 0);
        assert_eq!(told(PartState::Retrying, 1_070), 1);
        assert_eq!(told(PartState::Retrying, 1_200), 0);
        assert_eq!(told(PartState::Running, 1_210), 0);
        assert_eq!(told(PartState::Stopped, 1_220), 0);
        assert_eq!(told(PartState::Stopped, 1_290), 1);
    }

    #[test]
    fn a_part_that_crashes_again_and_again_is_told_although_it_runs_in_between() {
        let config = FaultsConfig::default();
        let mut seen = Seen::default();
        let mut told = Vec::new();
        for crash in 0..15 {
            let parts = parts(PartState::Running, crash);
            told.extend(seen.parts(&parts, &config, 1_000 + crash * 20));
        }
        assert_eq!(told.len(), 1);
        assert!(told[0].words.contains("10 times"), "{}", told[0].words);
    }

    #[test]
    fn being_behind_is_told_when_it_lasts() {
        let config = FaultsConfig::default();
        let mut seen = Seen::default();
        let mut told = |waiting, spool_percent, at| {
            let backlog = Backlog {
                waiting: Some(waiting),
                spool_percent: Some(spool_percent),
            };
            let notices = seen.backlog(&backlog, &config, at);
            notices.into_iter().map(|n| n.rule.id()).collect::<Vec<_>>()
        };
        assert!(told(200_000, 0, 0).is_empty());
        assert!(told(50, 0, 200).is_empty(), "it had caught up in between");
        assert!(told(200_000, 0, 301).is_empty());
        assert_eq!(told(200_000, 0, 601), ["citywatch-engine-behind"]);
        assert!(told(200_000, 0, 700).is_empty());
        assert_eq!(told(1, 90, 800), ["citywatch-engine-behind"], "the spool");
        assert!(told(1, 90, 801).is_empty());
    }

    #[test]
    fn certificates_are_told_before_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        let config = FaultsConfig::default();
        let told = |now_s| -> Vec<String> {
            let found = certificate(&path, &config, now_s);
            found.into_iter().map(|notice| notice.words).collect()
        };
        assert!(told(0)[0].contains("cannot be read"));
        std::fs::write(&path, "no pem").unwrap();
        assert!(told(0)[0].contains("no certificate"));
        // Ends on 2030-01-01T00:00:00Z.
        std::fs::write(&path, include_str!("testdata/certificates/ends_2030.pem")).unwrap();
        let end = 1_893_456_000;
        assert!(told(end - 31 * 86_400).is_empty());
        assert!(told(end - 10 * 86_400)[0].contains("ends in 10 days"));
        assert!(told(end + 1)[0].contains("has ended"));
    }
}
