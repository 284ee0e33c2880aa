//! Which clocks run for incidents, and for how long: the section `[alerting.clocks]`.

use serde::Deserialize;

use crate::severity::Severity;

/// Which clocks run. All begin when the incident is opened.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClocksConfig {
    /// Time until somebody has seen it.
    pub acknowledge_minutes: MinutesBySeverity,
    /// Time until what had to be done is done.
    pub resolve_minutes: MinutesBySeverity,
    /// Reports that are owed, as the law or the city asks for them.
    pub reporting: Vec<ReportingClock>,
}

impl Default for ClocksConfig {
    fn default() -> Self {
        let report = |name: &str, hours| ReportingClock {
            name: name.to_owned(),
            hours,
            severity_min: Severity::Critical,
        };
        Self {
            acknowledge_minutes: MinutesBySeverity {
                critical: 15,
                high: 60,
                medium: 8 * 60,
                low: 24 * 60,
                informational: 0,
            },
            resolve_minutes: MinutesBySeverity {
                critical: 4 * 60,
                high: 24 * 60,
                medium: 3 * 24 * 60,
                low: 7 * 24 * 60,
                informational: 0,
            },
            reporting: vec![report("first", 24), report("full", 72)],
        }
    }
}

/// Minutes by severity; 0: no clock.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinutesBySeverity {
    /// Of critical incidents.
    pub critical: u32,
    /// Of high ones.
    pub high: u32,
    /// Of medium ones.
    pub medium: u32,
    /// Of low ones.
    pub low: u32,
    /// Of informational ones.
    pub informational: u32,
}

impl MinutesBySeverity {
    /// The time for incidents of that severity; none where no clock runs.
    pub(crate) fn of(&self, severity: Severity) -> Option<i64> {
        let minutes = match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low => self.low,
            Severity::Informational => self.informational,
        };
        (minutes > 0).then(|| i64::from(minutes))
    }
}

/// A report that is owed some hours after an incident was opened, unless it turns out to be none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportingClock {
    /// What it is called; the console knows `first` and `full`.
    pub name: String,
    /// Hours from detection.
    pub hours: u32,
    /// Incidents below this severity are not reported.
    #[serde(default = "critical")]
    pub severity_min: Severity,
}

fn critical() -> Severity {
    Severity::Critical
}
