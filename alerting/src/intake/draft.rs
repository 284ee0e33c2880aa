//! Matches of one delivery, sorted into the alerts they belong to. Pure: no database, no clock.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use citywatch_engine::{Match, RuleInfo};
use citywatch_parsers::Timestamp;

use super::choice::{Choice, Why};
use super::keys;
use super::translation::translation_of;
use crate::database::storable;
use crate::incidents::{IncidentRow, joined_tags};
use crate::severity::Severity;

/// An alert in the making: all its matches of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    /// The alert's id.
    pub(crate) alert_id: String,
    /// What its incident's alerts have in common.
    pub(crate) group_key: String,
    /// Its matches, in the order of their arrival. Never empty.
    pub(crate) matches: Vec<&'a Match>,
}

/// Matches, sorted.
#[derive(Debug, Default)]
pub(crate) struct Sorted<'a> {
    /// Those that raise alerts.
    pub(crate) drafts: Vec<Draft<'a>>,
    /// Those of rules that somebody switched off.
    pub(crate) switched_off: Vec<&'a Match>,
    /// How many others raise none.
    pub(crate) silent: u64,
}

/// Sorts matches into drafts, in the order of their first matches.
pub(crate) fn sorted<'a>(
    matches: &[&'a Match],
    choice: &Choice<'_>,
    status_of: impl Fn(&RuleInfo) -> String,
) -> Sorted<'a> {
    let config = choice.config;
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut switched_off = Vec::new();
    let mut silent = 0;
    for found in matches {
        let rule = &found.rule;
        let decision = choice.decide(&rule.id, &rule.level, || status_of(rule));
        if decision.why == Why::SwitchedOff {
            switched_off.push(*found);
            continue;
        }
        if !decision.alerts {
            silent += 1;
            continue;
        }
        let alert_id = keys::alert_id(found, config);
        match places.entry(alert_id.clone()) {
            Entry::Occupied(place) => drafts[*place.get()].matches.push(found),
            Entry::Vacant(place) => {
                place.insert(drafts.len());
                let group_key = keys::group_key(found);
                drafts.push(Draft {
                    alert_id,
                    group_key,
                    matches: vec![found],
                });
            }
        }
    }
    Sorted {
        drafts,
        switched_off,
        silent,
    }
}

/// A match that brings evidence: a new one, or a correlation that has grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grown<'a> {
    pub(crate) found: &'a Match,
    /// Its events that were never counted before.
    pub(crate) events: i64,
}

/// What the new matches of a draft add to its alert.
#[derive(Debug)]
pub(crate) struct Growth<'a> {
    pub(crate) matches: Vec<Grown<'a>>,
    /// Matches never counted before.
    pub(crate) match_count: i64,
    /// Events never counted before.
    pub(crate) event_count: i64,
}

impl<'a> Growth<'a> {
    /// Its matches.
    pub(crate) fn found(&self) -> impl Iterator<Item = &'a Match> {
        self.matches.iter().map(|grown| grown.found)
    }

    /// The latest match: it names rule, unit and host of a new alert.
    pub(crate) fn latest(&self) -> Option<&'a Match> {
        self.found()
            .max_by_key(|found| (found.event_time, found.id))
    }

    /// The units whose events these matches hold.
    pub(crate) fn units(&self) -> BTreeSet<&'a str> {
        let of_evidence = |found: &'a Match| {
            // What is not correlated is one event, and of its match's unit.
            let evidence: &'a [_] = if found.rule.correlation {
                &found.evidence
            } else {
                &[]
            };
            evidence.iter().map(|each| each.event.unit.as_str())
        };
        self.found()
            .flat_map(|found| of_evidence(found).chain([found.unit.as_str()]))
            .collect()
    }

    /// Times of the first and of the last event.
    pub(crate) fn range(&self) -> (Timestamp, Timestamp) {
        let times = || {
            self.found().flat_map(|found| {
                found
                    .evidence
                    .iter()
                    .map(|evidence| evidence.event.event_time)
                    .chain([found.event_time])
            })
        };
        (
            times().min().unwrap_or_default(),
            times().max().unwrap_or_default(),
        )
    }
}

/// The title of the incident that a match opens, from the rule's title in whichever language.
fn incident_title(found: &Match, title: &str) -> String {
    let about = if found.rule.correlation {
        found
            .group
            .iter()
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    } else {
        found.host.to_string()
    };
    let title = if about.is_empty() {
        title.to_owned()
    } else {
        format!("{title}: {about}")
    };
    title
        .chars()
        .filter(|character| !character.is_control())
        .take(300)
        .collect()
}

/// A rule's tags as the database keeps them.
pub(crate) fn tags_of(rule: &RuleInfo) -> String {
    serde_json::json!(rule.tags).to_string()
}

/// Calls an incident after what a match found: its titles, its severity, and the rule that they are of.
pub(crate) fn name_after(row: &mut IncidentRow, found: &Match) {
    let rule = &found.rule;
    let title_vi = translation_of(&rule.text).title;
    let severity = Severity::of_level(&rule.level);
    row.title = storable(&incident_title(found, &rule.title)).into_owned();
    row.title_vi = if title_vi.is_empty() {
        String::new()
    } else {
        storable(&incident_title(found, &title_vi)).into_owned()
    };
    row.severity = severity.rank();
    row.rule_id = storable(&rule.id).into_owned();
    row.rule_hash.clone_from(&rule.content_hash);
    row.rule_title = storable(&rule.title).into_owned();
    row.rule_title_vi = storable(&title_vi).into_owned();
    row.rule_level = severity.name().to_owned();
    row.rule_correlation = i64::from(rule.correlation);
    row.tags = joined_tags(&tags_of(rule), &row.tags);
}
