//! Whether a host or a unit sends what it sends at this time of its week.
//!
//! A window of time is held against the same window of the weeks before; of a source that is younger than
//! two weeks, also against the same time of the days before. Nothing but counts and settings goes in, so that the
//! same counts always give the same deviations.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_parsers::UnitId;
use serde::Deserialize;

/// Weeks that a window is held against.
pub const WEEKS: usize = 4;
/// Days, for young sources.
pub const DAYS: usize = 6;
/// Windows of the past that say what is usual.
const USUAL_MIN: usize = 2;

/// What counts as silence, drop and leap.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Who usually sends fewer events than this in a window is never called silent.
    pub silent_events_min: u64,
    /// Below this share of its least usual window a source has dropped.
    pub drop_share: f64,
    /// Who usually sends fewer events than this in a window has not dropped, whatever it sends.
    pub drop_events_min: u64,
    /// Above so many times its largest usual window a source has leapt.
    pub leap_times: f64,
    /// A leap has at least so many events more than the largest usual window.
    pub leap_events_min: u64,
    /// When this share of all sources that usually speak falls silent, they are told as one.
    pub many_silent_share: f64,
    /// And at least so many.
    pub many_silent_min: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silent_events_min: 20,
            drop_share: 0.2,
            drop_events_min: 500,
            leap_times: 5.0,
            leap_events_min: 5_000,
            many_silent_share: 0.5,
            many_silent_min: 10,
        }
    }
}

/// A host of a unit, or with an empty host the unit as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The office.
    pub unit: UnitId,
    /// The host; empty for the unit.
    pub host: String,
}

/// Events per source in one window.
pub type Counts = BTreeMap<Source, u64>;

/// A window with those it is held against.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// The window that is judged.
    pub now: Counts,
    /// The same window of the weeks before, last week first.
    pub weeks: Vec<Counts>,
    /// The same time of the days before, yesterday first.
    pub days: Vec<Counts>,
}

/// How a source deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It sends nothing.
    Silent,
    /// It sends far less.
    Dropped,
    /// It sends far more.
    Leapt,
}

/// A source that deviates from its own past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Which.
    pub source: Source,
    /// How.
    pub change: Change,
    /// Its events in the window.
    pub events: u64,
    /// The least of its usual windows.
    pub usual_min: u64,
    /// The largest of them.
    pub usual_max: u64,
}

/// What a window shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Sources that deviate: a silent unit stands for its hosts.
    pub deviations: Vec<Deviation>,
    /// So many hosts are silent at once that they are told as one; they are not among `deviations`.
    pub many_silent: Option<ManySilent>,
    /// Hosts whose usual volume is known.
    pub hosts_known: usize,
}

/// Many hosts are silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManySilent {
    /// How many.
    pub silent: usize,
    /// Of how many that usually speak in this window.
    pub of: usize,
}

impl Windows {
    /// Adds to each window the units as a whole.
    fn with_units(&self) -> Self {
        let sum = |counts: &Counts| {
            let mut all = counts.clone();
            for (source, events) in counts {
                let unit = Source {
                    unit: source.unit.clone(),
                    host: String::new(),
                };
                // Events that name no host are the unit's own already.
                if !source.host.is_empty() {
                    *all.entry(unit).or_default() += events;
                }
            }
            all
        };
        Self {
            now: sum(&self.now),
            weeks: self.weeks.iter().map(sum).collect(),
            days: self.days.iter().map(sum).collect(),
        }
    }
}

