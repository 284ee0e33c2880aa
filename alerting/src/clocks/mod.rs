//! Clocks of incidents: time to acknowledge, to resolve, and to report.
//!
//! Invariants:
//! - A clock is a function of the incident, its reports and the configuration: nothing runs anywhere, so a
//!   restart stops none, and a change of the configuration holds at once.
//! - Each clock of an incident is alarmed once, whatever process finds it, as long as it ran out within the
//!   last days: an alarm of last month would tell nobody anything.

mod alarm;
mod config;

pub(crate) use alarm::{Alarms, OVERDUE};
pub use config::{ClocksConfig, MinutesBySeverity, ReportingClock};

use serde::Serialize;

use crate::clock::{HOUR_MICROS, MINUTE_MICROS};
use crate::incidents::{IncidentRow, Verdict, rfc3339};
use crate::severity::Severity;

/// The clock that stops when somebody has seen the incident.
pub(crate) const ACKNOWLEDGE: &str = "acknowledge";
/// The clock that stops when what had to be done is done.
pub(crate) const RESOLVE: &str = "resolve";
/// Before the name of a reporting clock.
pub(crate) const REPORT: &str = "report:";

/// A clock of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = IncidentClock)]
pub(crate) struct ClockView {
    /// `acknowledge`, `resolve`, or `report:` and a name.
    pub(crate) name: String,
    pub(crate) due_at: String,
    /// When what it waits for was done.
    pub(crate) met_at: Option<String>,
    /// Of a report: where it is to be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
}

/// A report that was handed in.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) clock: String,
    pub(crate) reported_at: i64,
    pub(crate) reference: String,
}

/// The clocks of an incident, the first to run out first.
pub(crate) fn clocks(
    row: &IncidentRow,
    reports: &[Report],
    config: &ClocksConfig,
) -> Vec<ClockView> {
    let severity = Severity::of_rank(row.severity);
    let view = |name: String, micros: i64, met_at: Option<i64>, reference| {
        let due_at = row.created_at.saturating_add(micros);
        let view = ClockView {
            name,
            due_at: rfc3339(due_at),
            met_at: met_at.map(rfc3339),
            reference,
        };
        (due_at, view)
    };
    let mut found = Vec::new();
    let life = [
        (ACKNOWLEDGE, config.acknowledge_minutes, row.acknowledged_at),
        (RESOLVE, config.resolve_minutes, row.resolved_at),
    ];
    for (name, minutes, met_at) in life {
        if let Some(minutes) = minutes.of(severity) {
            found.push(view(name.to_owned(), minutes * MINUTE_MICROS, met_at, None));
        }
    }
    for clock in &config.reporting {
        let name = format!("{REPORT}{}", clock.name);
        let report = reports.iter().find(|report| report.clock == name);
        // What was reported stays told, also when it turns out to be nothing.
        if report.is_some() || (severity >= clock.severity_min && is_reportable(row)) {
            found.push(view(
                name,
                i64::from(clock.hours) * HOUR_MICROS,
                report.map(|report| report.reported_at),
                report.map(|report| report.reference.clone()),
            ));
        }
    }
    found.sort_by_key(|(due_at, _)| *due_at);
    found.into_iter().map(|(_, view)| view).collect()
}

/// Who judged it to be no attack owes no report.
fn is_reportable(row: &IncidentRow) -> bool {
    row.verdict
        .as_deref()
        .is_none_or(|verdict| verdict == Verdict::TruePositive.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(severity: Severity) -> IncidentRow {
        IncidentRow {
            severity: severity.rank(),
            ..IncidentRow::default()
        }
    }

    fn told(row: &IncidentRow, reports: &[Report]) -> Vec<String> {
        clocks(row, reports, &ClocksConfig::default())
            .into_iter()
            .map(|clock| {
                let met = clock.met_at.map_or("", |_| " met");
                format!("{} {}{met}", clock.name, &clock.due_at[8..16])
            })
            .collect()
    }

    #[test]
    fn a_critical_incident_has_all_clocks_in_the_order_of_their_ends() {
        assert_eq!(
            told(&row(Severity::Critical), &[]),
            [
                "acknowledge 01T00:15",
                "resolve 01T04:00",
                "report:first 02T00:00",
                "report:full 04T00:00"
            ]
        );
        assert_eq!(
            told(&row(Severity::High), &[]),
            ["acknowledge 01T01:00", "resolve 02T00:00"]
        );
        assert!(told(&row(Severity::Informational), &[]).is_empty());
    }

    #[test]
    fn what_is_no_attack_is_not_reported_and_what_was_reported_stays_told() {
        let mut row = row(Severity::Critical);
        row.verdict = Some(Verdict::FalsePositive.name().to_owned());
        row.acknowledged_at = Some(1);
        let report = Report {
            clock: "report:first".to_owned(),
            reported_at: 7,
            reference: String::new(),
        };
        assert_eq!(
            told(&row, &[report]),
            [
                "acknowledge 01T00:15 met",
                "resolve 01T04:00",
                "report:first 02T00:00 met"
            ]
        );
    }
}
