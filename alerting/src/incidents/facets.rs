//! Counts beside the queue: how many incidents there are of each severity, state, unit ... under a filter, and
//! when they happened.
//!
//! A facet counts as if nothing of its own were chosen, so that one can choose more of it. Each is a statement
//! that reads one index and groups within the database: what comes back is bounded.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::{AnyPool, Row};
use utoipa::ToSchema;

use super::read::{IncidentFilter, Part, conditions};
use super::view::rfc3339;
use crate::accounts::Scope;
use crate::attack::{TACTICS, tactic_names};
use crate::clock::MINUTE_MICROS;
use crate::severity::Severity;

/// Values of one facet that are told, those with the most incidents first.
const VALUES_MAX: i64 = 50;
/// Bars of a histogram, about.
const BARS: i64 = 60;

/// A value with the number of incidents that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FacetCount {
    /// As the filter takes it.
    pub(crate) value: String,
    /// What people call it, where that is something else: a rule's title, a unit's name.
    pub(crate) label: String,
    /// The same in Vietnamese; empty where there is none.
    pub(crate) label_vi: String,
    pub(crate) count: i64,
}

/// Counts by every facet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Facets {
    /// All that the filter lets through.
    pub(crate) total: i64,
    pub(crate) severity: Vec<FacetCount>,
    pub(crate) state: Vec<FacetCount>,
    pub(crate) unit: Vec<FacetCount>,
    /// `~none` stands for nobody.
    pub(crate) assignee: Vec<FacetCount>,
    pub(crate) rule: Vec<FacetCount>,
    pub(crate) tactic: Vec<FacetCount>,
    pub(crate) histogram: Histogram,
}

/// Incidents over time, by their last event.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = IncidentHistogram)]
pub(crate) struct Histogram {
    /// Of one bar.
    pub(crate) seconds: i64,
    /// Bars that are not empty, the earliest first. Bars of a day begin at midnight, of several hours at a whole hour of
    /// that day, by the clock that `utc_offset_minutes` names.
    pub(crate) bars: Vec<Bar>,
}

/// A bar of the histogram.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = IncidentBar)]
pub(crate) struct Bar {
    /// Where it begins.
    pub(crate) at: String,
    pub(crate) informational: i64,
    pub(crate) low: i64,
    pub(crate) medium: i64,
    pub(crate) high: i64,
    pub(crate) critical: i64,
}

/// The name that stands for nobody in the facet and in the filter.
pub(crate) const NOBODY: &str = "~none";

/// What the reader's clock shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// In microseconds since the epoch.
    pub(crate) now: i64,
    /// How far it is ahead of UTC: bars begin where its days and hours do.
    pub(crate) ahead_micros: i64,
}

/// Counts by every facet.
pub(crate) async fn facets(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
    watch: Watch,
) -> Result<Facets, sqlx::Error> {
    let (total, severity, state, unit, assignee, rule, tactic, histogram) = tokio::try_join!(
        super::count(pool, filter, scope),
        by_severity(pool, filter, scope),
        texts(pool, filter, scope, Part::State, "state"),
        texts(pool, filter, scope, Part::Unit, "unit"),
        texts(pool, filter, scope, Part::Assignee, "assignee"),
        texts(pool, filter, scope, Part::Rule, "rule_id"),
        by_tactic(pool, filter, scope),
        histogram(pool, filter, scope, watch),
    )?;
    let mut facets = Facets {
        total,
        severity,
        state,
        unit,
        assignee,
        rule,
        tactic,
        histogram,
    };
    label(pool, &mut facets).await?;
    Ok(facets)
}

fn counted(value: impl Into<String>, count: i64) -> FacetCount {
    FacetCount {
        value: value.into(),
        label: String::new(),
        label_vi: String::new(),
        count,
    }
}

async fn by_severity(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
) -> Result<Vec<FacetCount>, sqlx::Error> {
    let conditions = conditions(filter, scope, Some(Part::Severity));
    let sql = format!(
        "SELECT severity, COUNT(*) AS n FROM incidents{} GROUP BY severity ORDER BY severity DESC",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let severity = Severity::of_rank(row.try_get("severity")?);
            Ok(counted(severity.name(), row.try_get("n")?))
        })
        .collect()
}

async fn texts(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
    part: Part,
    column: &'static str,
) -> Result<Vec<FacetCount>, sqlx::Error> {
    let conditions = conditions(filter, scope, Some(part));
    let sql = format!(
        "SELECT {column} AS value, COUNT(*) AS n FROM incidents{} GROUP BY {column} \
         ORDER BY n DESC, value LIMIT {VALUES_MAX}",
        conditions.clause()
    );
    let rows = conditions.query(sql).fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let value: Option<String> = row.try_get("value")?;
            Ok(counted(
                value.unwrap_or_else(|| NOBODY.to_owned()),
                row.try_get("n")?,
            ))
        })
        .collect()
}

