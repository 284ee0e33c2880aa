//! Mistakes of the operator: one clear line with the remedy, exit code 2 for usage and configuration.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Output;

use support::{free_port, run};

fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let last = said.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "\"{word}\" is missing in: {last}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn config(dir: &Path, text: &str) -> String {
    let path = dir.join("citywatch.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_its_neighbour() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "[engine]\nlogsorce = \"strict\"\n");
    fails(
        &run(&["up", "--config", &path]),
        2,
        &["citywatch.toml:2:1", "logsorce", "did you mean `logsource`"],
    );
}

#[test]
fn an_unknown_section_is_named_with_its_neighbour() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "[egnine]\n");
    fails(
        &run(&["status", "--config", &path]),
        2,
        &["citywatch.toml:1:", "egnine", "did you mean `engine`"],
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "[engine]\nthreads = \"many\"\n");
    fails(
        &run(&["up", "--config", &path]),
        2,
        &["citywatch.toml:2:11", "many"],
    );
}

#[test]
fn a_missing_configuration_is_named() {
    fails(
        &run(&["up", "--config", "nowhere/citywatch.toml"]),
        2,
        &["nowhere/citywatch.toml", "cannot read"],
    );
}

#[test]
fn missing_rules_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "[engine]\nrules = [\"no-such-rules\"]\n");
    let data = dir.path().join("data");
    let output = run(&["up", "--config", &path, "--data", data.to_str().unwrap()]);
    fails(&output, 2, &["no-such-rules", "does not exist"]);
}

#[test]
fn a_missing_library_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(
        dir.path(),
        "[embedded_store]\nlibrary = \"no-such-libchdb.so\"\n",
    );
    let data = dir.path().join("data");
    let monitor = format!("127.0.0.1:{}", free_port());
    let output = run(&[
        "up",
        "--config",
        &path,
        "--data",
        data.to_str().unwrap(),
        "--monitor",
        &monitor,
    ]);
    fails(
        &output,
        2,
        &[
            "[embedded_store] library",
            "no-such-libchdb.so",
            "deploy/chdb-fetch.sh",
        ],
    );
}

#[test]
fn a_taken_monitor_port_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = dir.path().join("data");
    let output = run(&[
        "up",
        "--data",
        data.to_str().unwrap(),
        "--monitor",
        &address,
    ]);
    fails(&output, 1, &[&address, "[monitor] listen"]);
}

#[test]
fn status_of_nothing_says_so() {
    let address = format!("127.0.0.1:{}", free_port());
    fails(
        &run(&["status", "--monitor", &address]),
        1,
        &[&address, "citywatch up"],
    );
}

#[test]
fn the_store_does_not_start_open_to_the_world() {
    fails(
        &run(&["store", "--listen", "0.0.0.0:8123"]),
        2,
        &["0.0.0.0:8123", "loopback"],
    );
}

#[test]
fn the_store_asks_for_its_password() {
    fails(&run(&["store"]), 2, &["CITYWATCH_STORE_PASSWORD"]);
}

#[test]
fn the_engine_alone_needs_a_store() {
    fails(&run(&["engine"]), 2, &["[store] url"]);
}
