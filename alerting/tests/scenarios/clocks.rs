//! Clocks: what is due when, what is alarmed, and what stops them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::{Client, Place, Site, at, found, rule, send};

/// The clocks of the first incident: name, minutes from detection, and whether it was met.
fn clocks(incident: &Value) -> Vec<(String, i64, bool)> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let opened = time(incident["created_at"].as_str().unwrap());
    incident["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clock| {
            let due = time(clock["due_at"].as_str().unwrap());
            (
                clock["name"].as_str().unwrap().to_owned(),
                (due - opened) / 60,
                clock["met_at"].is_string(),
            )
        })
        .collect()
}

/// Waits until so many incidents are overdue: alarms come from a task of their own.
async fn overdue(client: &Client, expected: usize) {
    let started = Instant::now();
    loop {
        let list = client.get("/api/v1/incidents?overdue=true").body;
        let found = list["items"].as_array().unwrap().len();
        if found == expected {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{found} are overdue, not {expected}: {list}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn overdue_lines(client: &Client, path: &str) -> Vec<String> {
    let detail = client.get(path).body;
    detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["kind"] == "overdue")
        .map(|line| {
            let what = line["what"].as_str().unwrap();
            what.split(',').next().unwrap().to_owned()
        })
        .collect()
}

pub async fn clocks_run_out_are_alarmed_once_and_stop(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let intake = site.alerting.intake();
    send(
        &intake,
        vec![
            found(&rule("worm", "critical"), "web-01", at(0), 1),
            found(&rule("noise", "low"), "web-02", at(0), 2),
        ],
    )
    .await;
    let list = admin.get("/api/v1/incidents?severity=critical").body;
    let item = &list["items"][0];
    let path = format!("/api/v1/incidents/{}", item["id"].as_str().unwrap());
    let name = |name: &str, minutes, met| (name.to_owned(), minutes, met);
    assert_eq!(
        clocks(item),
        [
            name("acknowledge", 15, false),
            name("resolve", 240, false),
            name("report:first", 24 * 60, false),
            name("report:full", 72 * 60, false),
        ]
    );
    overdue(&admin, 0).await;
    let mut live = admin.follow("", None);
    site.clock.advance(16 * 60);
    overdue(&admin, 1).await;
    let told = live.next();
    assert_eq!(told.data["host"], "web-01", "who follows is told");
    assert_eq!(overdue_lines(&admin, &path), ["overdue: acknowledge"]);

    let acknowledged = json!({ "state": "acknowledged" });
    let version = admin.get(&path).body["version"].to_string();
    let reply = admin.send(
        "PATCH",
        &path,
        Some(acknowledged),
        &[("if-match", &version)],
    );
    assert_eq!(clocks(&reply.body)[0], name("acknowledge", 15, true));
    overdue(&admin, 0).await;

    let report = |body: Value| {
        let reply = admin.send("POST", &format!("{path}/reports"), Some(body), &[]);
        (reply.status, reply.body)
    };
    let (status, body) = report(json!({ "clock": "third" }));
    assert_eq!(
        (status, &body["errors"][0]["field"]),
        (400, &json!("clock"))
    );
    let (status, body) = report(json!({ "clock": "first", "reference": "41/BC-ANTT" }));
    assert_eq!(status, 201, "{body}");
    assert_eq!(clocks(&body)[2], name("report:first", 24 * 60, true));
    assert_eq!(body["clocks"][2]["reference"], "41/BC-ANTT");
    assert_eq!(report(json!({ "clock": "first" })).0, 409);

    // Sessions end within a day: sign in anew after each long step.
    site.clock.advance(5 * 3600);
    let admin = site.admin();
    overdue(&admin, 1).await;
    site.clock.advance(73 * 3600);
    let admin = site.admin();
    // By then the other one is overdue, too.
    overdue(&admin, 2).await;
    let started = Instant::now();
    while overdue_lines(&admin, &path).len() < 3 && started.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut lines = overdue_lines(&admin, &path);
    lines.sort();
    assert_eq!(
        lines,
        [
            "overdue: acknowledge",
            "overdue: report:full",
            "overdue: resolve"
        ],
        "each once, and none for the report that was handed in"
    );
    // What was no attack is owed to nobody.
    let closed = json!({ "state": "closed", "verdict": "false_positive", "verdict_reason": "thử" });
    let version = admin.get(&path).body["version"].to_string();
    let reply = admin.send("PATCH", &path, Some(closed), &[("if-match", &version)]);
    assert_eq!(
        clocks(&reply.body),
        [
            name("acknowledge", 15, true),
            name("resolve", 240, true),
            name("report:first", 24 * 60, true),
        ]
    );
    overdue(&admin, 1).await;
    site.stop().await;
}
