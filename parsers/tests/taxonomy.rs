//! What is concluded from a record, and what is left as it was recorded.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Taxonomy, Timestamp, parse_batch};

/// Names of the fields, and log sources as `product/category/service`.
fn read(taxonomy: Taxonomy, record: &str) -> (Vec<String>, Vec<String>) {
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(record.as_bytes(), 0, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let context = ParseContext {
        taxonomy,
        ..ParseContext::default()
    };
    let events = parse_batch(&batch, &arena, &context);
    let event = &events[0];
    assert!(event.problems.is_empty(), "{:?}", event.problems);
    let names = event.fields.iter().map(|field| field.name.to_owned());
    let sources = event
        .log_sources
        .iter()
        .map(|source| format!("{}/{}/{}", source.product, source.category, source.service));
    (names.collect(), sources.collect())
}

const PROCESS: &str = r#"{"EventID":4688,"SourceName":"Microsoft-Windows-Security-Auditing","Channel":"Security","NewProcessName":"C:\\x.exe"}"#;

#[test]
fn sigma_adds_names_and_log_sources() {
    let (names, sources) = read(Taxonomy::Sigma, PROCESS);
    assert!(names.iter().any(|name| name == "Image"), "{names:?}");
    assert!(
        sources.iter().any(|source| source == "windows//security"),
        "{sources:?}"
    );
}

#[test]
fn as_recorded_adds_nothing() {
    let (names, sources) = read(Taxonomy::AsRecorded, PROCESS);
    assert_eq!(
        names,
        ["EventID", "SourceName", "Channel", "NewProcessName"]
    );
    assert!(sources.is_empty(), "{sources:?}");
    let (_, sources) = read(
        Taxonomy::AsRecorded,
        "Nov 22 03:00:00 gw sshd[1]: Accepted password for bob from 192.0.2.1 port 5 ssh2",
    );
    assert!(sources.is_empty(), "{sources:?}");
}

#[test]
fn what_a_record_names_as_its_log_source_counts() {
    // record, under Sigma, as recorded
    let cases: [(&str, &[&str], &[&str]); 4] = [
        (
            r#"{"Image":"C:\\x.exe","product":"windows","category":"process_creation"}"#,
            &["windows/process_creation/"],
            &["windows/process_creation/"],
        ),
        (
            r#"{"EventID":5145,"Channel":"Security","category":"file_event"}"#,
            &["windows/file_event/security"],
            &["/file_event/"],
        ),
        (
            r#"{"EventID":5145,"Channel":"Security","service":"system"}"#,
            &["windows//security", "//system"],
            &["//system"],
        ),
        (r#"{"a":1,"service":"two words"}"#, &[], &[]),
    ];
    for (record, sigma, as_recorded) in cases {
        assert_eq!(read(Taxonomy::Sigma, record).1, sigma, "{record}");
        assert_eq!(
            read(Taxonomy::AsRecorded, record).1,
            as_recorded,
            "{record}"
        );
    }
}
