//! Suppressions: what they hide, what they leave, and that they end.

use citywatch_engine::Match;
use serde_json::{Value, json};

use super::support::{Client, Place, Reply, Site, at, correlation, found, rule, send};

/// A time so many seconds after the tests' beginning, as the API writes it.
fn time(seconds: i64) -> String {
    at(seconds).to_string()
}

fn suppress(client: &Client, wanted: Value) -> Reply {
    let mut body = json!({ "reason": "Quét định kỳ đã được duyệt", "ends_at": time(3600) });
    let Value::Object(wanted) = wanted else {
        panic!("{wanted} is no object");
    };
    body.as_object_mut().unwrap().extend(wanted);
    client.send("POST", "/api/v1/suppressions", Some(body), &[])
}

fn events_of(client: &Client) -> Vec<(String, i64)> {
    let list = client.get("/api/v1/incidents").body;
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let title = item["title"].as_str().unwrap().to_owned();
            (title, item["event_count"].as_i64().unwrap())
        })
        .collect()
}

fn show(client: &Client, id: &str) -> Value {
    client.get(&format!("/api/v1/suppressions/{id}")).body
}

pub async fn a_rule_is_called_what_it_is_called_now(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    // Nothing is known of the rule yet.
    let made = suppress(&admin, json!({ "rule_id": "guess", "host": "web-01" }));
    assert_eq!(made.body["rule_title"], "");
    let id = made.body["id"].as_str().unwrap().to_owned();
    let mut guess = citywatch_engine::RuleInfo::clone(&rule("guess", "high"));
    guess
        .text
        .push_str("citywatch:\n    title_vi: Đoán mật khẩu\n");
    let guess = std::sync::Arc::new(guess);
    let batch = vec![
        found(&guess, "web-01", at(0), 1),
        found(&guess, "web-02", at(0), 2),
    ];
    send(&site.alerting.intake(), batch).await;
    let titles = |told: &Value| [told["rule_title"].clone(), told["rule_title_vi"].clone()];
    let wanted = [json!("Rule guess"), json!("Đoán mật khẩu")];
    assert_eq!(titles(&show(&admin, &id)), wanted);
    let list = admin.get("/api/v1/suppressions?state=all").body;
    assert_eq!(titles(&list["items"][0]), wanted);
    let hidden = admin.get(&format!("/api/v1/suppressions/{id}/hidden")).body;
    assert_eq!(titles(&hidden["items"][0]), wanted);
    site.stop().await;
}

