//! `citywatch serve`: console and API alone, without a store, and as somebody asks them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use support::{Running, citywatch, free_port, request, run, wait_for};

#[test]
fn console_and_api_run_alone_and_passwords_are_reset() {
    let dir = tempfile::tempdir().unwrap();
    let (console, monitor) = (free_port(), free_port());
    let config = dir.path().join("citywatch.toml");
    let text = format!(
        "[alerting]\nlisten = \"127.0.0.1:{console}\"\n[monitor]\nlisten = \"127.0.0.1:{monitor}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let start = || {
        let mut command = Command::new(citywatch());
        command.arg("serve").arg("--config").arg(&config);
        command.current_dir(dir.path());
        let running = Running::start(&mut command, "serve", dir.path());
        wait_for("citywatch serve to answer", || {
            request(monitor, "GET", "/health/live", &[], "").filter(|answer| answer.status == 200)
        });
        wait_for("the console to answer", || {
            request(console, "GET", "/", &[], "").filter(|answer| answer.status == 200)
        });
        running
    };
    let sign_in = |password: &str| {
        let body = serde_json::json!({"user": "admin", "password": password}).to_string();
        let json = [("Content-Type", "application/json")];
        request(console, "POST", "/api/v1/session", &json, &body)
            .unwrap()
            .status
    };
    let serving = start();
    let page = request(console, "GET", "/", &[], "").unwrap();
    assert!(
        page.header("content-security-policy").is_some(),
        "{}",
        page.head
    );
    let signed_out = request(console, "GET", "/api/v1/incidents", &[], "").unwrap();
    assert_eq!(signed_out.status, 401, "{signed_out:?}");
    let data = dir.path().join("citywatch-data");
    let first = std::fs::read_to_string(data.join("first-sign-in.txt")).unwrap();
    let first = first
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap()
        .to_owned();
    assert_eq!(sign_in(&first), 200);
    serving.stop();

    let output = run(&["user", "reset", "admin", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let new = said
        .lines()
        .next()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let serving = start();
    assert_eq!(sign_in(&first), 401, "the old password still works");
    assert_eq!(sign_in(&new), 200);
    serving.stop();
}
