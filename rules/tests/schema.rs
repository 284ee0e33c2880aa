//! What the specification's JSON schemas demand is what `check` remarks: `schema/demands.txt` breaks each demand once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::RuleSource;
use citywatch_rules::check::{CheckOptions, Remark, check};
use serde_json::Value;

const SCHEMAS: &[(&str, &str)] = &[
    ("rule", "sigma-detection-rule-schema.json"),
    ("correlation", "sigma-correlation-rules-schema.json"),
    ("filter", "sigma-filters-schema.json"),
];

/// Keywords of JSON Schema that demand something by themselves.
const DEMANDS: &[&str] = &[
    "type",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "uniqueItems",
    "minItems",
    "maxItems",
    "const",
];

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A line of `demands.txt`.
struct Demand {
    schema: String,
    pointer: String,
    key: String,
    code: String,
    instead: String,
}

/// The demands that can be broken, and the pointers of those that say nothing.
fn demands() -> (Vec<Demand>, Vec<String>) {
    let (mut demands, mut silent) = (Vec::new(), Vec::new());
    let text = read("demands.txt");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts.as_slice() {
            ["-", pointer, _why] => silent.push((*pointer).to_owned()),
            [schema, pointer, key, code, instead @ ..] => demands.push(Demand {
                schema: (*schema).to_owned(),
                pointer: (*pointer).to_owned(),
                key: (*key).to_owned(),
                code: (*code).to_owned(),
                instead: written_out(instead.first().unwrap_or(&"")),
            }),
            _ => panic!("{line}"),
        }
    }
    (demands, silent)
}

/// `\n` is a line break, `{x*257}` 257 times x.
fn written_out(text: &str) -> String {
    let text = text.replace("\\n", "\n");
    let Some((left, right)) = text.split_once('*') else {
        return text;
    };
    let (before, what) = left.rsplit_once('{').unwrap();
    let (times, behind) = right.split_once('}').unwrap();
    format!("{before}{}{behind}", what.repeat(times.parse().unwrap()))
}

/// The right document of a schema, with the block of a key replaced.
fn document(schema: &str, key: &str, instead: &str) -> String {
    let mut text = String::new();
    let mut is_replaced = false;
    for line in read(&format!("{schema}.yml")).lines() {
        if !line.starts_with(' ') {
            is_replaced = line.split(':').next() == Some(key);
            if is_replaced && !instead.is_empty() {
                text.push_str(instead);
                text.push('\n');
            }
        }
        if !is_replaced {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// What is remarked of a document, beside the rule that it may speak of.
fn remarks(schema: &str, text: &str) -> Vec<Remark> {
    let mut sources = vec![RuleSource::new("checked_document.yml", text)];
    if schema != "rule" {
        sources.push(RuleSource::new("disabled_account.yml", read("rule.yml")));
    }
    let mut remarks = check(&sources, &CheckOptions::default());
    remarks.retain(|remark| &*remark.path == "checked_document.yml");
    remarks
}

#[test]
fn right_documents_are_right() {
    for (schema, _) in SCHEMAS {
        let found = remarks(schema, &document(schema, "", ""));
        assert!(found.is_empty(), "{schema}: {found:#?}");
    }
}

#[test]
fn what_a_schema_refuses_is_remarked() {
    let (demands, _) = demands();
    assert!(demands.len() > 150);
    let mut missed = Vec::new();
    for demand in demands {
        let text = document(&demand.schema, &demand.key, &demand.instead);
        let found = remarks(&demand.schema, &text);
        if !found.iter().any(|remark| remark.kind.code == demand.code) {
            let codes: Vec<&str> = found.iter().map(|remark| remark.kind.code).collect();
            missed.push(format!(
                "{} {}: {} expected, {codes:?} found",
                demand.schema, demand.pointer, demand.code
            ));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// All demands of a schema, as pointers.
fn walk(node: &Value, pointer: &str, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            for (key, value) in members {
                let here = format!("{pointer}/{key}");
                match (key.as_str(), value) {
                    ("required", Value::Array(names)) => {
                        let names = names.iter().map(|name| name.as_str().unwrap());
                        found.extend(names.map(|name| format!("{here}/{name}")));
                    }
                    // Names and descriptions demand nothing; a condition of `if` is for its `then`.
                    ("title" | "description", Value::String(_)) | ("$schema" | "if", _) => {}
                    (keyword, value) if DEMANDS.contains(&keyword) && !value.is_object() => {
                        found.push(here);
                    }
                    _ => walk(value, &here, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_demand_is_there() {
    let shared = match std::env::var_os("CITYWATCH_SHARED") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = shared.join("sigma/spec/json-schema");
    if !folder.is_dir() {
        eprintln!("skipped: {} is missing", folder.display());
        return;
    }
    let (demands, silent) = demands();
    for (name, file) in SCHEMAS {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let mut found = Vec::new();
        walk(&serde_json::from_str(&text).unwrap(), "", &mut found);
        assert!(found.len() > 20, "{name}: {} demands", found.len());
        let is_below = |pointer: &str, known: &str| {
            pointer
                .strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        found.retain(|pointer| {
            let own = demands.iter().filter(|demand| demand.schema == *name);
            !own.into_iter()
                .any(|demand| is_below(pointer, &demand.pointer))
                && !silent.iter().any(|known| is_below(pointer, known))
        });
        assert!(found.is_empty(), "{name}: no line for {found:#?}");
    }
}
