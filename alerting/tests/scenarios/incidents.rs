//! Reading incidents and changing them.

use serde_json::{Value, json};

use super::support::{Place, Site, at, correlation, found, rule, send};

pub async fn a_list_goes_on_by_cursor(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let host = |number: u64| format!("web-{number:02}");
    for number in 0..7 {
        send(
            &site.alerting.intake(),
            vec![found(&guess, &host(number), at(0), number)],
        )
        .await;
    }
    let client = site.admin();
    let mut hosts = Vec::new();
    let mut path = "/api/v1/incidents?limit=3".to_owned();
    loop {
        let page = client.get(&path).body;
        assert_eq!(page["total"], json!(7 + i64::from(hosts.len() >= 3)));
        hosts.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["host"].clone()),
        );
        if hosts.len() == 3 {
            // One more at the top moves no page below.
            send(
                &site.alerting.intake(),
                vec![found(&guess, "web-99", at(0), 99)],
            )
            .await;
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/incidents?limit=3&cursor={cursor}");
    }
    let expected: Vec<Value> = (0..7).rev().map(|number| host(number).into()).collect();
    assert_eq!(hosts, expected);
    site.stop().await;
}

pub async fn an_incident_shows_all_that_belongs_to_it(place: Place) {
    let site = Site::start(&place).await;
    send(
        &site.alerting.intake(),
        vec![correlation(&rule("brute", "high"), "203.0.113.7", at(0), 3)],
    )
    .await;
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "medium"), "web-01", at(5), 9)],
    )
    .await;
    let client = site.admin();
    let list = client.get("/api/v1/incidents").body;
    let guess = &list["items"][0];
    assert_eq!(
        guess["entities"],
        json!([
            { "kind": "address", "value": "203.0.113.7" },
            { "kind": "host", "value": "web-01" },
            { "kind": "user", "value": "root" },
        ])
    );
    assert_eq!(
        guess["rule"],
        json!({
            "id": "guess", "title": "Rule guess", "title_vi": "", "level": "medium", "correlation": false,
        })
    );
    let path = format!("/api/v1/incidents/{}", guess["id"].as_str().unwrap());
    let detail = client.get(&path);
    assert_eq!(detail.header("etag"), "\"1\"");
    let event = &detail.body["events"][0];
    assert_eq!(
        event["matched"],
        json!([{ "name": "user", "value": "root" }])
    );
    assert_eq!(event["fields"][2], json!({ "name": "pid", "value": 4711 }));
    assert_eq!(event["rule_ids"], json!(["guess"]));
    assert_eq!(event["event_time"], "2026-09-21T14:13:25.000000Z");
    assert_eq!(
        detail.body["rules"][0]["text"],
        "title: Rule guess\nlevel: medium\n"
    );
    assert_eq!(detail.body["alerts"][0]["window"], Value::Null);
    assert_eq!(detail.body["history"][0]["kind"], "opened");

    let brute = &list["items"][1];
    let detail = client
        .get(&format!(
            "/api/v1/incidents/{}",
            brute["id"].as_str().unwrap()
        ))
        .body;
    let alert = &detail["alerts"][0];
    assert_eq!(
        alert["group"],
        json!([{ "name": "src_ip", "value": "203.0.113.7" }])
    );
    assert_eq!(alert["window"]["end"], "2026-09-21T14:18:20.000000Z");
    assert_eq!(
        (
            &alert["event_count"],
            detail["events"].as_array().unwrap().len()
        ),
        (&json!(3), 3)
    );
    site.stop().await;
}

pub async fn two_analysts_do_not_overwrite_each_other(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    send(
        &site.alerting.intake(),
        vec![found(&guess, "web-01", at(0), 1)],
    )
    .await;
    let client = site.admin();
    let id = client.get("/api/v1/incidents").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/incidents/{id}");
    let patch = |state: &str, headers: &[(&str, &str)]| {
        client.send("PATCH", &path, Some(json!({ "state": state })), headers)
    };
    assert_eq!(patch("acknowledged", &[]).status, 428);
    // An alert that joins is no reason to refuse.
    send(
        &site.alerting.intake(),
        vec![found(&guess, "web-01", at(60), 2)],
    )
    .await;
    let reply = patch("acknowledged", &[("if-match", "\"1\"")]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        (reply.header("etag"), &reply.body["version"]),
        ("\"2\"", &json!(2))
    );
    assert!(reply.body["acknowledged_at"].is_string());
    let reply = patch("resolved", &[("if-match", "1")]);
    assert_eq!(
        (reply.status, &reply.body["current_version"]),
        (412, &json!(2))
    );
    assert_eq!(
        patch("resolved", &[("if-match", "2")]).body["state"],
        "resolved"
    );
    let history = client.get(&path).body["history"].clone();
    let lines: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "opened by the rule \"Rule guess\"",
            "state: new -> acknowledged",
            "state: acknowledged -> resolved"
        ]
    );
    site.stop().await;
}

