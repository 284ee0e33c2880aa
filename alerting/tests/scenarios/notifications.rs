//! Notifications reach real receivers: signed, grouped, tried again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine;
use citywatch_alerting::{AlertingConfig, SmtpConfig, SmtpEncryption};
use ring::hmac;
use serde_json::{Value, json};

use super::support::ports::free_port;
use super::support::receivers::{HookServer, MailServer, MailSettings, Secured};
use super::support::{Client, Place, Reply, Site, at, found, rule, send};

/// Waits until `done`: messages are sent by a task of their own.
pub(super) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn make(client: &Client, wanted: Value) -> Reply {
    let mut body = json!({ "name": "trực ban", "kind": "webhook", "target": "https://chat.test/" });
    let Value::Object(wanted) = wanted else {
        panic!("{wanted} is no object");
    };
    body.as_object_mut().unwrap().extend(wanted);
    client.send("POST", "/api/v1/notifications/routes", Some(body), &[])
}

fn messages(client: &Client) -> Vec<Value> {
    let list = client.get("/api/v1/notifications/messages").body;
    list["items"].as_array().unwrap().clone()
}

pub async fn a_webhook_is_signed_grouped_and_tried_again(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let hook = HookServer::start();
    hook.answer.store(500, Ordering::SeqCst);
    let made = make(&admin, json!({ "target": hook.url, "group_minutes": 5 }));
    assert_eq!(made.status, 201, "{made:?}");
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    let list = admin.get("/api/v1/notifications/routes");
    assert!(!list.text.contains(&secret), "a secret is told once");
    let other = make(
        &admin,
        json!({ "name": "elsewhere", "target": hook.url, "unit": "unit-2" }),
    );
    assert_eq!(other.status, 201, "{other:?}");

    // Two that are told, one that is not bad enough; all of a unit that the second route is not about.
    let guess = rule("guess", "high");
    send(
        &site.alerting.intake(),
        vec![
            found(&guess, "web-01", at(0), 1),
            found(&rule("noise", "low"), "web-02", at(0), 2),
        ],
    )
    .await;
    site.clock.advance(60);
    send(
        &site.alerting.intake(),
        vec![
            found(&guess, "web-03", at(60), 3),
            found(&guess, "web-01", at(60), 4),
        ],
    )
    .await;
    let waiting = messages(&admin);
    assert_eq!(
        waiting.len(),
        1,
        "what happens close together is one message"
    );
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["item_count"]),
        (&json!("waiting"), &json!(2))
    );
    assert!(hook.posted().is_empty(), "it is gathered first");

    site.clock.advance(4 * 60);
    until("the first try", || hook.posted().len() == 1).await;
    until("the failure is noted", || {
        messages(&admin)[0]["attempts"] == 1
    })
    .await;
    let failed = &messages(&admin)[0];
    assert_eq!(failed["state"], "waiting");
    let error = failed["last_error"].as_str().unwrap();
    assert!(
        error.contains("answered 500") && error.contains("said"),
        "{error}"
    );
    assert!(
        !error.contains("room=soc"),
        "the path may be a secret: {error}"
    );

    hook.answer.store(204, Ordering::SeqCst);
    site.clock.advance(11);
    until("the second try", || hook.posted().len() == 2).await;
    until("it is settled", || messages(&admin)[0]["state"] == "sent").await;
    let posted = hook.posted();
    let id = messages(&admin)[0]["id"].as_str().unwrap().to_owned();
    for each in &posted {
        assert_eq!(
            each.header("x-citywatch-delivery"),
            id,
            "who gets it twice can tell"
        );
        let (time, tag) = each
            .header("x-citywatch-signature")
            .split_once(",v1=")
            .unwrap();
        let signed = format!("{}.{}", time.strip_prefix("t=").unwrap(), each.body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag: Vec<u8> = (0..tag.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(&tag[place..place + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, signed.as_bytes(), &tag).expect("the signature fits");
    }
    let body: Value = serde_json::from_str(&posted[1].body).unwrap();
    let hosts: Vec<&str> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["host"].as_str().unwrap())
        .collect();
    assert_eq!(hosts, ["web-01", "web-03"]);
    assert_eq!(
        (
            &body["count"],
            &body["items"][0]["subject"],
            &body["items"][0]["severity"]
        ),
        (&json!(2), &json!("opened"), &json!("high"))
    );
    site.stop().await;
}

fn with_mail(place: &Place, server: &MailServer) -> AlertingConfig {
    let mut config = place.config();
    config.notifications.console_url = "https://soc.test/".to_owned();
    config.notifications.smtp = Some(SmtpConfig {
        host: "127.0.0.1".to_owned(),
        port: Some(server.port),
        encryption: SmtpEncryption::None,
        ca_file: None,
        from: "Citywatch <soc@city.test>".to_owned(),
        user: None,
        password_file: None,
    });
    config
}

/// The text of a mail, whatever it was encoded as for the way.
fn text_of(data: &str) -> String {
    let (headers, body) = data.split_once("\n\n").unwrap();
    let headers = headers.to_lowercase();
    if headers.contains("content-transfer-encoding: base64") {
        let body = body.replace(['\n', '\r'], "");
        let bytes = base64::engine::general_purpose::STANDARD.decode(body);
        return String::from_utf8(bytes.unwrap()).unwrap();
    }
    if !headers.contains("quoted-printable") {
        return body.to_owned();
    }
    let body = body.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Whoever is told only of what is bad is told when an incident becomes so; whoever knows of it is not told twice.
pub async fn an_incident_that_becomes_worse_is_told_of(place: Place) {
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    let site = Site::start_with(config).await;
    let admin = site.admin();
    let hook = HookServer::start();
    let route = |name: &str, severity_min: &str| -> String {
        let wanted = json!({ "name": name, "target": hook.url, "severity_min": severity_min });
        let made = make(&admin, wanted);
        assert_eq!(made.status, 201, "{made:?}");
        made.body["id"].as_str().unwrap().to_owned()
    };
    let (all, worst) = (route("all", "medium"), route("worst", "high"));
    let told = |route: &str| -> i64 {
        let messages = messages(&admin);
        let own = messages.iter().filter(|each| each["route_id"] == route);
        own.map(|each| each["item_count"].as_i64().unwrap()).sum()
    };
    let intake = site.alerting.intake();
    send(
        &intake,
        vec![found(&rule("odd", "medium"), "web-01", at(0), 1)],
    )
    .await;
    assert_eq!([told(&all), told(&worst)], [1, 0]);
    let bad = rule("bad", "high");
    send(&intake, vec![found(&bad, "web-01", at(1), 2)]).await;
    assert_eq!(admin.get("/api/v1/incidents").body["total"], 1);
    assert_eq!([told(&all), told(&worst)], [1, 1]);
    send(&intake, vec![found(&bad, "web-01", at(2), 3)]).await;
    assert_eq!([told(&all), told(&worst)], [1, 1]);
    // What waited to be told as odd is told as what it is by now.
    assert!(hook.posted().is_empty());
    site.clock.advance(3_600);
    until("both are told", || hook.posted().len() == 2).await;
    for posted in hook.posted() {
        let body: Value = serde_json::from_str(&posted.body).unwrap();
        let item = &body["items"][0];
        assert_eq!(
            [&item["severity"], &item["title"], &item["rule"]],
            ["high", "Rule bad: web-01", "Rule bad"]
        );
    }
    site.stop().await;
}

pub async fn an_email_tells_of_new_and_of_overdue_incidents(place: Place) {
    let server = MailServer::start();
    server.answer.store(451, Ordering::SeqCst);
    let site = Site::start_with(with_mail(&place, &server)).await;
    let admin = site.admin();
    let wanted = json!({
        "kind": "email", "target": "a@city.test, Trực ban <b@city.test>", "group_minutes": 0,
        "severity_min": "critical",
    });
    let made = make(&admin, wanted);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body.get("secret"), None);
    let mut worm = found(
        &rule("worm", "critical"),
        "web-01\r\nBcc: evil@test",
        at(0),
        1,
    );
    worm.unit = "hcmc/ben-thanh".into();
    send(&site.alerting.intake(), vec![worm]).await;
    until("the server's refusal is noted", || {
        messages(&admin)[0]["last_error"]
            .as_str()
            .unwrap()
            .contains("said the mail server")
    })
    .await;
    server.answer.store(250, Ordering::SeqCst);
    site.clock.advance(11);
    until("the mail arrives", || server.mails().len() == 1).await;
    let mail = &server.mails()[0];
    assert!(mail.from.contains("<soc@city.test>"), "{mail:?}");
    assert_eq!(mail.to.len(), 2, "{mail:?}");
    assert!(
        mail.data.contains("Subject: [Citywatch] =?utf-8?b?"),
        "{}",
        mail.data
    );
    assert!(
        !mail.data.to_lowercase().contains("\nbcc:"),
        "{}",
        mail.data
    );
    let text = text_of(&mail.data);
    assert!(
        text.contains("Sự cố mới #1, mức nghiêm trọng: Rule worm"),
        "{text}"
    );
    assert!(text.contains("Đơn vị: hcmc/ben-thanh"), "{text}");
    assert!(text.contains("https://soc.test/incidents/"), "{text}");
    assert!(text.contains("(UTC+7)"), "{text}");

    site.clock.advance(16 * 60);
    until("the overdue clock is told", || server.mails().len() == 2).await;
    let text = text_of(&server.mails()[1].data);
    assert!(text.contains("Quá hạn tiếp nhận: sự cố #1"), "{text}");
    site.stop().await;
}

pub async fn what_cannot_be_delivered_is_given_up_and_sent_when_asked(place: Place) {
    let mut config = place.config();
    config.notifications.retry_hours = 1;
    let site = Site::start_with(config).await;
    let admin = site.admin();
    let hook = HookServer::start();
    hook.answer.store(503, Ordering::SeqCst);
    let template = r#"{"text":"{{count}}: {{#items}}{{title}}{{/items}}"}"#;
    let made = make(&admin, json!({ "target": hook.url, "template": template }));
    let id = made.body["id"].as_str().unwrap().to_owned();
    let route = format!("/api/v1/notifications/routes/{id}");
    let test = admin.send("POST", &format!("{route}/test"), None, &[]);
    assert_eq!(test.status, 202, "{test:?}");
    until("the first try", || messages(&admin)[0]["attempts"] == 1).await;
    let message = messages(&admin)[0]["id"].as_str().unwrap().to_owned();
    let retry = format!("/api/v1/notifications/messages/{message}/retry");
    assert_eq!(
        admin.send("POST", &retry, None, &[]).status,
        409,
        "it waits"
    );
    site.clock.advance(3601);
    let admin = site.admin();
    until("it is given up", || {
        messages(&admin)[0]["state"] == "failed"
    })
    .await;
    hook.answer.store(200, Ordering::SeqCst);
    assert_eq!(admin.send("POST", &retry, None, &[]).status, 202);
    until("it is sent when asked", || {
        messages(&admin)[0]["state"] == "sent"
    })
    .await;
    let body: Value = serde_json::from_str(&hook.posted().last().unwrap().body).unwrap();
    assert!(
        body["text"]
            .as_str()
            .unwrap()
            .starts_with("1: Thử kênh thông báo"),
        "{body}"
    );

    // A route is changed by its version, and its kind stays.
    let wanted = json!({ "name": "two", "kind": "webhook", "target": hook.url, "enabled": false });
    let put = |wanted: &Value, version: &str| {
        admin.send(
            "PUT",
            &route,
            Some(wanted.clone()),
            &[("if-match", version)],
        )
    };
    assert_eq!(put(&wanted, "7").status, 412);
    assert_eq!(put(&wanted, "1").body["version"], 2);
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "high"), "web-01", at(0), 1)],
    )
    .await;
    assert_eq!(
        messages(&admin).len(),
        1,
        "a route that is off is told nothing"
    );
    let before = made.body["secret"].as_str().unwrap();
    let renewed = admin
        .send("POST", &format!("{route}/secret"), None, &[])
        .body;
    assert_ne!(renewed["secret"].as_str().unwrap(), before);
    admin.send("POST", &format!("{route}/test"), None, &[]);
    assert_eq!(admin.send("DELETE", &route, None, &[]).status, 204);
    until("what waited is settled", || {
        messages(&admin)
            .iter()
            .all(|message| message["state"] != "waiting")
    })
    .await;
    site.stop().await;
}

