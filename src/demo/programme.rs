//! What is played when: the same for the same seed and end.

use citywatch_parsers::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};

use super::config::{DemoConfig, Hours, Scene};
use super::recording::{Playing, instant, local};

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
/// Nothing but the finale happens so shortly before the end.
const CALM_BEFORE_END_US: i64 = 10 * MINUTE_US;
/// People are at work from then on.
pub const WORK_BEGINS: Time = Time::constant(7, 30, 0, 0);
/// They go home.
pub const WORK_ENDS: Time = Time::constant(17, 30, 0, 0);
/// No scene of theirs begins so shortly before that.
const LAST_SCENE_S: u64 = 3_000;

/// Numbers that look like chance and are always the same (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Numbers of their own for each list of parts.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        let mut chance = Self(seed);
        for part in parts {
            chance.0 ^= part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chance.0 = chance.number();
        }
        chance
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `from..to`.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.number() % to.saturating_sub(from).max(1)
    }

    /// True in so many of a thousand cases.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.within(0, 1_000) < permille
    }
}

/// The days of the history, the first one first, each with what is played on it in the order of time.
pub fn programme(config: &DemoConfig, end: Timestamp) -> Vec<Vec<Playing<'_>>> {
    let today = local(end).date();
    let mut days = Vec::new();
    for back in (0..i64::from(config.days)).rev() {
        let date = today.saturating_sub(back.days());
        let mut playing = of_day(config, date, back);
        playing.retain(|one| ends_at(one) < end.as_micros() - CALM_BEFORE_END_US);
        days.push(playing);
    }
    // Shortly after midnight most of it belongs to the day before.
    for playing in finale(config, end) {
        let back = (today - local(playing.at).date()).get_days();
        let place = days
            .len()
            .checked_sub(1 + usize::try_from(back).unwrap_or(0));
        if let Some(day) = place.and_then(|place| days.get_mut(place)) {
            day.push(playing);
        }
    }
    for day in &mut days {
        one_after_the_other(day);
    }
    days
}

fn of_day(config: &DemoConfig, date: Date, days_back: i64) -> Vec<Playing<'_>> {
    let is_off = !is_workday(date);
    let day = u64::try_from(date.day_of_year()).unwrap_or(0)
        + 1_000 * u64::try_from(date.year()).unwrap_or(0);
    let mut playing = Vec::new();
    for (office_number, office) in config.offices.iter().enumerate() {
        if days_back < i64::from(office.silent_days) {
            continue;
        }
        for (scene_number, scene) in config.scenes.iter().enumerate() {
            if !office.has(scene) {
                continue;
            }
            let parts = [day, office_number as u64, scene_number as u64];
            let mut chance = Chance::of(config.seed, &parts);
            let often = if is_off {
                scene.per_day_off
            } else {
                scene.per_workday
            };
            for _ in 0..times(often, &mut chance) {
                let (from, to) = match scene.hours {
                    Hours::Office => (seconds(WORK_BEGINS), seconds(WORK_ENDS) - LAST_SCENE_S),
                    Hours::Any => (0, 24 * 3_600 - 900),
                };
                let second = i64::try_from(chance.within(from, to)).unwrap_or(0);
                let midnight = instant(date.to_datetime(Time::midnight()));
                playing.push(Playing {
                    scene,
                    office,
                    at: Timestamp(midnight.as_micros() + second * SECOND_US),
                });
            }
        }
    }
    playing
}

