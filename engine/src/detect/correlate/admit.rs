//! Matches on their way into groups.

use super::correlator::Correlator;
use super::entries::Entry;
use super::evidence::Charge;
use super::first::First;
use super::group::{Group, View};
use super::keep::{HasOtherKeys, keep_as_evidence, keep_as_first, keep_for_others};
use super::look::{Below, is_woken};
use super::node::{Arrived, Arriving};
use super::watermark::{StreamIndex, Waiting};
use crate::detect::RuleIndex;

impl Correlator {
    /// Takes the match of a rule in for a family of correlations.
    pub(super) fn arrive(
        &mut self,
        (rule, place): (RuleIndex, usize),
        arriving: &mut Arriving<'_>,
        stream: StreamIndex,
    ) {
        let family = &self.by_rule[rule.as_usize()][place];
        let (patient, eager) = (family.patient.len(), family.eager.len());
        let refused_before = self.status.entries_refused;
        let Some(key) = self.lists.hash(family.group_by, arriving.fields()) else {
            return;
        };
        if patient > 0 && !self.is_first(key, (rule, place), arriving, stream) {
            for member in 0..patient {
                let (shelf, position) = self.by_rule[rule.as_usize()][place].patient[member];
                self.admit((shelf, key), position, arriving, &[stream]);
            }
        }
        for member in 0..eager {
            let (shelf, position) = self.by_rule[rule.as_usize()][place].eager[member];
            self.admit((shelf, key), position, arriving, &[stream]);
        }
        if self.status.entries_refused > refused_before {
            self.clusters.tidy(key);
        }
    }

    /// Keeps a match as the first of its key, if it is, or was already. Otherwise the one that was the first so far
    /// goes into its groups, and this one shall as well.
    fn is_first(
        &mut self,
        key: u128,
        (rule, place): (RuleIndex, usize),
        arriving: &mut Arriving<'_>,
        stream: StreamIndex,
    ) -> bool {
        let families = &self.by_rule[rule.as_usize()];
        let has_other_keys = match families.len() {
            1 => HasOtherKeys::No,
            _ => HasOtherKeys::Yes,
        };
        let family = &families[place];
        let leaves = family.leaves(&self.shelves, &self.nodes, arriving.time_us);
        let cluster = self.clusters.at(key);
        if let Some(first) = &cluster.first {
            // A match may come to one key by different fields.
            let is_same = (first.rule, first.family as usize) == (rule.0, place)
                && first.time_us == arriving.time_us
                && first.kept.get().event.id.0 == arriving.origin;
            if !is_same && let Some(first) = cluster.first.take() {
                self.take_in(key, first);
            }
            return is_same;
        }
        if cluster.has_group_of(family.patient.iter().map(|&(shelf, _)| shelf)) {
            return false;
        }
        if self.streams.watermark_us(stream) >= leaves.first_us {
            return false;
        }
        let groups = family.patient.len();
        let has_room = self.status.entries + groups <= self.limits.entries_max;
        let keep = || {
            let (held, lists) = (&self.held, &self.lists);
            keep_as_first(arriving, has_other_keys, held, lists, self.limits)
        };
        let kept = has_room.then(keep).flatten();
        let Some(kept) = kept else {
            self.status.entries_refused += groups as u64;
            return true;
        };
        let is_whole = kept.get().is_whole();
        cluster.first = Some(First {
            kept,
            time_us: arriving.time_us,
            due_us: leaves.last_us,
            stream,
            rule: rule.0,
            family: u32::try_from(place).expect("a rule has far fewer than 4 billion correlations"),
        });
        for (shelf, _) in &family.patient {
            let shelf = &mut self.shelves[*shelf];
            shelf.open(stream);
            let is_hidden = !is_whole && !shelf.is_referred_to;
            self.status.evidence_dropped += u64::from(is_hidden);
        }
        self.status.entries += groups;
        self.groups_of_firsts += groups;
        let waits_as = family.waits_as;
        self.streams.wait(stream, leaves.last_us, (waits_as, key));
        true
    }

    /// Puts a match that was the first of its key into its groups.
    pub(super) fn take_in(&mut self, key: u128, first: First) {
        self.let_go(&first);
        let watermark_us = self.streams.watermark_us(first.stream);
        // What was read of the fields so far is another match's.
        self.lists.next_match();
        let (rule, family) = (first.rule as usize, first.family as usize);
        let kept = first.kept.shared();
        let mut arriving = Arriving {
            time_us: first.time_us,
            origin: kept.event.id.0,
            source: kept.event.id.0,
            what: Arrived::First(&kept),
        };
        for member in 0..self.by_rule[rule][family].patient.len() {
            let (shelf, position) = self.by_rule[rule][family].patient[member];
            let leaves = self.shelves[shelf].leaves(&self.nodes, first.time_us);
            // A chained correlation may wait for others' streams as well, which its group knows.
            let is_chained = self.shelves[shelf].is_chained();
            if is_chained || watermark_us < leaves.last_us {
                self.admit((shelf, key), position, &mut arriving, &[first.stream]);
            }
        }
        self.lists.next_match();
    }