/// Holds a window against the past.
pub fn judge(windows: &Windows, limits: &Limits) -> Judgement {
    let windows = windows.with_units();
    let past = windows.weeks.iter().chain(&windows.days);
    let sources: BTreeSet<&Source> = past.flat_map(BTreeMap::keys).collect();
    let mut judgement = Judgement::default();
    let mut silent_hosts = 0;
    let mut speaking_hosts = 0;
    for source in sources {
        let Some((usual_min, usual_max)) = usual(source, &windows) else {
            continue;
        };
        let is_host = !source.host.is_empty();
        judgement.hosts_known += usize::from(is_host);
        let usually_speaks = usual_min >= limits.silent_events_min;
        speaking_hosts += usize::from(is_host && usually_speaks);
        let events = windows.now.get(source).copied().unwrap_or(0);
        let Some(change) = change(events, usual_min, usual_max, limits) else {
            continue;
        };
        silent_hosts += usize::from(is_host && change == Change::Silent);
        judgement.deviations.push(Deviation {
            source: source.clone(),
            change,
            events,
            usual_min,
            usual_max,
        });
    }
    let share = silent_hosts as f64 / speaking_hosts.max(1) as f64;
    if silent_hosts >= limits.many_silent_min.max(1) && share >= limits.many_silent_share {
        judgement.many_silent = Some(ManySilent {
            silent: silent_hosts,
            of: speaking_hosts,
        });
        judgement
            .deviations
            .retain(|deviation| deviation.change != Change::Silent);
    }
    judgement.deviations = told_once(std::mem::take(&mut judgement.deviations));
    judgement
}

/// The least and the largest of a source's usual windows; none while too few are known.
fn usual(source: &Source, windows: &Windows) -> Option<(u64, u64)> {
    let mut usual = known(source, &windows.weeks);
    if usual.len() < USUAL_MIN {
        usual.extend(known(source, &windows.days));
    }
    if usual.len() < USUAL_MIN {
        return None;
    }
    Some((usual.iter().copied().min()?, usual.iter().copied().max()?))
}

/// Its counts in windows of the past, since it first spoke in one of them.
fn known(source: &Source, windows: &[Counts]) -> Vec<u64> {
    let counts: Vec<u64> = windows
        .iter()
        .map(|window| window.get(source).copied().unwrap_or(0))
        .collect();
    let since = counts.iter().rposition(|events| *events > 0);
    counts
        .into_iter()
        .take(since.map_or(0, |at| at + 1))
        .collect()
}

fn change(events: u64, usual_min: u64, usual_max: u64, limits: &Limits) -> Option<Change> {
    if events == 0 {
        return (usual_min >= limits.silent_events_min.max(1)).then_some(Change::Silent);
    }
    let has_dropped = usual_min >= limits.drop_events_min
        && (events as f64) < usual_min as f64 * limits.drop_share;
    if has_dropped {
        return Some(Change::Dropped);
    }
    let has_leapt = events as f64 > usual_max as f64 * limits.leap_times
        && events - usual_max.min(events) >= limits.leap_events_min;
    has_leapt.then_some(Change::Leapt)
}

