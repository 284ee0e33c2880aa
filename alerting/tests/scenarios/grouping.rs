//! Alerts of different rules that speak of the same thing are one incident, within bounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use citywatch_alerting::AlertingConfig;
use citywatch_engine::{Match, RuleInfo};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::support::{Client, Place, Site, at, correlation, found, rule, send, with_fields};

fn joining(place: &Place) -> AlertingConfig {
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    config
}

/// A match on a host, with a user and an address.
fn on(rule: &Arc<RuleInfo>, host: &str, user: &str, address: &str, second: i64) -> Match {
    let found = found(rule, host, at(second), u64::try_from(second).unwrap());
    with_fields(found, "unit-1", &[("user", user), ("src_ip", address)])
}

fn open(client: &Client) -> Vec<Value> {
    let list = client.get("/api/v1/incidents?state=open&limit=500").body;
    list["items"].as_array().unwrap().clone()
}

pub async fn alerts_that_share_something_are_one_incident(place: Place) {
    let site = Site::start_with(joining(&place)).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let rules = ["guess", "sudo", "dump", "other"].map(|id| rule(id, "high"));
    let matches = vec![
        on(&rules[0], "web", "root", "203.0.113.7", 0),
        // The same host.
        on(&rules[1], "web", "an", "198.51.100.1", 60),
        // Another host, the same user.
        on(&rules[2], "db", "an", "198.51.100.2", 120),
        // Nothing in common but root, which is everywhere.
        on(&rules[3], "mail", "root", "198.51.100.3", 180),
        // The same address, but hours later.
        on(&rules[3], "file", "root", "203.0.113.7", 5 * 3600),
        // The same user in another unit: somebody else.
        with_fields(
            found(&rules[3], "web", at(60), 9),
            "unit-2",
            &[("user", "an")],
        ),
    ];
    for found in &matches {
        send(&intake, vec![found.clone()]).await;
    }
    let incidents = open(&client);
    let rules_of: Vec<i64> = incidents
        .iter()
        .map(|incident| incident["rule_count"].as_i64().unwrap())
        .collect();
    assert_eq!(rules_of, [1, 1, 1, 3], "{incidents:?}");
    let joined = &incidents[3];
    assert_eq!(joined["alert_count"], 3);
    let kinds: BTreeSet<&str> = joined["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| entity["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["address", "host", "user"]));
    // A replay changes nothing.
    send(&intake, matches).await;
    assert_eq!(open(&client), incidents);
    // What is closed is left closed: the next alert opens another.
    let body = json!({ "state": "closed", "verdict": "true_positive" });
    let path = format!("/api/v1/incidents/{}", joined["id"].as_str().unwrap());
    let version = client.get(&path).body["version"].to_string();
    let closed = client.send("PATCH", &path, Some(body), &[("if-match", &version)]);
    assert_eq!(closed.status, 200, "{closed:?}");
    send(&intake, vec![on(&rules[3], "web", "x", "192.0.2.1", 240)]).await;
    assert_eq!(open(&client).len(), 4);
    site.stop().await;
}

pub async fn what_many_hosts_share_joins_nothing(place: Place) {
    let mut config = joining(&place);
    config.incidents.entity_hosts_max = 3;
    let site = Site::start_with(config).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let guess = rule("guess", "high");
    for number in 0..20 {
        let host = format!("host-{number:02}");
        send(
            &intake,
            vec![on(&guess, &host, "root", "203.0.113.7", number)],
        )
        .await;
    }
    let incidents = open(&client);
    let largest = incidents
        .iter()
        .map(|incident| incident["alert_count"].as_i64().unwrap());
    assert_eq!(largest.max(), Some(3));
    assert_eq!(incidents.len(), 18);
    site.stop().await;
}

pub async fn any_order_joins_the_same_alerts(place: Place) {
    let site = Site::start_with(joining(&place)).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let rules = ["one", "two", "three"].map(|id| rule(id, "medium"));
    // The one that both others share something with comes last.
    for found in [
        on(&rules[0], "a", "x", "192.0.2.1", 0),
        on(&rules[1], "b", "y", "192.0.2.2", 10),
        on(&rules[2], "a", "y", "192.0.2.3", 20),
    ] {
        send(&intake, vec![found]).await;
    }
    let incidents = open(&client);
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    assert_eq!(incidents[0]["alert_count"], 3);
    assert_eq!(incidents[0]["rule_count"], 3);
    site.stop().await;
}

