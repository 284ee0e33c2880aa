//! Our reference evaluator beside sigma-rust on a seeded sample of events, log sources disregarded on both sides.
//! One JSON line per rule that differs, then one with the totals.
//!
//! usage: sigma-rust-differences EVENTS.ndjson EVENTS_SAMPLED SEED RULES_DIRECTORY...
//!        sigma-rust-differences vectors   (lines {"rule": TEXT, "events": [...]} to lines of what sigma-rust says)

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Taxonomy, Timestamp, parse_batch};
use citywatch_rules::{LoadOptions, Rule, RuleSet, RuleSource, reference};
use serde_json::json;

/// A rule as both read it.
struct Pair {
    ours: Arc<Rule>,
    theirs: sigma_rust::Rule,
}

/// What came of one rule.
#[derive(Default)]
struct Difference {
    ours: u64,
    theirs: u64,
    only_ours: Vec<u64>,
    only_theirs: Vec<u64>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["vectors"] {
        return vectors();
    }
    let [events, count, seed, directories @ ..] = &arguments[..] else {
        anyhow::bail!(
            "usage: sigma-rust-differences EVENTS.ndjson EVENTS_SAMPLED SEED RULES_DIRECTORY..."
        );
    };
    let (pairs, refused) = load(directories)?;
    let content = fs::read(events).with_context(|| events.clone())?;
    let lines = sample(&content, count.parse()?, seed.parse()?);
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut differences: BTreeMap<usize, Difference> = BTreeMap::new();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let work = || -> anyhow::Result<BTreeMap<usize, Difference>> {
            let mut found = BTreeMap::new();
            while let Some((record, line)) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                compare(&pairs, *record, line, &mut found)
                    .with_context(|| format!("{events}:{record}"))?;
            }
            Ok(found)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let found = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread ended early"))??;
            for (rule, difference) in found {
                let sum = differences.entry(rule).or_default();
                sum.ours += difference.ours;
                sum.theirs += difference.theirs;
                sum.only_ours.extend(difference.only_ours);
                sum.only_theirs.extend(difference.only_theirs);
            }
        }
        Ok(())
    })?;
    report(&pairs, &differences, lines.len(), &refused);
    Ok(())
}

/// What sigma-rust says of rules and events on standard input: a list of true and false, or an error.
fn vectors() -> anyhow::Result<()> {
    for line in std::io::stdin().lines() {
        let vector: serde_json::Value = serde_json::from_str(&line?)?;
        let rule = vector["rule"].as_str().context("a vector without a rule")?;
        let events = vector["events"]
            .as_array()
            .context("a vector without events")?;
        let answer = std::panic::catch_unwind(|| answer(rule, events))
            .unwrap_or_else(|_| Ok(json!("sigma-rust panics")))?;
        println!("{answer}");
    }
    Ok(())
}

fn answer(rule: &str, events: &[serde_json::Value]) -> anyhow::Result<serde_json::Value> {
    let rule = match sigma_rust::rule_from_yaml(rule) {
        Ok(rule) => rule,
        Err(error) => return Ok(json!(error.to_string())),
    };
    let matches = events
        .iter()
        .map(|event| Ok(rule.is_match(&sigma_rust::event_from_json(&event.to_string())?)));
    Ok(json!(matches.collect::<anyhow::Result<Vec<bool>>>()?))
}

fn report(
    pairs: &[Pair],
    differences: &BTreeMap<usize, Difference>,
    events: usize,
    refused: &[String],
) {
    let mut matches = (0, 0);
    for (&rule, difference) in differences {
        matches = (matches.0 + difference.ours, matches.1 + difference.theirs);
        if difference.only_ours.is_empty() && difference.only_theirs.is_empty() {
            continue;
        }
        let meta = &pairs[rule].ours.meta;
        let first = |records: &[u64]| {
            let mut records = records.to_vec();
            records.sort_unstable();
            records.truncate(3);
            records
        };
        println!(
            "{}",
            json!({
                "rule_id": meta.id.to_string(),
                "title": meta.title.to_string(),
                "ours": difference.ours,
                "theirs": difference.theirs,
                "only_ours": difference.only_ours.len(),
                "only_theirs": difference.only_theirs.len(),
                "records_only_ours": first(&difference.only_ours),
                "records_only_theirs": first(&difference.only_theirs),
            })
        );
    }
    println!(
        "{}",
        json!({
            "events": events,
            "rules": pairs.len(),
            "matches_ours": matches.0,
            "matches_theirs": matches.1,
            "rules_only_one_reads": refused,
        })
    );
}

/// One event against all rules.
fn compare(
    pairs: &[Pair],
    record: u64,
    line: &[u8],
    found: &mut BTreeMap<usize, Difference>,
) -> anyhow::Result<()> {
    let mut batch = RecordBatch::new(Arc::new(Origin {
        format: "json".into(),
        ..Origin::default()
    }));
    batch.push(line, record, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let context = ParseContext {
        taxonomy: Taxonomy::AsRecorded,
        ..ParseContext::default()
    };
    let events = parse_batch(&batch, &arena, &context);
    let theirs = sigma_rust::event_from_json(std::str::from_utf8(line)?)?;
    for (index, pair) in pairs.iter().enumerate() {
        let ours = events
            .iter()
            .any(|event| reference::matches(&pair.ours, event).is_some());
        let theirs = pair.theirs.is_match(&theirs);
        if !ours && !theirs {
            continue;
        }
        let difference = found.entry(index).or_insert_with(Difference::default);
        difference.ours += u64::from(ours);
        difference.theirs += u64::from(theirs);
        match (ours, theirs) {
            (true, false) => difference.only_ours.push(record),
            (false, true) => difference.only_theirs.push(record),
            _ => {}
        }
    }
    Ok(())
}

/// The lines with the smallest hashes of seed and number: a sample without order or luck. Numbers count from 1.
fn sample(content: &[u8], count: usize, seed: u64) -> Vec<(u64, &[u8])> {
    let mixed = |number: u64| {
        let mixed = (seed ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 29)
    };
    let lines = content.split(|&byte| byte == b'\n');
    let mut lines: Vec<(u64, &[u8])> = (1..)
        .zip(lines)
        .filter(|(_, line)| !line.is_empty())
        .collect();
    lines.sort_by_key(|&(number, _)| mixed(number));
    lines.truncate(count);
    lines.sort_by_key(|&(number, _)| number);
    lines
}

/// All rules that both read, and what one of them refuses.
fn load(directories: &[String]) -> anyhow::Result<(Vec<Pair>, Vec<String>)> {
    let mut files = Vec::new();
    for directory in directories {
        list(Path::new(directory), &mut files)?;
    }
    let mut sources = Vec::new();
    for file in &files {
        sources.push(RuleSource::new(
            file.display().to_string(),
            fs::read_to_string(file)?,
        ));
    }
    let set = RuleSet::load(sources, &LoadOptions::default());
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut refused: Vec<String> = set
        .problems
        .iter()
        .map(|problem| format!("we refuse {}: {}", name(&problem.path), problem.kind))
        .collect();
    let mut pairs = Vec::new();
    for ours in set.rules {
        match sigma_rust::rule_from_yaml(&ours.meta.text) {
            Ok(theirs) => pairs.push(Pair { ours, theirs }),
            Err(error) => refused.push(format!(
                "sigma-rust refuses {}: {error}",
                name(&ours.meta.path)
            )),
        }
    }
    Ok((pairs, refused))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| list(entry, files));
    }
    if path.extension().is_some_and(|extension| extension == "yml") {
        files.push(path.to_owned());
    }
    Ok(())
}
