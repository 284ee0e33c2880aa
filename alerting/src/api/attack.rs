//! ATT&CK: which techniques rules look for, and what they found.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use citywatch_rules::attack::{ATTACK_VERSION, Techniques};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::problem::{Params, Problem};
use crate::attack::{TACTICS, tactic_bit, tactic_names, tactics_of, techniques_of};
use crate::clock::DAY_MICROS;
use crate::incidents::json;
use crate::sql::Conditions;

const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 366;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct AttackParams {
    /// Alerts of so many days count; 30 by default, 366 at most.
    days: Option<i64>,
}

/// Coverage by rules, and hits.
#[derive(Serialize, ToSchema)]
pub(super) struct Coverage {
    /// Of how many days.
    days: i64,
    /// Rules that are loaded, with and without tags of ATT&CK; 0 where no engine has told its rules.
    rules_loaded: usize,
    /// The version of ATT&CK Enterprise that names and places of techniques are from.
    version: &'static str,
    /// All tactics, in the order of an attack.
    tactics: Vec<Tactic>,
    /// Techniques that a rule names, by id.
    techniques: Vec<Technique>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AttackTactic)]
struct Tactic {
    name: &'static str,
    rules: i64,
    alerts: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AttackTechnique)]
struct Technique {
    /// `T1110.001`
    id: String,
    /// `Brute Force: Password Guessing`; empty for a technique that this version of ATT&CK does not have.
    name: String,
    /// Those that it belongs to, of these the ones that its rules name.
    tactics: Vec<&'static str>,
    rules: Vec<TechniqueRule>,
    alerts: i64,
    events: i64,
}

#[derive(Clone, Serialize, ToSchema)]
struct TechniqueRule {
    id: String,
    title: String,
    title_vi: String,
    loaded: bool,
    alerts: i64,
}

struct Known {
    rule: TechniqueRule,
    tags: Vec<String>,
    events: i64,
}

/// `GET /api/v1/attack`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AttackParams>,
) -> Result<Json<Coverage>, Problem> {
    let days = params.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        let fault = FieldFault::Range {
            min: 1,
            max: DAYS_MAX,
        };
        return Err(Problem::field("days", fault));
    }
    let rules = known(&app, &caller, days).await?;
    let attack = Techniques::enterprise();
    let rules_loaded = rules.iter().filter(|known| known.rule.loaded).count();
    let mut tactics: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
    let mut techniques: BTreeMap<String, (i64, Technique)> = BTreeMap::new();
    for known in rules {
        let bits = tactics_of(&known.tags);
        let named = tactic_names(bits);
        for (place, name) in TACTICS.iter().enumerate() {
            if bits & tactic_bit(name).unwrap_or(0) != 0 {
                let (rules, alerts) = tactics.entry(place).or_default();
                *rules += 1;
                *alerts += known.rule.alerts;
            }
        }
        for id in techniques_of(&known.tags) {
            let (all, technique) = techniques.entry(id.clone()).or_insert_with(|| {
                let technique = Technique {
                    name: attack.name(&id).unwrap_or_default(),
                    id,
                    tactics: Vec::new(),
                    rules: Vec::new(),
                    alerts: 0,
                    events: 0,
                };
                (0, technique)
            });
            let below = attack.tactics_of(&technique.id, &named);
            *all |= below
                .into_iter()
                .filter_map(tactic_bit)
                .fold(0, |all, bit| all | bit);
            technique.alerts += known.rule.alerts;
            technique.events += known.events;
            technique.rules.push(known.rule.clone());
        }
    }
    let tactics = TACTICS.iter().enumerate().map(|(place, name)| {
        let (rules, alerts) = tactics.get(&place).copied().unwrap_or_default();
        Tactic {
            name,
            rules,
            alerts,
        }
    });
    let techniques = techniques.into_values().map(|(bits, mut technique)| {
        technique.tactics = tactic_names(bits);
        technique
            .rules
            .sort_by(|one, other| (other.alerts, &one.title).cmp(&(one.alerts, &other.title)));
        technique
    });
    Ok(Json(Coverage {
        days,
        version: ATTACK_VERSION,
        rules_loaded,
        tactics: tactics.collect(),
        techniques: techniques.collect(),
    }))
}

/// Rules that are loaded, and those that raised alerts that may be seen.
async fn known(app: &App, caller: &Caller, days: i64) -> Result<Vec<Known>, sqlx::Error> {
    let pool = app.database.pool();
    let mut conditions = Conditions::default();
    let since = app.clock.now().as_micros() - days * DAY_MICROS;
    conditions.compare("last_event_at", ">=", since);
    conditions.scope("unit", caller.scope());
    let sql = format!(
        "SELECT rule_id, COUNT(*) AS alerts, CAST(SUM(event_count) AS BIGINT) AS events FROM alerts{} \
         GROUP BY rule_id",
        conditions.clause()
    );
    let mut hits: HashMap<String, (i64, i64)> = HashMap::new();
    for row in conditions.query(sql).fetch_all(pool).await? {
        let counts = (row.try_get("alerts")?, row.try_get("events")?);
        hits.insert(row.try_get("rule_id")?, counts);
    }
    let mut rules: BTreeMap<String, Known> = BTreeMap::new();
    for (sql, loaded) in [
        (
            "SELECT id, title, title_vi, tags FROM rules ORDER BY first_seen_at, content_hash",
            false,
        ),
        ("SELECT id, title, title_vi, tags FROM rules_loaded", true),
    ] {
        for row in sqlx::query(sql).fetch_all(pool).await? {
            let id: String = row.try_get("id")?;
            let hit = hits.get(&id).copied();
            if !loaded && hit.is_none() {
                continue;
            }
            let (alerts, events) = hit.unwrap_or_default();
            let rule = TechniqueRule {
                id: id.clone(),
                title: row.try_get("title")?,
                title_vi: row.try_get("title_vi")?,
                loaded,
                alerts,
            };
            let tags = json(row.try_get("tags")?);
            rules.insert(id, Known { rule, tags, events });
        }
    }
    Ok(rules.into_values().collect())
}
