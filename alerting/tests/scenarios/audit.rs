//! The audit log tells what was done, and shows when it was touched.

use citywatch_alerting::{AuditHead, SecretUrl, verify_audit};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::support::receivers::HookServer;
use super::support::{Place, Site, at, found, rule, send};

pub async fn what_people_do_is_told_without_secrets(place: Place) {
    let site = Site::start(&place).await;
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "high"), "web-01", at(0), 1)],
    )
    .await;
    site.client().sign_in("admin", "Not-My-Password");
    let admin = site.admin();
    let id = admin.get("/api/v1/incidents").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/incidents/{id}");
    admin.get(&path);
    admin.send(
        "PATCH",
        &path,
        Some(json!({ "state": "resolved" })),
        &[("if-match", "1")],
    );
    admin.send(
        "PATCH",
        &path,
        Some(json!({ "state": "new" })),
        &[("if-match", "1")],
    );
    admin.get("/api/v1/events?q=root&from=2026-01-01T00:00:00Z");
    let body = json!({ "current_password": "My-Old-Password", "new_password": "My-New-Password" });
    admin.send("PUT", "/api/v1/session/password", Some(body), &[]);
    let log = admin.get("/api/v1/audit");
    let told: Vec<String> = log.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().replace(&id, "ID");
            format!(
                "{} {}: {} {}",
                text("who"),
                text("action"),
                text("subject"),
                text("detail")
            )
        })
        .collect();
    let detail = "/api/v1/incidents/{id}: /api/v1/incidents/ID";
    let password = r#"{"current_password":"***","new_password":"***"}"#;
    assert_eq!(
        told,
        [
            "admin POST /api/v1/session: /api/v1/session failed".to_owned(),
            "admin POST /api/v1/session: /api/v1/session succeeded".to_owned(),
            format!("admin GET {detail} "),
            format!("admin PATCH {detail} {{\"state\":\"resolved\"}}"),
            format!("admin PATCH {detail} {{\"state\":\"new\"}}"),
            format!("admin PATCH {detail} entry 5 failed: 412 Precondition Failed"),
            "admin GET /api/v1/events: /api/v1/events?q=root&from=2026-01-01T00:00:00Z ".to_owned(),
            "admin GET /api/v1/events: /api/v1/events?q=root&from=2026-01-01T00:00:00Z entry 7 failed: 503 \
             Service Unavailable"
                .to_owned(),
            format!("admin PUT /api/v1/session/password: /api/v1/session/password {password}"),
            "admin PUT /api/v1/session/password: /api/v1/session/password entry 9 failed: 400 Bad Request"
                .to_owned(),
            "admin GET /api/v1/audit: /api/v1/audit ".to_owned(),
        ]
    );
    assert!(!log.text.contains("Password\""), "{}", log.text);
    site.stop().await;
}