pub async fn an_incident_is_called_after_its_most_severe_rule(place: Place) {
    let site = Site::start_with(joining(&place)).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let named = |id: &str, level: &str| {
        let mut rule = RuleInfo::clone(&rule(id, level));
        rule.text
            .push_str(&format!("citywatch:\n    title_vi: Quy tắc {id}\n"));
        rule.tags = vec![format!("attack.{id}")];
        Arc::new(rule)
    };
    let [guess, again, login] = [
        named("guess", "medium"),
        named("again", "medium"),
        named("login", "critical"),
    ];
    for (rule, second, name, tags) in [
        (&guess, 0, "guess", &["guess"][..]),
        (&again, 10, "guess", &["guess", "again"]),
        (&login, 20, "login", &["login", "guess", "again"]),
        (&guess, 30, "login", &["login", "guess", "again"]),
    ] {
        send(&intake, vec![on(rule, "a", "x", "192.0.2.1", second)]).await;
        let incidents = open(&client);
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        let incident = &incidents[0];
        assert_eq!(
            [&incident["title"], &incident["title_vi"]],
            [
                &json!(format!("Rule {name}: a")),
                &json!(format!("Quy tắc {name}: a"))
            ],
            "after {second} s"
        );
        assert_eq!(incident["rule"]["id"], name);
        assert_eq!(incident["rule"]["title_vi"], format!("Quy tắc {name}"));
        let tags: Vec<_> = tags.iter().map(|tag| format!("attack.{tag}")).collect();
        assert_eq!(incident["tags"], json!(tags));
    }
    let rules = client.get("/api/v1/rules").body;
    let told = |id: &str| {
        let mut told = rules["items"].as_array().unwrap().iter();
        let rule = told.find(|rule| rule["id"] == id).unwrap();
        [&rule["incidents"], &rule["alerts"], &rule["events"]].map(|n| n.as_i64().unwrap())
    };
    // Alerts count with their rule, in whatever incident they are.
    assert_eq!(told("login"), [1, 1, 1]);
    assert_eq!(told("guess")[0], 0);
    assert_eq!(told("guess")[2], 2);
    assert_eq!(told("again"), [0, 1, 1]);
    site.stop().await;
}

pub async fn an_incident_takes_in_only_so_much(place: Place) {
    let mut config = joining(&place);
    config.incidents.shared_alerts_max = 2;
    let site = Site::start_with(config).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    for number in 0..5 {
        let rule = rule(&format!("rule-{number}"), "high");
        send(&intake, vec![on(&rule, "web", "x", "192.0.2.1", number)]).await;
    }
    let mut counts: Vec<i64> = open(&client)
        .iter()
        .map(|incident| incident["alert_count"].as_i64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts.iter().sum::<i64>(), 5);
    assert!(counts.iter().all(|count| *count <= 2), "{counts:?}");
    site.stop().await;
}

pub async fn scores_follow_rules_tactics_and_verdicts(place: Place) {
    let site = Site::start_with(joining(&place)).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let tagged = |id: &str, level: &str, tag: &str| {
        let mut rule = RuleInfo::clone(&rule(id, level));
        rule.tags = vec![tag.to_owned()];
        Arc::new(rule)
    };
    let guess = tagged("guess", "high", "attack.credential_access");
    send(&intake, vec![on(&guess, "web", "x", "192.0.2.1", 0)]).await;
    let score = |client: &Client| open(client)[0]["score"].as_i64().unwrap();
    let alone = score(&client);
    assert_eq!(alone, 65);
    let sudo = tagged("sudo", "low", "attack.privilege-escalation");
    send(&intake, vec![on(&sudo, "web", "x", "192.0.2.1", 30)]).await;
    let incident = open(&client).remove(0);
    assert_eq!(incident["score"], alone + 6);
    assert_eq!(
        incident["tactics"],
        json!(["privilege-escalation", "credential-access"])
    );
    // Judged a false positive, the rule's next incident counts for less.
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    let body = json!({ "state": "closed", "verdict": "false_positive" });
    let version = incident["version"].to_string();
    let closed = client.send("PATCH", &path, Some(body), &[("if-match", &version)]);
    assert_eq!(closed.status, 200, "{closed:?}");
    send(&intake, vec![on(&guess, "db", "y", "192.0.2.9", 7 * 3600)]).await;
    assert_eq!(score(&client), 55);
    site.stop().await;
}

