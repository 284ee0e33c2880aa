//! Matches in, alerts and incidents out.

use std::time::Duration;

use citywatch_alerting::{Alerting, Clock, Severity};
use citywatch_engine::Match;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use super::support::{NOON, Place, Site, at, correlation, delivery, found, rule, send};

/// Rules, hosts and counts of all incidents, without what depends on the order of arrival.
async fn summary(place: &Place) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT title, severity, alert_count, event_count, evidence_count, first_event_at, last_event_at, \
         (SELECT COUNT(*) FROM incident_entities WHERE incident_id = incidents.id) AS entities \
         FROM incidents WHERE merged_into IS NULL \
         ORDER BY title, first_event_at",
    )
    .fetch_all(&place.pool().await)
    .await
    .unwrap();
    let number = |row: &sqlx::any::AnyRow, name: &str| row.get::<i64, _>(name);
    rows.iter()
        .map(|row| {
            format!(
                "{} severity={} alerts={} events={} copied={} entities={} from={} to={}",
                row.get::<String, _>("title"),
                number(row, "severity"),
                number(row, "alert_count"),
                number(row, "event_count"),
                number(row, "evidence_count"),
                number(row, "entities"),
                (number(row, "first_event_at") - NOON.0) / 1_000_000,
                (number(row, "last_event_at") - NOON.0) / 1_000_000,
            )
        })
        .collect()
}

async fn count(place: &Place, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&place.pool().await)
        .await
        .unwrap()
}

fn attack() -> Vec<Match> {
    let (guess, shell) = (rule("guess", "medium"), rule("shell", "high"));
    let mut matches: Vec<Match> = (0..30)
        .map(|number| found(&guess, "web-01", at(number * 60), number.unsigned_abs()))
        .collect();
    matches.push(found(&guess, "web-02", at(100), 1));
    matches.push(found(&shell, "web-01", at(120), 2));
    matches.push(found(&guess, "web-01", at(30 * 3600), 900));
    matches.push(correlation(
        &rule("brute", "critical"),
        "203.0.113.7",
        NOON,
        12,
    ));
    matches
}

fn attack_summary() -> [&'static str; 5] {
    [
        "Rule brute: 203.0.113.7 severity=4 alerts=1 events=12 copied=12 entities=3 from=0 to=11",
        "Rule guess: web-01 severity=2 alerts=3 events=30 copied=30 entities=3 from=0 to=1740",
        "Rule guess: web-01 severity=2 alerts=1 events=1 copied=1 entities=3 from=108000 to=108000",
        "Rule guess: web-02 severity=2 alerts=1 events=1 copied=1 entities=3 from=100 to=100",
        "Rule shell: web-01 severity=3 alerts=1 events=1 copied=1 entities=3 from=120 to=120",
    ]
}

pub async fn matches_become_alerts_and_incidents(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    send(&alerting.intake(), attack()).await;
    assert_eq!(summary(&place).await, attack_summary());
    let status = alerting.status().await.unwrap();
    assert_eq!(
        (status.incidents["new"], status.alerts, status.matches),
        (5, 7, 34)
    );
    alerting.close().await;
}

pub async fn a_replay_changes_nothing(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    send(&alerting.intake(), attack()).await;
    send(&alerting.intake(), attack()).await;
    alerting.close().await;
    // After a restart as well.
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    send(&alerting.intake(), attack()[7..].to_vec()).await;
    assert_eq!(alerting.tally().matches_known, 27);
    assert_eq!(summary(&place).await, attack_summary());
    alerting.close().await;
}

pub async fn any_order_gives_the_same_incidents(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    let mut matches = attack();
    // A fixed shuffle, delivered in pieces of several sizes, some of them twice.
    let mut seed = 42_u64;
    for place in (1..matches.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        matches.swap(place, usize::try_from(seed >> 33).unwrap() % (place + 1));
    }
    for (number, piece) in matches.chunks(3).enumerate() {
        send(&alerting.intake(), piece.to_vec()).await;
        if number % 2 == 0 {
            send(&alerting.intake(), piece.to_vec()).await;
        }
    }
    assert_eq!(summary(&place).await, attack_summary());
    alerting.close().await;
}

pub async fn a_growing_correlation_is_counted_once(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    let brute = rule("brute", "high");
    for events in [5, 9, 9, 7] {
        send(
            &alerting.intake(),
            vec![correlation(&brute, "203.0.113.7", NOON, events)],
        )
        .await;
    }
    let expected =
        "Rule brute: 203.0.113.7 severity=3 alerts=1 events=9 copied=9 entities=3 from=0 to=8";
    assert_eq!(summary(&place).await, [expected]);
    alerting.close().await;
}

