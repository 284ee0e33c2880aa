//! Recordings, and what becomes of them when they are played at another time on another host.
//!
//! A record keeps its bytes but for the times in it, which all move by the same, and the names of its hosts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::Context;
use citywatch_collector::sources::files::records_of;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use regex::bytes::{Captures, Regex};

use super::config::{DemoConfig, Office, RecordedFile, Scene};

const SECOND_US: i64 = 1_000_000;
/// All was recorded in Ho Chi Minh City, which has one time all year.
pub const ZONE: Offset = jiff::tz::offset(7);
/// What lies further from a record's own time is something that it speaks of.
const OWN_TIME_US: i64 = 2 * 24 * 3_600 * SECOND_US;
/// An agent reads a record so long after it was written.
const READ_AFTER_US: i64 = 1_200_000;

/// Times as the recorded formats write them: RFC 3339 and Sysmon's, nginx's two, auditd's.
static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        (?P<iso>\d{4}-\d\d-\d\d[T\x20]\d\d:\d\d:\d\d) (?:\.\d+)? (?P<utc>Z)?
        | (?P<slashes>\d{4}/\d\d/\d\d\x20\d\d:\d\d:\d\d)
        | (?P<clf>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)
        | audit\((?P<epoch>\d{10})\.",
    )
    .expect("the expression is right")
});

/// The groups of [`TIMES`] that hold a civil time, with their formats.
const CIVIL: [(&str, &str); 3] = [
    ("iso", "%Y-%m-%d %H:%M:%S"),
    ("slashes", "%Y/%m/%d %H:%M:%S"),
    ("clf", "%d/%b/%Y:%H:%M:%S"),
];

/// All recorded files.
#[derive(Debug)]
pub struct Recordings(Vec<Recording>);

#[derive(Debug)]
struct Recording {
    file: RecordedFile,
    /// In their order, each with its time.
    records: Vec<(Timestamp, Vec<u8>)>,
}

/// A scene that is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Playing<'p> {
    /// What.
    pub scene: &'p Scene,
    /// Where.
    pub office: &'p Office,
    /// From when on.
    pub at: Timestamp,
}

impl Recordings {
    /// Reads the files of a configuration.
    pub fn read(config: &DemoConfig) -> anyhow::Result<Self> {
        let read = |file: &RecordedFile| Recording::read(&config.recordings, file);
        config
            .files
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The records of a scene as its office's agent would send them: a batch for each of its files.
    pub fn batches(&self, playing: Playing<'_>) -> Vec<RecordBatch> {
        let mut batches = Vec::new();
        for recording in &self.0 {
            if playing.scene.hosts.contains(&recording.file.host)
                && let Some(batch) = recording.played(playing)
            {
                batches.push(batch);
            }
        }
        batches
    }
}

impl Recording {
    fn read(folder: &Path, file: &RecordedFile) -> anyhow::Result<Self> {
        let path = folder.join(&file.path);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("cannot read the recording {}", path.display()))?;
        let batch = records_of(&bytes, file.multiline, Arc::default(), Timestamp(0));
        let mut records: Vec<(Timestamp, Vec<u8>)> = Vec::with_capacity(batch.len());
        for record in batch.iter() {
            // One that names no time belongs to the one before it.
            let before = records.last().map(|(at, _)| *at);
            let at = time_of(record.raw)
                .or(before)
                .with_context(|| format!("{}: the first record has no time", path.display()))?;
            records.push((at, record.raw.to_vec()));
        }
        Ok(Self {
            file: file.clone(),
            records,
        })
    }

