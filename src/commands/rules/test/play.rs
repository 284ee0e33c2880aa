//! Plays tests: reference evaluator and compiled engine side by side.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher, RuleHit};
use citywatch_parsers::{LogSource, ParseContext, Timestamp};
use citywatch_rules::explain::explain;
use citywatch_rules::rule::Meta;
use citywatch_rules::rule_tests::{self, Expected, Got, Outcome, RuleTest};
use citywatch_rules::{RuleSet, RuleSource};

use super::super::blocks::Source;
use super::super::correlated::{Correlating, Wanted};
use super::super::inputs::InputFormat;
use super::super::records;
use super::super::style::{Progress, printable};
use super::{Failure, Report, Tested};

/// Events of a failed test that are told of.
const EVENTS_TOLD_MAX: usize = 3;
/// Characters of an event that are shown.
const SHOWN_CHARS_MAX: usize = 160;

/// Runs the tests of all `sources`.
pub(super) fn all(
    sources: &[RuleSource],
    set: &RuleSet,
    context: &ParseContext,
    report: &mut Report,
) -> anyhow::Result<()> {
    let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Strict)?);
    let mut player = Player {
        set,
        context,
        matcher: compiled.matcher(),
        hits: Vec::new(),
    };
    let mut progress = Progress::new("rule files tested", sources.len());
    for source in sources {
        player.test_file(source, report);
        progress.step();
    }
    Ok(())
}

struct Player<'s> {
    set: &'s RuleSet,
    context: &'s ParseContext,
    matcher: Matcher,
    hits: Vec<RuleHit>,
}

/// What a test is about.
#[derive(Clone, Copy)]
enum Target {
    Rule(usize),
    Correlation(usize),
}

impl Player<'_> {
    fn test_file(&mut self, source: &RuleSource, report: &mut Report) {
        let path = Path::new(&*source.path).with_extension("test.yml");
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                report.untested.push(source.path.to_string());
                return;
            }
            Err(error) => {
                report.problems.push(format!("{shown}: {error}"));
                return;
            }
        };
        let tests = match rule_tests::read(&shown, &text) {
            Ok(tests) => tests,
            Err(mistake) => {
                report.problems.push(mistake);
                return;
            }
        };
        for mut test in tests {
            let begun = Instant::now();
            if let Err(mistake) = read_files(&path, &mut test, &mut report.files) {
                report.problems.push(mistake);
                continue;
            }
            let found = self.target(source, &test);
            let outcome = found.map(|target| (self.play(target, &test), self.meta(target)));
            report.results.push(tested(&shown, &test, outcome, begun));
        }
    }

    fn meta(&self, target: Target) -> &Meta {
        match target {
            Target::Rule(index) => &self.set.rules[index].meta,
            Target::Correlation(index) => &self.set.correlations[index].meta,
        }
    }

    /// The rule that a test names, or the first of its file.
    fn target(&self, source: &RuleSource, test: &RuleTest) -> Result<Target, String> {
        let rules = (0..self.set.rules.len()).map(Target::Rule);
        let correlations = (0..self.set.correlations.len()).map(Target::Correlation);
        let own = rules
            .chain(correlations)
            .filter(|target| self.meta(*target).path == source.path);
        let found = match &test.rule {
            None => own.min_by_key(|target| self.meta(*target).position),
            Some(name) => own.into_iter().find(|target| {
                let meta = self.meta(*target);
                meta.id.as_str() == name || meta.name.as_deref() == Some(name)
            }),
        };
        found.ok_or_else(|| match &test.rule {
            None => "no rule of the file could be loaded".to_owned(),
            Some(name) => format!("the file has no rule {name} that could be loaded"),
        })
    }

    fn play(&mut self, target: Target, test: &RuleTest) -> Result<(), (Outcome, Failure)> {
        let id = self.meta(target).id.to_string();
        let outcome = rule_tests::run(self.set, &id, test).unwrap_or_else(|_| Outcome {
            expected: test.expected.clone(),
            got: Got::Events(Vec::new()),
        });
        let by_engine = match target {
            Target::Rule(index) => self.engine_events(index, test),
            Target::Correlation(index) => self.engine_alerts(index, test),
        };
        if by_engine != outcome.got {
            let message = format!(
                "the compiled engine and the reference evaluator differ, which is a mistake of Citywatch, not of the rule: reference {}, engine {}",
                told(&outcome.got),
                told(&by_engine)
            );
            let details = Vec::new();
            return Err((outcome, Failure { message, details }));
        }
        if outcome.passed() {
            return Ok(());
        }
        let failure = Failure {
            message: outcome.told(),
            details: self.details(target, test, &outcome),
        };
        Err((outcome, failure))
    }

    /// The events that the compiled engine finds the rule in.
    fn engine_events(&mut self, rule: usize, test: &RuleTest) -> Got {
        let log_source = &self.set.rules[rule].log_source;
        let (matcher, hits) = (&mut self.matcher, &mut self.hits);
        let mut got = Vec::new();
        rule_tests::play(test, log_source, self.context, |event, number| {
            hits.clear();
            matcher.match_event(event, hits);
            if hits.iter().any(|hit| hit.rule.as_usize() == rule) {
                got.push(number);
            }
        });
        Got::Events(got)
    }

    /// The alerts that the compiled engine and its correlator raise.
    fn engine_alerts(&mut self, correlation: usize, test: &RuleTest) -> Got {
        let set = rule_tests::only(self.set, correlation);
        let wanted = Wanted::of(&set);
        let mut correlating = Correlating::new(&set);
        let source = Source {
            name: "test".to_owned(),
            index: 0,
            origin: citywatch_parsers::Origin::default(),
            received_at: Timestamp::from_seconds(0),
        };
        let (matcher, hits) = (&mut self.matcher, &mut self.hits);
        let mut gathered = Vec::new();
        rule_tests::play(test, &LogSource::default(), self.context, |event, _| {
            hits.clear();
            matcher.match_event(event, hits);
            wanted.gather(event, hits, &source, &mut gathered);
        });
        correlating.add(&mut gathered);
        let (found, _) = correlating.finish();
        let mut groups: Vec<_> = found.into_iter().map(|one| one.group).collect();
        groups.iter_mut().for_each(|group| group.sort());
        groups.sort();
        Got::Alerts(groups)
    }

    /// The events that did not match, and what came nearest; those that should not have matched.
    fn details(&self, target: Target, test: &RuleTest, outcome: &Outcome) -> Vec<String> {
        let (Target::Rule(rule), Got::Events(got)) = (target, &outcome.got) else {
            return self.details_of_correlation(target, test);
        };
        let rule = &self.set.rules[rule];
        let is_wanted = |number: u32| match &outcome.expected {
            Expected::Events(expected) => expected.contains(&number),
            expected => expected.count() > got.len() as u64,
        };
        let mut details = Vec::new();
        rule_tests::play(test, &rule.log_source, self.context, |event, number| {
            let matched = got.contains(&number);
            if matched == is_wanted(number) || details.len() >= EVENTS_TOLD_MAX * 4 {
                return;
            }
            let verb = if matched { "matched" } else { "did not match" };
            let shown = &test.events[(number as usize - 1) % test.events.len()];
            details.push(format!("event {number} {verb}: {}", short(&shown.shown())));
            if matched {
                return;
            }
            if !rule_tests::applies(&rule.log_source, event) {
                details.push(format!(
                    "    the rule is about {}, the event is {}",
                    super::super::words::log_source(&rule.log_source),
                    super::super::words::log_sources(event)
                ));
                return;
            }
            for leaf in explain(rule, event).nearest.iter().take(EVENTS_TOLD_MAX) {
                details.push(super::super::words::missing(leaf, "    "));
            }
        });
        details
    }

    /// How often each rule that the correlation refers to matched.
    fn details_of_correlation(&self, target: Target, test: &RuleTest) -> Vec<String> {
        let Target::Correlation(correlation) = target else {
            return Vec::new();
        };
        let set = rule_tests::only(self.set, correlation);
        let wanted = rule_tests::wanted(&set);
        let mut counts = vec![0u64; set.rules.len()];
        rule_tests::play(test, &LogSource::default(), self.context, |event, _| {
            for (index, rule) in set
                .rules
                .iter()
                .enumerate()
                .filter(|(index, _)| wanted[*index])
            {
                let matched = rule_tests::applies(&rule.log_source, event)
                    && citywatch_rules::reference::holds(&rule.condition, event);
                counts[index] += u64::from(matched);
            }
        });
        let told = (0..set.rules.len())
            .filter(|index| wanted[*index])
            .map(|index| {
                let title = &set.rules[index].meta.title;
                format!("{} matches of {:?}", counts[index], printable(title))
            });
        told.collect()
    }
}

