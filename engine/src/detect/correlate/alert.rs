//! From the windows in which a correlation held to the Match that alerting gets.

use std::sync::Arc;

use citywatch_parsers::{Timestamp, UnitId};
use citywatch_rules::Correlation;

use super::evidence::{Kept, Witness, Witnesses, fetch};
use super::group::Group;
use super::raised::Told;
use crate::matches::{Evidence, Match, MatchId, RuleInfo};

/// Events that a match carries as evidence; the first and the last ones where there are more.
const EVIDENCE_EVENTS_MAX: usize = 100;

/// A correlation and its description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'c> {
    pub(super) correlation: &'c Correlation,
    pub(super) info: &'c Arc<RuleInfo>,
}

/// What there is to tell of an alert.
#[derive(Debug)]
pub(super) struct Telling<'g> {
    group: &'g Group,
    cell: i64,
    witnesses: Vec<Witness<'g>>,
    /// A hash of its events.
    events: u128,
}

impl Telling<'_> {
    /// What to remember of it.
    pub(super) fn told(&self) -> Told {
        Told {
            events: self.events,
            is_settled: false,
        }
    }
}

impl Named<'_> {
    /// The id of the alert of a group in a cell.
    pub(super) fn alert_id(self, group: &Group, cell: i64) -> MatchId {
        MatchId::of_group(&self.info.id, &self.group_of(group), self.cell_start(cell))
    }

    /// The group-by names with the group's values.
    pub(super) fn group_of(self, group: &Group) -> Vec<(String, String)> {
        let names = self.correlation.group_by.iter();
        names
            .zip(&group.values)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    /// What there is to tell of a group in a cell, for the windows from and to these times.
    pub(super) fn gather<'g>(
        self,
        group: &'g Group,
        cell: i64,
        windows: &[(i64, i64)],
    ) -> Telling<'g> {
        let witnesses = witnesses_in(group, windows);
        Telling {
            events: told_hash(&witnesses),
            group,
            cell,
            witnesses,
        }
    }

    /// The match that tells it.
    pub(super) fn tell(self, telling: &Telling<'_>) -> Match {
        let (group, cell, witnesses) = (telling.group, telling.cell, &telling.witnesses);
        let evidence = evidence_of(witnesses);
        let latest = evidence.last();
        Match {
            id: self.alert_id(group, cell),
            rule: Arc::clone(self.info),
            unit: latest.map_or_else(UnitId::default, |latest| latest.event.unit.clone()),
            host: latest.map_or_else(String::new, |latest| latest.event.host.clone()),
            event_time: Timestamp(witnesses.last().map_or(0, |last| last.time_us)),
            group: self.group_of(group),
            window: Some((self.cell_start(cell), self.cell_start(cell + 1))),
            event_count: witnesses.len() as u64,
            evidence,
        }
    }

    fn cell_start(self, cell: i64) -> Timestamp {
        Timestamp(cell.saturating_mul(self.correlation.timespan_us))
    }
}

/// The different events in these windows, by time and id.
fn witnesses_in<'g>(group: &'g Group, windows: &[(i64, i64)]) -> Vec<Witness<'g>> {
    let mut witnesses = Witnesses::default();
    for &(from_us, to_us) in windows {
        let range =
            group.entries.first_at(from_us)..group.entries.first_at(to_us.saturating_add(1));
        witnesses.reserve(range.len());
        group
            .entries
            .range(range)
            .for_each(|entry| entry.witnesses(&mut witnesses));
    }
    witnesses.finish()
}

/// The evidence of these events: all, or the first and the last ones. The bound is on how many are
/// copied; `Match::event_count` counts all.
fn evidence_of(witnesses: &[Witness<'_>]) -> Vec<Evidence> {
    let kept: Vec<&Witness<'_>> = witnesses
        .iter()
        .filter(|witness| witness.is_shown)
        .collect();
    let half = EVIDENCE_EVENTS_MAX / 2;
    let chosen: Vec<&Witness<'_>> = match kept.len().checked_sub(EVIDENCE_EVENTS_MAX) {
        None | Some(0) => kept,
        Some(_) => kept[..half]
            .iter()
            .chain(&kept[kept.len() - half..])
            .copied()
            .collect(),
    };
    let chosen = chosen.into_iter().filter_map(Witness::kept);
    fetch(chosen.clone());
    chosen.filter_map(Kept::evidence).collect()
}

fn told_hash(witnesses: &[Witness<'_>]) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    witnesses
        .iter()
        .for_each(|witness| hasher.update(&witness.event.to_le_bytes()));
    hasher.digest128()
}
