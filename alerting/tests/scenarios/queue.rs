//! What the queue offers beside its rows: facets, orders, undo, views; and the pages one goes to from there.

use citywatch_parsers::Timestamp;
use serde_json::{Value, json};

use super::support::{Client, Place, Site, at, found, rule, send, with_fields};

fn patch(client: &Client, incident: &Value, body: Value) {
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    let version = incident["version"].to_string();
    let reply = client.send("PATCH", &path, Some(body), &[("if-match", &version)]);
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn counts(facets: &Value, name: &str) -> Vec<(String, i64)> {
    facets[name]
        .as_array()
        .unwrap()
        .iter()
        .map(|facet| {
            (
                facet["value"].as_str().unwrap().to_owned(),
                facet["count"].as_i64().unwrap(),
            )
        })
        .collect()
}

fn pairs(list: &[(&str, i64)]) -> Vec<(String, i64)> {
    list.iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

async fn five_incidents(site: &Site) {
    let intake = site.alerting.intake();
    let tree = "id,name,parent\ncity,Thành phố,\nward-1,Phường 1,city\nward-2,Phường 2,city\n";
    site.admin().send_text("PUT", "/api/v1/units", tree);
    for (number, (id, level, unit)) in [
        ("guess", "high", "ward-1"),
        ("guess", "high", "ward-2"),
        ("sudo", "critical", "ward-1"),
        ("scan", "low", "ward-1"),
        ("scan", "low", "ward-2"),
    ]
    .into_iter()
    .enumerate()
    {
        let host = format!("host-{number}");
        let time = at(i64::try_from(number).unwrap() * 3600);
        let found = found(&rule(id, level), &host, time, 1);
        let fields = [("user", "an"), ("src_ip", "203.0.113.7")];
        send(&intake, vec![with_fields(found, unit, &fields)]).await;
    }
}

pub async fn facets_count_what_the_filter_lets_through(place: Place) {
    let site = Site::start(&place).await;
    five_incidents(&site).await;
    let client = site.admin();
    let all = client.get("/api/v1/incidents").body;
    let closed = json!({ "state": "closed", "verdict": "false_positive" });
    patch(&client, &all["items"][0], closed);
    patch(&client, &all["items"][1], json!({ "assignee": "admin" }));
    let facets = client.get("/api/v1/incidents/facets?state=open").body;
    assert_eq!(facets["total"], 4);
    let expected = pairs(&[("critical", 1), ("high", 2), ("low", 1)]);
    assert_eq!(counts(&facets, "severity"), expected);
    // Its own choice does not bind a facet.
    assert_eq!(
        counts(&facets, "state"),
        pairs(&[("new", 4), ("closed", 1)])
    );
    assert_eq!(
        counts(&facets, "unit"),
        pairs(&[("ward-1", 3), ("ward-2", 1)])
    );
    assert_eq!(facets["unit"][0]["label"], "Phường 1");
    assert_eq!(
        counts(&facets, "assignee"),
        pairs(&[("~none", 3), ("admin", 1)])
    );
    assert_eq!(
        counts(&facets, "rule"),
        pairs(&[("guess", 2), ("scan", 1), ("sudo", 1)])
    );
    assert_eq!(facets["rule"][0]["label"], "Rule guess");
    let bars = facets["histogram"]["bars"].as_array().unwrap();
    let high: i64 = bars.iter().map(|bar| bar["high"].as_i64().unwrap()).sum();
    assert_eq!((bars.len(), high), (4, 2));
    // What a facet counts is what the filter then finds.
    for (query, expected) in [
        ("state=open&severity=high,low", 3),
        ("state=open&unit=ward-2", 1),
        ("state=open&unit_below=city", 4),
        ("assignee=~none", 4),
        ("assignee=~me", 1),
        ("assignee=~me,~none&severity=low", 2),
        ("rule_id=guess,sudo", 3),
        ("tactic=execution", 0),
        ("from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z", 0),
    ] {
        let list = client.get(&format!("/api/v1/incidents?{query}")).body;
        assert_eq!(list["total"], expected, "{query}");
        let facets = client.get(&format!("/api/v1/incidents/facets?{query}"));
        assert_eq!(facets.body["total"], expected, "{query}");
    }
    let wrong = client.get("/api/v1/incidents/facets?tactic=magic");
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.body["errors"][0]["field"], "tactic");
    // Who sees a ward counts the ward.
    let body = json!({ "name": "w", "role": "viewer", "unit": "ward-2" });
    let made = client.send("POST", "/api/v1/users", Some(body), &[]).body;
    let mut viewer = site.client();
    viewer.sign_in("w", made["password"].as_str().unwrap());
    let facets = viewer.get("/api/v1/incidents/facets").body;
    assert_eq!(counts(&facets, "unit"), pairs(&[("ward-2", 2)]));
    assert_eq!(facets["total"], 2);
    site.stop().await;
}

pub async fn bars_begin_where_the_days_of_the_reader_do(place: Place) {
    let site = Site::start(&place).await;
    let (client, intake) = (site.admin(), site.alerting.intake());
    let guess = rule("guess", "high");
    let when = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond());
    // Indochina Time is seven hours ahead of UTC: the first two are of one day there, the third is of the next.
    for (host, time) in [
        ("morning", "2026-09-20T17:00:00Z"),
        ("evening", "2026-09-21T16:59:59Z"),
        ("midnight", "2026-09-21T17:00:00Z"),
        ("long-ago", "2026-07-25T03:20:00Z"),
    ] {
        send(&intake, vec![found(&guess, host, when(time), 1)]).await;
    }
    let bars = |query: &str| -> (i64, Vec<(String, i64)>) {
        let histogram = client
            .get(&format!("/api/v1/incidents/facets?{query}"))
            .body["histogram"]
            .clone();
        let bars = histogram["bars"].as_array().unwrap();
        let told = bars.iter().map(|bar| {
            let at = bar["at"].as_str().unwrap().replace(".000000Z", "Z");
            (at, bar["high"].as_i64().unwrap())
        });
        (histogram["seconds"].as_i64().unwrap(), told.collect())
    };
    let expected = |bars: &[(&str, i64)]| pairs(bars);
    let (seconds, days) = bars("utc_offset_minutes=420");
    assert_eq!(seconds, 86_400);
    assert_eq!(
        days,
        expected(&[
            ("2026-07-24T17:00:00Z", 1),
            ("2026-09-20T17:00:00Z", 2),
            ("2026-09-21T17:00:00Z", 1),
        ])
    );
    // Of who names no clock, days are those of UTC.
    let (_, days) = bars("");
    assert_eq!(
        days,
        expected(&[
            ("2026-07-25T00:00:00Z", 1),
            ("2026-09-20T00:00:00Z", 1),
            ("2026-09-21T00:00:00Z", 2),
        ])
    );
    // Hours, where clocks differ by half of one.
    let hours = "from=2026-09-20T17:00:00Z&to=2026-09-22T17:00:00Z&utc_offset_minutes=330";
    let (seconds, hours) = bars(hours);
    assert_eq!(seconds, 3_600);
    assert_eq!(
        hours,
        expected(&[("2026-09-20T16:30:00Z", 1), ("2026-09-21T16:30:00Z", 2),])
    );
    for wrong in ["841", "-841", "noon"] {
        let reply = client.get(&format!(
            "/api/v1/incidents/facets?utc_offset_minutes={wrong}"
        ));
        assert_eq!(reply.status, 400, "{wrong}");
    }
    site.stop().await;
}

