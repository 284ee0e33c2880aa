//! What is wrong with a request is said with its place and with what is expected there.

use serde_json::{Value, json};

use super::support::{Place, Site};

/// Of each error its field and its reason.
fn errors(body: &Value) -> Vec<[&str; 2]> {
    body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| ["field", "reason"].map(|name| error[name].as_str().unwrap()))
        .collect()
}

pub async fn what_is_wrong_with_a_request_is_said_with_its_place(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    for (path, field, reason) in [
        (
            "/api/v1/incidents?limit=abc",
            "limit",
            "\"abc\": a whole number is expected",
        ),
        (
            "/api/v1/events?limit=-1",
            "limit",
            "\"-1\": a whole number is expected",
        ),
        (
            "/api/v1/incidents?overdue=maybe",
            "overdue",
            "\"maybe\": true or false is expected",
        ),
        (
            "/api/v1/audit?limit=99999999999",
            "limit",
            "\"99999999999\": the number is beyond what can be asked for",
        ),
    ] {
        let reply = client.get(path);
        assert_eq!(
            (reply.status, errors(&reply.body)),
            (400, vec![[field, reason]]),
            "{path}"
        );
        assert_eq!(reply.body["detail"], format!("{field}: {reason}"));
    }
    for (body, place) in [
        ("{nope", "line 1, column 2: key must be a string"),
        (
            "{\"name\": \"x\",\n \"role\"",
            "line 2, column 7: EOF while parsing an object",
        ),
    ] {
        let reply = client.send_json_text("POST", "/api/v1/users", body);
        let said = format!("the body must be JSON; {place}");
        assert_eq!(
            (reply.status, errors(&reply.body)),
            (400, vec![["body", said.as_str()]])
        );
    }
    let reply = client.send_json_text(
        "POST",
        "/api/v1/users",
        "{\"name\": 5, \"role\": \"viewer\"}",
    );
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(
        errors(&reply.body),
        [[
            "name",
            "invalid type: integer `5`, expected a string at line 1 column 10"
        ]]
    );
    site.stop().await;
}

pub async fn a_time_that_ends_before_it_begins_is_refused(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let (early, late) = ("2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z");
    for path in [
        "events",
        "events/fields",
        "events/histogram",
        "incidents",
        "incidents/facets",
        "audit",
    ] {
        let reply = client.get(&format!("/api/v1/{path}?from={late}&to={early}"));
        assert_eq!(reply.status, 422, "{path} {reply:?}");
        let fields: Vec<&str> = errors(&reply.body)
            .iter()
            .map(|[field, _]| *field)
            .collect();
        assert_eq!(fields, ["from", "to"]);
        assert_eq!(
            reply.body["errors"][0]["said"],
            json!({ "code": "from_after_to" })
        );
        let reply = client.get(&format!("/api/v1/{path}?from={early}&to={early}"));
        assert_ne!(reply.status, 422, "{path} {reply:?}");
    }
    site.stop().await;
}