pub async fn a_route_is_checked_before_it_is_made(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    for (wanted, field) in [
        (json!({ "name": " " }), "name"),
        (json!({ "kind": "pigeon" }), "kind"),
        (json!({ "kind": "email", "target": "a@b.test" }), "kind"),
        (json!({ "target": "chat.test/hook" }), "target"),
        (json!({ "target": "ftp://chat.test/" }), "target"),
        (json!({ "target": "https://user:pw@chat.test/" }), "target"),
        (json!({ "severity_min": "awful" }), "severity_min"),
        (json!({ "subjects": [] }), "subjects"),
        (json!({ "subjects": ["closed"] }), "subjects"),
        (json!({ "group_minutes": 2_000 }), "group_minutes"),
        (json!({ "template": "{{counts}}" }), "template"),
        (json!({ "template": "no JSON {{count}}" }), "template"),
    ] {
        let reply = make(&admin, wanted.clone());
        assert_eq!(
            (reply.status, &reply.body["errors"][0]["field"]),
            (400, &json!(field)),
            "{wanted}: {reply:?}"
        );
    }
    let server = MailServer::start();
    site.stop().await;
    let site = Site::start_with(with_mail(&place, &server)).await;
    let mut admin = site.client();
    // The administrator was made before.
    let first = site.alerting.reset_user("admin").await.unwrap();
    admin.sign_in("admin", &first.password);
    let wrong = make(
        &admin,
        json!({ "kind": "email", "target": "a@b.test, nobody" }),
    );
    assert_eq!(wrong.body["errors"][0]["field"], "target", "{wrong:?}");
    site.stop().await;
}

