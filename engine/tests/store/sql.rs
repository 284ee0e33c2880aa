//! Rules as SQL over the real store against the reference evaluator: the same events, whatever values and tests meet.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use citywatch_engine::EventId;
use citywatch_engine::detect::LogSourceMode;
use citywatch_engine::store::{EventRow, EventScan, Store};
use citywatch_parsers::{Event, Layouts, LogSource};
use citywatch_rules::sql::{Bound, Translator};
use citywatch_rules::vectors::{self, Expect};
use citywatch_rules::{Rule, RuleSet, reference};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generate;
use crate::process::{StoreProcess, library_is_there};
use crate::sample::DAY;

/// The row of an event of no certain time, with the number of its place as id.
fn row_of(event: &Event<'_>, place: usize) -> EventRow {
    let mut row = EventRow::from_event(event, EventId(u128::try_from(place).unwrap()));
    row.received_at = DAY.0;
    row.event_time = DAY.0;
    row
}

/// Places of the events that a statement finds.
async fn found(store: &Store, translator: &Translator, condition: &str) -> BTreeSet<usize> {
    let scan = EventScan {
        definitions: translator.with_clause(),
        condition: Some(format!("({condition})")),
        ..EventScan::default()
    };
    let mut places = BTreeSet::new();
    let mut each = |id: EventId, _: &Event<'_>| {
        places.insert(usize::try_from(id.0).unwrap());
    };
    if let Err(error) = store.scan_events(&scan, &mut each).await {
        panic!("{error}\n{}\n{condition}", translator.with_clause());
    }
    places
}

/// Whether the exact translation finds the expected events, and the narrowing one these at least (of a rule that is said
/// exactly, both are alike: it is asked with all else only). False when a rule cannot be said exactly.
async fn agrees(store: &Store, rule: &Rule, expected: &BTreeSet<usize>) -> bool {
    let mut exact = Translator::new(Bound::Exact);
    let said = exact.rule(rule);
    if said.is_err() || everything() {
        let mut narrowing = Translator::new(Bound::Narrowing);
        let condition = narrowing.rule(rule).unwrap();
        let narrowed = found(store, &narrowing, &condition).await;
        assert!(
            narrowed.is_superset(expected),
            "{}: narrowed to {narrowed:?}, the reference finds {expected:?}\n{:#?}\n{}\n{condition}",
            rule.meta.title,
            rule.condition,
            narrowing.with_clause()
        );
    }
    let Ok(condition) = said else {
        return false;
    };
    let found = found(store, &exact, &condition).await;
    assert!(
        found == *expected,
        "{}: SQL finds {found:?}, the reference {expected:?}\n{:#?}\n{}\n{condition}",
        rule.meta.title,
        rule.condition,
        exact.with_clause()
    );
    true
}

