//! Getting in, and staying out.

use citywatch_alerting::{Access, ROUTES};
use serde_json::{Value, json};

use super::support::{Place, Site};

pub async fn the_right_password_opens_and_signing_out_closes(place: Place) {
    let site = Site::start(&place).await;
    let mut client = site.client();
    let reply = client.sign_in(" Admin ", &site.password);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.body["user"],
        json!({ "name": "admin", "role": "administrator", "unit": "" })
    );
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("citywatch="), "{cookie}");
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "plain HTTP on loopback: {cookie}"
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(client.get("/api/v1/session").body, reply.body);
    assert_eq!(
        client.send("DELETE", "/api/v1/session", None, &[]).status,
        204
    );
    assert_eq!(client.get("/api/v1/session").status, 401);
    site.stop().await;
}

pub async fn wrong_passwords_are_counted(place: Place) {
    let site = Site::start(&place).await;
    let mut client = site.client();
    for user in ["admin", "nobody"] {
        for _ in 0..5 {
            let reply = client.sign_in(user, "wrong");
            assert_eq!(reply.status, 401, "{reply:?}");
            assert_eq!(reply.header("content-type"), "application/problem+json");
            assert_eq!(reply.body["detail"], "Name or password is wrong.");
        }
        let reply = client.sign_in(user, "wrong");
        assert_eq!(reply.status, 429, "{reply:?}");
        assert_eq!(reply.header("retry-after"), "901");
    }
    assert_eq!(
        client.sign_in("admin", &site.password).status,
        429,
        "not even with the right one"
    );
    site.clock.advance(901);
    assert_eq!(client.sign_in("admin", &site.password).status, 200);
    site.stop().await;
}

pub async fn refused_sign_ins_are_audited_without_a_flood(place: Place) {
    let site = Site::start(&place).await;
    let mut client = site.client();
    for period in 0..2 {
        for number in 0..5 + 12 {
            let expected = if number < 5 { 401 } else { 429 };
            assert_eq!(client.sign_in("an", "wrong").status, expected);
        }
        site.clock.advance(901);
        let audit = site.admin().get("/api/v1/audit?limit=100").body;
        let refused: Vec<_> = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["detail"].as_str().unwrap().starts_with("refused"))
            .map(|entry| [&entry["who"], &entry["detail"], &entry["address"]].map(Value::clone))
            .collect();
        let wanted = ["refused: 10", "refused: 1"].map(|detail| ["an", detail, "127.0.0.1"]);
        assert_eq!(refused, wanted.repeat(period + 1));
    }
    site.stop().await;
}

pub async fn a_session_ends_by_itself(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    site.clock.advance(59 * 60);
    assert_eq!(client.get("/api/v1/session").status, 200);
    site.clock.advance(59 * 60);
    assert_eq!(
        client.get("/api/v1/session").status,
        200,
        "it was used in between"
    );
    site.clock.advance(61 * 60);
    assert_eq!(client.get("/api/v1/session").status, 401, "idle");
    let client = site.admin();
    for _ in 0..23 {
        site.clock.advance(30 * 60);
        assert_eq!(client.get("/api/v1/session").status, 200);
    }
    site.clock.advance(31 * 60);
    assert_eq!(
        client.get("/api/v1/session").status,
        401,
        "after twelve hours in any case"
    );
    site.stop().await;
}

pub async fn a_reset_ends_sessions(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let unknown = site
        .alerting
        .reset_user("nobody")
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(unknown, "there is no user \"nobody\"; known: admin");
    let new = site.alerting.reset_user("ADMIN").await.unwrap();
    assert_eq!(client.get("/api/v1/session").status, 401);
    assert_eq!(site.client().sign_in("admin", &site.password).status, 401);
    assert_eq!(site.client().sign_in("admin", &new.password).status, 200);
    assert!(!format!("{new:?}").contains(&new.password));
    // Whoever guessed in vain gets in with a new password, and the log says who gave them one.
    site.clock.advance(60);
    for _ in 0..20 {
        site.client().sign_in("admin", "a wrong one");
    }
    assert_eq!(site.client().sign_in("admin", &new.password).status, 429);
    site.clock.advance(1);
    let new = site.alerting.reset_user("admin").await.unwrap();
    let mut client = site.client();
    assert_eq!(client.sign_in("admin", &new.password).status, 200);
    let log = client.get("/api/v1/audit").body;
    let told = |entry: &&serde_json::Value| entry["action"] == "citywatch user reset";
    let resets = log["items"].as_array().unwrap().iter().filter(told);
    assert_eq!(
        resets.map(|entry| &entry["subject"]).collect::<Vec<_>>(),
        ["admin", "admin"]
    );
    site.stop().await;
}

pub async fn the_first_administrator_is_made_once(place: Place) {
    let site = Site::start(&place).await;
    assert_eq!(site.password.len(), 24);
    assert_eq!(site.alerting.ensure_administrator().await.unwrap(), None);
    site.stop().await;
}

/// From the table, so that a new route cannot be forgotten.
pub async fn every_route_wants_a_session(place: Place) {
    let site = Site::start(&place).await;
    let mut stale = site.client();
    stale.cookie = Some("citywatch=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    for route in ROUTES {
        let path = route.path.replace("{id}", "1");
        for client in [&site.client(), &stale] {
            let reply = client.send(route.method.as_str(), &path, None, &[]);
            match route.access {
                Access::AtLeast(_) => {
                    assert_eq!(reply.status, 401, "{} {path}: {reply:?}", route.method)
                }
                Access::Public => {
                    assert_ne!(reply.status, 200, "{} {path}: {reply:?}", route.method)
                }
            }
            assert_eq!(reply.header("content-type"), "application/problem+json");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert!(
                reply
                    .header("content-security-policy")
                    .starts_with("default-src 'self'; ")
            );
        }
    }
    let reply = site.client().get("/api/v1/no-such-route");
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (404, "application/problem+json")
    );
    site.stop().await;
}

/// From the table as well: what changes something wants the CSRF token, from a page of our own.
pub async fn changes_want_the_token(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    for route in ROUTES
        .iter()
        .filter(|route| route.method != "GET" && route.access != Access::Public)
    {
        let path = route.path.replace("{id}", "1");
        for token in ["", "wrong"] {
            let reply = admin.send(
                route.method.as_str(),
                &path,
                None,
                &[("x-csrf-token", token)],
            );
            assert_eq!(reply.status, 403, "{} {path}: {reply:?}", route.method);
        }
    }
    let credentials = || Some(json!({ "user": "admin", "password": site.password }));
    for foreign in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let reply = site
            .client()
            .send("POST", "/api/v1/session", credentials(), &[foreign]);
        assert_eq!(reply.status, 403, "{foreign:?}");
    }
    let reply = site.client().send(
        "POST",
        "/api/v1/session",
        credentials(),
        &[("host", "evil.example")],
    );
    assert_eq!(
        reply.status, 421,
        "a name that points here by DNS rebinding"
    );
    site.stop().await;
}