/// Whether people work on that day.
pub fn is_workday(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Whether people are at work then.
pub fn is_at_work(time: DateTime) -> bool {
    is_workday(time.date()) && (WORK_BEGINS..WORK_ENDS).contains(&time.time())
}

fn seconds(time: Time) -> u64 {
    time.duration_since(Time::midnight())
        .as_secs()
        .unsigned_abs()
}

/// 2.5 is two times, and in half of the cases once more.
fn times(often: f64, chance: &mut Chance) -> u64 {
    let permille = (often.clamp(0.0, 1_000.0) * 1_000.0) as u64;
    permille / 1_000 + u64::from(chance.permille(permille % 1_000))
}

fn finale(config: &DemoConfig, end: Timestamp) -> Vec<Playing<'_>> {
    let mut playing = Vec::new();
    for part in &config.finale {
        let scene = config.scenes.iter().find(|scene| scene.name == part.scene);
        let office = config
            .offices
            .iter()
            .find(|office| office.unit == part.unit);
        if let (Some(scene), Some(office)) = (scene, office) {
            let at = Timestamp(end.as_micros() - i64::from(part.minutes_ago) * MINUTE_US);
            playing.push(Playing { scene, office, at });
        }
    }
    playing
}

/// How long a scene is.
pub fn length_us(scene: &Scene) -> i64 {
    scene.until.duration_since(scene.from).as_secs() * SECOND_US
}

fn ends_at(playing: &Playing<'_>) -> i64 {
    playing.at.as_micros() + length_us(playing.scene)
}

/// In the order of time. What shares a host is moved behind what goes on there: a file has one order.
fn one_after_the_other(day: &mut [Playing<'_>]) {
    day.sort_by_key(|playing| playing.at);
    for index in 1..day.len() {
        let (before, rest) = day.split_at_mut(index);
        let one = &mut rest[0];
        let busy = before
            .iter()
            .filter(|other| other.office.unit == one.office.unit)
            .filter(|other| {
                other
                    .scene
                    .hosts
                    .iter()
                    .any(|host| one.scene.hosts.contains(host))
            })
            .map(|other| ends_at(other) + 5 * SECOND_US)
            .max();
        if let Some(busy) = busy {
            one.at = one.at.max(Timestamp(busy));
        }
    }
    day.sort_by_key(|playing| playing.at);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::path::Path;

    use super::super::recording::Recordings;
    use super::*;
    use crate::config::Config;

    fn demo() -> DemoConfig {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/demo/city.toml");
        let demo = Config::load(Some(&path)).unwrap().demo.unwrap();
        demo.check().unwrap();
        demo
    }

    #[test]
    fn the_demo_plays_five_weeks_in_which_no_record_overtakes_another_of_its_file() {
        let demo = demo();
        let recordings = Recordings::read(&demo).unwrap();
        // A Monday morning; midnight; an evening.
        for end_s in [1_795_400_000, 1_795_453_200, 1_795_350_000] {
            let end = Timestamp::from_seconds(end_s);
            let days = programme(&demo, end);
            assert_eq!(days.len(), 35);
            let mut dates = BTreeSet::new();
            let mut units = BTreeSet::new();
            let mut positions: HashMap<_, u64> = HashMap::new();
            for playing in days.iter().flatten() {
                dates.insert(local(playing.at).date());
                units.insert(playing.office.unit.as_str());
                for batch in recordings.batches(*playing) {
                    let key = (batch.origin.agent.clone(), batch.origin.stream.clone());
                    let stream = positions.entry(key).or_default();
                    for record in batch.iter() {
                        assert!(
                            record.position > *stream,
                            "{}: {} would be dropped as known",
                            batch.origin.stream,
                            record.received_at
                        );
                        assert!(record.received_at <= end, "it lies in the future");
                        *stream = record.position;
                    }
                }
            }
            assert!(dates.len() >= 34, "{} days", dates.len());
            assert_eq!(units.len(), demo.offices.len());
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_programme() {
        let of = |demo: &DemoConfig| -> Vec<(i64, String, String)> {
            let days = programme(demo, Timestamp::from_seconds(1_795_400_000));
            let named = |one: &Playing<'_>| {
                let (unit, scene) = (one.office.unit.clone(), one.scene.name.clone());
                (one.at.as_micros(), unit, scene)
            };
            days.iter().flatten().map(named).collect()
        };
        let demo = demo();
        assert_eq!(of(&demo), of(&demo));
        let other = DemoConfig {
            seed: demo.seed + 1,
            ..demo.clone()
        };
        assert_ne!(of(&demo), of(&other));
    }
}