pub async fn the_most_urgent_come_first(place: Place) {
    let site = Site::start(&place).await;
    five_incidents(&site).await;
    let client = site.admin();
    let all = client.get("/api/v1/incidents").body;
    patch(&client, &all["items"][1], json!({ "state": "in_progress" }));
    // Of several states, one of them named twice, each comes once and in its order.
    for states in ["", "open,new", "new,in_progress"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!(
                "/api/v1/incidents?state={states}&sort=score&limit=2&cursor={cursor}"
            ));
            assert_eq!(page.body["total"], 5);
            for item in page.body["items"].as_array().unwrap() {
                seen.push((
                    item["score"].as_i64().unwrap(),
                    item["number"].as_i64().unwrap(),
                ));
            }
            match page.body["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(
            seen,
            [(80, 3), (65, 2), (65, 1), (25, 5), (25, 4)],
            "{states}"
        );
    }
    let newest = client
        .get("/api/v1/incidents?state=in_progress,new&limit=3")
        .body;
    let numbers: Vec<i64> = newest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["number"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [5, 4, 3]);
    assert_eq!(client.get("/api/v1/incidents?sort=luck").status, 400);
    let wrong = client.get("/api/v1/incidents?sort=score&cursor=7");
    assert_eq!(wrong.body["errors"][0]["field"], "cursor");
    site.stop().await;
}