/// By STARTTLS and by TLS from the first byte: only to a server whose certificate is vouched for, and signed in.
pub async fn an_email_travels_encrypted_and_signed_in(place: Place) {
    let secured = Secured::new();
    let (ca_file, password_file) = (
        place.data_dir.with_extension("pem"),
        place.data_dir.with_extension("password"),
    );
    std::fs::write(&ca_file, &secured.pem).unwrap();
    let mut password = String::new();
    for encryption in [SmtpEncryption::Starttls, SmtpEncryption::Tls] {
        let server = MailServer::start_with(MailSettings {
            tls: Some(secured.settings.clone()),
            at_once: encryption == SmtpEncryption::Tls,
            account: Some(("soc".to_owned(), "s3cret wörd".to_owned())),
        });
        let mut told = Vec::new();
        for (trusted, right) in [(false, true), (true, false), (true, true)] {
            std::fs::write(
                &password_file,
                if right { "s3cret wörd\n" } else { "wrong" },
            )
            .unwrap();
            let mut config = with_mail(&place, &server);
            let smtp = config.notifications.smtp.as_mut().unwrap();
            smtp.encryption = encryption;
            smtp.ca_file = trusted.then(|| ca_file.clone());
            smtp.user = Some("soc".to_owned());
            smtp.password_file = Some(password_file.clone());
            let site = Site::start_with(config).await;
            if !site.password.is_empty() {
                password.clone_from(&site.password);
            }
            let mut admin = site.client();
            admin.sign_in("admin", &password);
            let name = format!("{encryption:?} {trusted} {right}");
            let wanted = json!({ "name": name, "kind": "email", "target": "a@city.test" });
            let made = make(&admin, wanted);
            let id = made.body["id"].as_str().unwrap().to_owned();
            let test = format!("/api/v1/notifications/routes/{id}/test");
            assert_eq!(admin.send("POST", &test, None, &[]).status, 202);
            let message = || {
                let all = messages(&admin);
                all.into_iter()
                    .find(|each| each["route_id"] == *id)
                    .unwrap()
            };
            until(&name, || {
                message()["state"] == "sent" || message()["attempts"] != 0
            })
            .await;
            told.push(message()["last_error"].as_str().unwrap().to_owned());
            // What failed is not tried again by the next one.
            let path = format!("/api/v1/notifications/routes/{id}");
            assert_eq!(admin.send("DELETE", &path, None, &[]).status, 204);
            site.stop().await;
        }
        assert!(told[0].contains("certificate"), "{encryption:?}: {told:?}");
        assert!(told[1].contains("535"), "{encryption:?}: {told:?}");
        assert_eq!(told[2], "", "{encryption:?}");
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{encryption:?}: {mails:?}");
        assert!(mails[0].encrypted);
        assert_eq!(mails[0].user.as_deref(), Some("soc"));
    }
}

