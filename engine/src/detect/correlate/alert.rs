//! From the windows in which a correlation held to the Match that alerting gets.

use std::sync::Arc;

use citywatch_parsers::{Timestamp, UnitId};
use citywatch_rules::Correlation;
use compact_str::CompactString;

use super::entries::Entries;
use super::evidence::{Kept, Witness, Witnesses, fetch};
use super::group::Gathered;
use super::raised::Told;
use crate::matches::{Evidence, Match, MatchId, RuleInfo};

/// Events kept as evidence per bin and group: all that a match shows can come from one.
pub(super) const BIN_EVENTS_MAX: usize = EVIDENCE_EVENTS_MAX;
/// Events that a match carries as evidence; the first and the last ones where there are more.
const EVIDENCE_EVENTS_MAX: usize = 100;

/// A correlation and its description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'c> {
    pub(super) correlation: &'c Correlation,
    pub(super) info: &'c Arc<RuleInfo>,
    /// How long the bins are of which it shows the first events only; `None` where nothing else is shown anyway.
    pub(super) bin_us: Option<i64>,
}

/// What there is to tell of an alert.
#[derive(Debug)]
pub(super) struct Telling<'g> {
    group: Gathered<'g>,
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
    pub(super) fn alert_id(self, group: Gathered<'_>, cell: i64) -> MatchId {
        MatchId::of_group(&self.info.id, &self.group_of(group), self.cell_start(cell))
    }

    /// The group-by names with the group's values.
    pub(super) fn group_of(self, group: Gathered<'_>) -> Vec<(String, String)> {
        let names = self.correlation.group_by.iter();
        names
            .zip(group.values)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    /// What there is to tell of a group in a cell, for the windows from and to these times.
    pub(super) fn gather<'g>(
        self,
        group: Gathered<'g>,
        cell: i64,
        windows: &[(i64, i64)],
    ) -> Telling<'g> {
        let witnesses = self.witnesses_in(group.entries, windows);
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
            host: latest.map_or_else(CompactString::default, |latest| latest.event.host.clone()),
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

    /// The different events in these windows, by time and id.
    fn witnesses_in<'g>(self, entries: &'g Entries, windows: &[(i64, i64)]) -> Vec<Witness<'g>> {
        let mut witnesses = Witnesses::default();
        for &(from_us, to_us) in windows {
            let range = entries.first_at(from_us)..entries.first_at(to_us.saturating_add(1));
            witnesses.reserve(range.len());
            match self.bin_us {
                None => entries.range(range).for_each(|entry| witnesses.add(entry)),
                Some(bin_us) => {
                    entries
                        .ranked(range, bin_us, BIN_EVENTS_MAX)
                        .for_each(|(entry, is_first)| match is_first {
                            true => witnesses.add(entry),
                            false => witnesses.add_hidden(entry),
                        })
                }
            }
        }
        witnesses.finish()
    }
}

/// The evidence of these events: all, or the first and the last ones. The bound is on how many are
/// copied; `Match::event_count` counts all.
fn evidence_of(witnesses: &[Witness<'_>]) -> Vec<Evidence> {
    let shown = || witnesses.iter().filter(|witness| witness.is_shown);
    let count = shown().count();
    let half = EVIDENCE_EVENTS_MAX / 2;
    let is_chosen =
        |place: usize| count <= EVIDENCE_EVENTS_MAX || place < half || place >= count - half;
    let chosen = shown().enumerate().filter(|(place, _)| is_chosen(*place));
    let chosen = chosen.filter_map(|(_, witness)| witness.kept());
    fetch(chosen.clone());
    let mut evidence = Vec::with_capacity(count.min(EVIDENCE_EVENTS_MAX));
    evidence.extend(chosen.filter_map(Kept::evidence));
    evidence
}

/// A hash of the events in their order, whose ids are hashes themselves.
fn told_hash(witnesses: &[Witness<'_>]) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let events = witnesses.iter().map(|witness| witness.event);
    events.fold(ODD, |hash, event| {
        (hash.rotate_left(64) ^ event).wrapping_mul(ODD)
    })
}
