//! A demonstration says what it is wherever something of it goes, and is never made of what is real.

use citywatch_alerting::DemonstrationError;
use serde_json::{Value, json};

use super::notifications::until;
use super::support::receivers::HookServer;
use super::support::{Place, Site, at, found, rule, send};

pub async fn a_demonstration_is_marked_and_never_beside_what_is_real(place: Place) {
    let site = Site::start(&place).await;
    let hook = HookServer::start();
    let admin = site.admin();
    assert_eq!(admin.get("/api/v1/session").body["demonstration"], false);
    assert_eq!(
        admin
            .get("/api/v1/session")
            .header("citywatch-demonstration"),
        ""
    );
    site.alerting.begin_demonstration().await.unwrap();
    site.alerting.begin_demonstration().await.unwrap();
    assert_eq!(admin.get("/api/v1/session").body["demonstration"], true);

    let route = json!({
        "name": "soc", "kind": "webhook", "target": hook.url, "unit": "", "severity_min": "low",
        "subjects": ["opened"], "group_minutes": 0, "template": "", "enabled": true,
    });
    let made = admin.send("POST", "/api/v1/notifications/routes", Some(route), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    let guess = rule("guess", "high");
    send(
        &site.alerting.intake(),
        vec![found(&guess, "web-01", at(0), 1)],
    )
    .await;

    let list = admin.get("/api/v1/incidents");
    assert_eq!(list.body["items"][0]["demonstration"], true);
    assert_eq!(list.header("citywatch-demonstration"), "true");
    // What is refused says so, too: a program that may not read learns what it must not take for real.
    let refused = site.client().get("/api/v1/incidents");
    assert_eq!(
        (refused.status, refused.header("citywatch-demonstration")),
        (401, "true")
    );

    site.clock.advance(60);
    until("the message", || !hook.posted().is_empty()).await;
    let told: Value = serde_json::from_str(&hook.posted()[0].body).unwrap();
    let item = &told["items"][0];
    assert_eq!(item["demonstration"], true);
    assert!(
        item["title"]
            .as_str()
            .unwrap()
            .starts_with("[Demonstration] "),
        "{item}"
    );
    site.stop().await;

    // Whoever opens it later finds the mark.
    let site = Site::start(&place).await;
    assert_eq!(
        site.client().get("/").header("citywatch-demonstration"),
        "true"
    );
    site.stop().await;
}

pub async fn what_is_real_does_not_become_a_demonstration(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    send(
        &site.alerting.intake(),
        vec![found(&guess, "web-01", at(0), 1)],
    )
    .await;
    let refused = site.alerting.begin_demonstration().await.unwrap_err();
    assert!(
        matches!(refused, DemonstrationError::Real { incidents: 1 }),
        "{refused}"
    );
    let list = site.admin().get("/api/v1/incidents");
    assert_eq!(list.body["items"][0]["demonstration"], false);
    site.stop().await;
}
