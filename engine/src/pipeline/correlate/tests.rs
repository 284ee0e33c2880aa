//! What a restart may tell again.

use citywatch_parsers::{RecordId, UnitId};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

use super::*;
use crate::detect::LogSourceMode;
use crate::matches::{EventId, EventSnapshot, Evidence, MatchId};
use crate::pipeline::rules::RulesHandle;

const MINUTE_US: i64 = 60 * 1_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

/// A correlation of one rule over five minutes.
fn correlation(condition: &str) -> Correlation {
    let rules = format!(
        "title: Sign-in\nid: sign_in\nname: sign_in\nlogsource: {{category: authentication}}\n\
         detection:\n  selection: {{action: login}}\n  condition: selection\n\
         ---\ntitle: Sign-ins\nid: sign_ins\ncorrelation:\n  type: event_count\n  rules: [sign_in]\n  \
         group-by: [user]\n  timespan: 5m\n  condition: {{{condition}}}\n"
    );
    let source = RuleSource::new("rules.yml".to_owned(), rules);
    let set = RuleSet::load([source], &LoadOptions::default());
    assert!(set.problems.is_empty(), "{:?}", set.problems);
    let loaded = LoadedRules::new(set, LogSourceMode::Strict).unwrap();
    let handle = RulesHandle::new(Arc::new(loaded));
    Correlation::new(handle.subscribe(), &PipelineConfig::default())
}

fn sign_in(number: u128, event_time: Timestamp, received_at: Timestamp) -> StoredMatch {
    let id = EventId(number);
    let event = EventSnapshot {
        id,
        record: RecordId {
            agent: "agent".into(),
            stream: "auth.log".into(),
            position: 0,
        },
        unit: UnitId::from("unit"),
        event_time,
        received_at,
        host: "gate".into(),
        format: "json".into(),
        fields: [("user".to_owned(), "lan".into())].into_iter().collect(),
        raw: String::new(),
    };
    StoredMatch {
        id: MatchId::of_event("sign_in", id),
        rule_id: "sign_in".into(),
        rule_hash: String::new(),
        rule_title: String::new(),
        level: String::new(),
        correlation: false,
        unit: UnitId::from("unit"),
        host: "gate".into(),
        event_time,
        group: Vec::new(),
        window: None,
        event_count: 1,
        evidence: vec![Evidence {
            event: Arc::new(event),
            matched: Arc::from([]),
        }],
    }
}

/// Three sign-ins, ten seconds apart from a time on, received when they happened.
fn three_from(from_us: i64) -> Vec<StoredMatch> {
    let times = (0..3u32).map(|number| Timestamp(from_us + i64::from(number) * 10_000_000));
    (1..)
        .zip(times)
        .map(|(number, time)| sign_in(number, time, time))
        .collect()
}

/// The beginning of a cell of five minutes at or after a time.
fn cell_from(time_us: i64) -> i64 {
    (time_us.div_euclid(5 * MINUTE_US) + 1) * 5 * MINUTE_US
}

#[test]
fn what_was_read_back_in_part_is_not_told() {
    // Of six sign-ins around the time from which matches are read back, three are there.
    let mut more_than_two = correlation("gte: 3");
    let since = more_than_two.replay_from().as_micros();
    let stored = three_from(cell_from(since));
    assert_eq!(more_than_two.replay(&stored), [], "it was told with six");
    // It never held: there were six.
    let mut fewer_than_five = correlation("lt: 5");
    let since = fewer_than_five.replay_from().as_micros();
    let mut stored = three_from(cell_from(since));
    stored.push(sign_in(9, now(), now()));
    assert_eq!(fewer_than_five.replay(&stored), []);
}

#[test]
fn a_window_that_was_open_goes_on_and_is_told_once() {
    let begin_us = cell_from(now().as_micros() - 10 * MINUTE_US);
    let stored = three_from(begin_us);
    // The engine is killed after alerting was told, before a match was stored: the records come again.
    let mut killed = correlation("gte: 3");
    killed.replay_from();
    let told_before = killed.replay(&stored);
    assert_eq!(told_before.len(), 1);
    let mut restarted = correlation("gte: 3");
    restarted.replay_from();
    assert_eq!(restarted.replay(&[]), []);
    let told_again = restarted.replay(&stored);
    assert_eq!(told_again.len(), 1);
    assert_eq!(told_again[0].id, told_before[0].id, "alerting knows it");
    // Killed after the matches were stored, before their events were: both are seen, and it is told once.
    assert_eq!(restarted.replay(&stored), []);
    let mut restarted = correlation("gte: 3");
    restarted.replay_from();
    assert_eq!(restarted.replay(&stored[..2]), []);
    let told_again = restarted.replay(&stored);
    assert_eq!(told_again.len(), 1);
    assert_eq!(told_again[0].id, told_before[0].id);
}

#[test]
fn an_office_that_was_cut_off_for_days_is_not_taken_for_what_was_told() {
    let mut correlation = correlation("gte: 3");
    let since = correlation.replay_from().as_micros();
    let stored: Vec<StoredMatch> = three_from(cell_from(since - 72 * HOUR_US))
        .into_iter()
        .map(|found| {
            let event = &found.evidence[0].event;
            sign_in(
                event.id.0,
                event.event_time,
                Timestamp(now().as_micros() - HOUR_US),
            )
        })
        .collect();
    assert_eq!(correlation.replay(&stored).len(), 1);
}

#[test]
fn the_windows_of_a_stream_that_went_quiet_close_although_they_end_later_than_its_last_match() {
    let mut correlation = correlation("gte: 3");
    correlation.replay_from();
    let begin_us = cell_from(now().as_micros());
    let stored = three_from(begin_us);
    assert_eq!(correlation.replay(&stored).len(), 1);
    let later = Timestamp(begin_us + 50 * 1_000_000);
    let fourth = sign_in(9, later, later);
    assert_eq!(correlation.replay(&[fourth]), [], "told once, so far");
    let spoke = Instant::now();
    // Its clock goes on: five minutes of quiet are not yet the end of the window with what may come late to it.
    let mut told = Vec::new();
    for minute in 1..=40 {
        let passed = Duration::from_secs(minute * 60);
        let time = Timestamp(begin_us + 60 * 1_000_000 * i64::try_from(minute).unwrap());
        told.extend(correlation.close_streams_quiet_at(spoke + passed, time));
    }
    assert_eq!(told.len(), 1, "settled, with the event that came since");
    assert_eq!(told[0].event_count, 4);
    assert_eq!(correlation.status().entries, 0, "and let go");
    assert!(correlation.speaking.is_empty(), "nothing is waited for");
}
