//! One correlation with its groups: what is new in a group, what is settled, when to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use citywatch_parsers::LogSource;
use citywatch_rules::Correlation;
use citywatch_rules::correlation::CorrelationKind;

use super::alert::{Named, witnesses_in};
use super::fields::FieldsOfRule;
use super::group::{Group, Shown};
use super::tally::IdMap;
use super::watermark::StreamIndex;
use super::windows::{self, Moment, Step};
use crate::detect::compile::info_of;
use crate::matches::{Match, RuleInfo};

/// A correlation with its groups.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) correlation: Arc<Correlation>,
    info: Arc<RuleInfo>,
    /// By place in its list of rules.
    pub(super) fields: Vec<FieldsOfRule>,
    pub(super) groups: IdMap<Group>,
    /// Correlations that refer to this one, with the place in their lists.
    pub(super) referred_by: Vec<(usize, u16)>,
    /// Correlations whose matches it is made of, directly and through others.
    pub(super) refers_to: BTreeSet<usize>,
    /// How much later than their times its matches may come, because correlations that it refers to wait.
    pub(super) delay_us: i64,
    /// The streams that its groups wait for, with the number of groups.
    pub(super) open_streams: BTreeMap<StreamIndex, usize>,
}

/// A match on its way into a group.
#[derive(Clone)]
pub(super) struct Arriving {
    pub(super) time_us: i64,
    /// Which match it is.
    pub(super) origin: u128,
    /// What counts as one event.
    pub(super) source: u128,
    pub(super) shown: Shown,
}

impl Node {
    pub(super) fn new(correlation: &Arc<Correlation>) -> Self {
        let values = value_fields(&correlation.kind);
        let places = 0..correlation.rules.len();
        Self {
            info: Arc::new(info_of(&correlation.meta, LogSource::default(), true)),
            fields: places
                .map(|place| FieldsOfRule::new(correlation, &values, place))
                .collect(),
            groups: IdMap::default(),
            referred_by: Vec::new(),
            refers_to: BTreeSet::new(),
            delay_us: 0,
            open_streams: BTreeMap::new(),
            correlation: Arc::clone(correlation),
        }
    }

    /// A group waits for a stream no longer.
    pub(super) fn close(&mut self, stream: StreamIndex) {
        if let Some(groups) = self.open_streams.get_mut(&stream) {
            *groups -= 1;
            if *groups == 0 {
                self.open_streams.remove(&stream);
            }
        }
    }

