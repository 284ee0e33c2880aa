//! Which open incidents an alert shares something with: a host, a user, an address, a digest.
//!
//! Invariants:
//! - Only within one unit: who sees a unit sees all that its incidents hold, and nothing else.
//! - Bounded: what many hosts have in common (root, the address of a proxy) joins nothing, and an incident takes
//!   in only so many alerts over so long a time. So a city never becomes one incident.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_engine::Match;
use sqlx::{AssertSqlSafe, Row};

use super::entities::EntityKind;
use crate::clock::{HOUR_MICROS, MINUTE_MICROS};
use crate::config::AlertingConfig;
use crate::database::{Write, storable};
use crate::incidents::{IncidentRow, State};
use crate::sql::Conditions;

/// Entities of an alert that are looked up.
const LOOKED_UP_MAX: usize = 8;
/// Pairs of host and incident that are read per entity; with more it joins nothing.
const PAIRS_MAX: usize = 32;

/// Users that are on every machine: they say nothing about who acts.
const EVERYWHERE: &[&str] = &[
    "root",
    "system",
    "administrator",
    "admin",
    "local service",
    "network service",
    "anonymous logon",
    "nobody",
    "daemon",
    "www-data",
    "dwm-1",
    "umfd-0",
];

/// Whether a match is about Citywatch itself (a silent agent, a certificate that ends): it has a host, but is no
/// part of what somebody does there.
pub(super) fn is_of_citywatch(found: &Match) -> bool {
    found.rule.log_source.product == "citywatch"
}

/// Whether an entity may join alerts at all.
fn joins(kind: EntityKind, value: &str) -> bool {
    match kind {
        EntityKind::Host | EntityKind::Address | EntityKind::Hash => true,
        EntityKind::User => {
            let name = value.rsplit('\\').next().unwrap_or(value).to_lowercase();
            // A machine's own account ends in a dollar sign.
            !name.ends_with('$') && !EVERYWHERE.contains(&name.as_str())
        }
        EntityKind::File => false,
    }
}

/// Open incidents of the alert's unit that share an entity with it and are near in time, the oldest first.
pub(super) async fn linked(
    write: &mut Write,
    latest: &Match,
    entities: &BTreeSet<(EntityKind, String)>,
    range: (i64, i64),
    config: &AlertingConfig,
) -> Result<Vec<IncidentRow>, sqlx::Error> {
    let settings = &config.incidents;
    if !settings.join_by_entities || is_of_citywatch(latest) {
        return Ok(Vec::new());
    }
    let looked_up: Vec<_> = entities
        .iter()
        .filter(|(kind, value)| joins(*kind, value))
        .take(LOOKED_UP_MAX)
        .collect();
    if looked_up.is_empty() {
        return Ok(Vec::new());
    }
    let gap = i64::from(settings.gap_minutes) * MINUTE_MICROS;
    let window = i64::from(config.alerts.window_minutes) * MINUTE_MICROS;
    let parts: Vec<String> = (0..looked_up.len()).map(part).collect();
    let mut query = sqlx::query(AssertSqlSafe(parts.join(" UNION ALL ")))
        .bind(storable(latest.unit.as_str()).into_owned())
        .bind(range.0.saturating_sub(gap + window))
        .bind(range.1.saturating_add(gap));
    for (kind, value) in &looked_up {
        query = query.bind(kind.name()).bind(value.as_str());
    }
    let mut found: BTreeMap<(String, String), Sharing> = BTreeMap::new();
    for row in query.fetch_all(&mut **write).await? {
        let key = (row.try_get("kind")?, row.try_get("value")?);
        let sharing = found.entry(key).or_default();
        sharing.pairs += 1;
        sharing.hosts.insert(row.try_get("host")?);
        sharing.incidents.insert(row.try_get("incident_id")?);
    }
    let host = storable(&latest.host).into_owned();
    let hosts_max = usize::try_from(settings.entity_hosts_max).unwrap_or(usize::MAX);
    let ids: BTreeSet<String> = found
        .into_values()
        .filter(|sharing| {
            let more = usize::from(!sharing.hosts.contains(&host));
            sharing.pairs < PAIRS_MAX && sharing.hosts.len() + more <= hosts_max
        })
        .flat_map(|sharing| sharing.incidents)
        .collect();
    open_ones(write, latest, &ids).await
}

/// Where one entity was named before.
#[derive(Default)]
struct Sharing {
    /// Of a host and an incident.
    pairs: usize,
    hosts: BTreeSet<String>,
    incidents: BTreeSet<String>,
}

/// The statement that looks up one entity; it stops after enough rows, however common the entity is.
fn part(place: usize) -> String {
    let (kind, value) = (place * 2 + 4, place * 2 + 5);
    format!(
        "SELECT * FROM (SELECT DISTINCT shared.kind, shared.value, shared.host, alerts.incident_id \
         FROM alert_entities AS shared JOIN alerts ON alerts.id = shared.alert_id \
         WHERE shared.kind = ${kind} AND shared.value = ${value} AND shared.unit = $1 \
         AND shared.at >= $2 AND shared.at <= $3 LIMIT {PAIRS_MAX}) AS part{place}"
    )
}

async fn open_ones(
    write: &mut Write,
    latest: &Match,
    ids: &BTreeSet<String>,
) -> Result<Vec<IncidentRow>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = Conditions::default();
    conditions.one_of("id", ids.iter().map(String::as_str));
    conditions.one_of("state", State::OPEN.iter().map(|state| state.name()));
    conditions.push("merged_into IS NULL");
    conditions.compare("unit", "=", storable(latest.unit.as_str()).into_owned());
    let sql = format!(
        "SELECT * FROM incidents{} ORDER BY number",
        conditions.clause()
    );
    conditions.query_as(sql).fetch_all(&mut **write).await
}

/// Whether `into` may take in so many more alerts of that time because of what they share.
pub(super) fn has_room(
    into: &IncidentRow,
    alerts: i64,
    range: (i64, i64),
    config: &AlertingConfig,
) -> bool {
    let settings = &config.incidents;
    let first = into.first_event_at.min(range.0);
    let last = into.last_event_at.max(range.1);
    into.alert_count + alerts <= i64::from(settings.shared_alerts_max)
        && last.saturating_sub(first) <= i64::from(settings.shared_span_hours_max) * HOUR_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_every_machine_join_nothing() {
        for name in [
            "root",
            "NT AUTHORITY\\SYSTEM",
            "CITY\\WEB01$",
            "Administrator",
        ] {
            assert!(!joins(EntityKind::User, name), "{name}");
        }
        assert!(joins(EntityKind::User, "CITY\\an.nguyen"));
        assert!(!joins(EntityKind::File, "/tmp/x"));
    }
}