/// A unit that deviates stands for its hosts that do so alike, and a unit's only host for the unit.
fn told_once(deviations: Vec<Deviation>) -> Vec<Deviation> {
    let alike =
        |a: &Deviation, b: &Deviation| a.source.unit == b.source.unit && a.change == b.change;
    let told = |deviation: &Deviation| {
        let of_unit = deviations
            .iter()
            .filter(|other| alike(other, deviation) && !other.source.host.is_empty())
            .count();
        let unit_too = deviations
            .iter()
            .any(|other| alike(other, deviation) && other.source.host.is_empty());
        match (deviation.source.host.is_empty(), unit_too) {
            (true, _) => of_unit != 1,
            (false, true) => of_unit == 1,
            (false, false) => true,
        }
    };
    let kept: Vec<bool> = deviations.iter().map(told).collect();
    let mut kept = kept.into_iter();
    let mut deviations = deviations;
    deviations.retain(|_| kept.next().unwrap_or(true));
    deviations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, &str, u64)]) -> Counts {
        of.iter()
            .map(|(unit, host, events)| {
                let source = Source {
                    unit: (*unit).into(),
                    host: (*host).to_owned(),
                };
                (source, *events)
            })
            .collect()
    }

    fn judged(now: &[(&str, &str, u64)], weeks: &[&[(&str, &str, u64)]]) -> Vec<String> {
        let windows = Windows {
            now: counts(now),
            weeks: weeks.iter().map(|week| counts(week)).collect(),
            days: Vec::new(),
        };
        told(&judge(&windows, &Limits::default()))
    }

    fn told(judgement: &Judgement) -> Vec<String> {
        judgement
            .deviations
            .iter()
            .map(|d| {
                format!(
                    "{}/{} {:?} {}",
                    d.source.unit, d.source.host, d.change, d.events
                )
            })
            .collect()
    }

    #[test]
    fn a_host_that_always_spoke_at_this_time_is_silent() {
        let week: &[_] = &[("u", "web", 300), ("u", "db", 900)];
        assert_eq!(
            judged(&[("u", "db", 880)], &[week, week]),
            ["u/web Silent 0"]
        );
        assert!(judged(&[("u", "web", 250), ("u", "db", 880)], &[week, week]).is_empty());
    }

    #[test]
    fn an_office_that_is_closed_at_this_time_is_not_silent() {
        // Last week's window was a holiday: that it spoke the week before makes it no fault.
        let weeks: [&[_]; 3] = [
            &[("u", "db", 50)],
            &[("u", "pc", 800), ("u", "db", 50)],
            &[],
        ];
        assert!(judged(&[("u", "db", 50)], &weeks).is_empty());
        // A few lines a window are too few to miss.
        let few: &[_] = &[("u", "door", 3), ("u", "db", 50)];
        assert!(judged(&[("u", "db", 50)], &[few, few, few]).is_empty());
    }

    #[test]
    fn a_silent_unit_stands_for_its_hosts() {
        let week: &[_] = &[
            ("a", "x", 300),
            ("a", "y", 300),
            ("b", "z", 100),
            ("b", "w", 100),
        ];
        assert_eq!(
            judged(&[("b", "z", 100), ("b", "w", 90)], &[week, week]),
            ["a/ Silent 0"]
        );
        // A unit of one host is told as that host.
        let week: &[_] = &[("a", "x", 300), ("b", "z", 100), ("b", "w", 100)];
        assert_eq!(
            judged(&[("b", "z", 100), ("b", "w", 90)], &[week, week]),
            ["a/x Silent 0"]
        );
    }

    #[test]
    fn drops_and_leaps_are_told_beyond_their_bounds_only() {
        let weeks: [&[_]; 2] = [
            &[("u", "a", 10_000), ("u", "b", 2_000), ("u", "c", 100)],
            &[("u", "a", 30_000), ("u", "b", 1_500), ("u", "c", 120)],
        ];
        // A fifth of the smaller week is no drop; less is. Small sources may do as they like.
        assert!(
            judged(
                &[("u", "a", 2_000), ("u", "b", 1_700), ("u", "c", 1)],
                &weeks
            )
            .is_empty()
        );
        assert_eq!(
            judged(
                &[("u", "a", 15_000), ("u", "b", 299), ("u", "c", 90)],
                &weeks
            ),
            ["u/b Dropped 299"]
        );
        assert_eq!(
            judged(
                &[("u", "a", 25_000), ("u", "b", 10_001), ("u", "c", 700)],
                &weeks
            ),
            ["u/b Leapt 10001"]
        );
    }

    #[test]
    fn a_young_source_is_held_against_its_days() {
        let day = counts(&[("u", "new", 400), ("u", "old", 10)]);
        let windows = |now: &[(&str, &str, u64)], days: usize| Windows {
            now: counts(now),
            weeks: vec![counts(&[("u", "old", 10)]); 4],
            days: vec![day.clone(); days],
        };
        let limits = Limits::default();
        let now: &[_] = &[("u", "old", 10)];
        assert!(
            told(&judge(&windows(now, 1), &limits)).is_empty(),
            "one day is not usual"
        );
        assert_eq!(told(&judge(&windows(now, 2), &limits)), ["u/new Silent 0"]);
    }

    #[test]
    fn many_at_once_are_told_as_one() {
        let week: Vec<(String, u64)> = (0..20).map(|n| (format!("h{n}"), 100)).collect();
        let week: Vec<(&str, &str, u64)> = week
            .iter()
            .map(|(host, n)| ("u", host.as_str(), *n))
            .collect();
        let windows = Windows {
            now: counts(&week[..5]),
            weeks: vec![counts(&week); 2],
            days: Vec::new(),
        };
        let judgement = judge(&windows, &Limits::default());
        assert_eq!(
            judgement.many_silent,
            Some(ManySilent { silent: 15, of: 20 })
        );
        assert!(judgement.deviations.is_empty(), "{judgement:?}");
        assert_eq!(judgement.hosts_known, 20);
        // A few of them are told by name.
        let windows = Windows {
            now: counts(&week[..17]),
            ..windows
        };
        assert_eq!(told(&judge(&windows, &Limits::default())).len(), 3);
    }
}