pub async fn a_bulk_change_is_undone(place: Place) {
    let site = Site::start(&place).await;
    five_incidents(&site).await;
    let client = site.admin();
    let all = client.get("/api/v1/incidents").body;
    patch(
        &client,
        &all["items"][0],
        json!({ "state": "in_progress", "assignee": "admin" }),
    );
    let before = client.get("/api/v1/incidents").body["items"].clone();
    let items: Vec<Value> = before
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!({ "id": item["id"], "version": item["version"] }))
        .collect();
    let change =
        json!({ "state": "closed", "verdict": "false_positive", "verdict_reason": "a test" });
    let body = json!({ "items": items, "change": change });
    let done = client.send("POST", "/api/v1/incidents/bulk", Some(body), &[]);
    let changed = done.body["changed"].clone();
    assert_eq!(changed.as_array().unwrap().len(), 5);
    // Somebody goes on with one of them meanwhile.
    let list = client.get("/api/v1/incidents").body;
    patch(&client, &list["items"][4], json!({ "state": "resolved" }));
    let undone = client.send(
        "POST",
        "/api/v1/incidents/bulk/undo",
        Some(json!({ "items": changed })),
        &[],
    );
    assert_eq!(undone.body["changed"].as_array().unwrap().len(), 4);
    assert_eq!(undone.body["failed"][0]["code"], "conflict");
    let after = client.get("/api/v1/incidents").body["items"].clone();
    for place in 0..4 {
        for field in [
            "state",
            "verdict",
            "verdict_reason",
            "assignee",
            "closed_at",
        ] {
            assert_eq!(after[place][field], before[place][field], "{field}");
        }
    }
    assert_eq!(after[4]["state"], "resolved");
    // What was never so cannot be brought back.
    let item = json!({ "id": after[1]["id"], "version": after[1]["version"],
        "before": { "state": "new", "verdict": null, "verdict_reason": null, "assignee": "nobody-here" } });
    let body = json!({ "items": [item] });
    let refused = client.send("POST", "/api/v1/incidents/bulk/undo", Some(body), &[]);
    assert_eq!(refused.body["failed"][0]["code"], "invalid", "{refused:?}");
    site.stop().await;
}

pub async fn an_entity_tells_its_history(place: Place) {
    let site = Site::start(&place).await;
    five_incidents(&site).await;
    let client = site.admin();
    let all = client.get("/api/v1/incidents").body;
    patch(
        &client,
        &all["items"][0],
        json!({ "state": "closed", "verdict": "true_positive" }),
    );
    let page = client.get("/api/v1/entities/address/203.0.113.7").body;
    assert_eq!(page["incident_count"], 5);
    assert_eq!(page["open"], 4);
    assert_eq!(page["true_positives"], 1);
    assert_eq!(page["first_seen_at"], all["items"][4]["first_event_at"]);
    assert_eq!(page["last_seen_at"], all["items"][0]["last_event_at"]);
    assert_eq!(
        page["units"][0],
        json!({ "unit": "ward-1", "incidents": 3 })
    );
    assert_eq!(page["alerts"].as_array().unwrap().len(), 5);
    assert_eq!(page["alerts"][0]["incident_id"], all["items"][0]["id"]);
    // Files and digests are entities, too.
    let digest = "0123456789abcdef0123456789abcdef";
    let hashes = format!("MD5={digest}");
    let fields = [("Image", r"C:\Temp\Evil.exe"), ("Hashes", hashes.as_str())];
    let run = found(&rule("run", "high"), "pc", at(9), 1);
    send(
        &site.alerting.intake(),
        vec![with_fields(run, "ward-1", &fields)],
    )
    .await;
    for path in [
        "hash/0123456789abcdef0123456789abcdef",
        "file/c%3A%5Ctemp%5Cevil.exe",
    ] {
        let page = client.get(&format!("/api/v1/entities/{path}"));
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.body["incidents"][0]["host"], "pc");
    }
    assert_eq!(client.get("/api/v1/entities/planet/mars").status, 400);
    assert_eq!(client.get("/api/v1/entities/host/unknown").status, 404);
    site.stop().await;
}

