//! The store's bound in bytes: a warning first, then intake pauses, and goes on by itself.
//!
//! Without a bound in the configuration the store may have what its disk still has: then the bound is what
//! it has plus what is free, so that others' files on the same disk are told from its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use citywatch_parsers::{Timestamp, UnitId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::notices::{Notice, NoticeRule, Notices};
use crate::store::{Store, StoreUse};

/// What the store may have: section `[store.space]` of `citywatch.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpaceConfig {
    /// Most bytes on disk; 0: as many as its disk has room for.
    pub bytes_max: u64,
    /// From this share of it on the operators are warned, in percent.
    pub warn_percent: u8,
    /// From this share of it on nothing more is taken in, in percent.
    pub pause_percent: u8,
    /// Below this share of it intake goes on, in percent.
    pub resume_percent: u8,
    /// How often the store is asked, in seconds.
    pub check_interval_s: u64,
}

impl Default for SpaceConfig {
    fn default() -> Self {
        Self {
            bytes_max: 0,
            warn_percent: 85,
            pause_percent: 95,
            resume_percent: 93,
            check_interval_s: 10,
        }
    }
}

/// Holds the pipeline's intake while there is no room. Clones share it.
#[derive(Clone, Debug)]
pub struct IntakeGate(watch::Sender<Option<String>>);

impl Default for IntakeGate {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl IntakeGate {
    /// Why nothing is taken in, if so.
    pub fn paused(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Stops intake, or lets it go on.
    pub fn set(&self, paused: Option<String>) {
        self.0.send_if_modified(|before| {
            let has_changed = *before != paused;
            *before = paused;
            has_changed
        });
    }

    /// To be waited on while it is paused.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<String>> {
        self.0.subscribe()
    }
}

/// How full the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Bytes that it has on disk.
    pub bytes: u64,
    /// Bytes that it may have.
    pub bytes_max: u64,
    /// Bytes that are free on its disk.
    pub disk_free_bytes: u64,
    /// Share of what it may have, in percent.
    pub used_percent: u8,
    /// Whether the operators are warned.
    pub is_filling: bool,
    /// Whether intake is paused.
    pub is_paused: bool,
}

impl Space {
    /// How full it is, given how it stood before: a paused intake goes on only once there is room again.
    pub fn of(found: StoreUse, config: &SpaceConfig, before: Self) -> Self {
        let by_disk = found.bytes.saturating_add(found.disk_free_bytes);
        let bytes_max = match config.bytes_max {
            0 => by_disk,
            bytes_max => bytes_max.min(by_disk),
        };
        let percent = u128::from(found.bytes) * 100 / u128::from(bytes_max.max(1));
        let used_percent = u8::try_from(percent).unwrap_or(u8::MAX);
        let is_paused = if before.is_paused {
            used_percent >= config.resume_percent.min(config.pause_percent)
        } else {
            used_percent >= config.pause_percent
        };
        Self {
            bytes: found.bytes,
            bytes_max,
            disk_free_bytes: found.disk_free_bytes,
            used_percent,
            is_filling: used_percent >= config.warn_percent,
            is_paused,
        }
    }
}

/// Watches the store's room.
#[derive(Debug)]
pub struct SpaceWatch {
    config: SpaceConfig,
    store: Store,
    gate: IntakeGate,
    latest: Arc<Mutex<Space>>,
}

impl SpaceWatch {
    /// Holds `gate` while `store` is full.
    pub fn new(store: Store, gate: IntakeGate) -> Self {
        Self {
            config: store.config().space.clone(),
            store,
            gate,
            latest: Arc::default(),
        }
    }

    /// How full the store was when it was last asked.
    pub fn latest(&self) -> impl Fn() -> Space + Send + Sync + 'static {
        let latest = Arc::clone(&self.latest);
        move || *latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches until `shutdown`. A store that does not answer changes nothing.
    pub async fn run(self, notices: Notices, shutdown: CancellationToken) {
        let mut every =
            tokio::time::interval(Duration::from_secs(self.config.check_interval_s.max(1)));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            let found = match self.store.used_space().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::debug!(%error, "the store does not say how full it is");
                    continue;
                }
            };
            let told = self.take(found);
            // Telling waits for alerting; the gate must not wait for it.
            let notices = notices.clone();
            tokio::spawn(async move { notices.tell(&told).await });
        }
    }

    /// Sets the gate by what was found; returns what is to be told.
    fn take(&self, found: StoreUse) -> Vec<Notice> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *latest;
        let space = Space::of(found, &self.config, before);
        *latest = space;
        drop(latest);
        metrics::gauge!("citywatch_store_bytes").set(space.bytes as f64);
        metrics::gauge!("citywatch_store_bytes_max").set(space.bytes_max as f64);
        metrics::gauge!("citywatch_intake_paused").set(f64::from(u8::from(space.is_paused)));
        let full = format!(
            "the store has {} of {} bytes ({} %)",
            space.bytes, space.bytes_max, space.used_percent
        );
        self.gate.set(space.is_paused.then(|| {
            format!(
                "{full}: intake goes on below {} %; give it more room or keep less",
                self.config.resume_percent
            )
        }));
        if before.is_paused && !space.is_paused {
            tracing::info!("{full}: intake goes on");
        }
        let mut told = Vec::new();
        if space.is_filling && !before.is_filling {
            told.push(notice(NoticeRule::StoreFilling, &full, space));
        }
        if space.is_paused && !before.is_paused {
            let words = format!("{full}: nothing more is taken in until there is room");
            told.push(notice(NoticeRule::IntakePaused, &words, space));
        }
        told
    }
}

fn notice(rule: NoticeRule, words: &str, space: Space) -> Notice {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let time = Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX));
    Notice {
        rule,
        unit: UnitId::from(""),
        host: String::new(),
        time,
        // Once an hour at most, however often it comes and goes.
        key: (time.as_micros() / 3_600_000_000).to_string(),
        words: words.to_owned(),
        numbers: vec![
            ("bytes", space.bytes),
            ("bytes_max", space.bytes_max),
            ("disk_free_bytes", space.disk_free_bytes),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(bytes: u64, free: u64, bytes_max: u64, before: Space) -> Space {
        let config = SpaceConfig {
            bytes_max,
            ..SpaceConfig::default()
        };
        let found = StoreUse {
            bytes,
            disk_free_bytes: free,
        };
        Space::of(found, &config, before)
    }

    #[test]
    fn the_bound_warns_then_pauses_then_goes_on_with_room_to_spare() {
        let mut before = Space::default();
        let mut seen = Vec::new();
        for bytes in [840, 850, 940, 950, 940, 930, 929, 940] {
            before = space(bytes, 1 << 40, 1_000, before);
            seen.push((before.is_filling, before.is_paused));
        }
        assert_eq!(
            seen,
            [
                (false, false),
                (true, false),
                (true, false),
                (true, true),
                (true, true),
                (true, true),
                (true, false),
                (true, false),
            ]
        );
    }

    #[test]
    fn without_a_bound_the_disk_is_the_bound() {
        let none = Space::default();
        assert!(!space(100, 1_000, 0, none).is_filling);
        assert!(space(950, 50, 0, none).is_paused);
        // What others have on the disk does not make an empty store a full one.
        assert_eq!(space(10, 990, 0, none).used_percent, 1);
        // A bound that the disk cannot hold is none.
        assert!(space(950, 50, 1 << 40, none).is_paused);
        // Nothing free at all, and nothing stored yet.
        assert!(space(0, 0, 0, none).used_percent == 0);
    }
}
