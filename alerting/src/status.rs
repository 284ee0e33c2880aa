//! What alerting says of itself: counted here, shown by `citywatch status` and as metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use citywatch_engine::Match;
use citywatch_parsers::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::intake::Outcome;

/// The state of alerting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertingStatus {
    /// Incidents by state, those merged into others left out.
    pub incidents: BTreeMap<String, u64>,
    /// Alerts in the database.
    pub alerts: u64,
    /// Matches counted since the start.
    pub matches: u64,
    /// Matches since the start that had been counted before: replays.
    pub matches_known: u64,
    /// Matches since the start of rules that raise no alert.
    pub matches_silent: u64,
    /// Matches since the start of rules that are switched off.
    pub matches_switched_off: u64,
    /// Matches since the start that a suppression hid.
    pub matches_suppressed: u64,
    /// Incidents since the start that were scored anew after a verdict on their rule.
    pub incidents_rescored: u64,
    /// Matches since the start that the database refused for what is in them: they raised nothing, and the log names them.
    pub matches_refused: u64,
    /// Commits since the start that failed and were tried again.
    pub intake_retries: u64,
    /// Whether the last commit failed: matches are waiting.
    pub intake_waiting: bool,
    /// Notifications by what became of them: waiting, sent, failed.
    pub notifications: BTreeMap<String, u64>,
    /// People signed in.
    pub sessions: u64,
    /// What failed last.
    pub last_error: Option<LastError>,
}

/// What failed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What was tried, and why it failed.
    pub message: String,
}

/// Counts since the start.
#[derive(Debug)]
pub(crate) struct Tally {
    clock: Clock,
    matches_new: AtomicU64,
    matches_known: AtomicU64,
    matches_silent: AtomicU64,
    matches_switched_off: AtomicU64,
    matches_suppressed: AtomicU64,
    incidents_rescored: AtomicU64,
    matches_refused: AtomicU64,
    intake_retries: AtomicU64,
    /// Failures of the commit that is being tried; 0 when it succeeded.
    intake_failures_now: AtomicU64,
    last_error: Mutex<Option<(Timestamp, String)>>,
}

impl Tally {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            matches_new: AtomicU64::new(0),
            matches_known: AtomicU64::new(0),
            matches_silent: AtomicU64::new(0),
            matches_switched_off: AtomicU64::new(0),
            matches_suppressed: AtomicU64::new(0),
            incidents_rescored: AtomicU64::new(0),
            matches_refused: AtomicU64::new(0),
            intake_retries: AtomicU64::new(0),
            intake_failures_now: AtomicU64::new(0),
            last_error: Mutex::new(None),
        }
    }

    pub(crate) fn intake_committed(&self, outcome: &Outcome) {
        self.intake_failures_now.store(0, Ordering::Relaxed);
        for (count, total, result) in [
            (outcome.matches_new, &self.matches_new, "counted"),
            (outcome.matches_known, &self.matches_known, "known"),
            (outcome.matches_silent, &self.matches_silent, "silent"),
            (
                outcome.matches_switched_off,
                &self.matches_switched_off,
                "switched_off",
            ),
            (
                outcome.matches_hidden,
                &self.matches_suppressed,
                "suppressed",
            ),
        ] {
            total.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("citywatch_intake_matches_total", "result" => result)
                .increment(count);
        }
        metrics::counter!("citywatch_alerts_total").increment(outcome.alerts_new);
        metrics::counter!("citywatch_incidents_total").increment(outcome.incidents_new);
    }

    /// Incidents were scored anew, since more is known of their rule.
    pub(crate) fn rescored(&self, incidents: u64) {
        self.incidents_rescored
            .fetch_add(incidents, Ordering::Relaxed);
        metrics::counter!("citywatch_incidents_rescored_total").increment(incidents);
    }

    pub(crate) fn intake_failed(&self, error: &sqlx::Error, delay: Duration) {
        self.intake_retries.fetch_add(1, Ordering::Relaxed);
        self.intake_failures_now.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("citywatch_intake_retries_total").increment(1);
        tracing::warn!(%error, retry_in_ms = delay.as_millis(), "matches could not be committed; trying again");
        self.remember(format!("committing matches: {error}"));
    }

    /// A match was left out, so that those behind it are not held up.
    pub(crate) fn match_refused(&self, found: &Match, error: &sqlx::Error) {
        self.intake_failures_now.store(0, Ordering::Relaxed);
        self.matches_refused.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("citywatch_intake_matches_total", "result" => "refused").increment(1);
        tracing::error!(
            %error, match_id = %found.id, rule = %found.rule.id, unit = %found.unit, host = %found.host,
            event_time = %found.event_time,
            "the database refuses a match for what is in it: it raises no alert, and is to be found among the stored matches"
        );
        self.remember(format!(
            "a match of the rule {:?} on {:?} was refused and left out: {error}",
            found.rule.id, found.host
        ));
    }

    /// Notes something that failed beside intake.
    pub(crate) fn failed(&self, what: &str, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, "{what} failed");
        self.remember(format!("{what}: {error}"));
    }

    fn remember(&self, message: String) {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((self.clock.now(), message));
    }

    /// The counts; what the database knows is left empty.
    pub(crate) fn status(&self) -> AlertingStatus {
        let last_error = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        AlertingStatus {
            matches: self.matches_new.load(Ordering::Relaxed),
            matches_known: self.matches_known.load(Ordering::Relaxed),
            matches_silent: self.matches_silent.load(Ordering::Relaxed),
            matches_switched_off: self.matches_switched_off.load(Ordering::Relaxed),
            matches_suppressed: self.matches_suppressed.load(Ordering::Relaxed),
            incidents_rescored: self.incidents_rescored.load(Ordering::Relaxed),
            matches_refused: self.matches_refused.load(Ordering::Relaxed),
            intake_retries: self.intake_retries.load(Ordering::Relaxed),
            intake_waiting: self.intake_failures_now.load(Ordering::Relaxed) > 0,
            last_error: last_error.map(|(at, message)| LastError {
                at: at.to_string(),
                message,
            }),
            ..AlertingStatus::default()
        }
    }
}