pub async fn a_suppression_hides_counts_and_ends(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let intake = site.alerting.intake();
    let guess = rule("guess", "high");
    let on = |host: &str, number: u64| found(&guess, host, at(0), number);
    send(&intake, vec![on("web-01", 1)]).await;
    let made = suppress(
        &admin,
        json!({ "rule_id": "guess", "host": "web-01", "fields": [{ "name": "user", "value": "ROOT" }] }),
    );
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["rule_title"], "Rule guess");
    let id = made.body["id"].as_str().unwrap().to_owned();

    let other_user = {
        let mut found = on("web-01", 9);
        let mut event = (*found.evidence[0].event).clone();
        event.fields = [("user".to_owned(), json!("backup"))].into_iter().collect();
        found.evidence[0].event = event.into();
        found
    };
    // What was seen before stays; another host, another user and another rule are not meant.
    let batch: Vec<Match> = vec![
        on("web-01", 1),
        on("web-01", 2),
        on("web-01", 3),
        on("web-02", 4),
        other_user,
        found(&rule("shell", "high"), "web-01", at(0), 5),
    ];
    for _ in 0..2 {
        send(&intake, batch.clone()).await;
        assert_eq!(
            events_of(&admin),
            [
                ("Rule shell: web-01".to_owned(), 1),
                ("Rule guess: web-02".to_owned(), 1),
                ("Rule guess: web-01".to_owned(), 2),
            ]
        );
        let shown = show(&admin, &id);
        assert_eq!(
            (
                &shown["match_count"],
                &shown["event_count"],
                &shown["active"]
            ),
            (&json!(2), &json!(2), &json!(true)),
            "a replay is not counted: {shown}"
        );
    }
    assert_eq!(site.alerting.tally().matches_suppressed, 2);
    let hidden = admin.get(&format!("/api/v1/suppressions/{id}/hidden")).body;
    let numbers: Vec<_> = hidden["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["number"].clone(), item["host"].clone()))
        .collect();
    assert_eq!(
        numbers,
        [(json!(2), json!("web-01")), (json!(1), json!("web-01"))]
    );
    assert!(
        hidden["items"][0]["raw"]
            .as_str()
            .unwrap()
            .starts_with("Failed password for root")
    );

    site.clock.advance(3601);
    // The session has ended, too.
    let admin = site.admin();
    assert_eq!(show(&admin, &id)["active"], false, "it ends by itself");
    send(&intake, vec![on("web-01", 2), on("web-01", 6)]).await;
    assert_eq!(
        events_of(&admin)[2].1,
        3,
        "what was hidden stays hidden, what is new is seen"
    );
    let list = |state: &str| {
        let list = admin
            .get(&format!("/api/v1/suppressions?state={state}"))
            .body;
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((list("active"), list("ended"), list("all")), (0, 1, 1));
    let late = admin.send("DELETE", &format!("/api/v1/suppressions/{id}"), None, &[]);
    assert_eq!(late.status, 409);
    site.stop().await;
}

pub async fn a_hidden_correlation_grows_and_an_early_end_holds_at_once(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let intake = site.alerting.intake();
    let brute = rule("brute", "high");
    let wanted = json!({ "fields": [{ "name": "src_ip", "value": "203.0.113.7" }] });
    let made = suppress(&admin, wanted);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let growing = |events| correlation(&brute, "203.0.113.7", at(0), events);
    send(&intake, vec![growing(3), growing(5)]).await;
    send(&intake, vec![growing(9), growing(7)]).await;
    let shown = show(&admin, &id);
    assert_eq!(
        (&shown["match_count"], &shown["event_count"]),
        (&json!(1), &json!(9))
    );
    assert_eq!(events_of(&admin), []);
    let path = format!("/api/v1/suppressions/{id}");
    assert_eq!(admin.send("DELETE", &path, None, &[]).status, 204);
    let shown = show(&admin, &id);
    assert_eq!(
        (&shown["active"], &shown["ended_by"]),
        (&json!(false), &json!("admin"))
    );
    send(
        &intake,
        vec![correlation(&brute, "203.0.113.7", at(600), 4)],
    )
    .await;
    assert_eq!(events_of(&admin).len(), 1);
    site.stop().await;
}

pub async fn a_preview_tells_what_would_have_been_hidden(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let intake = site.alerting.intake();
    let guess = rule("guess", "high");
    let on = |host: &str, seconds: i64, number: u64| found(&guess, host, at(seconds), number);
    // Eight days ago, and lately: two alerts on one host, one on another, one of a correlation.
    send(&intake, vec![on("web-01", -8 * 86_400, 1)]).await;
    send(
        &intake,
        vec![
            on("web-01", -3600, 2),
            on("web-01", -3600, 3),
            on("web-01", 0, 4),
            on("web-02", 0, 5),
            correlation(&rule("brute", "high"), "203.0.113.7", at(-600), 3),
        ],
    )
    .await;
    let preview = |wanted: Value| {
        let reply = admin.send("POST", "/api/v1/suppressions/preview", Some(wanted), &[]);
        assert_eq!(reply.status, 200, "{reply:?}");
        let number = |name: &str| reply.body[name].as_i64().unwrap();
        let counts = ["alerts", "events", "incidents", "incidents_in_part"].map(number);
        (counts, reply.body.clone())
    };
    assert_eq!(
        preview(json!({ "rule_id": "guess", "host": "web-01" })).0,
        [2, 3, 1, 0]
    );
    assert_eq!(preview(json!({ "rule_id": "guess" })).0, [3, 4, 2, 0]);
    assert_eq!(
        preview(json!({ "fields": [{ "name": "user", "value": "root" }] })).0,
        [4, 7, 3, 0]
    );
    assert_eq!(
        preview(json!({ "fields": [{ "name": "user", "value": "nobody" }] })).0,
        [0, 0, 0, 0]
    );
    assert_eq!(preview(json!({ "unit": "unit-2" })).0, [0, 0, 0, 0]);
    // A verdict on what would be hidden is told.
    let list = admin.get("/api/v1/incidents?host=web-02").body;
    let path = format!(
        "/api/v1/incidents/{}",
        list["items"][0]["id"].as_str().unwrap()
    );
    let change = json!({ "verdict": "true_positive", "verdict_reason": "thật" });
    admin.send("PATCH", &path, Some(change), &[("if-match", "1")]);
    let (_, body) = preview(json!({ "rule_id": "guess" }));
    assert_eq!(
        (&body["true_positives"], &body["complete"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(body["items"].as_array().unwrap().len(), 2);
    // Nothing was set by asking.
    assert_eq!(admin.get("/api/v1/suppressions").body["items"], json!([]));
    site.stop().await;
}

pub async fn suppressions_want_a_reason_an_end_and_something_to_hide(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let refused = |body: Value| {
        let reply = admin.send("POST", "/api/v1/suppressions", Some(body), &[]);
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        reply.body["errors"][0]["field"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (rule_id, reason, ends_at) = ("guess", "known", time(60));
    for (body, field) in [
        (
            json!({ "rule_id": rule_id, "ends_at": ends_at, "reason": " " }),
            "reason",
        ),
        (
            json!({ "rule_id": rule_id, "reason": reason, "ends_at": "soon" }),
            "ends_at",
        ),
        (
            json!({ "rule_id": rule_id, "reason": reason, "ends_at": time(-1) }),
            "ends_at",
        ),
        (
            json!({ "rule_id": rule_id, "reason": reason, "ends_at": time(400 * 86_400) }),
            "ends_at",
        ),
        (json!({ "reason": reason, "ends_at": ends_at }), "rule_id"),
        (json!({ "rule_id": rule_id, "ends_at": ends_at }), "reason"),
        (json!({ "rule_id": rule_id, "reason": reason }), "ends_at"),
        (
            json!({ "reason": reason, "ends_at": ends_at, "fields": [{ "name": "", "value": "x" }] }),
            "fields[0].name",
        ),
    ] {
        assert_eq!(refused(body), field);
    }
    let unknown = admin.get("/api/v1/suppressions?state=sleeping");
    assert_eq!(unknown.body["errors"][0]["field"], "state");
    site.stop().await;
}

pub async fn a_suppression_of_a_unit_means_its_subtree(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    admin.send_text(
        "PUT",
        "/api/v1/units",
        "id,name,parent\ncity,Thành phố,\nward-1,Phường 1,city\nward-2,Phường 2,city\nschool,Trường,ward-1\n",
    );
    let body = json!({ "name": "lan", "role": "lead", "unit": "ward-1" });
    let first = admin.send("POST", "/api/v1/users", Some(body), &[]).body;
    let mut lead = site.client();
    lead.sign_in("lan", first["password"].as_str().unwrap());
    for unit in ["", "ward-2"] {
        let refused = suppress(&lead, json!({ "rule_id": "guess", "unit": unit }));
        assert_eq!(refused.body["errors"][0]["field"], "unit", "{refused:?}");
    }
    let made = suppress(&lead, json!({ "rule_id": "guess", "unit": "ward-1" }));
    assert_eq!(made.status, 201, "{made:?}");
    let everywhere = suppress(&admin, json!({ "rule_id": "shell" }));
    let city = everywhere.body["id"].as_str().unwrap().to_owned();
    assert_eq!(
        lead.get(&format!("/api/v1/suppressions/{city}")).status,
        404,
        "what is set for the city is not a ward's to see"
    );
    let guess = rule("guess", "high");
    let mut batch = Vec::new();
    for (number, unit) in ["ward-1", "school", "ward-2"].into_iter().enumerate() {
        let mut found = found(&guess, unit, at(0), u64::try_from(number).unwrap());
        found.unit = unit.into();
        batch.push(found);
    }
    send(&site.alerting.intake(), batch).await;
    assert_eq!(events_of(&admin), [("Rule guess: ward-2".to_owned(), 1)]);
    let own = lead.get("/api/v1/suppressions").body;
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    assert_eq!(own["items"][0]["match_count"], 2);
    site.stop().await;
}