/// Whether the heavy checks are asked for.
fn everything() -> bool {
    std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn specification_vectors_hold_in_sql() {
    if !library_is_there() {
        return;
    }
    let mut rules = Vec::new();
    let mut events = Vec::new();
    for file in vector_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for vector in vectors::read(&file.display().to_string(), &text).unwrap() {
            if let Expect::Matches(_) = &vector.expect {
                let set = RuleSet::load([vector.source.clone()], &vector.options);
                rules.extend(set.rules.first().cloned());
                events.extend(vector.events);
            }
        }
    }
    let rows: Vec<EventRow> = events
        .iter()
        .enumerate()
        .map(|(place, event)| {
            let mut row = event.with(|event| row_of(event, place));
            // What the rules of vectors are about.
            row.category = "test".to_owned();
            row
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    store.insert_events(&rows).await.unwrap();
    let mut said = 0;
    for rule in &rules {
        let of_test = [LogSource {
            category: "test".into(),
            ..LogSource::default()
        }];
        let is_about = LogSourceMode::Strict.applies(&rule.log_source, &of_test);
        let holds = |event: &vectors::VectorEvent| {
            is_about && event.with(|event| reference::matches(rule, event).is_some())
        };
        let expected = (0..events.len()).filter(|&place| holds(&events[place]));
        said += usize::from(agrees(&store, rule, &expected.collect()).await);
    }
    eprintln!(
        "{said} of {} rules said, {} events",
        rules.len(),
        events.len()
    );
    assert!(said > 100, "{said} of {} rules", rules.len());
    process.stop();
}

/// Dates of many years around their turns and leap days, with and without a time, and what is nearly a date.
fn dates() -> Vec<String> {
    let mut dates = Vec::new();
    let years = [0, 1, 4, 100, 399, 400, 1582, 1899, 1900, 1999, 2000, 9999];
    for year in years.into_iter().chain(2015..2033) {
        for (month, day) in (1..=31).flat_map(|day| [(1, day), (12, day)]) {
            dates.push(format!("{year:04}-{month:02}-{day:02}"));
        }
        for (month, day) in [(2, 28), (2, 29), (3, 1), (2, 30), (4, 31), (0, 1), (13, 1)] {
            dates.push(format!("{year:04}-{month:02}-{day:02}T23:59:59Z"));
        }
    }
    let times = [
        "T00:00",
        "t09:05:59.9",
        " 22:30",
        "T24:00",
        "T22:60",
        "T2:30",
        "T22-30",
        "T2230",
        "x22:30",
        "T",
        " ",
        "T22:30Z and more",
        "Z",
    ];
    dates.extend(times.map(|time| format!("2026-11-22{time}")));
    let others = [
        "",
        "2026",
        "20261122",
        "20261122T2",
        "2026-W47-7",
        "2026-1-22",
        "22/11/2026",
        " 2026-11-22",
        "+2026-11-2",
        "2026-11-2é",
        "２０26-11-22",
    ];
    dates.extend(others.map(str::to_owned));
    dates
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_dates_hold_in_sql() {
    if !library_is_there() {
        return;
    }
    let searches = [
        "T|year: 2026",
        "T|year|lt: 1900",
        "T|month: 2",
        "T|month|gte: 12",
        "T|day: 29",
        "T|day|gt: 30",
        "T|week: 1",
        "T|week: 52",
        "T|week: 53",
        "T|week|neq: 53",
        "T|hour: 22",
        "T|hour|gte: 22",
        "T|hour|lt: 10",
        "T|minute: 30",
        "T|minute|gt: 58",
    ];
    let dates = dates();
    let mut text = String::new();
    for search in searches {
        text.push_str(&format!(
            "- case: \"{search}\"\n  spec: time\n  search: \"{search}\"\n  no match:\n"
        ));
        if text.matches("case:").count() > 1 {
            text.push_str("    - {T: none}\n");
            continue;
        }
        for date in &dates {
            text.push_str(&format!("    - {{T: '{date}'}}\n"));
        }
        text.push_str("    - {T: [2026-02-29, '2024-02-29T22:31']}\n    - {T: 20261122}\n    - {T: null}\n    - {G: 1}\n");
    }
    let vectors = vectors::read("dates", &text).unwrap();
    let events = &vectors[0].events;
    let rows: Vec<EventRow> = events
        .iter()
        .enumerate()
        .map(|(place, event)| {
            let mut row = event.with(|event| row_of(event, place));
            row.category = "test".to_owned();
            row
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    store.insert_events(&rows).await.unwrap();
    for vector in &vectors {
        let set = RuleSet::load([vector.source.clone()], &vector.options);
        let rule = set
            .rules
            .first()
            .unwrap_or_else(|| panic!("{:?}", set.problems));
        let holds = |event: &vectors::VectorEvent| {
            event.with(|event| reference::matches(rule, event).is_some())
        };
        let expected: BTreeSet<usize> = (0..events.len())
            .filter(|&place| holds(&events[place]))
            .collect();
        assert!(!expected.is_empty(), "{}", vector.name);
        assert!(agrees(&store, rule, &expected).await, "{}", vector.name);
    }
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_rules_find_the_same_events_in_sql() {
    if !library_is_there() {
        return;
    }
    let everything = std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1");
    let (rules, events) = if everything {
        (3_000, 1_000)
    } else {
        (150, 250)
    };
    let mut runner = TestRunner::deterministic();
    let mut rules_made: Vec<Arc<Rule>> = Vec::new();
    for _ in 0..rules {
        rules_made.push(generate::rule().new_tree(&mut runner).unwrap().current());
    }
    let mut orders = Layouts::default();
    let mut expected: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rules_made.len()];
    let (mut rows, mut said) = (Vec::new(), Vec::new());
    for place in 0..events {
        let event = generate::event().new_tree(&mut runner).unwrap().current();
        event.with(&mut orders, |event| {
            rows.push(row_of(event, place));
            said.push(what_rules_see(event));
            for (rule, expected) in rules_made.iter().zip(&mut expected) {
                let is_about = LogSourceMode::Strict.applies(&rule.log_source, &event.log_sources);
                if is_about && reference::matches(rule, event).is_some() {
                    expected.insert(place);
                }
            }
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    store.insert_events(&rows).await.unwrap();

    // All events come back as they were.
    let mut seen = 0;
    store
        .scan_events(&EventScan::default(), &mut |id, event| {
            let place = usize::try_from(id.0).unwrap();
            assert_eq!(what_rules_see(event), said[place]);
            seen += 1;
        })
        .await
        .unwrap();
    assert_eq!(seen, events);

    let mut exact = 0;
    for (rule, expected) in rules_made.iter().zip(&expected) {
        exact += usize::from(agrees(&store, rule, expected).await);
    }
    let matches: usize = expected.iter().map(BTreeSet::len).sum();
    eprintln!(
        "{exact} of {rules} generated rules said exactly, {events} events, {matches} matches"
    );
    assert!(
        exact > rules / 2 && matches > rules,
        "{exact} said, {matches} matches"
    );
    process.stop();
}

/// What a rule can ask of an event.
fn what_rules_see(event: &Event<'_>) -> String {
    let sources: Vec<_> = event
        .log_sources
        .iter()
        .map(|source| (&source.product, &source.category, &source.service))
        .filter(|source| {
            event.log_sources.len() > 1 || *source != (&"".into(), &"".into(), &"".into())
        })
        .collect();
    let raw = if event.record.is_document() {
        None
    } else {
        Some(event.record.raw)
    };
    format!("{sources:?} {:?} {raw:?}", event.fields)
}

fn vector_files() -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/testdata");
    for folder in std::fs::read_dir(folders).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            files.extend(
                std::fs::read_dir(folder)
                    .unwrap()
                    .map(|file| file.unwrap().path()),
            );
        }
    }
    files.sort();
    files
}
