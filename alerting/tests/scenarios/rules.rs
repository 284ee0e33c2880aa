//! Rules: switched on and off, explained, held against ATT&CK.

use std::sync::Arc;

use citywatch_engine::RuleInfo;
use serde_json::json;

use super::support::{Client, Place, Site, at, found, rule, send};

fn switch(client: &Client, id: &str, version: i64, alerts: Option<bool>) -> super::support::Reply {
    let body = json!({ "alerts": alerts, "reason": "too loud" });
    let path = format!("/api/v1/rules/{id}");
    client.send(
        "PATCH",
        &path,
        Some(body),
        &[("if-match", &version.to_string())],
    )
}

pub async fn a_switch_holds_at_once_and_counts_what_it_hides(place: Place) {
    let site = Site::start(&place).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let guess = rule("guess", "high");
    send(&intake, vec![found(&guess, "web", at(0), 1)]).await;
    assert_eq!(switch(&client, "unheard-of", 0, Some(false)).status, 404);
    let off = switch(&client, "guess", 0, Some(false));
    assert_eq!(off.status, 200, "{off:?}");
    assert_eq!(off.body["why"], "switched_off");
    assert_eq!(off.body["switch"]["changed_by"], "admin");
    assert_eq!(switch(&client, "guess", 0, Some(true)).status, 412);
    let hidden = vec![
        found(&guess, "web", at(4 * 3600), 2),
        found(&guess, "db", at(4 * 3600), 3),
    ];
    send(&intake, hidden.clone()).await;
    // A replay counts none twice.
    send(&intake, hidden).await;
    let detail = client.get("/api/v1/rules/guess").body;
    assert_eq!(
        (&detail["switched_off"], &detail["alerts"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(client.get("/api/v1/incidents").body["total"], 1);
    assert_eq!(site.alerting.tally().matches_switched_off, 2);
    // On again: from here on, and what was hidden stays hidden.
    assert_eq!(switch(&client, "guess", 1, Some(true)).status, 200);
    send(&intake, vec![found(&guess, "db", at(8 * 3600), 4)]).await;
    assert_eq!(client.get("/api/v1/incidents").body["total"], 2);
    // A switch wins over the level, and taken back it leaves the level to decide.
    let quiet = rule("quiet", "informational");
    send(&intake, vec![found(&quiet, "web", at(0), 1)]).await;
    assert_eq!(client.get("/api/v1/incidents").body["total"], 2);
    let back = switch(&client, "guess", 2, None);
    assert_eq!(
        (&back.body["why"], &back.body["alerts_on"]),
        (&json!("fits"), &json!(true))
    );
    assert_eq!(back.body["version"], 3);
    // A rule whose status says that it is no longer meant.
    let mut old = RuleInfo::clone(&rule("old", "high"));
    old.text.push_str("status: deprecated\n");
    old.content_hash = "f".repeat(64);
    send(&intake, vec![found(&Arc::new(old), "web", at(0), 1)]).await;
    assert_eq!(client.get("/api/v1/incidents").body["total"], 2);
    site.stop().await;
}

pub async fn a_rule_is_explained(place: Place) {
    let site = Site::start(&place).await;
    let intake = site.alerting.intake();
    let mut guess = RuleInfo::clone(&rule("guess", "high"));
    guess.text = "title: Guess\nid: 929a690e-bef0-4204-a928-ef5e620d6fcc\nstatus: test\nlogsource:\n  \
                  product: linux\ndetection:\n  bad:\n    user: root\n  ours:\n    src_ip|cidr: 10.0.0.0/8\n  \
                  condition: bad and not ours\nlevel: high\n"
        .to_owned();
    let guess = Arc::new(guess);
    for (number, day) in [0, 0, 1, 1].into_iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        let host = format!("host-{number}");
        send(
            &intake,
            vec![found(&guess, &host, at(day * 86_400), number)],
        )
        .await;
    }
    site.clock.advance(2 * 86_400);
    // Sessions have ended meanwhile.
    let client = site.admin();
    let list = client.get("/api/v1/incidents").body;
    for (place, verdict) in [
        (0, "false_positive"),
        (1, "true_positive"),
        // The rule was right: it was judged, and it was not false.
        (2, "benign_true_positive"),
        (3, "benign_true_positive"),
    ] {
        let item = &list["items"][place];
        let path = format!("/api/v1/incidents/{}", item["id"].as_str().unwrap());
        let body = json!({ "state": "closed", "verdict": verdict });
        client.send("PATCH", &path, Some(body), &[("if-match", "1")]);
    }
    site.alerting.provide_status(|| {
        json!({ "details": { "rules": [{ "rule_id": "guess", "share": 0.25, "seconds": 1.5 }] } })
    });
    let detail = client.get("/api/v1/rules/guess").body;
    assert_eq!(detail["false_positive_share"], 0.25);
    assert_eq!(detail["status"], "test");
    assert_eq!(detail["cost"], json!({ "share": 0.25, "seconds": 1.5 }));
    let days: Vec<i64> = detail["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["alerts"].as_i64().unwrap())
        .collect();
    assert_eq!(days, [2, 2]);
    let starts = |query: &str| -> Vec<String> {
        let detail = client.get(&format!("/api/v1/rules/guess{query}")).body;
        let days = detail["days"].as_array().unwrap().iter();
        days.map(|day| day["at"].as_str().unwrap()[10..].to_owned())
            .collect()
    };
    assert!(
        starts("").iter().all(|start| start == "T00:00:00.000000Z"),
        "{detail}"
    );
    assert!(
        starts("?utc_offset_minutes=420")
            .iter()
            .all(|start| start == "T17:00:00.000000Z")
    );
    let refused = client.get("/api/v1/rules/guess?utc_offset_minutes=900");
    assert_eq!(refused.status, 400, "{refused:?}");
    let condition = &detail["condition"];
    assert_eq!(condition["asks"], "all of");
    assert_eq!(condition["children"][0]["search"], "bad");
    assert_eq!(condition["children"][1]["asks"], "not");
    site.stop().await;
}

pub async fn techniques_are_covered_and_hit(place: Place) {
    let site = Site::start(&place).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let tagged = |id: &str, tags: &[&str]| {
        let mut rule = RuleInfo::clone(&rule(id, "high"));
        rule.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        rule
    };
    let guess = tagged(
        "guess",
        &[
            "attack.credential-access",
            "attack.impact",
            "attack.t1110.001",
        ],
    );
    let sleeps = tagged("sleeps", &["attack.impact", "attack.t1486"]);
    site.alerting
        .note_rules(&[guess.clone(), sleeps])
        .await
        .unwrap();
    send(&intake, vec![found(&Arc::new(guess), "web", at(0), 1)]).await;
    let attack = client.get("/api/v1/attack").body;
    assert_eq!(attack["rules_loaded"], 2);
    let technique = |id: &str| {
        let all = attack["techniques"].as_array().unwrap();
        all.iter().find(|each| each["id"] == id).unwrap().clone()
    };
    assert_eq!(technique("T1110.001")["alerts"], 1);
    // Guessing passwords is no impact, whatever else the rule is about.
    assert_eq!(
        technique("T1110.001")["name"],
        "Brute Force: Password Guessing"
    );
    assert_eq!(
        technique("T1110.001")["tactics"],
        json!(["credential-access"])
    );
    assert_eq!(technique("T1486")["alerts"], 0);
    assert_eq!(technique("T1486")["rules"][0]["id"], "sleeps");
    assert_eq!(attack["tactics"].as_array().unwrap().len(), 16);
    // A rule that is loaded and never matched is told, with a reason that it would raise alerts.
    let detail = client.get("/api/v1/rules/sleeps").body;
    assert_eq!(
        (&detail["loaded"], &detail["why"]),
        (&json!(true), &json!("fits"))
    );
    // Loaded anew without it, it is gone.
    site.alerting.note_rules(&[]).await.unwrap();
    assert_eq!(client.get("/api/v1/rules/sleeps").status, 404);
    assert_eq!(client.get("/api/v1/rules/guess").body["loaded"], false);
    site.stop().await;
}