pub async fn a_receiver_that_is_away_is_told_of_until_something_gets_through(place: Place) {
    // A port where nobody listens, and where a receiver comes up later.
    let port = free_port();
    let mut config = place.config();
    config.notifications.retry_hours = 7 * 24;
    config.notifications.smtp = Some(SmtpConfig {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        encryption: SmtpEncryption::None,
        ca_file: None,
        from: "soc@city.test".to_owned(),
        user: None,
        password_file: None,
    });
    let site = Site::start_with(config).await;
    let admin = site.admin();
    let troubles = || admin.get("/api/v1/notifications/routes").body["troubles"].clone();
    let made = make(
        &admin,
        json!({ "kind": "email", "target": "soc@city.test", "group_minutes": 0 }),
    );
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(troubles(), json!([]));
    let path = format!(
        "/api/v1/notifications/routes/{}/test",
        made.body["id"].as_str().unwrap()
    );
    let since = jiff::Timestamp::from_microsecond(site.clock.now().as_micros()).unwrap();
    assert_eq!(admin.send("POST", &path, None, &[]).status, 202);
    until("the failure is noted", || troubles() != json!([])).await;
    let trouble = &troubles()[0];
    assert_eq!(trouble["route_id"], made.body["id"]);
    assert_eq!(trouble["fault"], "unreachable", "{trouble}");
    assert_eq!(
        trouble["since"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap(),
        since
    );
    assert_eq!(
        (&trouble["waiting_messages"], &trouble["waiting_items"]),
        (&json!(1), &json!(1))
    );
    assert!(
        trouble["error"].as_str().unwrap().contains("127.0.0.1"),
        "{trouble}"
    );
    assert!(trouble["next_attempt_at"].is_string(), "{trouble}");
    assert_eq!(messages(&admin)[0]["last_fault"], "unreachable");

    // More waits meanwhile; the time is that of the first failure.
    assert_eq!(admin.send("POST", &path, None, &[]).status, 202);
    site.clock.advance(11);
    until("both wait", || {
        let tried = |message: &Value| message["attempts"].as_i64() >= Some(1);
        troubles()[0]["waiting_messages"] == 2 && messages(&admin).iter().all(tried)
    })
    .await;
    let still: jiff::Timestamp = troubles()[0]["since"].as_str().unwrap().parse().unwrap();
    assert_eq!(still, since);

    // Who answers and does not take it is another trouble.
    let server = MailServer::start_at(port, MailSettings::default());
    server.answer.store(451, Ordering::SeqCst);
    // A try that is under way ends after the clock was moved: it is moved on with each look.
    until("the refusal is noted", || {
        site.clock.advance(60);
        troubles()[0]["fault"] == "refused"
    })
    .await;
    server.answer.store(250, Ordering::SeqCst);
    until("it is over", || {
        site.clock.advance(60);
        let sent = messages(&admin)
            .iter()
            .all(|message| message["state"] == "sent");
        sent && troubles() == json!([])
    })
    .await;
    assert_eq!(server.mails().len(), 2, "nothing is lost");
    site.stop().await;
}
