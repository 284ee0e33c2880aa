//! Finds clocks that ran out, and alarms each once.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{ACKNOWLEDGE, REPORT, RESOLVE};
use crate::changes::Changes;
use crate::clock::{Clock, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS};
use crate::config::AlertingConfig;
use crate::database::{Counter, Database};
use crate::incidents::{self, IncidentRow, SYSTEM, Stamp, rfc3339};
use crate::notification::{self, Subject};
use crate::severity::Severity;
use crate::status::Tally;

/// An alarm may come so much late.
const INTERVAL: Duration = Duration::from_secs(5);
/// What ran out longer ago is shown as overdue and alarmed no more.
const ALARM_AGE_MAX: i64 = 7 * DAY_MICROS;
/// Alarms of one transaction.
const ALARMS_MAX: i64 = 500;

/// A condition over `incidents`: a clock was alarmed and still waits.
pub(crate) const OVERDUE: &str = "EXISTS (SELECT 1 FROM clock_alarms AS alarm \
     WHERE alarm.incident_id = incidents.id AND ( \
     (alarm.clock = 'acknowledge' AND incidents.acknowledged_at IS NULL) \
     OR (alarm.clock = 'resolve' AND incidents.resolved_at IS NULL) \
     OR (alarm.clock LIKE 'report:%' AND COALESCE(incidents.verdict, 'true_positive') = 'true_positive' \
     AND NOT EXISTS (SELECT 1 FROM incident_reports AS report \
     WHERE report.incident_id = incidents.id AND report.clock = alarm.clock))))";

/// The task that alarms.
pub(crate) struct Alarms {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) changes: Changes,
    pub(crate) tally: Arc<Tally>,
}

/// A kind of clock for incidents of one severity.
struct Kind {
    name: String,
    severity: Severity,
    micros: i64,
    /// A condition over `incidents`: what the clock waits for was not done.
    waits: &'static str,
}

impl Alarms {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.alarm().await {
                self.tally.failed("looking for clocks that ran out", &error);
            }
        }
    }

    /// Alarms what ran out and was not alarmed; returns how many.
    pub(crate) async fn alarm(&self) -> Result<u64, sqlx::Error> {
        let mut alarmed = 0;
        for kind in self.kinds() {
            loop {
                let found = self.alarm_kind(&kind).await?;
                alarmed += u64::try_from(found).unwrap_or(0);
                if found < ALARMS_MAX {
                    break;
                }
            }
        }
        metrics::counter!("citywatch_clock_alarms_total").increment(alarmed);
        Ok(alarmed)
    }

    fn kinds(&self) -> Vec<Kind> {
        let clocks = &self.config.clocks;
        let mut kinds = Vec::new();
        for severity in Severity::ALL {
            let life = [
                (
                    ACKNOWLEDGE,
                    clocks.acknowledge_minutes,
                    "incidents.acknowledged_at IS NULL",
                ),
                (
                    RESOLVE,
                    clocks.resolve_minutes,
                    "incidents.resolved_at IS NULL",
                ),
            ];
            for (name, minutes, waits) in life {
                if let Some(minutes) = minutes.of(severity) {
                    kinds.push(Kind {
                        name: name.to_owned(),
                        severity,
                        micros: minutes * MINUTE_MICROS,
                        waits,
                    });
                }
            }
            for clock in &clocks.reporting {
                if severity >= clock.severity_min {
                    kinds.push(Kind {
                        name: format!("{REPORT}{}", clock.name),
                        severity,
                        micros: i64::from(clock.hours) * HOUR_MICROS,
                        waits: "COALESCE(incidents.verdict, 'true_positive') = 'true_positive' \
                                AND NOT EXISTS (SELECT 1 FROM incident_reports AS report \
                                WHERE report.incident_id = incidents.id AND report.clock = $4)",
                    });
                }
            }
        }
        kinds
    }

    async fn alarm_kind(&self, kind: &Kind) -> Result<i64, sqlx::Error> {
        let now = self.clock.now();
        let sql = format!(
            "SELECT * FROM incidents WHERE merged_into IS NULL AND severity = $1 \
             AND created_at <= $2 AND created_at > $3 AND {} AND NOT EXISTS (SELECT 1 FROM clock_alarms \
             WHERE clock_alarms.incident_id = incidents.id AND clock_alarms.clock = $4) \
             ORDER BY created_at LIMIT {ALARMS_MAX}",
            kind.waits
        );
        let due = now.as_micros() - kind.micros;
        let rows: Vec<IncidentRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(kind.severity.rank())
            .bind(due)
            .bind(due - ALARM_AGE_MAX)
            .bind(kind.name.as_str())
            .fetch_all(self.database.pool())
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut write = self.database.write().await?;
        let change = write.next(Counter::Change).await?;
        let stamp = Stamp {
            at: now,
            who: SYSTEM,
            change,
        };
        for row in &rows {
            let id = &row.id;
            let due_at = row.created_at + kind.micros;
            // Another process may have been faster.
            let new = sqlx::query(
                "INSERT INTO clock_alarms (incident_id, clock, due_at, alarmed_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(id.as_str())
            .bind(kind.name.as_str())
            .bind(due_at)
            .bind(now.as_micros())
            .execute(&mut *write)
            .await?;
            if new.rows_affected() == 0 {
                continue;
            }
            sqlx::query("UPDATE incidents SET updated_at = $1, change_sequence = $2 WHERE id = $3")
                .bind(now.as_micros())
                .bind(change)
                .bind(id.as_str())
                .execute(&mut *write)
                .await?;
            let what = format!("overdue: {}, due {}", kind.name, rfc3339(due_at));
            let due = rfc3339(due_at);
            let parts = [("clock", kind.name.as_str()), ("due_at", due.as_str())];
            incidents::note(&mut write, id, stamp, "overdue", &what, &parts).await?;
            notification::enqueue(&mut write, row, Subject::Overdue, &kind.name, now).await?;
        }
        write.commit().await?;
        self.changes.announce(change);
        Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
    }
}