pub async fn what_is_closed_has_a_verdict(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let matches = ["web-01", "web-02"]
        .map(|host| found(&guess, host, at(0), 1))
        .to_vec();
    send(&site.alerting.intake(), matches).await;
    let client = site.admin();
    let ids = ids(&client);
    let path = format!("/api/v1/incidents/{}", ids[0]);
    let patch = |version: &str, change: Value| {
        client.send("PATCH", &path, Some(change), &[("if-match", version)])
    };
    let reply = patch("1", json!({ "state": "closed" }));
    assert_eq!(
        (reply.status, &reply.body["said"]["code"]),
        (422, &json!("verdict_needed")),
        "{reply:?}"
    );
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(detail.contains("in the same change"), "{detail}");
    // Given before, it counts.
    patch("1", json!({ "verdict": "false_positive" }));
    assert_eq!(patch("2", json!({ "state": "closed" })).status, 200);
    assert_eq!(patch("3", json!({ "verdict": null })).status, 422);
    let reopened = json!({ "state": "in_progress", "verdict": null });
    assert_eq!(patch("3", reopened).status, 200);
    // Many at once: those that have one are closed, the others are listed.
    patch("4", json!({ "verdict": "true_positive" }));
    let items = json!([{ "id": ids[0], "version": 5 }, { "id": ids[1], "version": 1 }]);
    let body = json!({ "items": items, "change": { "state": "closed" } });
    let reply = client.send("POST", "/api/v1/incidents/bulk", Some(body), &[]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body["changed"][0]["id"], json!(ids[0]));
    assert_eq!(
        (
            &reply.body["failed"][0]["id"],
            &reply.body["failed"][0]["code"]
        ),
        (&json!(ids[1]), &json!("verdict_needed"))
    );
    // What an older version closed without one can still be given to somebody.
    let pool = place.pool().await;
    sqlx::query("UPDATE incidents SET verdict = NULL")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let reply = patch("6", json!({ "assignee": "admin" }));
    assert_eq!(reply.status, 200, "{reply:?}");
    site.stop().await;
}

pub async fn bad_requests_name_field_and_reason(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    for (path, field) in [
        ("/api/v1/incidents?limit=0", "limit"),
        ("/api/v1/incidents?limit=many", "limit"),
        ("/api/v1/incidents?cursor=x", "cursor"),
        ("/api/v1/incidents?state=asleep", "state"),
        ("/api/v1/incidents?stat=new", "stat"),
        ("/api/v1/events?from=yesterday", "from"),
    ] {
        let reply = client.get(path);
        assert_eq!(
            (reply.status, &reply.body["errors"][0]["field"]),
            (400, &json!(field)),
            "{reply:?}"
        );
    }
    assert_eq!(client.get("/api/v1/incidents/1").status, 404);
    let reply = client.get("/api/v1/events");
    assert_eq!(reply.status, 503, "no store is configured");
    assert!(reply.body["detail"].as_str().unwrap().contains("[store]"));
    let post = |body: Value| {
        site.client()
            .send("POST", "/api/v1/session", Some(body), &[])
    };
    let reply = post(json!({ "user": "admin" }));
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(reply.text.contains("password"), "{reply:?}");
    let reply = post(json!({ "user": 1, "password": "x" }));
    assert_eq!(reply.body["errors"][0]["field"], "user", "{reply:?}");
    let reply = post(json!({ "user": "x".repeat(300_000), "password": "x" }));
    assert_eq!(reply.status, 413, "{reply:?}");
    site.stop().await;
}