pub async fn views_are_kept_per_person(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let view =
        json!({ "name": "Của tôi", "screen": "incidents", "query": "assignee=~me&state=open" });
    let made = client.send("POST", "/api/v1/views", Some(view.clone()), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    let again = client.send("POST", "/api/v1/views", Some(view), &[]);
    assert_eq!(again.status, 409);
    let nowhere = json!({ "name": "x", "screen": "kitchen", "query": "" });
    let refused = client.send("POST", "/api/v1/views", Some(nowhere), &[]);
    assert_eq!(
        (refused.status, &refused.body["errors"][0]["reason"]),
        (
            400,
            &json!("unknown: \"kitchen\"; one of incidents, events")
        )
    );
    let path = format!("/api/v1/views/{}", made.body["id"].as_str().unwrap());
    let wish = json!({ "name": "Của tôi", "screen": "incidents", "query": "assignee=~me" });
    let put =
        |version: &str| client.send("PUT", &path, Some(wish.clone()), &[("if-match", version)]);
    assert_eq!(put("\"1\"").status, 200);
    let conflict = put("\"1\"");
    assert_eq!(conflict.status, 412);
    assert_eq!(conflict.body["current_version"], 2);
    let list = client.get("/api/v1/views").body;
    assert_eq!(list["items"][0]["query"], "assignee=~me");
    let body = json!({ "name": "b", "role": "viewer" });
    let other = client.send("POST", "/api/v1/users", Some(body), &[]).body;
    let mut viewer = site.client();
    viewer.sign_in("b", other["password"].as_str().unwrap());
    assert_eq!(viewer.get("/api/v1/views").body["items"], json!([]));
    assert_eq!(viewer.send("DELETE", &path, None, &[]).status, 404);
    assert_eq!(client.send("DELETE", &path, None, &[]).status, 204);
    assert_eq!(client.get("/api/v1/views").body["items"], json!([]));
    site.stop().await;
}

pub async fn units_are_renamed_moved_and_merged(place: Place) {
    let site = Site::start(&place).await;
    five_incidents(&site).await;
    let client = site.admin();
    site.clock.advance(60);
    let patch = |id: &str, version: &str, body: Value| {
        let path = format!("/api/v1/units/{id}");
        client.send("PATCH", &path, Some(body), &[("if-match", version)])
    };
    let renamed = patch("ward-2", "1", json!({ "name": "Phường Hai" }));
    assert_eq!(renamed.body["name"], "Phường Hai", "{renamed:?}");
    assert_eq!(renamed.body["parent"], "city");
    let posture = client.get("/api/v1/units/ward-2/posture").body;
    assert_eq!(posture["past"][0]["name"], "Phường 2");
    assert_eq!(posture["open"]["high"], 1);
    assert_eq!(posture["open"]["critical"], 0);
    assert_eq!(posture["unassigned"], 2);
    assert_eq!(posture["agents"], Value::Null);
    let standing = |id: &str| {
        let all = client.get("/api/v1/postures").body;
        let mut all = all["items"].as_array().unwrap().iter();
        all.find(|each| each["id"] == id).cloned()
    };
    // The whole tree at once tells the same as each unit does, the unit above what is below it.
    for id in ["city", "ward-1", "ward-2"] {
        let posture = client.get(&format!("/api/v1/units/{id}/posture")).body;
        let open = standing(id).unwrap()["open"].clone();
        for (severity, count) in posture["open"].as_object().unwrap() {
            let told = open.get(severity).and_then(Value::as_i64).unwrap_or(0);
            assert_eq!(*count, told, "{id}, {severity}");
        }
    }
    assert_eq!(standing("ward-2").unwrap()["silent"], Value::Null);
    let circle = patch("city", "1", json!({ "parent": "ward-1" }));
    assert_eq!(circle.status, 400);
    assert_eq!(circle.body["errors"][0]["field"], "parent");
    site.clock.advance(60);
    let body = json!({ "into": "ward-1" });
    let path = "/api/v1/units/ward-2/merge";
    let merged = client.send("POST", path, Some(body), &[("if-match", "2")]);
    assert_eq!(merged.body["parent"], "ward-1", "{merged:?}");
    let posture = client.get("/api/v1/units/ward-1/posture").body;
    assert_eq!(posture["open"]["high"], 2);
    assert_eq!(standing("ward-1").unwrap()["open"]["high"], 2);
    // Old incidents keep the unit that they were about.
    let list = client.get("/api/v1/incidents?unit=ward-2").body;
    assert_eq!(list["total"], 2);
    assert_eq!(client.get("/api/v1/units/nowhere/posture").status, 404);
    site.stop().await;
}

pub async fn two_administrators_do_not_overwrite_each_others_units(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let tree = "id,name,parent\ncity,Thành phố,\nward-1,Phường 1,city\nward-2,Phường 2,city\nquarter,Khu phố,ward-2\n";
    client.send_text("PUT", "/api/v1/units", tree);
    let unit = |id: &str| {
        let all = client.get("/api/v1/units").body;
        let mut all = all["items"].as_array().unwrap().iter();
        all.find(|each| each["id"] == id).unwrap().clone()
    };
    let send = |method: &str, path: &str, version: Option<&str>, body: Value| {
        let headers: Vec<_> = version
            .map(|version| ("if-match", version))
            .into_iter()
            .collect();
        client.send(
            method,
            &format!("/api/v1/units/{path}"),
            Some(body),
            &headers,
        )
    };
    let rename = |version, name: &str| send("PATCH", "ward-2", version, json!({ "name": name }));
    let merge = |version| send("POST", "ward-2/merge", version, json!({ "into": "ward-1" }));
    assert_eq!(unit("ward-2")["version"], 1);
    assert_eq!(rename(None, "Phường Hai").status, 428);
    assert_eq!(merge(None).status, 428);
    let renamed = rename(Some("\"1\""), "Phường Hai");
    assert_eq!(
        (
            renamed.status,
            renamed.header("etag"),
            &renamed.body["version"]
        ),
        (200, "\"2\"", &json!(2))
    );
    // Whoever saw it before sees it again first, whatever they wanted of it.
    let late = rename(Some("1"), "Phường Nhì");
    assert_eq!(
        (late.status, &late.body["current_version"]),
        (412, &json!(2))
    );
    assert_eq!(merge(Some("1")).status, 412);
    assert_eq!(
        send("PATCH", "ward-2", Some("1"), json!({ "parent": "" })).status,
        412
    );
    let now = unit("ward-2");
    assert_eq!(
        (&now["name"], &now["parent"]),
        (&json!("Phường Hai"), &json!("city"))
    );
    // The same again changes nothing, and counts as none.
    assert_eq!(rename(Some("2"), "Phường Hai").body["version"], 2);
    // An import is a change like any other; of what it leaves as it was it is none.
    site.clock.advance(1);
    client.send_text(
        "PUT",
        "/api/v1/units",
        tree.replace("Phường 2", "Phường Hai mới"),
    );
    assert_eq!(rename(Some("2"), "Phường Nhì").status, 412);
    assert_eq!(unit("ward-1")["version"], 1);
    let merged = merge(Some("3"));
    assert_eq!(
        (merged.status, merged.header("etag")),
        (200, "\"4\""),
        "{merged:?}"
    );
    // What was below it went along, which is a change of each of those, too.
    let quarter = unit("quarter");
    assert_eq!(
        (&quarter["parent"], &quarter["version"]),
        (&json!("ward-1"), &json!(2))
    );
    // Of several at the same time one succeeds.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| scope.spawn(move || rename(Some("4"), &format!("Tên {number}")).status))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 3);
    assert_eq!(unit("ward-2")["version"], 5);
    assert_eq!(send("PATCH", "nowhere", Some("1"), json!({})).status, 404);
    site.stop().await;
}

pub async fn an_old_table_of_units_undoes_no_merge(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let old = "id,name,parent\ncity,Thành phố,\nward-1,Phường 1,city\nward-2,Phường 2,city\nquarter,Khu phố,ward-2\n";
    let import = |csv: &str| {
        site.clock.advance(1);
        let reply = client.send_text("PUT", "/api/v1/units", csv);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    };
    assert_eq!(import(old), json!({ "changed": 4, "merged": [] }));
    let tree = || -> Vec<String> {
        let all = client.get("/api/v1/units").body;
        let items = all["items"].as_array().unwrap().iter();
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        items
            .map(|item| {
                ["id", "name", "parent"]
                    .map(|name| text(item, name))
                    .join(" ")
            })
            .collect()
    };
    let send = |method: &str, path: &str, version: &str, body: Value| {
        let path = format!("/api/v1/units/{path}");
        let reply = client.send(method, &path, Some(body), &[("if-match", version)]);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    site.clock.advance(1);
    send("POST", "ward-2/merge", "1", json!({ "into": "ward-1" }));
    let merged = [
        "city Thành phố ",
        "quarter Khu phố ward-1",
        "ward-1 Phường 1 city",
        "ward-2 Phường 2 ward-1",
    ];
    assert_eq!(tree(), merged);
    let line = |line: usize| json!({ "line": line, "unit": "ward-2", "into": "ward-1" });
    assert_eq!(
        import(old),
        json!({ "changed": 0, "merged": [line(4), line(5)] })
    );
    assert_eq!(tree(), merged);
    // A new name that is given where it is by now is taken; what is new below it goes where its offices went.
    let new = "id,name,parent\nward-2,Phường 2 (cũ),ward-1\nschool,Trường,ward-2\n";
    assert_eq!(import(new), json!({ "changed": 2, "merged": [line(3)] }));
    assert_eq!(
        tree()[2..],
        [
            "school Trường ward-1",
            "ward-1 Phường 1 city",
            "ward-2 Phường 2 (cũ) ward-1"
        ]
    );
    // Who moves it on purpose takes the merge back.
    site.clock.advance(1);
    send("PATCH", "ward-2", "3", json!({ "parent": "city" }));
    assert_eq!(import(old), json!({ "changed": 2, "merged": [] }));
    let odd = client.send_text("PUT", "/api/v1/units", "id,name,parent\nx y!,Lạ,city\n");
    assert_eq!(odd.status, 400);
    let reason = odd.body["errors"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("line 2: an id is 1 to 64 letters, digits"),
        "{reason}"
    );
    site.stop().await;
}

pub async fn the_audit_log_is_searched(place: Place) {
    let site = Site::start(&place).await;
    let client = site.admin();
    let secret = "https://chat.example.vn/hooks/T0P-S3CRET?key=abc";
    let body = json!({ "name": "chat", "kind": "webhook", "target": secret });
    let made = client.send("POST", "/api/v1/notifications/routes", Some(body), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    client.get("/api/v1/events?q=password");
    let entries = |query: &str| {
        let reply = client.get(&format!("/api/v1/audit?{query}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body["items"].as_array().unwrap().clone()
    };
    let routes = entries("action=POST%20/api/v1/notifications");
    assert_eq!(routes.len(), 1);
    let detail = routes[0]["detail"].as_str().unwrap();
    assert!(detail.contains("chat.example.vn"), "{detail}");
    assert!(
        !detail.contains("S3CRET") && !detail.contains("abc"),
        "{detail}"
    );
    assert_eq!(
        entries("subject=/api/v1/events%3Fq").len(),
        2,
        "asked, and failed without a store"
    );
    assert!(entries("who=nobody").is_empty());
    assert!(
        entries("who=adm").is_empty(),
        "a person, not how one begins"
    );
    for (action, found) in [
        ("POST", true),
        ("POST%20", true),
        ("POST%20/api/v1/notifications/", true),
        ("POST%20/api/v1/notifications/routes", true),
        ("POST%20/api/v1/notifications/rou", false),
        ("POS", false),
    ] {
        assert_eq!(
            !entries(&format!("action={action}")).is_empty(),
            found,
            "{action}"
        );
    }
    assert!(!entries("who=admin&from=2000-01-01T00:00:00Z").is_empty());
    assert!(entries("to=2000-01-01T00:00:00Z").is_empty());
    let page = client.get("/api/v1/audit?limit=1").body;
    let next = page["next_cursor"].as_str().unwrap();
    let older = entries(&format!("limit=1&cursor={next}"));
    assert!(older[0]["sequence"].as_i64() < page["items"][0]["sequence"].as_i64());
    site.stop().await;
}
