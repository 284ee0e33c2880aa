//! One correlation with its groups: what is new in a group, what is settled, when to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use citywatch_parsers::LogSource;
use citywatch_rules::Correlation;
use citywatch_rules::correlation::CorrelationKind;

use super::alert::Named;
use super::entries::Entry;
use super::evidence::{Chain, Charge, Held, Kept, Shown, Window, merge};
use super::fields::{FieldLists, Fields, FieldsOfRule};
use super::group::{Group, Passing};
use super::raised::Told;
use super::tally::{Judged, matches_needed};
use super::watermark::StreamIndex;
use super::windows::{self, Moment, Step};
use crate::detect::compile::info_of;
use crate::matches::{EventSnapshot, Match, MatchedField, RuleInfo};

/// A correlation with its groups.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) correlation: Arc<Correlation>,
    judged: Judged,
    info: Arc<RuleInfo>,
    /// By place in its list of rules.
    pub(super) fields: Vec<FieldsOfRule>,
    /// Correlations that refer to this one, with the place in their lists.
    pub(super) referred_by: Vec<(usize, u16)>,
    /// Correlations whose matches it is made of, directly and through others.
    pub(super) refers_to: BTreeSet<usize>,
    /// How much later than their times its matches may come, because correlations that it refers to wait.
    pub(super) delay_us: i64,
    /// How far before its moments the events of their windows may lie, those of correlations that it refers to
    /// included.
    pub(super) reach_us: i64,
    /// The streams that its groups wait for, with the number of groups.
    pub(super) open_streams: BTreeMap<StreamIndex, usize>,
    /// With fewer matches in a group a monotone condition cannot hold.
    matches_needed: usize,
    /// With matches of fewer rules neither.
    rules_needed: u32,
}

/// A match on its way into groups.
pub(super) struct Arriving<'m> {
    pub(super) time_us: i64,
    /// Which match it is.
    pub(super) origin: u128,
    /// What counts as one event.
    pub(super) source: u128,
    pub(super) what: Arrived<'m>,
}

/// What of a match a group may hold on to.
pub(super) enum Arrived<'m> {
    /// The match of a rule: its event is held once it is needed, by all groups together.
    Rule {
        event: &'m Arc<EventSnapshot>,
        matched: &'m Arc<[MatchedField]>,
        kept: Option<Arc<Kept>>,
    },
    /// The match of a rule that was the first of its key and is held already.
    First(&'m Arc<Kept>),
    /// The match of a correlation.
    Moment(Shown),
}

impl Arriving<'_> {
    /// Where its values are read from.
    pub(super) fn fields(&self) -> Fields<'_> {
        match &self.what {
            Arrived::Rule { event, .. } => Fields { event, chain: None },
            Arrived::First(kept) => Fields {
                event: &kept.event,
                chain: None,
            },
            Arrived::Moment(shown) => Fields {
                event: &shown.kept.event,
                chain: shown.chain.as_deref(),
            },
        }
    }
}

impl Node {
    pub(super) fn new(correlation: &Arc<Correlation>, lists: &mut FieldLists) -> Self {
        let places = 0..correlation.rules.len();
        Self {
            info: Arc::new(info_of(&correlation.meta, LogSource::default(), true)),
            fields: places
                .map(|place| FieldsOfRule::new(correlation, place, lists))
                .collect(),
            referred_by: Vec::new(),
            refers_to: BTreeSet::new(),
            delay_us: 0,
            reach_us: correlation.timespan_us,
            open_streams: BTreeMap::new(),
            matches_needed: matches_needed(&correlation.kind),
            rules_needed: match &correlation.kind {
                CorrelationKind::Temporal { .. } | CorrelationKind::TemporalOrdered { .. } => {
                    // A group tells 64 rules apart.
                    u32::try_from(matches_needed(&correlation.kind).min(64)).unwrap_or(1)
                }
                _ => 1,
            },
            judged: Judged::new(correlation),
            correlation: Arc::clone(correlation),
        }
    }

