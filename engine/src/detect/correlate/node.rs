//! One correlation: what is new for it in a group, what is settled, when to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use citywatch_parsers::LogSource;
use citywatch_rules::Correlation;
use citywatch_rules::correlation::CorrelationKind;

use super::alert::Named;
use super::entries::{Entries, Entry};
use super::evidence::{Begin, Chain, Charge, Held, Kept, Shown, Stretches, add_stretch};
use super::fields::{FieldLists, Fields, FieldsOfRule, ListIndex, value_fields};
use super::group::{Gathered, Passing, View};
use super::raised::Told;
use super::tally::{Judged, matches_needed};
use super::windows::{self, Moment, Step};
use crate::detect::compile::info_of;
use crate::matches::{EventSnapshot, Match, MatchedField, RuleInfo};

/// Bins of evidence per timespan.
const BINS: i64 = 16;

/// A correlation.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) correlation: Arc<Correlation>,
    judged: Judged,
    info: Arc<RuleInfo>,
    /// By place in its list of rules.
    pub(super) fields: Vec<FieldsOfRule>,
    /// How long the bins are of which it shows the first events only, where its entries are shown to others as well.
    pub(super) own_bin_us: Option<i64>,
    /// Correlations that refer to this one, with the place in their lists.
    pub(super) referred_by: Vec<(usize, u16)>,
    /// Correlations whose matches it is made of, directly and through others.
    pub(super) refers_to: BTreeSet<usize>,
    /// How much later than their times its matches may come, because correlations that it refers to wait.
    pub(super) delay_us: i64,
    /// How far before its moments the events of their windows may lie, those of correlations that it refers to
    /// included.
    pub(super) reach_us: i64,
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
            own_bin_us: None,
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

    fn named(&self) -> Named<'_> {
        Named {
            correlation: &self.correlation,
            info: &self.info,
            bin_us: self.own_bin_us,
        }
    }

    /// How long the bins are of which the first events are shown.
    pub(super) fn bin_us(&self) -> i64 {
        (self.correlation.timespan_us / BINS).max(1)
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
    /// `dirty_us`: times of the earliest and the latest entry that came since the group was looked at.
    pub(super) fn new_moments(
        &self,
        group: Gathered<'_>,
        view: &mut View,
        dirty_us: Option<(i64, i64)>,
        watermark_us: i64,
    ) -> Vec<Moment> {
        let mut moments = Vec::new();
        let timespan_us = self.correlation.timespan_us;
        if !self.is_monotone() {
            let judged_us = view.judged_until_us;
            let until_us = watermark_us.saturating_sub(timespan_us);
            let mut judge = |starts_us| {
                windows::full(&self.judged, group.entries, starts_us, |moment| {
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
            view.judged_until_us = match dirty_us {
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
        let mut cursor = view.cursor.take();
        let raised = &view.raised;
        let passes_on = !self.referred_by.is_empty();
        let skip = |time_us: i64| {
            let cell = self.cell_of(time_us);
            (!passes_on && raised.contains(cell)).then(|| self.cell_start_us(cell + 1))
        };
        windows::monotone(
            &self.judged,
            group.entries,
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
        view.cursor = cursor;
        moments
    }

    /// Raises the alerts of cells that have none.
    pub(super) fn raise(
        &self,
        group: Gathered<'_>,
        view: &mut View,
        moments: &[Moment],
        matches: &mut Vec<Match>,
    ) {
        for moment in moments {
            let cell = self.cell_of(moment.time_us);
            if !view.raised.contains(cell) {
                let window = [(moment.from_us, moment.time_us)];
                let telling = self.named().gather(group, cell, &window);
                matches.push(self.named().tell(&telling));
                view.raised.tell(cell, telling.told());
            }
        }
    }

    /// Tells once more of alerts that nothing can change any more, where their events have changed.
    pub(super) fn settle(
        &self,
        group: Gathered<'_>,
        view: &mut View,
        watermark_us: i64,
        matches: &mut Vec<Match>,
    ) {
        let settled_before = self.settled_before(watermark_us);
        while let Some(cell) = view.raised.first_unsettled()
            && cell < settled_before
        {
            let windows = self.windows_of(group.entries, cell);
            let telling = self.named().gather(group, cell, &windows);
            let now = telling.told();
            let is_known = |told: Told| told.events == now.events;
            if !view.raised.told(cell).is_none_or(is_known) {
                matches.push(self.named().tell(&telling));
            }
            let settled = Told {
                is_settled: true,
                ..now
            };
            view.raised.tell(cell, settled);
        }
    }

    /// Forgets alerts of cells that have no entries any more.
    pub(super) fn forget_alerts(&self, view: &mut View, needed_from_us: i64) {
        view.raised.forget_before(self.cell_of(needed_from_us));
    }

    /// The windows of the moments in a cell.
    fn windows_of(&self, entries: &Entries, cell: i64) -> Stretches {
        let times_us = self.cell_start_us(cell)..self.cell_start_us(cell + 1);
        let mut found = Stretches::new();
        let mut note = |moment: Moment| {
            if times_us.contains(&moment.time_us) {
                add_stretch(&mut found, (moment.from_us, moment.time_us));
            }
            Step::Next
        };
        if self.is_monotone() {
            windows::monotone(
                &self.judged,
                entries,
                times_us.clone(),
                &mut None,
                |_| None,
                note,
            );
        } else {
            let starts_us = self.cell_start_us(cell - 1)..times_us.end;
            windows::full(&self.judged, entries, starts_us, &mut note);
        }
        found
    }

    /// Whether nothing can hold in a group yet: what has come need not be looked at.
    pub(super) fn is_quiet(&self, group: Gathered<'_>) -> bool {
        self.is_monotone()
            && (group.entries.len() < self.matches_needed || group.rules_seen < self.rules_needed)
    }

    /// Whether the entry at a place changes nothing but what is told of its cell's alert once that settles: the cell
    /// has its alert, no moment is passed on, and no window begins after the entry.
    pub(super) fn is_told(
        &self,
        group: Gathered<'_>,
        view: &View,
        at: usize,
        time_us: i64,
    ) -> bool {
        view.raised.is_latest(self.cell_of(time_us))
            && self.is_monotone()
            && self.referred_by.is_empty()
            && at + 1 == group.entries.len()
    }

    /// Whether its condition is on values of fields.
    pub(super) fn reads_values(&self) -> bool {
        !value_fields(&self.correlation.kind).is_empty()
    }

    /// Whether one match means nothing for it, so that the first of a key needs no group.
    pub(super) fn is_patient(&self) -> bool {
        self.is_monotone() && self.matches_needed > 1
    }

    /// What a group needs to pass its moments on. It is made for the first of them: most groups have none.
    fn new_passing(&self, group: Gathered<'_>) -> Box<Passing> {
        let mut passing = Passing {
            logs: BTreeMap::new(),
            last_log: None,
            added: self.named().group_of(group).into(),
            alert: None,
            window: None,
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
    pub(super) fn log(&self, view: &mut View, entry: &Entry) {
        if let Some(passing) = &mut view.passing {
            self.add_to_log(passing, entry);
        }
    }

    /// Drops the logs that no window needs that is not passed on yet.
    pub(super) fn drop_logs_before(&self, view: &mut View, time_us: i64) {
        let cell = self.cell_of(time_us);
        if let Some(passing) = &mut view.passing {
            passing.last_log.take_if(|(last, _)| *last < cell);
            passing.window.take_if(|(first, _, _)| *first < cell);
            while let Some(first) = passing.logs.first_entry()
                && *first.key() < cell
            {
                first.remove();
            }
        }
    }

    /// Whether its own group-by names, which it adds to the fields of what it passes on, are all that these are.
    pub(super) fn adds(&self, fields: Option<ListIndex>, lists: &FieldLists) -> bool {
        let group_by = &self.correlation.group_by;
        let is_added = |name: &str| group_by.iter().any(|known| **known == *name);
        fields.is_some_and(|fields| lists.names_of(fields).all(is_added))
    }

    /// Moments as matches of this correlation, for those that refer to it.
    pub(super) fn pass_on(
        &self,
        group: Gathered<'_>,
        view: &mut View,
        moments: &[Moment],
        held: &Arc<Held>,
    ) -> Vec<Arriving<'static>> {
        let mut passed_on = Vec::new();
        if moments.is_empty() || self.referred_by.is_empty() {
            return passed_on;
        }
        let passing = view.passing.take();
        let mut passing = passing.unwrap_or_else(|| self.new_passing(group));
        passed_on.reserve(moments.len());
        let mut at = 0;
        for moment in moments {
            let cell = self.cell_of(moment.time_us);
            let alert = match passing.alert {
                Some((known, alert)) if known == cell => alert,
                _ => self.named().alert_id(group, cell).0,
            };
            passing.alert = Some((cell, alert));
            let begin = match self.is_monotone() {
                true => Begin::Before(self.correlation.timespan_us),
                false => Begin::At(moment.from_us),
            };
            let chain = passing.chain(self.cell_of(moment.from_us), cell, begin);
            // Moments mostly follow each other entry by entry.
            if group.entries.get(at).map(|entry| entry.time_us) != Some(moment.time_us) {
                at = group.entries.first_at(moment.time_us);
            }
            while let Some(entry) = group.entries.get(at)
                && entry.time_us == moment.time_us
            {
                at += 1;
                let Some(shown) = &entry.shown else { continue };
                let chain = match &shown.chain {
                    None => Arc::clone(&chain),
                    Some(earlier) => Arc::new(chained(earlier, &chain, held)),
                };
                passed_on.push(Arriving {
                    time_us: moment.time_us,
                    origin: origin_of(entry, alert),
                    source: alert,
                    what: Arrived::Moment(Shown::new(&shown.kept, Some(chain))),
                });
            }
        }
        view.passing = Some(passing);
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

    /// The watermark at which it has something to settle or to judge in a group.
    pub(super) fn acts_at_us(&self, group: Gathered<'_>, view: &View) -> Option<i64> {
        let settling = view.raised.first_unsettled();
        let settling = settling.map(|cell| self.settles_us(cell));
        if self.is_monotone() {
            return settling;
        }
        let next = group.entries.first_at(view.judged_until_us);
        let judging = group.entries.get(next).map(|entry| {
            let end_us = entry.time_us.saturating_add(self.correlation.timespan_us);
            end_us.saturating_add(1)
        });
        settling.into_iter().chain(judging).min()
    }

    /// The watermark at which it needs an entry of this time no longer.
    pub(super) fn lets_go_us(&self, time_us: i64) -> i64 {
        self.settles_us(self.cell_of(time_us).saturating_add(1))
    }

    fn settles_us(&self, cell: i64) -> i64 {
        self.cell_start_us(cell.saturating_add(if self.is_monotone() { 1 } else { 2 }))
    }
}

/// Which match a moment is for those that refer to its correlation: another for each event, rule and alert.
fn origin_of(entry: &Entry, alert: u128) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let place = u128::from(entry.position).wrapping_add(1);
    entry.origin.rotate_left(1) ^ alert.rotate_left(64) ^ place.wrapping_mul(ODD)
}

/// What a moment has that is itself made of moments: what earlier correlations of the chain added, and what this one
/// adds, which wins.
fn chained(earlier: &Chain, own: &Chain, held: &Arc<Held>) -> Chain {
    let is_hidden = |name: &String| own.extra.iter().any(|(other, _)| other == name);
    let kept = earlier.extra.iter().filter(|(name, _)| !is_hidden(name));
    let extra: Arc<[(String, String)]> = kept.chain(own.extra.iter()).cloned().collect();
    let bytes = extra
        .iter()
        .map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
    Chain {
        begin: own.begin,
        logs: Arc::clone(&own.logs),
        _charge: Some(Charge::new(held, bytes.sum())),
        extra,
    }
}