/// `count` incidents more like the one with that number, as if they had been taken in: hosts and keys are their own.
async fn multiply(place: &Place, number: i64, count: i64) {
    let pool = place.pool().await;
    let mut connection = pool.acquire().await.unwrap();
    for sql in [
        format!(
            "CREATE TEMP TABLE more AS WITH RECURSIVE serials(serial) AS (SELECT 1 UNION ALL SELECT serial + 1 \
             FROM serials WHERE serial < {count}) SELECT incidents.*, serials.serial FROM incidents \
             CROSS JOIN serials WHERE incidents.number = {number}"
        ),
        "UPDATE more SET id = id || '-' || serial, number = number + 1000 + serial, \
         group_key = group_key || '-' || serial, host = host || '-' || serial"
            .to_owned(),
        "ALTER TABLE more DROP COLUMN serial".to_owned(),
        "INSERT INTO incidents SELECT * FROM more".to_owned(),
        "DROP TABLE more".to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    drop(connection);
    pool.close().await;
}

pub async fn open_incidents_follow_the_verdicts_on_their_rule(place: Place) {
    let site = Site::start(&place).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let (guess, other) = (rule("guess", "high"), rule("other", "high"));
    for (host, rule) in [("judged", &guess), ("kept", &guess), ("beside", &other)] {
        send(&intake, vec![found(rule, host, at(0), 1)]).await;
    }
    // More than are scored at a time.
    multiply(&place, 2, 1_100).await;
    let by_host = |host: &str| {
        let list = client.get(&format!("/api/v1/incidents?host={host}")).body;
        list["items"][0].clone()
    };
    let scores = || -> BTreeSet<i64> {
        let query = "/api/v1/incidents?state=open&rule_id=guess&sort=score&limit=500";
        let mut scores = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("{query}&cursor={cursor}")).body;
            let items = page["items"].as_array().unwrap();
            scores.extend(items.iter().map(|item| item["score"].as_i64().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return scores,
            }
        }
    };
    let judge = |verdict: Value| {
        let incident = by_host("judged");
        let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
        let state = if verdict.is_null() {
            "resolved"
        } else {
            "closed"
        };
        let body = json!({ "state": state, "verdict": verdict });
        let version = incident["version"].to_string();
        let reply = client.send("PATCH", &path, Some(body), &[("if-match", &version)]);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let until = async |rescored: u64| {
        while site.alerting.tally().incidents_rescored < rescored {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = by_host("kept");
    let mut live = client.follow("", None);
    judge(json!("false_positive"));
    assert_eq!(live.next().data["host"], "judged");
    // The console is told, and whoever had the incident open can still change it.
    let told = live.next().data;
    assert_eq!(
        (&told["host"], &told["score"], &told["version"]),
        (&json!("kept"), &json!(55), &seen["version"])
    );
    until(1_101).await;
    assert_eq!(scores(), BTreeSet::from([55]));
    assert_eq!(by_host("beside")["score"], 65);
    assert_eq!(
        by_host("judged")["score"],
        65,
        "what is closed stays as it was"
    );
    let path = format!("/api/v1/incidents/{}", seen["id"].as_str().unwrap());
    let body = json!({ "assignee": "admin" });
    let version = seen["version"].to_string();
    let changed = client.send("PATCH", &path, Some(body), &[("if-match", &version)]);
    assert_eq!(changed.status, 200, "{changed:?}");
    // A verdict that is taken back is one less.
    judge(Value::Null);
    until(2_202).await;
    assert_eq!(scores(), BTreeSet::from([65]));
    // What a program that ended had not come to is made good by the next.
    judge(json!("benign_true_positive"));
    until(3_303).await;
    site.stop().await;
    let pool = place.pool().await;
    sqlx::query("UPDATE incidents SET score = 65 WHERE host = 'kept'")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let site = Site::start(&place).await;
    while site.alerting.tally().incidents_rescored < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.stop().await;
    let pool = place.pool().await;
    let score: i64 = sqlx::query_scalar("SELECT score FROM incidents WHERE host = 'kept'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(score, 55);
    pool.close().await;
}

/// A correlation over offices: two thirds of a city and one ward see the first, only who sees both sees it after the second.
pub async fn an_incident_of_several_offices_is_seen_from_above_both(place: Place) {
    const TREE: &str = "id,name,parent\ncity,Thành phố,\neast,Khu Đông,city\n\
        ward-1,Phường 1,east\nward-2,Phường 2,east\nward-3,Phường 3,city\n";
    let site = Site::start(&place).await;
    let admin = site.admin();
    assert_eq!(admin.send_text("PUT", "/api/v1/units", TREE).status, 200);
    let signed_in = |name: &str, unit: &str| {
        let body = json!({ "name": name, "role": "analyst", "unit": unit });
        let made = admin.send("POST", "/api/v1/users", Some(body), &[]);
        let mut client = site.client();
        client.sign_in(name, made.body["password"].as_str().unwrap());
        client
    };
    let ward = signed_in("ward", "ward-1");
    let east = signed_in("east", "east");
    let sweep = rule("sweep", "high");
    let of_units = |units: &[&str], start: i64| {
        let mut found = correlation(&sweep, "203.0.113.7", at(start), units.len() as u64);
        for (evidence, unit) in found.evidence.iter_mut().zip(units) {
            let mut event = citywatch_engine::EventSnapshot::clone(&evidence.event);
            event.unit = (*unit).into();
            evidence.event = std::sync::Arc::new(event);
        }
        found.unit = units[units.len() - 1].into();
        found
    };

    send(&site.alerting.intake(), vec![of_units(&["ward-1"], 0)]).await;
    let list = ward.get("/api/v1/incidents").body;
    let incident = &list["items"][0];
    assert_eq!(incident["unit"], "ward-1");
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    let version = incident["version"].to_string();
    let wish = json!({ "state": "acknowledged", "assignee": "ward" });
    let taken = ward.send("PATCH", &path, Some(wish), &[("if-match", &version)]);
    assert_eq!(taken.status, 200, "{taken:?}");
    let mut live = east.follow("", None);

    // Another office joins: the nearest unit above both has it, and who sees one alone is told that it is not theirs.
    send(
        &site.alerting.intake(),
        vec![of_units(&["ward-1", "ward-2"], 0)],
    )
    .await;
    let event = live.next();
    assert_eq!(event.data["unit"], "east", "{event:?}");
    let seen = east.get(&path).body;
    assert_eq!(
        (&seen["unit"], &seen["assignee"]),
        (&json!("east"), &Value::Null)
    );
    assert_eq!(seen["state"], "acknowledged", "what was done stays done");
    assert!(seen["version"].as_i64() > taken.body["version"].as_i64());
    let history = seen["history"].to_string();
    assert!(history.contains("unit: ward-1 -> east"), "{history}");
    assert!(history.contains("assignee: ward -> none"), "{history}");
    let gone = ward.get(&path);
    assert_eq!(
        (gone.status, &gone.body["said"]),
        (404, &json!({ "code": "missing", "thing": "incident" }))
    );
    let refused = ward.send(
        "POST",
        &format!("{path}/comments"),
        Some(json!({ "text": "mine" })),
        &[],
    );
    assert_eq!(refused.status, 404, "{refused:?}");
    assert_eq!(ward.get("/api/v1/incidents").body["items"], json!([]));

    // What comes later of one of them alone does not bring it back; a third office moves it on.
    send(&site.alerting.intake(), vec![of_units(&["ward-2"], 300)]).await;
    assert_eq!(east.get(&path).body["unit"], "east");
    send(&site.alerting.intake(), vec![of_units(&["ward-3"], 600)]).await;
    assert_eq!(admin.get(&path).body["unit"], "city");
    assert_eq!(east.get(&path).status, 404);
    // Nothing stands above an office of the tree and one that is in no tree: it is the whole city's.
    send(&site.alerting.intake(), vec![of_units(&["elsewhere"], 900)]).await;
    assert_eq!(admin.get(&path).body["unit"], "");

    // By hand it is the same.
    let one = |host: &str, unit: &str, number| {
        let mut found = found(&rule("guess", "high"), host, at(0), number);
        found.unit = unit.into();
        found
    };
    send(
        &site.alerting.intake(),
        vec![one("web-01", "ward-1", 1), one("web-02", "ward-2", 2)],
    )
    .await;
    let id_of = |host: &str| {
        let list = admin.get(&format!("/api/v1/incidents?host={host}")).body;
        list["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (id_of("web-01"), id_of("web-02"));
    let merge = format!("/api/v1/incidents/{first}/merge");
    let body = json!({ "from": [second] });
    let merged = east.send("POST", &merge, Some(body), &[("if-match", "1")]);
    assert_eq!(
        (merged.status, &merged.body["unit"]),
        (200, &json!("east")),
        "{merged:?}"
    );
    assert_eq!(ward.get(&format!("/api/v1/incidents/{first}")).status, 404);
    site.stop().await;
}