/// Ids of the incidents, the newest first.
fn ids(client: &super::support::Client) -> Vec<String> {
    let list = client.get("/api/v1/incidents").body;
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

pub async fn a_verdict_an_assignee_and_comments_are_kept(place: Place) {
    let site = Site::start(&place).await;
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "high"), "web-01", at(0), 1)],
    )
    .await;
    let client = site.admin();
    let path = format!("/api/v1/incidents/{}", ids(&client)[0]);
    let patch = |body: Value, version: &str| {
        client.send("PATCH", &path, Some(body), &[("if-match", version)])
    };
    let reply = patch(json!({ "assignee": "Admin", "state": "in_progress" }), "1");
    assert_eq!(
        (reply.status, &reply.body["assignee"]),
        (200, &json!("admin")),
        "{reply:?}"
    );
    let wish =
        json!({ "verdict": "false_positive", "verdict_reason": "a backup job", "assignee": null });
    let reply = patch(wish.clone(), "2");
    assert_eq!(reply.body["verdict"], "false_positive", "{reply:?}");
    assert_eq!(
        (&reply.body["assignee"], &reply.body["state"]),
        (&Value::Null, &json!("in_progress"))
    );
    assert_eq!(patch(wish, "3").body["version"], 3, "nothing changed");
    for (wish, field) in [
        (json!({ "verdict": "maybe" }), "verdict"),
        (json!({ "assignee": "nobody" }), "assignee"),
        (json!({ "state": "asleep" }), "state"),
        (json!({ "sate": "new" }), "sate"),
    ] {
        let reply = patch(wish, "3");
        assert_eq!(
            (reply.status, &reply.body["errors"][0]["field"]),
            (400, &json!(field)),
            "{reply:?}"
        );
    }
    let comments = format!("{path}/comments");
    let text = "**Seen** <script>alert(1)</script>";
    assert_eq!(
        client
            .send("POST", &comments, Some(json!({ "text": text })), &[])
            .status,
        201
    );
    assert_eq!(
        client
            .send("POST", &comments, Some(json!({ "text": " " })), &[])
            .status,
        400
    );
    let detail = client.get(&path).body;
    let history = detail["history"].as_array().unwrap();
    let lines: Vec<String> = history
        .iter()
        .map(|line| format!("{} {}: {}", line["who"], line["kind"], line["what"]).replace('"', ""))
        .collect();
    assert_eq!(
        lines[1..],
        [
            "admin state: state: new -> in_progress",
            "admin assignee: assignee: none -> admin",
            "admin assignee: assignee: admin -> none",
            "admin verdict: verdict: none -> false_positive",
            "admin verdict_reason: verdict reason: none -> a backup job",
            "admin comment: **Seen** <script>alert(1)</script>",
        ]
    );
    assert_eq!(
        detail["version"], 3,
        "a comment is no change of the incident"
    );
    site.stop().await;
}

pub async fn many_change_at_once_and_failures_are_listed(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let matches = (0..5)
        .map(|number| found(&guess, &format!("web-{number}"), at(0), number))
        .collect();
    send(&site.alerting.intake(), matches).await;
    let client = site.admin();
    let ids = ids(&client);
    let path = format!("/api/v1/incidents/{}", ids[2]);
    client.send(
        "PATCH",
        &path,
        Some(json!({ "state": "acknowledged" })),
        &[("if-match", "1")],
    );
    let mut items: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "id": id, "version": 1 }))
        .collect();
    items.push(json!({ "id": "none", "version": 1 }));
    let body =
        json!({ "items": items, "change": { "state": "closed", "verdict": "false_positive" } });
    let reply = client.send("POST", "/api/v1/incidents/bulk", Some(body), &[]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body["changed"].as_array().unwrap().len(), 4);
    let reasons: Vec<&str> = reply.body["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| failed["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "the incident was changed since you read it",
            "there is no such incident"
        ]
    );
    for (query, expected) in [
        ("state=closed", 4),
        ("state=open", 1),
        ("state=closed,acknowledged", 5),
        ("verdict=false_positive&host=web-1", 1),
        ("severity=critical", 0),
        ("severity=high,low", 5),
        ("entity=address:203.0.113.7", 5),
        ("entity=address:203.0.113.8", 0),
        ("rule_id=guess&unit=unit-1", 5),
    ] {
        let list = client.get(&format!("/api/v1/incidents?{query}")).body;
        assert_eq!(
            (&list["total"], list["items"].as_array().unwrap().len()),
            (&json!(expected), expected)
        );
    }
    site.stop().await;
}