pub async fn rules_below_the_level_are_silent(place: Place) {
    let mut config = place.config();
    config.alerts.level_min = Severity::Medium;
    config.alerts.rules_off = vec!["noisy".to_owned()];
    config.alerts.rules_on = vec!["wanted".to_owned()];
    let alerting = Alerting::open_at(config, None, Clock::manual(NOON))
        .await
        .unwrap();
    let matches = [
        ("quiet", "low"),
        ("noisy", "critical"),
        ("wanted", "informational"),
        ("plain", ""),
    ]
    .map(|(id, level)| found(&rule(id, level), "web-01", NOON, 1));
    send(&alerting.intake(), matches.to_vec()).await;
    assert_eq!(alerting.tally().matches_silent, 2);
    let titles: Vec<String> = summary(&place)
        .await
        .iter()
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(titles, ["Rule plain", "Rule wanted"]);
    alerting.close().await;
}

pub async fn evidence_is_bounded_and_the_count_exact(place: Place) {
    let mut config = place.config();
    config.incidents.evidence_events_max = 20;
    let alerting = Alerting::open_at(config, None, Clock::manual(NOON))
        .await
        .unwrap();
    let guess = rule("guess", "high");
    let matches: Vec<Match> = (0..500)
        .map(|number| found(&guess, "web-01", NOON, number))
        .collect();
    for piece in matches.chunks(130) {
        send(&alerting.intake(), piece.to_vec()).await;
    }
    let expected =
        "Rule guess: web-01 severity=3 alerts=1 events=500 copied=20 entities=3 from=0 to=0";
    assert_eq!(summary(&place).await, [expected]);
    assert_eq!(count(&place, "incident_event_rules").await, 20);
    alerting.close().await;
}

pub async fn an_event_of_several_alerts_is_one_event(place: Place) {
    let mut config = place.config();
    config.incidents.evidence_events_max = 20;
    let site = Site::start_with(config).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let (brute, spray) = (rule("brute", "high"), rule("spray", "medium"));
    let of = |rule, start, events| vec![correlation(rule, "203.0.113.7", start, events)];
    // By rule: the incident's events, whether that is exact, and the events of each alert.
    let counts = |rule: &str| {
        let list = client.get("/api/v1/incidents").body;
        let items = list["items"].as_array().unwrap();
        let item = items
            .iter()
            .find(|item| item["rule"]["id"] == rule)
            .unwrap();
        let path = format!("/api/v1/incidents/{}", item["id"].as_str().unwrap());
        let detail = client.get(&path).body;
        let alerts = detail["alerts"].as_array().unwrap().iter();
        let alerts: Vec<i64> = alerts
            .map(|alert| alert["event_count"].as_i64().unwrap())
            .collect();
        json!([item["event_count"], item["event_count_exact"], alerts])
    };
    // A burst that crosses the end of a window is two alerts, and what both hold is told of twice.
    send(&intake, of(&brute, NOON, 5)).await;
    send(&intake, of(&brute, at(300), 8)).await;
    assert_eq!(counts("brute"), json!([8, true, [5, 8]]));
    send(&intake, of(&brute, NOON, 7)).await;
    assert_eq!(counts("brute"), json!([8, true, [7, 8]]));
    // The same events by another rule, then as one incident.
    send(&intake, of(&spray, NOON, 10)).await;
    assert_eq!(counts("spray"), json!([10, true, [10]]));
    let list = client.get("/api/v1/incidents").body;
    let id = |number: i64| {
        let items = list["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["number"] == number).unwrap();
        item["id"].as_str().unwrap().to_owned()
    };
    let merged = client.send(
        "POST",
        &format!("/api/v1/incidents/{}/merge", id(1)),
        Some(json!({ "from": [id(2)] })),
        &[("if-match", "1")],
    );
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(merged.body["event_count"], 10);
    // Beyond what is kept nobody remembers which events there were.
    send(&intake, of(&brute, at(600), 30)).await;
    assert_eq!(
        counts("brute").as_array().unwrap()[..2],
        [json!(30), json!(false)]
    );
    site.stop().await;
}

/// The last table that a commit writes to is missing: all before it must be rolled back.
pub async fn a_failing_commit_leaves_nothing_and_is_tried_again(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    let pool = place.pool().await;
    sqlx::query("ALTER TABLE incident_entities RENAME TO hidden")
        .execute(&pool)
        .await
        .unwrap();
    let (delivery, mut answer) = delivery(attack());
    alerting.intake().send(delivery).await.unwrap();
    while alerting.tally().intake_retries < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        answer.try_recv().is_err(),
        "answered before it was committed"
    );
    let tally = alerting.tally();
    assert!(tally.intake_waiting);
    assert!(
        tally
            .last_error
            .unwrap()
            .message
            .contains("incident_entities")
    );
    for table in ["alert_matches", "alerts", "incidents", "rules"] {
        assert_eq!(count(&place, table).await, 0, "{table}");
    }
    sqlx::query("ALTER TABLE hidden RENAME TO incident_entities")
        .execute(&pool)
        .await
        .unwrap();
    answer.await.unwrap();
    assert!(!alerting.tally().intake_waiting);
    assert_eq!(summary(&place).await, attack_summary());
    alerting.close().await;
}