    fn played(&self, playing: Playing<'_>) -> Option<RecordBatch> {
        let Playing { scene, office, at } = playing;
        let (first, _) = self.records.first()?;
        let from = on_day_of(*first, scene.from);
        let until = on_day_of(*first, scene.until);
        let host = office.hosts.get(&self.file.host)?;
        // Whole seconds: fractions stay as they are.
        let shift_s = (at.as_micros() - from.as_micros()).div_euclid(SECOND_US);
        let file = self.file.path.file_name().unwrap_or_default();
        let mut batch = RecordBatch::new(Arc::new(Origin {
            unit: office.unit.as_str().into(),
            agent: agent_of(office).as_str().into(),
            stream: format!("{host}/{}", file.to_string_lossy()).as_str().into(),
            host: Some(host.as_str().into()),
            format: self.file.format.as_str().into(),
            ..Origin::default()
        }));
        let mut position = 0;
        for (written, raw) in &self.records {
            if !(from..until).contains(written) {
                continue;
            }
            let received = written.as_micros() + shift_s * SECOND_US + READ_AFTER_US;
            // Times are positions, too: a stream's grow, and the same scene played again has the same.
            position = u64::try_from(received).unwrap_or(0).max(position + 1);
            let raw = renamed(shifted(raw, shift_s), &office.hosts);
            batch.push(&raw, position, Timestamp(received), Truncated::No);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// Who sends the records of an office: nobody takes it for an agent of the city.
pub fn agent_of(office: &Office) -> String {
    let place = office.unit.rsplit('/').next().unwrap_or(&office.unit);
    format!("demonstration-{place}")
}

/// A time of the day on the day of another time.
fn on_day_of(day: Timestamp, time: jiff::civil::Time) -> Timestamp {
    let date = local(day).date();
    Timestamp(micros(date.to_datetime(time), ZONE))
}

/// The time that clocks in the city show.
pub fn local(time: Timestamp) -> DateTime {
    let instant = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default();
    ZONE.to_datetime(instant)
}

/// When clocks in the city show this.
pub fn instant(time: DateTime) -> Timestamp {
    Timestamp(micros(time, ZONE))
}

fn micros(time: DateTime, zone: Offset) -> i64 {
    let zoned = TimeZone::fixed(zone).to_timestamp(time);
    zoned.map_or(0, |time| time.as_microsecond())
}

/// The time of a record: the first that it names.
fn time_of(raw: &[u8]) -> Option<Timestamp> {
    TIMES
        .captures_iter(raw)
        .find_map(|found| instant_of(&found))
}

fn instant_of(found: &Captures<'_>) -> Option<Timestamp> {
    if let Some(epoch) = found.name("epoch") {
        let seconds: i64 = text(epoch.as_bytes())?.parse().ok()?;
        return Some(Timestamp::from_seconds(seconds));
    }
    let (civil, _) = civil_of(found)?;
    let zone = match found.name("utc") {
        Some(_) => Offset::UTC,
        None => ZONE,
    };
    Some(Timestamp(micros(civil, zone)))
}

/// A civil time with its format.
fn civil_of(found: &Captures<'_>) -> Option<(DateTime, &'static str)> {
    let (group, format) = CIVIL
        .into_iter()
        .find_map(|(name, format)| Some((found.name(name)?, format)))?;
    let written = text(group.as_bytes())?.replacen('T', " ", 1);
    let civil = DateTime::strptime(format, written).ok()?;
    Some((civil, format))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The record with its times moved on.
fn shifted(raw: &[u8], seconds: i64) -> Vec<u8> {
    let own = time_of(raw);
    let moved = TIMES.replace_all(raw, |found: &Captures<'_>| {
        let whole = &found[0];
        moved(found, own, seconds).unwrap_or_else(|| whole.to_vec())
    });
    moved.into_owned()
}

fn moved(found: &Captures<'_>, own: Option<Timestamp>, seconds: i64) -> Option<Vec<u8>> {
    let distance = instant_of(found)?.as_micros() - own?.as_micros();
    if distance.abs() > OWN_TIME_US {
        return None;
    }
    let (group, new) = if let Some(epoch) = found.name("epoch") {
        let before: i64 = text(epoch.as_bytes())?.parse().ok()?;
        (epoch, (before + seconds).to_string())
    } else {
        let (civil, format) = civil_of(found)?;
        let later = civil.checked_add(seconds.seconds()).ok()?;
        let group = CIVIL.iter().find_map(|(name, _)| found.name(name))?;
        let mut new = later.strftime(format).to_string();
        if group.as_bytes().contains(&b'T') {
            new = new.replacen(' ', "T", 1);
        }
        (group, new)
    };
    let whole = found.get(0)?;
    let start = group.start() - whole.start();
    let end = group.end() - whole.start();
    let mut text = whole.as_bytes()[..start].to_vec();
    text.extend_from_slice(new.as_bytes());
    text.extend_from_slice(&whole.as_bytes()[end..]);
    Some(text)
}

/// The record with the names of hosts as they are where it is played, also where they stand in capitals.
fn renamed(raw: Vec<u8>, hosts: &BTreeMap<String, String>) -> Vec<u8> {
    let mut raw = raw;
    for (recorded, played) in hosts {
        for (from, to) in [
            (recorded.clone(), played.clone()),
            (recorded.to_uppercase(), played.to_uppercase()),
        ] {
            if memchr::memmem::find(&raw, from.as_bytes()).is_some() {
                raw = replaced(&raw, from.as_bytes(), to.as_bytes());
            }
        }
    }
    raw
}

fn replaced(raw: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut new = Vec::with_capacity(raw.len() + to.len());
    let mut rest = 0;
    for place in memchr::memmem::find_iter(raw, from) {
        new.extend_from_slice(&raw[rest..place]);
        new.extend_from_slice(to);
        rest = place + from.len();
    }
    new.extend_from_slice(&raw[rest..]);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_way_to_write_a_time_moves_by_the_same() {
        const DAY_S: i64 = 24 * 3_600;
        for (before, after) in [
            (
                "2026-11-22T07:52:36.413837+07:00 bastion-01 sshd[1]: x",
                "2026-11-25T07:52:36.413837+07:00 bastion-01 sshd[1]: x",
            ),
            (
                r#"{"EventTime":"2026-11-22T08:12:04.118000+07:00","UtcTime":"2026-11-22 01:12:04.118"}"#,
                r#"{"EventTime":"2026-11-25T08:12:04.118000+07:00","UtcTime":"2026-11-25 01:12:04.118"}"#,
            ),
            (
                r#"{"@timestamp":"2026-11-22T23:12:16.118Z"}"#,
                r#"{"@timestamp":"2026-11-25T23:12:16.118Z"}"#,
            ),
            (
                "192.0.2.11 - - [22/Nov/2026:07:55:34 +0700] \"GET /?ngay=2019-01-01 HTTP/1.1\" 200",
                "192.0.2.11 - - [25/Nov/2026:07:55:34 +0700] \"GET /?ngay=2019-01-01 HTTP/1.1\" 200",
            ),
            (
                "2026/11/22 07:55:57 [error] 3777#3777: *70 x",
                "2026/11/25 07:55:57 [error] 3777#3777: *70 x",
            ),
            (
                "node=a type=X msg=audit(1795308756.429:1591): op=start",
                "node=a type=X msg=audit(1795567956.429:1591): op=start",
            ),
            (
                "it speaks of \u{1b}[31m nothing",
                "it speaks of \u{1b}[31m nothing",
            ),
            (
                "2026-11-22T07:52:36+07:00 certificate valid since 2020-01-01T00:00:00Z",
                "2026-11-25T07:52:36+07:00 certificate valid since 2020-01-01T00:00:00Z",
            ),
        ] {
            let moved = shifted(before.as_bytes(), 3 * DAY_S);
            assert_eq!(String::from_utf8(moved).unwrap(), after);
        }
    }

    #[test]
    fn times_of_records_are_instants() {
        let same = [
            "2026-11-22T08:12:16.118+07:00 x",
            "x 2026-11-22T01:12:16.118Z",
            "[22/Nov/2026:08:12:16 +0700]",
            "2026/11/22 08:12:16 [error]",
        ];
        let times = same.map(|text| time_of(text.as_bytes()).unwrap());
        assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
        assert_eq!(times[0].to_string(), "2026-11-22T01:12:16.000000Z");
    }

    #[test]
    fn hosts_are_renamed_in_capitals_too() {
        let hosts = BTreeMap::from([("ubnd-ws-017".to_owned(), "bt-ws-017".to_owned())]);
        let raw = br#"{"host":"ubnd-ws-017.ubnd.example.vn","user":"UBND-WS-017$"}"#.to_vec();
        let new = String::from_utf8(renamed(raw, &hosts)).unwrap();
        assert_eq!(
            new,
            r#"{"host":"bt-ws-017.ubnd.example.vn","user":"BT-WS-017$"}"#
        );
    }
}
