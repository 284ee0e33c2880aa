//! Roles, units, tokens: who may do what, where.

use citywatch_alerting::{Access, ROUTES, Role};
use serde_json::{Value, json};

use super::support::{Client, Place, Site, at, found, rule, send};

const TREE: &str = "id,name,parent\ncity,Thành phố,\nward-1,Phường 1,city\nward-2,Phường 2,city\n";

fn import(client: &Client, csv: &str) -> super::support::Reply {
    client.send_text("PUT", "/api/v1/units", csv)
}

/// Makes a person and signs them in; returns their id as well.
fn person(site: &Site, admin: &Client, name: &str, role: &str, unit: &str) -> (Client, String) {
    let body = json!({ "name": name, "role": role, "unit": unit });
    let made = admin.send("POST", "/api/v1/users", Some(body), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    let mut client = site.client();
    assert_eq!(
        client
            .sign_in(name, made.body["password"].as_str().unwrap())
            .status,
        200
    );
    (client, made.body["id"].as_str().unwrap().to_owned())
}

/// An incident in that unit; returns its id.
async fn incident(site: &Site, admin: &Client, unit: &str, host: &str) -> String {
    let mut found = found(&rule("guess", "high"), host, at(0), 1);
    found.unit = unit.into();
    send(&site.alerting.intake(), vec![found]).await;
    let list = admin.get(&format!("/api/v1/incidents?host={host}")).body;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Each route as each role, inside and outside of their units: from the table, so that a new route cannot
/// be forgotten.
pub async fn every_route_as_every_role_inside_and_outside(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    assert_eq!(import(&admin, TREE).body["changed"], 3);
    let incidents = [
        incident(&site, &admin, "ward-1", "inside").await,
        incident(&site, &admin, "ward-2", "outside").await,
    ];
    let users = ["ward-1", "ward-2"].map(|unit| person(&site, &admin, unit, "viewer", unit).1);
    let tokens = ["ward-1", "ward-2"].map(|unit| {
        let body = json!({ "name": unit, "role": "viewer", "unit": unit, "days": 1 });
        let made = admin.send("POST", "/api/v1/tokens", Some(body), &[]);
        made.body["id"].as_str().unwrap().to_owned()
    });
    let suppressions = ["ward-1", "ward-2"].map(|unit| {
        let ends_at = at(3600).to_string();
        let body = json!({ "unit": unit, "host": "none", "reason": "known", "ends_at": ends_at });
        let made = admin.send("POST", "/api/v1/suppressions", Some(body), &[]);
        made.body["id"].as_str().unwrap().to_owned()
    });
    let routes = ["ward-1", "ward-2"].map(|unit| {
        // Nothing listens there: what is sent waits.
        let target = "http://127.0.0.1:1/";
        let body = json!({ "name": unit, "kind": "webhook", "target": target, "unit": unit });
        let made = admin.send("POST", "/api/v1/notifications/routes", Some(body), &[]);
        made.body["id"].as_str().unwrap().to_owned()
    });
    let messages = routes.clone().map(|id| {
        let path = format!("/api/v1/notifications/routes/{id}/test");
        let made = admin.send("POST", &path, None, &[]);
        made.body["message_id"].as_str().unwrap().to_owned()
    });
    for role in Role::ALL {
        for route in ROUTES {
            let Access::AtLeast(needed) = route.access else {
                continue;
            };
            // Signing out ends the session, so each route gets its own.
            let name = format!(
                "{}-{}",
                role.name(),
                ROUTES
                    .iter()
                    .position(|other| std::ptr::eq(other, route))
                    .unwrap()
            );
            let (client, _) = person(&site, &admin, &name, role.name(), "ward-1");
            for inside in [true, false] {
                let of = |ids: &[String; 2]| ids[usize::from(!inside)].clone();
                let id = match route.path {
                    path if path.starts_with("/api/v1/incidents") => of(&incidents),
                    path if path.starts_with("/api/v1/users") => of(&users),
                    path if path.starts_with("/api/v1/tokens") => of(&tokens),
                    path if path.starts_with("/api/v1/notifications/routes") => of(&routes),
                    path if path.starts_with("/api/v1/notifications/messages") => of(&messages),
                    path if path.starts_with("/api/v1/suppressions") => of(&suppressions),
                    path if path.starts_with("/api/v1/views") => {
                        // Views are everybody's own.
                        let whose = if inside { &client } else { &admin };
                        let name = format!("{name}-{inside}");
                        let body = json!({ "name": name, "screen": "incidents", "query": "" });
                        let made = whose.send("POST", "/api/v1/views", Some(body), &[]);
                        made.body["id"].as_str().unwrap().to_owned()
                    }
                    path if path.starts_with("/api/v1/units") => {
                        ["ward-1", "ward-2"][usize::from(!inside)].to_owned()
                    }
                    path if path.starts_with("/api/v1/rules") => {
                        ["guess", "unheard-of"][usize::from(!inside)].to_owned()
                    }
                    _ => "0123456789abcdef0123456789abcdef".to_owned(),
                };
                let host = ["inside", "outside"][usize::from(!inside)];
                let path = route
                    .path
                    .replace("{id}", &id)
                    .replace("{kind}", "host")
                    .replace("{value}", host);
                if route.path == "/api/v1/stream" {
                    if inside {
                        client.follow("", None);
                    }
                    continue;
                }
                let body = match (route.method.as_str(), route.path) {
                    ("GET" | "DELETE", _) => None,
                    (_, "/api/v1/incidents/{id}/merge") => {
                        Some(json!({ "from": [of(&incidents)] }))
                    }
                    (_, "/api/v1/incidents/{id}/reports") => Some(json!({ "clock": "first" })),
                    ("PUT", "/api/v1/notifications/routes/{id}") => Some(
                        json!({ "name": "x", "kind": "webhook", "target": "http://127.0.0.1:1/", "unit": "ward-1" }),
                    ),
                    (_, "/api/v1/incidents/{id}/comments") => Some(json!({ "text": "seen" })),
                    (_, "/api/v1/incidents/{id}") => Some(json!({ "state": "acknowledged" })),
                    (_, "/api/v1/users/{id}") => Some(json!({ "unit": "ward-1" })),
                    (_, "/api/v1/rules/{id}") => Some(json!({ "alerts": true, "reason": "x" })),
                    (_, "/api/v1/units/{id}/merge") => Some(json!({ "into": "city" })),
                    ("PUT", "/api/v1/views/{id}") => {
                        Some(json!({ "name": "x", "screen": "incidents", "query": "" }))
                    }
                    _ => Some(json!({})),
                };
                let reply = client.send(route.method.as_str(), &path, body, &[("if-match", "999")]);
                let what = format!(
                    "{} {path} as {role}, inside={inside}: {reply:?}",
                    route.method
                );
                let city_only = (["/api/v1/units", "/api/v1/audit"].contains(&route.path)
                    || route.path.starts_with("/api/v1/units/")
                    || (route.method == "PATCH" && route.path == "/api/v1/rules/{id}"))
                    && needed > Role::Viewer;
                if role < needed || city_only {
                    assert_eq!(reply.status, 403, "{what}");
                } else if !inside
                    && (route.path.contains("{id}") || route.path.contains("{value}"))
                    && !route.path.contains("/events/")
                {
                    assert_eq!(reply.status, 404, "{what}");
                } else if !inside && route.path == "/api/v1/session" && route.method == "DELETE" {
                    assert_eq!(reply.status, 401, "{what}");
                } else {
                    assert!(![401, 403, 404].contains(&reply.status), "{what}");
                }
            }
        }
    }
    site.stop().await;
}

pub async fn people_see_their_subtree(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    import(&admin, TREE);
    incident(&site, &admin, "ward-1", "one").await;
    let outside = incident(&site, &admin, "ward-2", "two").await;
    let (client, _) = person(&site, &admin, "an", "lead", "ward-1");
    let hosts = |client: &Client| -> Vec<String> {
        let list = client.get("/api/v1/incidents").body;
        let hosts: Vec<String> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["host"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(list["total"], hosts.len());
        hosts
    };
    assert_eq!(hosts(&client), ["one"]);
    assert_eq!(
        client.get("/api/v1/units").body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let standings = client.get("/api/v1/postures").body;
    assert_eq!(standings["items"].as_array().unwrap().len(), 1);
    assert_eq!(standings["items"][0]["id"], "ward-1");
    site.alerting.provide_status(
        || json!({ "events": 7, "agents": { "silent": 1, "agents": [{ "unit": "ward-2" }] } }),
    );
    assert_eq!(client.get("/api/v1/status").body, json!({ "events": 7 }));
    let all = admin.get("/api/v1/status").body;
    assert_eq!(all["agents"]["agents"][0]["unit"], "ward-2");
    let similar = client.get("/api/v1/incidents").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let similar = client
        .get(&format!("/api/v1/incidents/{similar}/similar"))
        .body;
    assert_eq!(similar["items"], json!([]));
    let bulk =
        json!({ "items": [{ "id": outside, "version": 1 }], "change": { "state": "closed" } });
    let reply = client.send("POST", "/api/v1/incidents/bulk", Some(bulk), &[]);
    assert_eq!(
        reply.body["failed"][0]["reason"],
        "there is no such incident"
    );
    let mut stream = client.follow("?after=0", None);
    assert_eq!(stream.next().data["host"], "one");
    // Nobody works on what they do not see, or may only look at.
    person(&site, &admin, "ly", "viewer", "ward-2");
    let path = format!("/api/v1/incidents/{outside}");
    for (name, status) in [("an", 400), ("ly", 400), ("admin", 200)] {
        let body = json!({ "assignee": name });
        let reply = admin.send("PATCH", &path, Some(body), &[("if-match", "1")]);
        assert_eq!(reply.status, status, "{name}: {reply:?}");
    }
    // Units that are not there are no slip that anybody would notice later.
    let wrong = |path: &str, body: Value| {
        let reply = admin.send("POST", path, Some(body), &[]);
        let fault = &reply.body["errors"][0];
        assert_eq!(
            (reply.status, &fault["field"], &fault["said"]["code"]),
            (400, &json!("unit"), &json!("no_such_unit")),
            "{reply:?}"
        );
    };
    wrong(
        "/api/v1/users",
        json!({ "name": "x", "role": "viewer", "unit": "ward-11" }),
    );
    wrong(
        "/api/v1/notifications/routes",
        json!({ "name": "x", "kind": "webhook", "target": "https://chat.test/", "unit": "ward-11" }),
    );
    let encoded: &[u8] = b"id,name,parent\nward-9,Ph\xF4\xEA,city\n";
    let reply = admin.send_text("PUT", "/api/v1/units", encoded);
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(
        reply.text.contains("line 2: this is not UTF-8"),
        "{reply:?}"
    );
    // Ward 2 is merged into ward 1: it moves below it, and what happened there comes along.
    assert_eq!(
        import(&admin, "id,name,parent\nward-2,Phường 2 (cũ),ward-1\n").body["changed"],
        1
    );
    assert_eq!(hosts(&client), ["two", "one"]);
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM units WHERE id = 'ward-2' ORDER BY valid_from")
            .fetch_all(&place.pool().await)
            .await
            .unwrap();
    assert_eq!(names.last().unwrap(), "Phường 2 (cũ)");
    let circle = import(&admin, "id,name,parent\ncity,City,ward-2\n");
    assert_eq!(circle.status, 400);
    assert!(
        circle.body["errors"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("its own ancestor"),
        "{circle:?}"
    );
    assert_eq!(
        hosts(&client),
        ["two", "one"],
        "a refused import changes nothing"
    );
    site.stop().await;
}

pub async fn people_are_managed(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let (client, id) = person(&site, &admin, "Bình", "viewer", "");
    let taken = json!({ "name": "BÌNH", "role": "viewer" });
    assert_eq!(
        admin.send("POST", "/api/v1/users", Some(taken), &[]).status,
        409
    );
    let path = format!("/api/v1/users/{id}");
    let patch = |body: Value, version: &str| {
        admin.send("PATCH", &path, Some(body), &[("if-match", version)])
    };
    assert_eq!(
        patch(json!({ "role": "king" }), "1").body["errors"][0]["field"],
        "role"
    );
    assert_eq!(patch(json!({ "role": "lead" }), "7").status, 412);
    assert_eq!(patch(json!({ "role": "lead" }), "1").body["version"], 2);
    assert_eq!(
        client.get("/api/v1/session").body["user"]["role"],
        "lead",
        "counts at once"
    );
    assert_eq!(
        admin.get("/api/v1/assignees").body["items"],
        json!(["admin", "bình"])
    );
    let own = admin.get("/api/v1/users").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = format!("/api/v1/users/{own}");
    let reply = admin.send(
        "PATCH",
        &own,
        Some(json!({ "disabled": true })),
        &[("if-match", "1")],
    );
    assert_eq!(reply.status, 403, "{reply:?}");

    let change = |client: &Client, old: &str, new: &str| {
        let body = json!({ "current_password": old, "new_password": new });
        client.send("PUT", "/api/v1/session/password", Some(body), &[])
    };
    let password = admin
        .send("POST", &format!("{path}/password"), None, &[])
        .body["password"]
        .clone();
    assert_eq!(
        client.get("/api/v1/session").status,
        401,
        "a reset ends sessions"
    );
    let mut client = site.client();
    client.sign_in("bình", password.as_str().unwrap());
    let other = client.clone();
    let mut other_session = site.client();
    other_session.sign_in("bình", password.as_str().unwrap());
    let field = |reply: super::support::Reply| reply.body["errors"][0]["field"].clone();
    assert_eq!(
        field(change(&client, "wrong", "correct horse battery")),
        "current_password"
    );
    assert_eq!(
        field(change(&client, password.as_str().unwrap(), "short")),
        "new_password"
    );
    assert_eq!(
        change(&client, password.as_str().unwrap(), "correct horse battery").status,
        204
    );
    assert_eq!(
        other.get("/api/v1/session").status,
        200,
        "this session stays"
    );
    assert_eq!(
        other_session.get("/api/v1/session").status,
        401,
        "others end"
    );
    assert_eq!(
        site.client()
            .sign_in("bình", "correct horse battery")
            .status,
        200
    );
    assert_eq!(patch(json!({ "disabled": true }), "4").status, 200);
    assert_eq!(client.get("/api/v1/session").status, 401);
    assert_eq!(
        site.client()
            .sign_in("bình", "correct horse battery")
            .status,
        401
    );
    site.stop().await;
}

pub async fn tokens_work_until_they_end(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let make = |days: i64| {
        let body = json!({ "name": "ticket system", "role": "analyst", "days": days });
        admin.send("POST", "/api/v1/tokens", Some(body), &[])
    };
    assert_eq!(make(1000).body["errors"][0]["field"], "days");
    let made = make(10).body;
    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("cwt_"));
    let bearer = format!("Bearer {secret}");
    let with = |method: &str, path: &str, body: Option<Value>| {
        let headers = [("authorization", bearer.as_str()), ("if-match", "1")];
        site.client().send(method, path, body, &headers)
    };
    let session = with("GET", "/api/v1/session", None).body;
    assert_eq!(
        session["user"],
        json!({ "name": "token:ticket system", "role": "analyst", "unit": "" })
    );
    let id = incident(&site, &admin, "unit-1", "web-01").await;
    let path = format!("/api/v1/incidents/{id}");
    let reply = with("PATCH", &path, Some(json!({ "state": "acknowledged" })));
    assert_eq!(reply.status, 200, "no CSRF token is needed: {reply:?}");
    assert_eq!(
        admin.get(&path).body["history"][1]["who"],
        "token:ticket system"
    );
    assert_eq!(with("GET", "/api/v1/users", None).status, 403);
    assert_eq!(with("DELETE", "/api/v1/session", None).status, 403);
    let list = admin.get("/api/v1/tokens");
    assert!(
        !list.text.contains(secret) && list.body["items"][0]["last_used_at"].is_string(),
        "{list:?}"
    );
    let stored: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM api_tokens WHERE token_hash LIKE 'cwt%'")
            .fetch_one(&place.pool().await)
            .await
            .unwrap();
    assert_eq!(stored, 0);
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.send("DELETE", &path, None, &[]).status, 204);
    assert_eq!(with("GET", "/api/v1/session", None).status, 401, "revoked");
    let short = make(1).body["token"].as_str().unwrap().to_owned();
    let short = format!("Bearer {short}");
    let get = || {
        site.client().send(
            "GET",
            "/api/v1/session",
            None,
            &[("authorization", short.as_str())],
        )
    };
    assert_eq!(get().status, 200);
    site.clock.advance(24 * 3600);
    assert_eq!(get().status, 401, "ended");
    site.stop().await;
}