pub async fn what_the_database_refuses_holds_up_nothing_else(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    let (guess, shell) = (rule("guess", "high"), rule("shell", "high"));
    send(&alerting.intake(), vec![found(&guess, "odd", NOON, 1)]).await;
    // A second alert of that host cannot be stored any more.
    sqlx::query("CREATE UNIQUE INDEX one_odd ON alerts (host) WHERE host = 'odd'")
        .execute(&place.pool().await)
        .await
        .unwrap();
    let hosts = ["web-01", "web-02", "odd", "web-03", "web-04"];
    let (first, one) = delivery(
        hosts
            .map(|host| found(&shell, host, NOON, 2))
            .into_iter()
            .collect(),
    );
    let (second, other) = delivery(vec![found(&shell, "web-05", NOON, 2)]);
    for delivery in [first, second] {
        alerting.intake().send(delivery).await.unwrap();
    }
    one.await.unwrap();
    other.await.unwrap();
    let status = alerting.status().await.unwrap();
    assert_eq!(
        (status.alerts, status.matches, status.matches_refused),
        (6, 6, 1)
    );
    assert!(!status.intake_waiting);
    let told = status.last_error.unwrap().message;
    assert!(told.contains("\"shell\" on \"odd\""), "{told}");
    // Alone it is refused as well, and answered.
    let again = vec![found(&shell, "odd", NOON, 2)];
    send(&alerting.intake(), again).await;
    assert_eq!(alerting.tally().matches_refused, 2);
    alerting.close().await;
}

pub async fn hostile_text_is_stored(place: Place) {
    let site = Site::start(&place).await;
    let hostile = "\0'; DROP TABLE incidents; -- <script>alert(1)</script> \u{202e} $1 \u{1b}[31m";
    let mut guess = found(&rule(hostile, "high"), hostile, NOON, 1);
    guess.unit = hostile.into();
    let evidence = &mut guess.evidence[0];
    std::sync::Arc::get_mut(&mut evidence.event).unwrap().fields =
        [(hostile.to_owned(), json!(hostile))].into_iter().collect();
    std::sync::Arc::get_mut(&mut evidence.matched).unwrap()[0].value = hostile.into();
    send(&site.alerting.intake(), vec![guess]).await;
    let client = site.admin();
    let list = client.get("/api/v1/incidents").body;
    let stored = hostile.replace('\0', "\u{fffd}");
    assert_eq!(list["items"][0]["host"], stored);
    let id = list["items"][0]["id"].as_str().unwrap();
    let detail = client.get(&format!("/api/v1/incidents/{id}")).body;
    assert_eq!(
        detail["events"][0]["fields"][0]["value"],
        Value::from(hostile)
    );
    // Longer than an index of PostgreSQL takes, and nothing that could be made shorter.
    let mut number = 1_u64;
    let long: String = (0..20_000)
        .map(|_| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[(number >> 33) as usize % 36])
        })
        .collect();
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "high"), &long, NOON, 2)],
    )
    .await;
    let list = client.get("/api/v1/incidents").body;
    assert_eq!(list["items"][0]["host"], long);
    site.stop().await;
}

pub async fn an_alert_that_closes_a_gap_joins_two_incidents(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let intake = site.alerting.intake();
    let hours = |hours: i64| at(hours * 3600);
    send(&intake, vec![found(&guess, "web-01", hours(0), 1)]).await;
    send(&intake, vec![found(&guess, "web-01", hours(7), 2)]).await;
    assert_eq!(summary(&place).await.len(), 2);
    send(&intake, vec![found(&guess, "web-01", hours(4), 3)]).await;
    let expected =
        "Rule guess: web-01 severity=3 alerts=3 events=3 copied=3 entities=3 from=0 to=25200";
    assert_eq!(summary(&place).await, [expected]);
    let client = site.admin();
    let list = client.get("/api/v1/incidents").body;
    assert_eq!(
        (&list["total"], &list["items"][0]["number"]),
        (&json!(1), &json!(1))
    );
    let shell: String = sqlx::query_scalar("SELECT id FROM incidents WHERE number = 2")
        .fetch_one(&place.pool().await)
        .await
        .unwrap();
    let shell = client.get(&format!("/api/v1/incidents/{shell}")).body;
    assert_eq!(shell["merged_into"], list["items"][0]["id"]);
    site.stop().await;
}