async fn by_tactic(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
) -> Result<Vec<FacetCount>, sqlx::Error> {
    let conditions = conditions(filter, scope, Some(Part::Tactic));
    let sql = format!(
        "SELECT tactics, COUNT(*) AS n FROM incidents{} GROUP BY tactics",
        conditions.clause()
    );
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for row in conditions.query(sql).fetch_all(pool).await? {
        let count: i64 = row.try_get("n")?;
        for name in tactic_names(row.try_get("tactics")?) {
            *counts.entry(name).or_default() += count;
        }
    }
    // In the order of an attack, not of numbers: so the list stands still.
    Ok(TACTICS
        .iter()
        .filter_map(|name| Some(counted(*name, *counts.get(name)?)))
        .collect())
}

async fn histogram(
    pool: &AnyPool,
    filter: &IncidentFilter,
    scope: &Scope,
    Watch { now, ahead_micros }: Watch,
) -> Result<Histogram, sqlx::Error> {
    let bounds = conditions(filter, scope, None);
    let sql = format!(
        "SELECT MIN(last_event_at) AS first, MAX(last_event_at) AS last FROM incidents{}",
        bounds.clause()
    );
    let row = bounds.query(sql).fetch_one(pool).await?;
    let first: Option<i64> = row.try_get("first")?;
    let last: Option<i64> = row.try_get("last")?;
    let first = filter.from.or(first).unwrap_or(now);
    let last = filter.to.or(last).unwrap_or(now);
    let width = width(last.saturating_sub(first));
    let conditions = conditions(filter, scope, None);
    let sql = format!(
        "SELECT (last_event_at + ({ahead_micros})) / {width} AS bar, severity, COUNT(*) AS n FROM incidents{} \
         GROUP BY bar, severity ORDER BY bar LIMIT 5000",
        conditions.clause()
    );
    let mut bars: BTreeMap<i64, [i64; 5]> = BTreeMap::new();
    for row in conditions.query(sql).fetch_all(pool).await? {
        let severity: i64 = row.try_get("severity")?;
        let place = usize::try_from(severity).unwrap_or(0).min(4);
        bars.entry(row.try_get("bar")?).or_default()[place] += row.try_get::<i64, _>("n")?;
    }
    Ok(Histogram {
        seconds: width / 1_000_000,
        bars: bars
            .into_iter()
            .map(|(bar, [informational, low, medium, high, critical])| Bar {
                at: rfc3339(bar * width - ahead_micros),
                informational,
                low,
                medium,
                high,
                critical,
            })
            .collect(),
    })
}

/// The width of a bar in microseconds: a round one.
fn width(span: i64) -> i64 {
    const MINUTES: [i64; 11] = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 10_080, 43_200];
    let wanted = span / BARS;
    MINUTES
        .into_iter()
        .map(|minutes| minutes * MINUTE_MICROS)
        .find(|width| *width >= wanted)
        .unwrap_or(43_200 * MINUTE_MICROS)
}

/// What people call rules and units.
async fn label(pool: &AnyPool, facets: &mut Facets) -> Result<(), sqlx::Error> {
    let mut titles: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut conditions = crate::sql::Conditions::default();
    conditions.one_of("id", facets.rule.iter().map(|rule| rule.value.as_str()));
    let sql = format!(
        "SELECT id, title, title_vi FROM rules{} ORDER BY first_seen_at, content_hash",
        conditions.clause()
    );
    for row in conditions.query(sql).fetch_all(pool).await? {
        titles.insert(
            row.try_get("id")?,
            (row.try_get("title")?, row.try_get("title_vi")?),
        );
    }
    for rule in &mut facets.rule {
        if let Some((title, title_vi)) = titles.remove(&rule.value) {
            (rule.label, rule.label_vi) = (title, title_vi);
        }
    }
    let mut conditions = crate::sql::Conditions::default();
    conditions.push("valid_to IS NULL");
    conditions.one_of("id", facets.unit.iter().map(|unit| unit.value.as_str()));
    let sql = format!("SELECT id, name FROM units{}", conditions.clause());
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for row in conditions.query(sql).fetch_all(pool).await? {
        names.insert(row.try_get("id")?, row.try_get("name")?);
    }
    for unit in &mut facets.unit {
        unit.label = names.remove(&unit.value).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::DAY_MICROS;

    #[test]
    fn bars_are_round_and_few() {
        assert_eq!(width(0), MINUTE_MICROS);
        assert_eq!(width(DAY_MICROS), 30 * MINUTE_MICROS);
        assert_eq!(width(30 * DAY_MICROS), 720 * MINUTE_MICROS);
        for days in 1..400 {
            assert!(days * DAY_MICROS / width(days * DAY_MICROS) <= BARS);
        }
    }
}