    /// A group waits for a stream.
    pub(super) fn open(&mut self, stream: StreamIndex) {
        *self.open_streams.entry(stream).or_insert(0) += 1;
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
        let dirty_us = group.dirty_us.take();
        let timespan_us = self.correlation.timespan_us;
        if !self.is_monotone() {
            let judged_us = group.judged_until_us;
            let until_us = watermark_us.saturating_sub(timespan_us);
            let mut judge = |starts_us| {
                windows::full(&self.judged, group, starts_us, |moment| {
                    moments.push(moment);
                    Step::Next
                });
            };
            // Windows that a new match is in, and the one after: whether it is maximal may have changed.
            let dirty_us = dirty_us.map(|(from_us, to_us)| {
                let to_us = to_us.saturating_add(timespan_us).saturating_add(1);
                (from_us.saturating_sub(timespan_us), to_us.min(until_us))
            });
            match dirty_us {
                Some((from_us, to_us)) if to_us >= judged_us => {
                    judge(from_us.min(judged_us)..until_us);
                }
                Some((from_us, to_us)) => {
                    judge(from_us..to_us);
                    judge(judged_us..until_us);
                }
                None => judge(judged_us..until_us),
            }
            group.judged_until_us = match dirty_us {
                // The watermark went back: what is new there is judged once it has come so far again.
                Some((from_us, _)) if until_us < judged_us => until_us.max(from_us).min(judged_us),
                _ => until_us.max(judged_us),
            };
            return moments;
        }
        let Some((from_us, to_us)) = dirty_us else {
            return moments;
        };
        // A match changes the windows that end up to a timespan after it.
        let until_us = to_us.saturating_add(timespan_us).saturating_add(1);
        if self.is_quiet(group) {
            return moments;
        }
        let mut cursor = group.cursor.take();
        let passes_on = !self.referred_by.is_empty();
        let skip = |time_us: i64| {
            let cell = self.cell_of(time_us);
            (!passes_on && group.raised.contains(cell)).then(|| self.cell_start_us(cell + 1))
        };
        windows::monotone(
            &self.judged,
            group,
            from_us..until_us,
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
            if !group.raised.contains(cell) {
                let window = [(moment.from_us, moment.time_us)];
                let telling = self.named().gather(group, cell, &window);
                matches.push(self.named().tell(&telling));
                let told = telling.told();
                group.raised.tell(cell, told);
            }
        }
    }

    /// Tells once more of alerts that nothing can change any more, where their events have changed.
    pub(super) fn settle(&self, group: &mut Group, watermark_us: i64, matches: &mut Vec<Match>) {
        let settled_before = self.settled_before(watermark_us);
        while let Some(cell) = group.raised.first_unsettled()
            && cell < settled_before
        {
            let windows = self.windows_of(group, cell);
            let telling = self.named().gather(group, cell, &windows);
            let now = telling.told();
            let is_known = |told: Told| told.events == now.events;
            if !group.raised.told(cell).is_none_or(is_known) {
                matches.push(self.named().tell(&telling));
            }
            let settled = Told {
                is_settled: true,
                ..now
            };
            group.raised.tell(cell, settled);
        }
    }

