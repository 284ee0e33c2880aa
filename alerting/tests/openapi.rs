//! The API's description: made from code, whole, and kept where the console makes its types from it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use citywatch_alerting::{ROUTES, openapi_json};
use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&openapi_json()).unwrap()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routes = ROUTES
        .iter()
        .map(|route| (route.method.to_string(), route.path.to_owned()))
        .collect();
    assert_eq!(described, routes);
}

#[test]
fn every_type_that_is_named_is_there() {
    let (text, document) = (openapi_json(), document());
    let known = document["components"]["schemas"].as_object().unwrap();
    let named: BTreeSet<&str> = text
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(!named.is_empty());
    for name in named {
        assert!(known.contains_key(name), "{name}");
    }
}

/// The console makes its types from this file.
#[test]
fn the_document_that_is_kept_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/console/src/api/openapi.json");
    let text = openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == text,
        "run `UPDATE=1 cargo test -p citywatch-alerting --test openapi` and commit {path}"
    );
}