pub async fn a_closed_incident_stays_closed(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let intake = site.alerting.intake();
    send(&intake, vec![found(&guess, "web-01", at(0), 1)]).await;
    let client = site.admin();
    let id = client.get("/api/v1/incidents").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/incidents/{id}");
    let reply = client.send(
        "PATCH",
        &path,
        Some(json!({"state": "closed", "verdict": "true_positive"})),
        &[("if-match", "1")],
    );
    assert_eq!(reply.status, 200, "{reply:?}");
    let closed_at = client.get(&path).body["closed_at"].clone();
    assert!(closed_at.is_string(), "{closed_at}");
    let counts = || -> Vec<(i64, String, i64)> {
        let list = client.get("/api/v1/incidents").body;
        let items = list["items"].as_array().unwrap().iter();
        let mut counts: Vec<_> = items
            .map(|item| {
                let number = |name: &str| item[name].as_i64().unwrap();
                let state = item["state"].as_str().unwrap().to_owned();
                (number("number"), state, number("event_count"))
            })
            .collect();
        counts.sort();
        counts
    };
    let is = |wanted: &[(i64, &str, i64)]| {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(number, state, events)| (*number, (*state).to_owned(), *events))
            .collect();
        assert_eq!(counts(), wanted);
    };
    // What happened before it was closed, and comes late, counts where it was judged.
    let late = || vec![found(&guess, "web-01", at(0), 2)];
    send(&intake, late()).await;
    is(&[(1, "closed", 2)]);
    // What happens after it does not, though the alert's window goes on; nor does a replay count anywhere.
    send(&intake, vec![found(&guess, "web-01", at(1), 3)]).await;
    send(&intake, vec![found(&guess, "web-01", at(2), 4)]).await;
    is(&[(1, "closed", 2), (2, "new", 2)]);
    send(&intake, late()).await;
    send(&intake, vec![found(&guess, "web-01", at(1), 3)]).await;
    is(&[(1, "closed", 2), (2, "new", 2)]);
    site.stop().await;
}

pub async fn a_window_that_grows_after_its_incident_was_closed_is_told_with_what_is_new(
    place: Place,
) {
    let site = Site::start(&place).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let brute = rule("brute", "high");
    let grown = |events| vec![correlation(&brute, "203.0.113.7", at(-4), events)];
    // The events of the first five seconds are judged at noon.
    send(&intake, grown(5)).await;
    let close = |number: i64| {
        let list = client.get("/api/v1/incidents").body;
        let items = list["items"].as_array().unwrap().iter();
        let item = items.clone().find(|item| item["number"] == number).unwrap();
        let path = format!("/api/v1/incidents/{}", item["id"].as_str().unwrap());
        let version = item["version"].to_string();
        let closed = Some(json!({"state": "closed", "verdict": "false_positive"}));
        let reply = client.send("PATCH", &path, closed, &[("if-match", &version)]);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let alerts = async || -> Vec<(i64, i64)> {
        let rows = sqlx::query(
            "SELECT alert.match_count, alert.event_count FROM alerts AS alert \
             JOIN incidents AS incident ON incident.id = alert.incident_id ORDER BY incident.number",
        )
        .fetch_all(&place.pool().await)
        .await
        .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    close(1);
    send(&intake, grown(8)).await;
    assert_eq!(alerts().await, [(1, 5), (1, 3)]);
    send(&intake, grown(9)).await;
    send(&intake, grown(9)).await;
    assert_eq!(alerts().await, [(1, 5), (1, 4)]);
    let told = "Rule brute: 203.0.113.7 severity=3 alerts=1";
    assert_eq!(
        summary(&place).await,
        [
            format!("{told} events=5 copied=5 entities=3 from=-4 to=0"),
            format!("{told} events=4 copied=4 entities=3 from=1 to=4"),
        ]
    );
    // And once more.
    site.clock.move_to(at(5));
    close(2);
    send(&intake, grown(12)).await;
    assert_eq!(alerts().await, [(1, 5), (1, 4), (1, 3)]);
    assert_eq!(
        summary(&place).await[2],
        format!("{told} events=3 copied=3 entities=3 from=5 to=7")
    );
    site.stop().await;
}

pub async fn what_waits_at_shutdown_is_taken_in(place: Place) {
    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    let intake = alerting.intake();
    let mut answers = Vec::new();
    for found in attack() {
        let (delivery, answer) = delivery(vec![found]);
        intake.send(delivery).await.unwrap();
        answers.push(answer);
    }
    alerting.close().await;
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(summary(&place).await, attack_summary());
}
