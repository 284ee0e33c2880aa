//! Following incidents as they change.

use citywatch_alerting::{Alerting, Clock};
use serde_json::json;

use super::support::{NOON, Place, Site, at, found, rule, send};

pub async fn changes_arrive_and_resume(place: Place) {
    let site = Site::start(&place).await;
    let guess = rule("guess", "high");
    let intake = site.alerting.intake();
    let client = site.admin();
    send(&intake, vec![found(&guess, "before", at(0), 1)]).await;
    let list = client.get("/api/v1/incidents").body;
    let mut live = client.follow("", None);
    let mut after_list = client.follow(&format!("?after={}", list["change"]), None);
    // Two incidents in one transaction share a place in the stream.
    send(
        &intake,
        vec![
            found(&guess, "web-01", at(0), 1),
            found(&guess, "web-02", at(0), 1),
        ],
    )
    .await;
    let events = [live.next(), live.next()];
    assert_eq!(events[0].event, "incident");
    assert_eq!(
        [&events[0].data["host"], &events[1].data["host"]],
        ["web-01", "web-02"]
    );
    assert_eq!(
        events[0].id, None,
        "a break between the two must deliver the second again"
    );
    let place_of_both = events[1].id.clone().unwrap();
    assert_eq!(after_list.next().data["host"], "web-01");
    drop(live);

    let incident = &events[0].data;
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    client.send(
        "PATCH",
        &path,
        Some(json!({ "state": "acknowledged" })),
        &[("if-match", "1")],
    );
    let mut resumed = client.follow("", Some(&place_of_both));
    let event = resumed.next();
    assert_eq!(
        (&event.data["host"], &event.data["state"]),
        (&json!("web-01"), &json!("acknowledged"))
    );
    let mut from_the_start = client.follow("", Some("0"));
    let hosts = [(); 3].map(|()| {
        from_the_start.next().data["host"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert_eq!(hosts, ["before", "web-02", "web-01"]);
    // An older state of the database was brought back: the page is told, and hears of what comes.
    for unknown in ["999999", "abc"] {
        let mut ahead = client.follow("", Some(unknown));
        let reset = ahead.next();
        assert_eq!(reset.event, "reset", "{unknown}");
        let host = format!("after {unknown}");
        send(&intake, vec![found(&guess, &host, at(0), 1)]).await;
        let change = ahead.next();
        assert_eq!(change.data["host"], host);
        assert!(reset.id.is_some() && change.id != reset.id);
    }
    site.stop().await;
}

pub async fn changes_of_another_process_arrive(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let mut live = client.follow("", None);
    let other = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    send(
        &other.intake(),
        vec![found(&rule("guess", "high"), "web-01", at(0), 1)],
    )
    .await;
    assert_eq!(live.next().data["host"], "web-01");
    other.close().await;
    // A stream does not hold up the end.
    site.stop().await;
}