/// What came of a test, and whose test it is.
type Judged<'m> = (Result<(), (Outcome, Failure)>, &'m Meta);

fn told(got: &Got) -> String {
    match got {
        Got::Events(events) => format!("{events:?}"),
        Got::Alerts(groups) => format!("{groups:?}"),
    }
}

/// Puts the records of a test's files behind its events.
fn read_files(path: &Path, test: &mut RuleTest, seen: &mut Vec<PathBuf>) -> Result<(), String> {
    let at = |position: &dyn std::fmt::Display, words: String| {
        format!("{}:{position}: {words}", path.display())
    };
    let definitions = citywatch_parsers::Definitions::default();
    for file in test.files.clone() {
        let beside = path.parent().unwrap_or(Path::new("")).join(&file.path);
        if !beside.is_file() {
            let words = format!("there is no file {}", beside.display());
            return Err(at(&file.position, words));
        }
        let format = InputFormat::of_name(&test.format, &definitions)
            .map_err(|error| at(&test.position, error.to_string()))?;
        let records = records::read(std::slice::from_ref(&beside), format)
            .map_err(|words| at(&file.position, words))?;
        seen.push(beside);
        for record in records {
            test.add_record(record.raw, record.format);
        }
    }
    if test.events.is_empty() {
        let words = "the test's files hold no records".to_owned();
        return Err(at(&test.position, words));
    }
    Ok(())
}

fn tested(
    path: &str,
    test: &RuleTest,
    outcome: Result<Judged<'_>, String>,
    begun: Instant,
) -> Tested {
    let (rule, rule_id, result) = match outcome {
        Ok((result, meta)) => (meta.title.to_string(), meta.id.to_string(), result),
        Err(message) => {
            let failure = Failure {
                message,
                details: Vec::new(),
            };
            let outcome = Outcome {
                expected: test.expected.clone(),
                got: Got::Events(Vec::new()),
            };
            (String::new(), String::new(), Err((outcome, failure)))
        }
    };
    let (got, failure) = match result {
        Ok(()) => (test.expected.count(), None),
        Err((outcome, failure)) => (outcome.got.count(), Some(failure)),
    };
    Tested {
        path: path.to_owned(),
        line: test.position.line,
        rule,
        rule_id,
        test: test.name.clone(),
        passed: failure.is_none(),
        expected: test.expected.to_string(),
        got,
        seconds: begun.elapsed().as_secs_f64(),
        failure,
    }
}

fn short(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
