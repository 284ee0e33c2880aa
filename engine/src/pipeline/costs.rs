//! What single rules cost: the time of judging them, sampled, so that one that costs far more than its
//! share is found by name.
//!
//! Of every 1,024th event each rule that is judged is timed. What finding candidates costs is shared by
//! all rules and not told of any. Only the dearest rules become metrics, so that their number is bounded.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;

use super::rules::LoadedRules;
use crate::detect::{JudgeTimer, RuleIndex};

/// One event of so many is timed.
const SAMPLE_EVERY: u32 = 1_024;
/// Rules of which metrics are told at once, and ever.
const TOLD_AT_ONCE: usize = 10;
const TOLD_MAX: usize = 50;
/// A rule is dear that takes more than this share of the time of all, ...
const DEAR_SHARE: f64 = 0.2;
/// ... and so many times what the median rule takes, ...
const DEAR_TIMES_MEDIAN: u64 = 20;
/// ... once so many events were timed, before which it says nothing.
const DEAR_EVENTS_MIN: u64 = 20;
/// Rules that are remembered: far more than are loaded, yet a bound over many reloads.
const RULES_MAX: usize = 1 << 18;

/// A rule that takes far more than its share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DearRule {
    /// Its id.
    pub rule_id: String,
    /// Its share of the time in which rules are judged, 0 to 1.
    pub share: f64,
    /// The time that judging it took, in seconds, estimated from the sample.
    pub seconds: f64,
}

/// Times of all rules; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleCosts(Arc<Mutex<Costs>>);

#[derive(Debug, Default)]
struct Costs {
    nanos: HashMap<String, u64>,
    events: u64,
    told: HashSet<String>,
    dear: Vec<DearRule>,
    slowest: Vec<DearRule>,
}

/// One worker's sample of a batch.
#[derive(Debug, Default)]
pub(super) struct Sample {
    events_seen: u32,
    events: u64,
    begun: Option<Instant>,
    nanos: Vec<(RuleIndex, u64)>,
}

impl Sample {
    /// Whether the next event is to be timed.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.events_seen += 1;
        if self.events_seen < SAMPLE_EVERY {
            return false;
        }
        self.events_seen = 0;
        self.events += 1;
        true
    }
}

impl JudgeTimer for Sample {
    fn begin(&mut self) {
        self.begun = Some(Instant::now());
    }

    fn end(&mut self, rule: RuleIndex) {
        if let Some(begun) = self.begun.take() {
            let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.nanos.push((rule, nanos));
        }
    }
}

impl RuleCosts {
    /// Takes in what a worker timed.
    pub(super) fn add(&self, sample: &mut Sample, rules: &LoadedRules) {
        if sample.events == 0 {
            return;
        }
        let mut guard = self.lock();
        let costs = &mut *guard;
        costs.events += std::mem::take(&mut sample.events);
        for (rule, nanos) in sample.nanos.drain(..) {
            let id = &rules.compiled().info(rule).id;
            let has_room = costs.nanos.len() < RULES_MAX;
            match costs.nanos.get_mut(id) {
                Some(total) => *total += nanos,
                None if has_room => {
                    costs.nanos.insert(id.clone(), nanos);
                }
                None => {}
            }
        }
    }

