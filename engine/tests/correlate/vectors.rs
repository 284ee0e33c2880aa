//! The vectors of the specification hold for the correlator.

use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::RuleSet;
use citywatch_rules::reference;
use citywatch_rules::vectors::{self, Expect};

use super::arrivals::{Arrival, by_correlator, by_reference};

#[test]
fn specification_vectors_hold_for_the_correlator() {
    let mut run = 0;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/testdata/correlations");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for vector in vectors::read(&file.display().to_string(), &text).unwrap() {
            let Expect::Alerts(expected) = &vector.expect else {
                continue;
            };
            let set = RuleSet::load([vector.source.clone()], &vector.options);
            let mut arrivals = Vec::new();
            for (place, event) in (1u128..).zip(&vector.events) {
                event.with(|parsed| {
                    for (rule, _) in set
                        .rules
                        .iter()
                        .enumerate()
                        .filter(|(_, rule)| reference::matches(rule, parsed).is_some())
                    {
                        let fields = parsed.fields.iter().map(|field| {
                            let text = field.value.to_string();
                            (
                                field.name.to_owned(),
                                (field.value != citywatch_parsers::Value::Null).then_some(text),
                            )
                        });
                        arrivals.push(Arrival {
                            rule,
                            event: place,
                            time: event.time,
                            stream: "s",
                            fields: fields.collect(),
                        });
                    }
                });
            }
            arrivals.sort_by_key(|arrival| arrival.time);
            let found = by_correlator(&set, &arrivals, 1, 3);
            assert_eq!(
                found,
                by_reference(&set, &arrivals),
                "{}: {}",
                file.display(),
                vector.name
            );
            assert_eq!(
                found.len(),
                expected.len(),
                "{}: {}",
                file.display(),
                vector.name
            );
            run += 1;
        }
    }
    assert!(run > 20, "only {run} vectors");
}
