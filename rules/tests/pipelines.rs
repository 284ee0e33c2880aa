//! Processing pipelines against pySigma: what `tests/pipelines/expect.py` wrote of its results must be ours.
//!
//! The rules are SigmaHQ's, read from `../shared/sigma` when it is there, and those of `tests/pipelines/own`. With
//! `PIPELINE_OUTLINES=folder` (written by `expect.py ... --all folder`) every rule is compared, and differences are shown.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::{LoadOptions, Pipelines, RuleSet, RuleSource, outline};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pipelines")
        .join(name)
}

fn shared() -> PathBuf {
    match std::env::var_os("CITYWATCH_SHARED") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// SigmaHQ's rules by id; none where the folder is missing.
fn sigmahq() -> Option<HashMap<String, String>> {
    let sigma = shared().join("sigma");
    if !sigma.is_dir() {
        eprintln!(
            "skipped in part: {} is missing; it holds SigmaHQ's rules",
            sigma.display()
        );
        return None;
    }
    let mut rules = HashMap::new();
    for name in [
        "rules",
        "rules-compliance",
        "rules-dfir",
        "rules-emerging-threats",
        "rules-placeholder",
        "rules-threat-hunting",
    ] {
        for path in files(&sigma.join(name)) {
            let text = fs::read_to_string(path).unwrap();
            let id = text.lines().find_map(|line| line.strip_prefix("id:"));
            let id = id.unwrap().split_whitespace().next().unwrap();
            rules.insert(id.to_owned(), text.clone());
        }
    }
    Some(rules)
}

fn pipeline(path: &Path) -> Pipelines {
    let text = fs::read_to_string(path).unwrap();
    let source = RuleSource::new(path.display().to_string(), text);
    Pipelines::read([source]).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn hash(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.take(8).collect()
}

/// Rules that we make something else of, on purpose: pipeline, id, reason. README.md of this crate says more.
const DIFFERENT: &[(&str, &str, &str)] = &[(
    "ecs",
    "own/modifiers.yml",
    "neq on a field that becomes two: neither may have the value; pySigma takes one of them",
)];

#[test]
fn rules_become_what_pysigma_makes_of_them() {
    let sigmahq = sigmahq();
    let mut failures = Vec::new();
    let (mut compared, mut changed) = (0, 0);
    for name in names() {
        let pipelines = pipeline(&folder(&format!("{name}.yml")));
        let expected = fs::read_to_string(folder(&format!("expected/{name}.txt"))).unwrap();
        for line in expected.lines() {
            let (id, expected) = line.split_once(' ').unwrap();
            let text = match (id.strip_prefix("own/"), &sigmahq) {
                (Some(file), _) => fs::read_to_string(folder("own").join(file)).unwrap(),
                (None, None) => continue,
                (None, Some(rules)) => match rules.get(id) {
                    Some(text) => text.clone(),
                    None => {
                        eprintln!("skipped: SigmaHQ's rule {id} is not there");
                        continue;
                    }
                },
            };
            compared += 1;
            let source = RuleSource::new(id, text);
            let ours = match outline(&source, &pipelines) {
                Ok(text) => hash(&text),
                Err(_) => "refused".to_owned(),
            };
            let is_different = DIFFERENT
                .iter()
                .any(|(other, rule, _)| *other == name && *rule == id);
            changed += usize::from(is_different);
            if (ours == expected) == is_different {
                failures.push(format!("{name}: {id}: expected {expected}, got {ours}"));
            }
        }
    }
    eprintln!("{compared} outlines, of which {changed} differ on purpose");
    assert!(
        failures.is_empty(),
        "{} of {compared}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_rule_where_outlines_are_given() {
    let Some(outlines) = std::env::var_os("PIPELINE_OUTLINES") else {
        return;
    };
    let rules = sigmahq().unwrap_or_default();
    for name in names() {
        let pipelines = pipeline(&folder(&format!("{name}.yml")));
        let (mut equal, mut shown) = (0, 0);
        for entry in fs::read_dir(Path::new(&outlines).join(&name)).unwrap() {
            let path = entry.unwrap().path();
            let id = path.file_name().unwrap().to_string_lossy().into_owned();
            let theirs = fs::read_to_string(&path).unwrap();
            let text = match id.strip_prefix("own_") {
                Some(file) => fs::read_to_string(folder("own").join(file)).unwrap(),
                None => rules[&id].clone(),
            };
            let ours = outline(&RuleSource::new(id.as_str(), text), &pipelines);
            let ours = ours.unwrap_or_else(|error| format!("refused {error}"));
            if ours == theirs || ours.starts_with("refused ") && theirs.starts_with("refused ") {
                equal += 1;
                continue;
            }
            shown += 1;
            if shown <= 12 {
                eprintln!("--- {name} {id}");
                for (a, b) in theirs.lines().zip(ours.lines()).filter(|(a, b)| a != b) {
                    eprintln!("theirs {a}\nours   {b}");
                }
            }
        }
        eprintln!("{name}: {equal} equal, {shown} differ");
    }
}

#[test]
fn mistakes_are_said_with_their_place() {
    for (text, said) in [
        (
            "",
            "p.yml:1:1: \"p.yml\": holds no pipeline; write its transformations: a list",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "p.yml:3:1: \"---\": a pipeline is one document; write each into a file of its own",
        ),
        (
            "transformation: []\n",
            "p.yml:1:1: unknown key \"transformation\" in the pipeline; did you mean \"transformations\"?",
        ),
        (
            "transformations: [{id: x}]\n",
            "p.yml:1:19: the key \"type\" is missing in the transformation",
        ),
        (
            "transformations:\n  - type: field_name_maping\n    mapping: {a: b}\n",
            "p.yml:2:11: \"field_name_maping\" is no type of transformation; did you mean \"field_name_mapping\"?",
        ),
        (
            "transformations:\n  - type: field_name_mapping\n    mappings: {a: b}\n",
            "p.yml:3:5: unknown key \"mappings\" in the transformation; did you mean \"mapping\"?",
        ),
        (
            "transformations:\n  - type: field_name_mapping\n    mapping: {a: []}\n",
            "p.yml:3:15: \"a\": must become at least one field; use drop_detection_item to drop items",
        ),
        (
            "transformations:\n  - {type: query_expression_placeholders, expression: x}\n",
            "p.yml:2:12: \"query_expression_placeholders\": puts words of a query language into the query, and there is none here; use value_placeholders with vars, or give the placeholder values in the configuration ([engine.placeholders])",
        ),
        (
            "transformations:\n  - {type: file_placeholders, path: x}\n",
            "p.yml:2:12: \"file_placeholders\": reads another file; write its values under vars and use value_placeholders, or into the configuration ([engine.placeholders])",
        ),
        (
            "postprocessing:\n  - {type: embed}\n",
            "p.yml:1:1: \"postprocessing\": works on a backend's query, and there is none here: rules are evaluated themselves; remove the section",
        ),
        (
            "transformations:\n  - {type: replace_string, regex: '(?<!a)b', replacement: c}\n",
            "look-behind",
        ),
        (
            "transformations:\n  - {type: replace_string, regex: 'b', replacement: '\\1'}\n",
            "p.yml:2:53: \"\\\\1\": the expression has no group of this number",
        ),
        (
            "transformations:\n  - type: drop_detection_item\n    rule_conditions:\n      - {type: logsorce, product: x}\n",
            "p.yml:4:16: \"logsorce\" is no type of condition; did you mean \"logsource\"?",
        ),
        (
            "transformations:\n  - type: drop_detection_item\n    rule_conditions:\n      - {type: logsource}\n",
            "p.yml:4:9: \"logsource\": name at least one of category, product and service",
        ),
        (
            "transformations:\n  - type: drop_detection_item\n    rule_conditions:\n      a: {type: is_sigma_rule}\n    rule_cond_expr: a and b\n",
            "p.yml:5:21: \"b\" is no condition of this transformation",
        ),
        (
            "transformations:\n  - type: drop_detection_item\n    rule_conditions:\n      a: {type: is_sigma_rule}\n      b: {type: is_sigma_rule}\n    rule_cond_expr: a\n",
            "p.yml:6:21: \"b\": the expression does not speak of this condition; add it or remove the condition",
        ),
        (
            "transformations:\n  - type: drop_detection_item\n    rule_conditions:\n      - {type: rule_attribute, attribute: level, value: hihg}\n",
            "p.yml:4:57: \"hihg\": is no level; write informational, low, medium, high or critical",
        ),
        (
            "transformations:\n  - type: set_state\n    key: a\n",
            "p.yml:2:5: the key \"val\" is missing in the transformation",
        ),
    ] {
        let errors = Pipelines::read([RuleSource::new("p.yml", text)]).expect_err(text);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            errors.len() == 1 && errors[0].contains(said),
            "{text}\n{errors:?}"
        );
    }
    // All mistakes of all files at once.
    let two = "transformations:\n  - {type: x}\n  - {type: y}\n";
    let errors = Pipelines::read(["a.yml", "b.yml"].map(|path| RuleSource::new(path, two)));
    assert_eq!(errors.unwrap_err().len(), 4);
}

#[test]
fn priorities_order_pipelines_and_versions_of_rules_differ_by_them() {
    let rename = |priority: u32, from: &str, to: &str| {
        let text = format!(
            "priority: {priority}\ntransformations:\n  - type: field_name_mapping\n    mapping: {{{from}: {to}}}\n"
        );
        RuleSource::new(format!("{from}.yml"), text)
    };
    let rule = RuleSource::new(
        "r.yml",
        "title: x\nlogsource: {product: x}\ndetection: {s: {a: 1}, condition: s}\n",
    );
    let first = Pipelines::read([rename(2, "b", "c"), rename(1, "a", "b")]).unwrap();
    assert!(outline(&rule, &first).unwrap().contains("\"c\""));
    let second = Pipelines::read([rename(1, "b", "c"), rename(2, "a", "b")]).unwrap();
    assert!(outline(&rule, &second).unwrap().contains("\"b\""));
    let hash = |pipelines: &Pipelines| {
        let options = LoadOptions {
            pipelines: pipelines.clone(),
            ..LoadOptions::default()
        };
        let set = RuleSet::load([rule.clone()], &options);
        set.rules[0].meta.content_hash()
    };
    assert_ne!(hash(&first), hash(&second));
    assert_ne!(hash(&first), hash(&Pipelines::default()));
}
