//! Requests that are sent again, because their answer was lost, do nothing twice.

use serde_json::{Value, json};

use super::support::{Client, Place, Reply, Site, at, found, rule, send};

const KEY: &str = "0b94f6a2-6d0f-4b58-9d5b-2f6d8a8e1c11";

fn keyed(client: &Client, path: &str, body: Value, key: &str) -> Reply {
    client.send("POST", path, Some(body), &[("idempotency-key", key)])
}

fn code(reply: &Reply) -> &str {
    reply.body["said"]["code"].as_str().unwrap_or("")
}

async fn incident(site: &Site, client: &Client) -> String {
    send(
        &site.alerting.intake(),
        vec![found(&rule("guess", "high"), "web-01", at(0), 1)],
    )
    .await;
    let list = client.get("/api/v1/incidents").body;
    let id = list["items"][0]["id"].as_str().unwrap();
    format!("/api/v1/incidents/{id}")
}

fn comments(client: &Client, incident: &str) -> usize {
    let history = client.get(incident).body["history"].clone();
    let of_comments = |entry: &&Value| entry["kind"] == "comment";
    history
        .as_array()
        .unwrap()
        .iter()
        .filter(of_comments)
        .count()
}

pub async fn what_is_sent_twice_is_done_once(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let path = incident(&site, &admin).await;
    let comment = format!("{path}/comments");
    let body = json!({ "text": "seen on the firewall, too" });

    let first = keyed(&admin, &comment, body.clone(), KEY);
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (201, "")
    );
    let again = keyed(&admin, &comment, body.clone(), KEY);
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (201, "true"),
        "{again:?}"
    );
    assert_eq!(comments(&admin, &path), 1);

    // The key of one request is no key for another, whatever differs.
    let other = keyed(&admin, &comment, json!({ "text": "another text" }), KEY);
    assert_eq!((other.status, code(&other)), (422, "key_used_before"));
    let elsewhere = keyed(&admin, "/api/v1/suppressions/preview", body.clone(), KEY);
    assert_eq!(code(&elsewhere), "key_used_before");
    assert_eq!(comments(&admin, &path), 1);

    // Keys are each person's own.
    let made = json!({ "name": "ann", "role": "analyst", "unit": "" });
    let ann = keyed(
        &admin,
        "/api/v1/users",
        made.clone(),
        "a key for the person ann",
    );
    assert_eq!(ann.status, 201, "{ann:?}");
    let mut client = site.client();
    client.sign_in("ann", ann.body["password"].as_str().unwrap());
    assert_eq!(keyed(&client, &comment, body.clone(), KEY).status, 201);
    assert_eq!(comments(&admin, &path), 2);

    // Without a key each request is one, and a key that can be guessed is none.
    assert_eq!(
        admin.send("POST", &comment, Some(body.clone()), &[]).status,
        201
    );
    assert_eq!(comments(&admin, &path), 3);
    let short = keyed(&admin, &comment, body.clone(), "1");
    assert_eq!(
        (short.status, &short.body["errors"][0]["field"]),
        (400, &json!("Idempotency-Key"))
    );

    // What is told once is told again to who has the key, and rests nowhere in the clear.
    let again = keyed(&admin, "/api/v1/users", made, "a key for the person ann");
    assert_eq!(again.body, ann.body);
    let password = ann.body["password"].as_str().unwrap();
    let pool = place.pool().await;
    let kept: Vec<(String, String)> = sqlx::query_as("SELECT key_hash, answer FROM kept_answers")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(kept.len() >= 3);
    for (key_hash, answer) in kept {
        assert!(!answer.contains(password) && !key_hash.contains("0b94f6a2"));
    }

    // After a day the key is free.
    site.clock.advance(24 * 3_600 + 1);
    let admin = site.admin();
    assert_eq!(
        keyed(&admin, &comment, body, KEY).header("idempotency-replayed"),
        ""
    );
    assert_eq!(comments(&admin, &path), 4);
    pool.close().await;
    site.stop().await;
}

pub async fn what_creates_can_be_sent_twice(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let tomorrow = jiff::Timestamp::from_microsecond(at(86_400).as_micros()).unwrap();
    let bodies = [
        (
            "/api/v1/suppressions",
            json!({ "rule_id": "guess", "reason": "a scanner", "ends_at": tomorrow.to_string() }),
        ),
        (
            "/api/v1/views",
            json!({ "name": "mine", "screen": "incidents", "query": "state=new" }),
        ),
        (
            "/api/v1/tokens",
            json!({ "name": "ticketing", "role": "viewer", "unit": "", "days": 30 }),
        ),
        (
            "/api/v1/notifications/routes",
            json!({ "name": "chat", "kind": "webhook", "target": "https://chat.test/" }),
        ),
        (
            "/api/v1/users",
            json!({ "name": "bob", "role": "viewer", "unit": "" }),
        ),
    ];
    for (number, (path, body)) in bodies.into_iter().enumerate() {
        let key = format!("a long enough key {number}");
        let first = keyed(&admin, path, body.clone(), &key);
        assert_eq!(first.status, 201, "{path}: {first:?}");
        let again = keyed(&admin, path, body, &key);
        assert_eq!((again.status, &again.body), (201, &first.body), "{path}");
        if path != "/api/v1/users" {
            let items = admin.get(path).body["items"].as_array().unwrap().len();
            assert_eq!(items, 1, "{path}");
        }
    }
    // What was refused did nothing: under the same key it may be tried again.
    let wish = json!({ "name": "carol", "role": "viewer", "unit": "" });
    let broken = json!({ "name": "no name at all", "role": "viewer", "unit": "" });
    let key = "a long enough key for carol";
    assert_eq!(keyed(&admin, "/api/v1/users", broken, key).status, 400);
    assert_eq!(keyed(&admin, "/api/v1/users", wish, key).status, 201);
    // A replay is told in the audit log, and as what it is.
    let audit = admin.get("/api/v1/audit?limit=50").text;
    assert!(audit.contains("answered as the first time"), "{audit}");
    site.stop().await;
}

pub async fn an_outcome_that_nobody_knows_is_told(place: Place) {
    let site = Site::start(&place).await;
    let admin = site.admin();
    let path = format!("{}/comments", incident(&site, &admin).await);
    let body = json!({ "text": "once" });
    assert_eq!(keyed(&admin, &path, body.clone(), KEY).status, 201);
    // As a crash between the deed and its answer leaves it.
    let pool = place.pool().await;
    sqlx::query("UPDATE kept_answers SET status = 0, answer = ''")
        .execute(&pool)
        .await
        .unwrap();
    let running = keyed(&admin, &path, body.clone(), KEY);
    assert_eq!((running.status, code(&running)), (409, "still_running"));
    assert_eq!(running.header("retry-after"), "1");
    site.clock.advance(61);
    let unknown = keyed(&admin, &path, body, KEY);
    assert_eq!((unknown.status, code(&unknown)), (409, "outcome_unknown"));
    pool.close().await;
    site.stop().await;
}
