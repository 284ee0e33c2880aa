//! Runs the tests that stand beside definitions.

use std::sync::Arc;

use bumpalo::Bump;

use super::file::{self, DefinitionFile, TestFile, TestsFile, problem};
use super::{DefinitionProblem, DefinitionSource, Definitions, ZoneLookup, is_test};
use crate::context::ParseContext;
use crate::event::Event;
use crate::parse::parse_batch;
use crate::record::{Origin, RecordBatch, Truncated};
use crate::time::Timestamp;
use crate::view::EventJson;

/// What came of a check.
#[derive(Debug, Default)]
pub struct Checked {
    /// Definitions that compile.
    pub definitions: usize,
    /// Tests that were run.
    pub tests: usize,
    /// Mistakes, and tests that failed.
    pub problems: Vec<DefinitionProblem>,
}

/// All test records were received at 2026-11-22T03:00:00Z.
const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_316_400);

/// Compiles definitions and runs their tests: those in the file itself and those in the file beside it,
/// `x.test.toml` for `x.toml`.
pub fn check_definitions(sources: &[DefinitionSource], zones: ZoneLookup<'_>) -> Checked {
    let mut checked = Checked::default();
    let (definitions, problems) = Definitions::load(sources, zones);
    checked.problems = problems;
    checked.definitions = definitions.site().count();
    let context = ParseContext {
        definitions,
        ..ParseContext::default()
    };
    for source in sources.iter().filter(|source| !is_test(source)) {
        let Ok(file) = file::parse::<DefinitionFile>(source) else {
            continue;
        };
        let name = file.name.get_ref();
        // One that does not compile was told already.
        if !context
            .definitions
            .site()
            .any(|definition| definition.name == name)
        {
            continue;
        }
        run_all(&file.test, name, source, &context, &mut checked);
        let beside = source.path.replace(".toml", ".test.toml");
        let Some(beside) = sources.iter().find(|other| *other.path == *beside) else {
            continue;
        };
        match file::parse::<TestsFile>(beside) {
            Ok(tests) => run_all(&tests.test, name, beside, &context, &mut checked),
            Err(problem) => checked.problems.push(problem),
        }
    }
    checked
}

fn run_all(
    tests: &[toml::Spanned<TestFile>],
    name: &str,
    source: &DefinitionSource,
    context: &ParseContext,
    checked: &mut Checked,
) {
    for test in tests {
        checked.tests += 1;
        for wrong in run(test.get_ref(), name, context) {
            checked
                .problems
                .push(problem(source, Some(test.span()), wrong));
        }
    }
}

/// What is wrong with the event of a test's record.
fn run(test: &TestFile, name: &str, context: &ParseContext) -> Vec<String> {
    let format = test.format.as_deref().unwrap_or(name);
    let origin = Origin {
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(test.record.as_bytes(), 0, RECEIVED_AT, Truncated::No);
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, context);
    let Some(event) = events.first() else {
        return Vec::new();
    };
    let mut wrong = differences(test, event);
    if event.format != format {
        wrong = vec![format!(
            "the record is not read as {format} but as {}: {:.120}",
            event.format, test.record
        )];
    }
    wrong
}

fn differences(test: &TestFile, event: &Event<'_>) -> Vec<String> {
    let json = serde_json::to_value(EventJson(event)).unwrap_or_default();
    let mut wrong = Vec::new();
    let mut compare =
        |what: String, wanted: Option<&serde_json::Value>, found: &serde_json::Value| {
            let found_one = (!found.is_null()).then_some(found);
            if wanted != found_one {
                let shown = |value: Option<&serde_json::Value>| {
                    value.map_or("absent".to_owned(), ToString::to_string)
                };
                wrong.push(format!(
                    "{what} should be {} and is {}",
                    shown(wanted),
                    shown(found_one)
                ));
            }
        };
    if let Some(time) = &test.event_time {
        compare(
            "event_time".to_owned(),
            Some(&time.as_str().into()),
            &json["event_time"],
        );
    }
    if let Some(host) = &test.host {
        compare(
            "host".to_owned(),
            Some(&host.as_str().into()),
            &json["host"],
        );
    }
    for (section, wanted) in [("fields", &test.fields), ("pivots", &test.pivots)] {
        for (name, value) in wanted {
            let value = serde_json::to_value(value).unwrap_or_default();
            let wanted = (value != "absent").then_some(&value);
            compare(format!("{section} {name}"), wanted, &json[section][name]);
        }
    }
    let kinds: Vec<&str> = event
        .problems
        .iter()
        .map(|problem| problem.kind.name())
        .collect();
    if kinds != test.problems {
        wrong.push(format!(
            "problems should be {:?} and are {:?}",
            test.problems,
            event
                .problems
                .iter()
                .map(|problem| format!("{}: {}", problem.kind.name(), problem.detail))
                .collect::<Vec<_>>()
        ));
    }
    wrong
}