    fn named(&self) -> Named<'_> {
        Named {
            correlation: &self.correlation,
            info: &self.info,
        }
    }

    fn is_monotone(&self) -> bool {
        self.correlation.kind.is_monotone()
    }

    fn cell_of(&self, time_us: i64) -> i64 {
        time_us.div_euclid(self.correlation.timespan_us)
    }

    fn cell_start_us(&self, cell: i64) -> i64 {
        cell.saturating_mul(self.correlation.timespan_us)
    }

    /// How much later than their times its moments may come.
    pub(super) fn moment_delay_us(&self) -> i64 {
        let own_us = if self.is_monotone() {
            0
        } else {
            self.correlation.timespan_us
        };
        self.delay_us.saturating_add(own_us)
    }

    /// The moments that are new, or may be. Of a cell that has raised its alert only those that others ask for.
    pub(super) fn new_moments(&self, group: &mut Group, watermark_us: i64) -> Vec<Moment> {
        let mut moments = Vec::new();
        let dirty_from_us = group.dirty_from_us.take();
        if !self.is_monotone() {
            let judged_us = group.judged_until_us;
            let from_us = dirty_from_us.map_or(judged_us, |from| {
                judged_us.min(from.saturating_sub(self.correlation.timespan_us))
            });
            let until_us = watermark_us.saturating_sub(self.correlation.timespan_us);
            windows::full(&self.correlation, group, from_us..until_us, |moment| {
                moments.push(moment);
                Step::Next
            });
            group.judged_until_us = until_us.max(judged_us);
            return moments;
        }
        let Some(from_us) = dirty_from_us else {
            return moments;
        };
        let mut cursor = group.cursor.take();
        let passes_on = !self.referred_by.is_empty();
        let skip = |time_us: i64| {
            let cell = self.cell_of(time_us);
            (!passes_on && group.raised.contains_key(&cell)).then(|| self.cell_start_us(cell + 1))
        };
        windows::monotone(
            &self.correlation,
            group,
            from_us..i64::MAX,
            &mut cursor,
            skip,
            |moment| {
                moments.push(moment);
                let next_cell_us = self.cell_start_us(self.cell_of(moment.time_us) + 1);
                if passes_on {
                    Step::Next
                } else {
                    Step::SkipTo(next_cell_us)
                }
            },
        );
        group.cursor = cursor;
        moments
    }

    /// Raises the alerts of cells that have none.
    pub(super) fn raise(&self, group: &mut Group, moments: &[Moment], matches: &mut Vec<Match>) {
        for moment in moments {
            let cell = self.cell_of(moment.time_us);
            if !group.raised.contains_key(&cell) {
                let (found, told) =
                    self.named()
                        .describe(group, cell, &[(moment.from_us, moment.time_us)]);
                group.raised.insert(cell, told);
                matches.push(found);
            }
        }
    }

    /// Tells once more of alerts that nothing can change any more, where their events have changed.
    pub(super) fn settle(&self, group: &mut Group, watermark_us: i64, matches: &mut Vec<Match>) {
        let settled_before = self.settled_before(watermark_us);
        while let Some((&cell, &told)) = group.raised.first_key_value()
            && cell < settled_before
        {
            let (found, now) = self
                .named()
                .describe(group, cell, &self.windows_of(group, cell));
            if now != told {
                matches.push(found);
            }
            group.raised.remove(&cell);
        }
    }

    /// The windows of the moments in a cell.
    fn windows_of(&self, group: &Group, cell: i64) -> Vec<(i64, i64)> {
        let times_us = self.cell_start_us(cell)..self.cell_start_us(cell + 1);
        let mut found = Vec::new();
        let mut note = |moment: Moment| {
            if times_us.contains(&moment.time_us) {
                found.push((moment.from_us, moment.time_us));
            }
            Step::Next
        };
        if self.is_monotone() {
            windows::monotone(
                &self.correlation,
                group,
                times_us.clone(),
                &mut None,
                |_| None,
                note,
            );
        } else {
            let starts_us = self.cell_start_us(cell - 1)..times_us.end;
            windows::full(&self.correlation, group, starts_us, &mut note);
        }
        merge(found)
    }

    /// Moments as matches of this correlation, for those that refer to it.
    pub(super) fn pass_on(&self, group: &Group, moments: &[Moment]) -> Vec<Arriving> {
        let mut passed_on = Vec::new();
        if self.referred_by.is_empty() {
            return passed_on;
        }
        for moment in moments {
            let alert = self.named().alert_id(group, self.cell_of(moment.time_us)).0;
            let window: Arc<[_]> = witnesses_in(group, &[(moment.from_us, moment.time_us)]).into();
            let at_moment =
                group.first_at(moment.time_us)..group.first_at(moment.time_us.saturating_add(1));
            for entry in group.entries.range(at_moment) {
                let Some(shown) = &entry.shown else { continue };
                let shown = Shown {
                    extra: Some(with_group(shown.extra.as_deref(), &group.values)),
                    window: Some(Arc::clone(&window)),
                    ..shown.clone()
                };
                let origin = entry.origin ^ alert.rotate_left(64) ^ u128::from(entry.position);
                passed_on.push(Arriving {
                    time_us: moment.time_us,
                    origin,
                    source: alert,
                    shown,
                });
            }
        }
        passed_on
    }

    /// Cells before this one are settled.
    fn settled_before(&self, watermark_us: i64) -> i64 {
        let cell = self.cell_of(watermark_us);
        if self.is_monotone() {
            cell
        } else {
            cell.saturating_sub(1)
        }
    }

    /// Entries before this time take part in no window that is open.
    pub(super) fn needed_from_us(&self, watermark_us: i64) -> i64 {
        self.cell_start_us(self.settled_before(watermark_us).saturating_sub(1))
    }

    /// The watermark at which the group must be looked at again.
    pub(super) fn due_us(&self, group: &Group) -> i64 {
        let settles_us =
            |cell: i64| self.cell_start_us(cell + if self.is_monotone() { 1 } else { 2 });
        let settling = group.raised.keys().next().map(|&cell| settles_us(cell));
        let leaving = group
            .entries
            .front()
            .map(|entry| settles_us(self.cell_of(entry.time_us) + 1));
        let judged =
            (!self.is_monotone()).then(|| group.entries.get(group.first_at(group.judged_until_us)));
        let judging = judged.flatten().map(|entry| {
            entry
                .time_us
                .saturating_add(self.correlation.timespan_us)
                .saturating_add(1)
        });
        [settling, leaving, judging]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(i64::MAX)
    }
}

/// The condition's fields.
fn value_fields(kind: &CorrelationKind) -> Vec<&str> {
    match kind {
        CorrelationKind::ValueCount { fields, .. } => fields.iter().map(AsRef::as_ref).collect(),
        CorrelationKind::ValueSum { field, .. }
        | CorrelationKind::ValueAvg { field, .. }
        | CorrelationKind::ValuePercentile { field, .. } => vec![field],
        CorrelationKind::EventCount { .. }
        | CorrelationKind::Temporal { .. }
        | CorrelationKind::TemporalOrdered { .. }
        | CorrelationKind::TemporalExtended { .. } => Vec::new(),
    }
}

/// What earlier correlations of a chain added, and this one's group-by names with their values, which win.
fn with_group(
    extra: Option<&[(String, String)]>,
    group: &[(String, String)],
) -> Arc<[(String, String)]> {
    let kept = extra
        .unwrap_or_default()
        .iter()
        .filter(|(name, _)| group.iter().all(|(other, _)| other != name));
    kept.chain(group).cloned().collect()
}

/// Windows that overlap as one. They come in the order of their beginnings.
fn merge(windows: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from_us, to_us) in windows {
        match merged.last_mut() {
            Some(last) if from_us <= last.1 => last.1 = last.1.max(to_us),
            _ => merged.push((from_us, to_us)),
        }
    }
    merged
}