pub async fn a_merge_leaves_a_trace_and_later_alerts_follow_it(place: Place) {
    let site = Site::start(&place).await;
    let (guess, shell) = (rule("guess", "medium"), rule("shell", "critical"));
    let intake = site.alerting.intake();
    send(
        &intake,
        vec![
            found(&guess, "web-01", at(0), 1),
            found(&shell, "web-01", at(60), 2),
        ],
    )
    .await;
    let client = site.admin();
    let (first, second) = (ids(&client)[1].clone(), ids(&client)[0].clone());
    let similar = client
        .get(&format!("/api/v1/incidents/{first}/similar"))
        .body;
    assert_eq!(
        (
            &similar["items"][0]["id"],
            &similar["items"][0]["shared_entities"]
        ),
        (&json!(second), &json!(3))
    );
    let merge = |from: &str, version: &str| {
        let path = format!("/api/v1/incidents/{first}/merge");
        client.send(
            "POST",
            &path,
            Some(json!({ "from": [from] })),
            &[("if-match", version)],
        )
    };
    assert_eq!(merge(&first, "1").status, 400, "into itself");
    assert_eq!(merge(&second, "7").status, 412);
    let merged = merge(&second, "1");
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(
        (&merged.body["severity"], &merged.body["alert_count"]),
        (&json!("critical"), &json!(2))
    );
    // It is called after the more severe of the two.
    assert_eq!(
        (&merged.body["title"], &merged.body["rule"]["id"]),
        (&json!("Rule shell: web-01"), &json!("shell"))
    );
    let reply = merge(&second, "2");
    assert_eq!(
        (reply.status, &reply.body["merged_into"]),
        (409, &json!(first))
    );
    let comments = format!("/api/v1/incidents/{second}/comments");
    let comment = json!({ "text": "where nobody would look for it" });
    let reply = client.send("POST", &comments, Some(comment), &[]);
    assert_eq!(
        (reply.status, &reply.body["merged_into"]),
        (409, &json!(first))
    );
    // Alerts of the group that was merged join the incident that took it in.
    send(&intake, vec![found(&shell, "web-01", at(3600), 3)]).await;
    let list = client.get("/api/v1/incidents").body;
    assert_eq!(
        (&list["total"], &list["items"][0]["event_count"]),
        (&json!(1), &json!(3))
    );
    site.stop().await;
}

pub async fn titles_are_kept_in_vietnamese(place: Place) {
    let site = Site::start(&place).await;
    let mut guess = citywatch_engine::RuleInfo::clone(&rule("guess", "high"));
    guess.text.push_str(
        "citywatch:\n    title_vi: Đoán mật khẩu\n    description_vi: Có kẻ đang đoán mật khẩu.\n",
    );
    let guess = std::sync::Arc::new(guess);
    send(
        &site.alerting.intake(),
        vec![
            found(&guess, "web-01", at(0), 1),
            found(&rule("shell", "high"), "web-02", at(0), 2),
        ],
    )
    .await;
    let client = site.admin();
    let list = client.get("/api/v1/incidents").body;
    let titles: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["title_vi"].clone(), item["rule"]["title_vi"].clone()))
        .collect();
    assert_eq!(
        titles,
        [
            (json!(""), json!("")),
            (json!("Đoán mật khẩu: web-01"), json!("Đoán mật khẩu")),
        ]
    );
    let path = format!(
        "/api/v1/incidents/{}",
        list["items"][1]["id"].as_str().unwrap()
    );
    let detail = client.get(&path).body;
    assert_eq!(
        (
            &detail["rules"][0]["title_vi"],
            &detail["rules"][0]["description_vi"]
        ),
        (&json!("Đoán mật khẩu"), &json!("Có kẻ đang đoán mật khẩu."))
    );
    let wanted = json!({ "rule_id": "guess" });
    let preview = client.send("POST", "/api/v1/suppressions/preview", Some(wanted), &[]);
    assert_eq!(
        preview.body["items"][0]["title_vi"], "Đoán mật khẩu: web-01",
        "{preview:?}"
    );
    site.stop().await;
}

pub async fn rules_tell_how_often_they_were_right(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    send(
        &site.alerting.intake(),
        vec![
            found(&guess, "web-01", at(0), 1),
            found(&guess, "web-02", at(5), 2),
            found(&rule("shell", "high"), "web-02", at(0), 3),
        ],
    )
    .await;
    let client = site.admin();
    let list = client.get("/api/v1/incidents?host=web-01").body;
    let path = format!(
        "/api/v1/incidents/{}",
        list["items"][0]["id"].as_str().unwrap()
    );
    let change =
        json!({ "state": "closed", "verdict": "false_positive", "verdict_reason": "sao lưu" });
    client.send("PATCH", &path, Some(change), &[("if-match", "1")]);
    let rules = client.get("/api/v1/rules").body;
    let told: Vec<_> = rules["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let number = |name: &str| rule[name].as_i64().unwrap();
            (
                rule["id"].as_str().unwrap(),
                [
                    "incidents",
                    "open",
                    "events",
                    "false_positives",
                    "true_positives",
                ]
                .map(number),
                rule.get("text").is_some(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("guess", [2, 1, 2, 1, 0], false),
            ("shell", [1, 1, 1, 0, 0], false),
        ]
    );
    assert_eq!(rules["items"][0]["last_event_at"], at(5).to_string());
    let one = client.get("/api/v1/rules?id=guess").body;
    assert_eq!(one["items"][0]["text"], "title: Rule guess\nlevel: high\n");
    assert_eq!(client.get("/api/v1/rules?id=nothing").status, 404);
    site.stop().await;
}