pub async fn a_touched_log_is_found_out(place: Place) {
    let site = Site::start(&place).await;
    let mut client = site.client();
    for number in 0..6 {
        client.sign_in(&format!("user{number}"), "wrong");
    }
    let head = site.alerting.audit_head().await.unwrap().unwrap();
    assert_eq!(head.sequence, 6);
    site.stop().await;
    let config = place.config();
    let verify = async |heads: &[AuditHead]| verify_audit(&config, &[], heads).await.unwrap();
    let report = verify(std::slice::from_ref(&head)).await;
    assert_eq!(
        (report.entries, report.problems.len()),
        (6, 0),
        "{report:?}"
    );

    let pool = place.pool().await;
    let columns =
        "sequence, at, who, role, address, action, subject, detail, hash, public_key, signature";
    for (touch, expected) in [
        (
            "UPDATE audit SET who = 'somebody' WHERE sequence = 3",
            vec![(3, "was changed")],
        ),
        (
            "UPDATE audit SET at = at + 1 WHERE sequence = 6",
            vec![(6, "was changed")],
        ),
        (
            "UPDATE audit SET signature = '00' WHERE sequence = 2",
            vec![(2, "has a signature")],
        ),
        (
            "DELETE FROM audit WHERE sequence = 4",
            vec![(5, "follows entry 3")],
        ),
        (
            "DELETE FROM audit WHERE sequence > 4",
            vec![(6, "is missing, and its head was exported")],
        ),
        (
            "UPDATE audit SET sequence = CASE sequence WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE sequence END; \
             UPDATE audit SET sequence = -sequence WHERE sequence < 0",
            vec![(2, "was changed"), (3, "was changed"), (4, "was changed")],
        ),
    ] {
        let keep = format!("CREATE TABLE kept AS SELECT {columns} FROM audit");
        sqlx::query(AssertSqlSafe(keep))
            .execute(&pool)
            .await
            .unwrap();
        for statement in touch.split(';') {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .unwrap();
        }
        let report = verify(std::slice::from_ref(&head)).await;
        let problems: Vec<(i64, &str)> = report
            .problems
            .iter()
            .map(|problem| (problem.sequence, problem.what.as_str()))
            .collect();
        assert_eq!(problems.len(), expected.len(), "{touch}: {problems:?}");
        for ((sequence, what), (expected_sequence, beginning)) in problems.iter().zip(&expected) {
            assert!(
                sequence == expected_sequence && what.starts_with(beginning),
                "{touch}: {problems:?}"
            );
        }
        let restore = format!("INSERT INTO audit ({columns}) SELECT {columns} FROM kept");
        for statement in ["DELETE FROM audit", &restore, "DROP TABLE kept"] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .unwrap();
        }
    }
    // A log that is rewritten by another key, hashes and all, is found out as well.
    std::fs::remove_file(place.data_dir.join("audit-key.pk8")).unwrap();
    let report = verify(&[]).await;
    assert_eq!(report.problems.len(), 6);
    let trusted = [head.public_key.clone()];
    assert!(
        verify_audit(&config, &trusted, &[head])
            .await
            .unwrap()
            .problems
            .is_empty()
    );
}

/// Each head goes to a file, to a webhook and to a syslog server; with what any of them kept, a cut tail is found.
pub async fn heads_are_told_to_other_machines(place: Place) {
    let hook = HookServer::start();
    let syslog = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog
        .set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .unwrap();
    let file = place.data_dir.with_extension("heads");
    let mut config = place.config();
    config.audit.head_file = Some(file.clone());
    config.audit.head_webhook = Some(SecretUrl::from(hook.url.as_str()));
    config.audit.head_syslog = Some(format!("udp://{}", syslog.local_addr().unwrap()));
    assert!(
        !format!("{config:?}").contains("room=soc"),
        "the URL may hold a key"
    );
    let site = Site::start_with(config.clone()).await;
    let mut client = site.client();
    for number in 0..3 {
        client.sign_in(&format!("user{number}"), "wrong");
    }
    let expected = site.alerting.audit_head().await.unwrap().unwrap();
    // Told at the end, and every hour before.
    site.stop().await;
    let kept = std::fs::read_to_string(&file).unwrap();
    let from_file: AuditHead = serde_json::from_str(kept.lines().last().unwrap()).unwrap();
    let posted = hook.posted();
    let from_hook: AuditHead = serde_json::from_str(&posted[0].body).unwrap();
    let mut buffer = [0; 4096];
    let length = syslog.recv(&mut buffer).unwrap();
    let message = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(message.starts_with("<110>1 "), "{message}");
    let (_, json) = message.split_once(" audit-head - ").unwrap();
    let from_syslog: AuditHead = serde_json::from_str(json).unwrap();
    assert_eq!(
        [&from_file, &from_hook, &from_syslog],
        [&expected, &expected, &expected]
    );
    let pool = place.pool().await;
    sqlx::query("DELETE FROM audit WHERE sequence = 3")
        .execute(&pool)
        .await
        .unwrap();
    let report = verify_audit(&config, &[], &[]).await.unwrap();
    assert!(report.problems.is_empty(), "nothing here tells: {report:?}");
    let report = verify_audit(&config, &[], &[from_syslog]).await.unwrap();
    assert_eq!(report.problems[0].sequence, 3, "{report:?}");
}