    /// Forgets alerts of cells that have no entries any more.
    pub(super) fn forget_alerts(&self, group: &mut Group, needed_from_us: i64) {
        group.raised.forget_before(self.cell_of(needed_from_us));
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
                &self.judged,
                group,
                times_us.clone(),
                &mut None,
                |_| None,
                note,
            );
        } else {
            let starts_us = self.cell_start_us(cell - 1)..times_us.end;
            windows::full(&self.judged, group, starts_us, &mut note);
        }
        merge(found)
    }

    /// Whether nothing can hold in a group yet: what has come need not be looked at.
    pub(super) fn is_quiet(&self, group: &Group) -> bool {
        self.is_monotone()
            && (group.entries.len() < self.matches_needed || group.rules_seen() < self.rules_needed)
    }

    /// Whether the entry at a place changes nothing but what is told of its cell's alert once that settles: the cell
    /// has its alert, no moment is passed on, and no window begins after the entry.
    pub(super) fn is_told(&self, group: &Group, at: usize, time_us: i64) -> bool {
        group.raised.is_latest(self.cell_of(time_us))
            && self.is_monotone()
            && self.referred_by.is_empty()
            && at + 1 == group.entries.len()
    }

    /// Whether one match means nothing for it, so that the first of a key needs no group.
    pub(super) fn is_patient(&self) -> bool {
        self.is_monotone() && self.matches_needed > 1 && self.refers_to.is_empty()
    }

    /// The watermark at which a match takes part in no open window any more, where its group is quiet.
    pub(super) fn leaves_us(&self, time_us: i64) -> i64 {
        self.cell_start_us(self.cell_of(time_us).saturating_add(2))
    }

    /// What a group needs to pass its moments on. It is made for the first of them: most groups have none.
    fn new_passing(&self, group: &Group) -> Box<Passing> {
        let mut passing = Passing {
            logs: BTreeMap::new(),
            last_log: None,
            added: self.named().group_of(group).into(),
            alert: None,
        };
        for entry in group.entries.iter() {
            self.add_to_log(&mut passing, entry);
        }
        Box::new(passing)
    }

    fn add_to_log(&self, passing: &mut Passing, entry: &Entry) {
        let cell = self.cell_of(entry.time_us);
        let log = match &passing.last_log {
            Some((last, log)) if *last == cell => log,
            _ => {
                let log = Arc::clone(passing.logs.entry(cell).or_default());
                &passing.last_log.insert((cell, log)).1
            }
        };
        log.add(entry.time_us, entry.origin, entry.shown.clone());
    }

    /// Logs an entry for the windows of moments that were passed on or will be.
    pub(super) fn log(&self, group: &mut Group, at: usize) {
        if let Some(passing) = &mut group.passing {
            self.add_to_log(passing, group.entries.at(at));
        }
    }

    /// Drops the logs that no window needs that is not passed on yet.
    pub(super) fn drop_logs_before(&self, group: &mut Group, time_us: i64) {
        let cell = self.cell_of(time_us);
        if let Some(passing) = &mut group.passing {
            passing.last_log.take_if(|(last, _)| *last < cell);
            while let Some(first) = passing.logs.first_entry()
                && *first.key() < cell
            {
                first.remove();
            }
        }
    }

    /// Moments as matches of this correlation, for those that refer to it.
    pub(super) fn pass_on(
        &self,
        group: &mut Group,
        moments: &[Moment],
        held: &Arc<Held>,
    ) -> Vec<Arriving<'static>> {
        let mut passed_on = Vec::new();
        if moments.is_empty() || self.referred_by.is_empty() {
            return passed_on;
        }
        let passing = group.passing.take();
        let mut passing = passing.unwrap_or_else(|| self.new_passing(group));
        for moment in moments {
            let cell = self.cell_of(moment.time_us);
            let alert = match passing.alert {
                Some((known, alert)) if known == cell => alert,
                _ => self.named().alert_id(group, cell).0,
            };
            passing.alert = Some((cell, alert));
            let cells = self.cell_of(moment.from_us)..=cell;
            // Also that of a cell without a match so far: one may come.
            let logs = cells.map(|cell| Arc::clone(passing.logs.entry(cell).or_default()));
            let window = Window {
                from_us: moment.from_us,
                to_us: moment.time_us,
                logs: logs.collect(),
            };
            let at_moment = group.entries.first_at(moment.time_us)
                ..group.entries.first_at(moment.time_us.saturating_add(1));
            for entry in group.entries.range(at_moment) {
                let Some(shown) = &entry.shown else { continue };
                let (extra, charge) = added_to(shown, &passing.added, held);
                let chain = Chain {
                    extra,
                    window: window.clone(),
                    _charge: charge,
                };
                passed_on.push(Arriving {
                    time_us: moment.time_us,
                    origin: origin_of(entry, alert),
                    source: alert,
                    what: Arrived::Moment(Shown::new(&shown.kept, Some(Arc::new(chain)))),
                });
            }
        }
        group.passing = Some(passing);
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
        let settling = group.raised.first_unsettled().map(settles_us);
        let leaving = group
            .entries
            .first_us()
            .map(|time_us| settles_us(self.cell_of(time_us) + 1));
        let judged = (!self.is_monotone()).then(|| {
            group
                .entries
                .get(group.entries.first_at(group.judged_until_us))
        });
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

/// Which match a moment is for those that refer to its correlation: another for each event, rule and alert.
fn origin_of(entry: &Entry, alert: u128) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let place = u128::from(entry.position).wrapping_add(1);
    entry.origin.rotate_left(1) ^ alert.rotate_left(64) ^ place.wrapping_mul(ODD)
}

/// What earlier correlations of a chain added, and this one's group-by names with their values, which win.
fn added_to(
    shown: &Shown,
    group: &Arc<[(String, String)]>,
    held: &Arc<Held>,
) -> (Arc<[(String, String)]>, Option<Charge>) {
    let Some(chain) = &shown.chain else {
        return (Arc::clone(group), None);
    };
    let kept = chain
        .extra
        .iter()
        .filter(|(name, _)| group.iter().all(|(other, _)| other != name));
    let all: Arc<[(String, String)]> = kept.chain(group.iter()).cloned().collect();
    let bytes = all
        .iter()
        .map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
    let charge = Charge::new(held, bytes.sum());
    (all, Some(charge))
}