    /// Brings metrics and the list of dear rules up to date; a rule that has become dear is logged.
    pub(super) fn report(&self) {
        let mut guard = self.lock();
        let costs = &mut *guard;
        if costs.events == 0 {
            return;
        }
        let mut dearest: Vec<(String, u64)> = costs
            .nanos
            .iter()
            .map(|(id, nanos)| (id.clone(), *nanos))
            .collect();
        dearest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let all_nanos: u64 = dearest.iter().map(|(_, nanos)| nanos).sum();
        let median = dearest
            .get(dearest.len() / 2)
            .map_or(0, |(_, nanos)| *nanos);
        let mut dear = Vec::new();
        let shown = dearest.iter().take(TOLD_AT_ONCE);
        costs.slowest = shown
            .map(|(rule_id, nanos)| DearRule {
                rule_id: rule_id.clone(),
                share: *nanos as f64 / all_nanos.max(1) as f64,
                seconds: *nanos as f64 / 1e9 * f64::from(SAMPLE_EVERY),
            })
            .collect();
        for (place, (rule_id, nanos)) in dearest.into_iter().enumerate() {
            let is_told = costs.told.contains(&rule_id);
            if !is_told && (place >= TOLD_AT_ONCE || costs.told.len() >= TOLD_MAX) {
                continue;
            }
            let share = nanos as f64 / all_nanos.max(1) as f64;
            let seconds = nanos as f64 / 1e9 * f64::from(SAMPLE_EVERY);
            metrics::gauge!("citywatch_rule_seconds_total", "rule_id" => rule_id.clone())
                .set(seconds);
            metrics::gauge!("citywatch_rule_time_share", "rule_id" => rule_id.clone()).set(share);
            let is_dear = costs.events >= DEAR_EVENTS_MIN
                && share > DEAR_SHARE
                && nanos > median.saturating_mul(DEAR_TIMES_MEDIAN);
            costs.told.insert(rule_id.clone());
            if is_dear {
                let known = costs.dear.iter().any(|known| known.rule_id == rule_id);
                if !known {
                    tracing::warn!(
                        rule_id,
                        share,
                        "a rule takes far more than its share of the time: look at its regular expressions and wildcards"
                    );
                }
                dear.push(DearRule {
                    rule_id,
                    share,
                    seconds,
                });
            }
        }
        costs.dear = dear;
    }

    /// The rules that take far more than their share.
    pub(super) fn dear(&self) -> Vec<DearRule> {
        self.lock().dear.clone()
    }

    /// The rules that take the most, whatever their share.
    pub(super) fn slowest(&self) -> Vec<DearRule> {
        self.lock().slowest.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Costs> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

    use super::*;
    use crate::detect::LogSourceMode;

    fn rules(count: u32) -> LoadedRules {
        let sources = (0..count).map(|number| {
            let text = format!(
                "title: r{number}\nid: r{number}\nlogsource: {{product: x}}\ndetection:\n  s: {{a: b}}\n  condition: s\n"
            );
            RuleSource::new(format!("{number}.yml"), text)
        });
        let set = RuleSet::load(sources, &LoadOptions::default());
        LoadedRules::new(set, LogSourceMode::Strict).unwrap()
    }

    fn sample(events: u64, nanos: &[(u32, u64)]) -> Sample {
        Sample {
            events,
            nanos: nanos
                .iter()
                .map(|(rule, nanos)| (RuleIndex(*rule), *nanos))
                .collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn one_event_of_1024_is_timed() {
        let mut sample = Sample::default();
        let timed = (0..10_240).filter(|_| sample.is_due()).count();
        assert_eq!(timed, 10);
    }

    #[test]
    fn a_rule_beyond_its_share_is_named_once_there_are_enough_events() {
        let rules = rules(5);
        let costs = RuleCosts::default();
        let even = [(0, 10), (1, 10), (2, 10), (3, 10)];
        costs.add(&mut sample(10, &even), &rules);
        costs.add(&mut sample(5, &[(4, 900)]), &rules);
        costs.report();
        assert!(costs.dear().is_empty(), "too few events");
        costs.add(&mut sample(10, &even), &rules);
        costs.report();
        let dear = costs.dear();
        assert_eq!(dear.len(), 1);
        assert_eq!(dear[0].rule_id, "r4");
        assert!((dear[0].share - 900.0 / 980.0).abs() < 1e-9);
        // Once all cost alike, none is dear.
        costs.add(
            &mut sample(1, &[(0, 900), (1, 900), (2, 900), (3, 900)]),
            &rules,
        );
        costs.report();
        assert!(costs.dear().is_empty());
    }

    #[test]
    fn metrics_are_told_of_a_bounded_number_of_rules() {
        let rules = rules(300);
        let costs = RuleCosts::default();
        for round in 0..30u32 {
            let dearest: Vec<(u32, u64)> = (0..10)
                .map(|place| (round * 10 + place, 1_000 * u64::from(round + 1)))
                .collect();
            costs.add(&mut sample(1, &dearest), &rules);
            costs.report();
        }
        assert_eq!(costs.lock().told.len(), TOLD_MAX);
    }
}