    /// Drops a match that was the only one of its key, if it is old. Where a chained correlation may still get moments
    /// of its time from others that are behind, it goes into its groups, which wait for them.
    pub(super) fn drop_first(&mut self, (waits_as, key): Waiting, below: &mut Below) {
        let (streams, by_rule) = (&self.streams, &self.by_rule);
        let is_meant = |first: &First| {
            let family = &by_rule[first.rule as usize][first.family as usize];
            // Another one may have waited with this key, and gone into its groups.
            family.waits_as == waits_as && streams.watermark_us(first.stream) >= first.due_us
        };
        let Some(first) = self.clusters.take_first(key, is_meant) else {
            return;
        };
        let family = &self.by_rule[first.rule as usize][first.family as usize];
        let is_awaited = family.patient.iter().any(|&(shelf, _)| {
            let leaves = self.shelves[shelf].leaves(&self.nodes, first.time_us);
            let slowest = below.of(shelf, &self.shelves, &self.streams);
            slowest.is_some_and(|(_, watermark_us)| watermark_us < leaves.last_us)
        });
        match is_awaited {
            true => self.take_in(key, first),
            false => self.let_go(&first),
        }
    }

    /// Puts the only match of a key into its groups before another of this shelf comes to it.
    pub(super) fn bring_first(&mut self, key: u128, shelf: usize) {
        let by_rule = &self.by_rule;
        let is_its = |first: &First| {
            let family = &by_rule[first.rule as usize][first.family as usize];
            family.patient.iter().any(|&(known, _)| known == shelf)
        };
        if let Some(first) = self.clusters.take_first(key, is_its) {
            self.take_in(key, first);
        }
    }

    fn let_go(&mut self, first: &First) {
        let family = &self.by_rule[first.rule as usize][first.family as usize];
        for (shelf, _) in &family.patient {
            self.shelves[*shelf].close(first.stream);
        }
        self.status.entries -= family.patient.len();
        self.groups_of_firsts -= family.patient.len();
    }

    /// Puts a match into a group.
    pub(super) fn admit(
        &mut self,
        (index, key): Waiting,
        position: u16,
        arriving: &mut Arriving<'_>,
        streams: &[StreamIndex],
    ) {
        let shelf = &mut self.shelves[index];
        let fields = shelf.fields[usize::from(position)];
        // Correlations of these read the fields of their events, so all of them are held.
        let mut shown = None;
        if shelf.is_referred_to {
            shown = keep_for_others(arriving, &self.held, &self.lists, self.limits);
        }
        let has_room = self.status.entries < self.limits.entries_max
            && self.held.bytes() < self.limits.bytes_max;
        if !has_room || shelf.is_referred_to && shown.is_none() {
            self.status.entries_refused += 1;
            return;
        }
        let value = fields.value(&mut self.lists, arriving.fields());
        let group = self.clusters.group_or_insert(index, key, || {
            let values = fields.group_values(&self.lists, arriving.fields());
            let bytes = values.iter().map(|value| value.len());
            let bytes = bytes.sum::<usize>() + shelf.nodes.len() * size_of::<View>();
            let charge = Charge::new(&self.held, size_of::<Group>() + bytes);
            Group::new(values, shelf.nodes.len(), charge)
        });
        let Some(at) = group.insert(Entry {
            time_us: arriving.time_us,
            position,
            origin: arriving.origin,
            source: arriving.source,
            value,
            shown,
        }) else {
            return;
        };
        for &stream in streams {
            if group.add_stream(stream, arriving.time_us) {
                shelf.open(stream);
            }
        }
        self.status.entries += 1;
        if shelf.is_referred_to {
            let entry = group.entries.at(at);
            for (node, view) in shelf.nodes(&self.nodes).zip(&mut group.views) {
                node.log(view, entry);
            }
        } else {
            let shown = group
                .entries
                .is_shown(at, &shelf.bins)
                .then(|| keep_as_evidence(arriving, &self.held, self.limits))
                .flatten();
            let hidden = match shown {
                Some(shown) => group.entries.show(at, shown, &shelf.bins),
                // That of a first match was counted when it came.
                None => u64::from(!matches!(arriving.what, Arrived::First(_))),
            };
            self.status.evidence_dropped += hidden;
        }
        group.mark(arriving.time_us);
        if group.is_pending {
            return;
        }
        let (gathered, views) = group.split();
        if shelf.is_asleep(&self.nodes, gathered, views, (at, arriving.time_us)) {
            // All that is to be done is to settle what was told and to drop its matches once they are old.
            let due_us = shelf.due_us(&self.nodes, gathered, views);
            let is_woken = |&stream| is_woken(group, &self.streams, stream, due_us);
            if streams.iter().any(is_woken) {
                return;
            }
            if let [stream] = *streams
                && self.streams.watermark_us(stream) < due_us
            {
                group.waiting = Some((stream, due_us));
                self.streams.wait(stream, due_us, (index, key));
                return;
            }
        }
        group.is_pending = true;
        self.pending.add((index, key));
    }
}
