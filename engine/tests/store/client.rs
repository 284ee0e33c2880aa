//! The client against the endpoint: what goes in comes out.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use citywatch_engine::matches::{EventSnapshot, Evidence};
use citywatch_engine::store::{
    DeadLetterCursor, DeadLetterQuery, DeadLetterRow, EventCursor, EventQuery, EventRow,
    EventSummary, MatchCursor, MatchRow, Neighbours, Replayed, Store, StoreError,
};
use citywatch_engine::{EventId, Match, MatchId, MatchedField, RuleInfo};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{AgentId, LogSource, RecordBatch, StreamId, Timestamp, UnitId, Value};

use crate::process::{StoreProcess, library_is_there};
use crate::sample::{DAY, origin, row, rows};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_what_it_is_given() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    store.migrate().await.expect("twice is once");
    blocks_are_atomic_and_known_again(&store).await;
    searches(&store).await;
    gives_an_event_back(&store).await;
    tells_what_surrounds(&store).await;
    matches_and_dead_letters(&store).await;
    columns_and_rows_store_the_same(&process, &store).await;
    tells_errors_apart(&process, &store).await;
    let counts = store.counts().await.unwrap();
    assert!(process.stop(), "a clean stop");
    let process = StoreProcess::start(dir.path());
    assert_eq!(
        process.store().await.counts().await.unwrap(),
        counts,
        "after a restart"
    );
}

async fn blocks_are_atomic_and_known_again(store: &Store) {
    let (agent, stream) = (AgentId::from("agent-1"), StreamId::from("bulk"));
    assert_eq!(store.highest_position(&agent, &stream).await.unwrap(), None);
    let block = rows("bulk", 0, 50_000);
    store.insert_events(&block).await.unwrap();
    store
        .insert_events(&block)
        .await
        .expect("a twin is not stored");
    // In parallel, over several connections.
    let (second, third) = (rows("bulk", 50_000, 25_000), rows("bulk", 75_000, 25_000));
    let (left, right, count) = tokio::join!(
        store.insert_events(&second),
        store.insert_events(&third),
        store.counts()
    );
    left.unwrap();
    right.unwrap();
    assert!(count.unwrap().events >= 50_000);
    assert_eq!(store.counts().await.unwrap().events, 100_000);
    assert_eq!(
        store.highest_position(&agent, &stream).await.unwrap(),
        Some(99_999)
    );
    assert_eq!(
        store
            .highest_position(&agent, &StreamId::from("other"))
            .await
            .unwrap(),
        None
    );
    store.insert_events(&[]).await.unwrap();
}

/// Three events a minute after midnight, of which searches speak.
fn tales() -> Vec<EventRow> {
    vec![
        row(
            "tales",
            1,
            60,
            r#"{"message":"Đăng nhập thất bại","TargetUserName":"Nguyễn Tuấn","path":"C:\\Windows\\Temp"}"#,
            &[
                ("message", Value::Str("Đăng nhập thất bại")),
                ("TargetUserName", Value::Str("Nguyễn Tuấn")),
                ("path", Value::Str("C:\\Windows\\Temp")),
                ("count", Value::Int(-7)),
                ("big", Value::UInt(u64::MAX)),
                ("share", Value::Float(0.25)),
                ("nothing", Value::Null),
                ("yes", Value::Bool(true)),
                (
                    "list",
                    Value::List(&[Value::Str("a\"b"), Value::Int(1), Value::Null]),
                ),
                ("number_as_text", Value::Str("12")),
            ],
        ),
        row(
            "tales",
            2,
            61,
            "sshd: Accepted password for root from 10.0.0.5 port 22; '); DROP TABLE events; --",
            &[
                ("src_ip", Value::Str("10.0.0.5")),
                ("user", Value::Str("root")),
            ],
        ),
        row(
            "tales",
            3,
            62,
            "GET /100%25_done?x=%27 from 2001:db8::7",
            &[("src_ip", Value::Str("2001:db8::7"))],
        ),
    ]
}

async fn searches(store: &Store) {
    store.insert_events(&tales()).await.unwrap();
    let found = async |text: &str| {
        let from = Some(Timestamp(DAY.0 + 60_000_000));
        let query = EventQuery {
            text: text.into(),
            from,
            limit: 1000,
            ..EventQuery::default()
        };
        let events = store
            .search(&query)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut ids = Vec::new();
        for event in &events {
            if let Some(index) = tales().iter().position(|tale| tale.event_id == event.id.0) {
                ids.push(index + 1);
            }
        }
        ids.sort_unstable();
        ids
    };
    for (text, expected) in [
        ("đăng nhập", vec![1]),
        ("dang nhap THAT bai", vec![1]),
        ("nguyen", vec![1]),
        ("Nguyễn -tuan", vec![]),
        ("\"c:\\windows\\temp\"", vec![1]),
        ("C:\\Windows\\Temp", vec![1]),
        ("c:\\\\windows", vec![]),
        ("10.0.0.5", vec![2]),
        ("accept* root", vec![2]),
        ("accept", vec![]),
        ("\"'); DROP TABLE events; --\"", vec![2]),
        ("100%25_done", vec![3]),
        ("100%25xdone", vec![]),
        ("2001:db8::7", vec![3]),
        ("18446744073709551615", vec![1]),
        ("\"' OR 1=1 --\"", vec![]),
        ("src_ip:10.0.0.0/8", vec![2]),
        ("src_ip:2001:db8::/32", vec![3]),
        ("user:ROOT and not src_ip:192.168.0.0/16", vec![2]),
        ("user:ro* or done*", vec![2, 3]),
        ("(path:* -root) or done*", vec![1, 3]),
        ("\"done\"", vec![3]),
        ("user:\"x' OR '1'='1\"", vec![]),
    ] {
        assert_eq!(found(text).await, expected, "{text}");
    }
    units_and_pages(store).await;
}

/// The official client's typed rows are the second opinion on our Native blocks.
async fn columns_and_rows_store_the_same(process: &StoreProcess, store: &Store) {
    let mut config = process.config();
    config.database = "second".into();
    let second = Store::connect(&config).unwrap();
    second.migrate().await.unwrap();
    let mut block = tales();
    block.extend(rows("both", 0, 3));
    block[1].raw = b"\xff\x00 any bytes".to_vec();
    block[2].text = "x".repeat(100_000);
    block[3].problems = vec!["bad_time: x".into(), "partial: y".into()];
    block[3].other_log_sources = vec!["windows//sysmon".into()];
    second.insert_events(&block).await.unwrap();
    let client = clickhouse::Client::default()
        .with_url(process.config().url)
        .with_user(crate::process::USER)
        .with_password(crate::process::PASSWORD)
        .with_compression(clickhouse::Compression::None)
        .with_database("second");
    client
        .query("CREATE TABLE typed AS events")
        .execute()
        .await
        .unwrap();
    let mut typed = client.insert::<EventRow>("typed").await.unwrap();
    for row in &block {
        typed.write(row).await.unwrap();
    }
    typed.end().await.unwrap();
    let both = "SELECT count() FROM (SELECT * FROM events UNION ALL SELECT * FROM typed)";
    assert_eq!(client.query(both).fetch_one::<u64>().await.unwrap(), 12);
    let distinct = "SELECT count() FROM (SELECT * FROM events UNION DISTINCT SELECT * FROM typed)";
    assert_eq!(client.query(distinct).fetch_one::<u64>().await.unwrap(), 6);
    assert_eq!(
        store.counts().await.unwrap().events,
        100_003,
        "databases are apart"
    );
}

async fn units_and_pages(store: &Store) {
    let query = |units: Option<&[&str]>, cursor| EventQuery {
        units: units.map(|units| units.iter().map(|unit| UnitId::from(*unit)).collect()),
        from: Some(DAY),
        to: Some(Timestamp(DAY.0 + 100_000_000)),
        text: "sshd".into(),
        limit: 30,
        cursor,
    };
    for none in [&[][..], &["hcmc/else", "x') OR ('1'='1"][..]] {
        assert!(
            store
                .search(&query(Some(none), None))
                .await
                .unwrap()
                .is_empty(),
            "{none:?}"
        );
    }
    let (mut cursor, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = store
            .search(&query(Some(&["hcmc/linh-xuan"]), cursor))
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        // A cursor survives its way through a browser.
        let next = EventCursor {
            event_time: last.event_time,
            id: last.id,
        }
        .to_string();
        cursor = Some(next.parse().unwrap());
        seen.extend(page.iter().map(|event| (event.event_time, event.id)));
        pages += 1;
    }
    // Positions below 100 and those that wrapped around the day, and one tale.
    assert_eq!((seen.len(), pages), (201, 7));
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, none twice"
    );
    assert!("yesterday".parse::<EventCursor>().is_err());
}

async fn gives_an_event_back(store: &Store) {
    let tale = tales().remove(0);
    let event = store
        .event(EventId(tale.event_id))
        .await
        .unwrap()
        .expect("it is stored");
    assert_eq!(event.summary.user, "Nguyễn Tuấn");
    assert_eq!(event.summary.message, "Đăng nhập thất bại");
    assert_eq!(event.summary.raw.as_bytes(), tale.raw);
    assert_eq!(
        (event.record.position, event.record.stream.as_str()),
        (1, "tales")
    );
    let fields = serde_json::json!([
        ["message", "Đăng nhập thất bại"],
        ["TargetUserName", "Nguyễn Tuấn"],
        ["path", "C:\\Windows\\Temp"],
        ["count", -7],
        ["big", u64::MAX],
        ["share", 0.25],
        ["nothing", null],
        ["yes", true],
        ["list", ["a\"b", 1, null]],
        ["number_as_text", "12"],
    ]);
    assert_eq!(serde_json::to_value(&event.fields).unwrap(), fields);
    let address = |index: usize| tales().swap_remove(index).source_address;
    assert_eq!(address(1), Ipv4Addr::new(10, 0, 0, 5).to_ipv6_mapped());
    let other = store
        .event(EventId(tales()[2].event_id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        other.summary.source_address,
        Some("2001:db8::7".parse::<Ipv6Addr>().unwrap())
    );
    assert_eq!(other.summary.destination_address, None);
    assert_eq!(store.event(EventId(1)).await.unwrap(), None);
}

/// What stands beside a search, and beside an event.
async fn tells_what_surrounds(store: &Store) {
    let query = EventQuery {
        from: Some(DAY),
        to: Some(Timestamp(DAY.0 + 100_000_000)),
        text: "admin*".into(),
        ..EventQuery::default()
    };
    let fields = store.field_values(&query).await.unwrap();
    let user = fields.iter().find(|field| field.name == "user").unwrap();
    assert_eq!((user.events, user.distinct), (200, 1));
    assert_eq!(
        (user.top[0].value.as_str(), user.top[0].events),
        ("admin", 200)
    );
    assert!(fields.iter().any(|field| field.name == "src_ip"));
    let bars = store.time_bars(&query).await.unwrap();
    assert_eq!(bars.bars.iter().map(|(_, events)| events).sum::<u64>(), 200);
    // A day of bars begins at midnight in the city: 17:00 of the day before.
    let days = EventQuery {
        from: Some(Timestamp(DAY.0 - 40 * 86_400_000_000)),
        to: Some(Timestamp(DAY.0 + 20 * 86_400_000_000)),
        ..query.clone()
    };
    let days = store.time_bars(&days).await.unwrap();
    assert_eq!(days.seconds, 86_400);
    let (at, _) = days.bars[0];
    assert_eq!(
        at.as_micros().rem_euclid(86_400_000_000),
        17 * 3_600_000_000
    );

    let tale = store.event(EventId(tales()[1].event_id)).await.unwrap();
    let tale = tale.unwrap().summary;
    let around = store.neighbours(&tale, 3).await.unwrap();
    for side in [&around.before, &around.after] {
        assert_eq!(side.len(), 3);
        assert!(
            side.windows(2)
                .all(|pair| (pair[0].event_time, pair[0].id) < (pair[1].event_time, pair[1].id))
        );
    }
    let place = (tale.event_time, tale.id);
    let last = around.before.last().unwrap();
    assert!((last.event_time, last.id) < place);
    assert!((around.after[0].event_time, around.after[0].id) > place);
    // The neighbours of a neighbour lead back.
    let back = store.neighbours(last, 1).await.unwrap();
    assert_eq!(back.after[0].id, tale.id);
    let elsewhere = EventSummary {
        host: "no such host".into(),
        ..tale
    };
    assert_eq!(
        store.neighbours(&elsewhere, 3).await.unwrap(),
        Neighbours::default()
    );
}

fn found_match(rule: &str, position: u64, event_count: u64) -> Match {
    let event = EventSnapshot {
        id: EventId::of("agent-1", "tales", position, 0),
        record: citywatch_parsers::RecordId {
            agent: "agent-1".into(),
            stream: "tales".into(),
            position,
        },
        unit: UnitId::from("hcmc"),
        event_time: Timestamp(DAY.0 + i64::try_from(position).unwrap()),
        received_at: Timestamp(DAY.0 + i64::try_from(position).unwrap()),
        host: "web-1".into(),
        format: "test".into(),
        fields: [("n".into(), serde_json::json!(1.5))].into_iter().collect(),
        raw: "raw".into(),
    };
    let matched = vec![MatchedField {
        name: "n".into(),
        value: "1.5".into(),
    }];
    Match {
        id: MatchId::of_event(rule, event.id),
        rule: Arc::new(RuleInfo {
            id: rule.into(),
            title: format!("Rule {rule}"),
            level: "high".into(),
            description: String::new(),
            tags: vec!["attack.t1110".into()],
            log_source: LogSource::default(),
            text: String::new(),
            content_hash: "abc".into(),
            correlation: event_count > 1,
        }),
        unit: event.unit.clone(),
        host: event.host.clone(),
        event_time: event.event_time,
        group: vec![("user".into(), "root".into())],
        window: (event_count > 1).then_some((DAY, Timestamp(DAY.0 + 9))),
        evidence: vec![Evidence {
            event: Arc::new(event),
            matched: matched.into(),
        }],
        event_count,
    }
}

async fn matches_and_dead_letters(store: &Store) {
    let found = [
        found_match("r1", 1, 1),
        found_match("r1", 5, 1),
        found_match("r2", 6, 3),
        found_match("r2", 6, 8),
    ];
    for one in &found {
        store
            .insert_matches(&[MatchRow::from_match(one)])
            .await
            .unwrap();
    }
    let (agent, stream) = (AgentId::from("agent-1"), StreamId::from("tales"));
    let after = async |position| {
        store
            .match_ids_after(&agent, &stream, position)
            .await
            .unwrap()
    };
    assert_eq!(after(Some(1)).await, [found[1].id, found[2].id].into());
    assert_eq!(after(None).await.len(), 3);
    let rules = ["r1".to_owned(), "r2".to_owned()];
    let since = Timestamp(DAY.0 + 2);
    let mut answer = store.recent_matches(&rules, since, None).unwrap();
    let mut recent = answer.next_batch(1).await.unwrap();
    assert_eq!(recent.len(), 1, "a batch ends once it has enough bytes");
    let after_first = MatchCursor {
        event_time: recent[0].event_time,
        id: recent[0].id,
    };
    recent.extend(answer.next_batch(1 << 20).await.unwrap());
    assert_eq!(answer.next_batch(1 << 20).await.unwrap(), []);
    assert_eq!(recent.len(), 2);
    let mut anew = store
        .recent_matches(&rules, since, Some(after_first))
        .unwrap();
    assert_eq!(anew.next_batch(1 << 20).await.unwrap(), recent[1..]);
    assert_eq!(recent[0].id, found[1].id);
    assert_eq!(recent[0].evidence, found[1].evidence);
    assert_eq!(
        (recent[1].event_count, recent[1].window),
        (8, found[3].window),
        "the grown one stands"
    );
    assert_eq!(recent[1].group, found[3].group);
    let mut batch = RecordBatch::new(origin("tales"));
    batch.push(b"\xff\xfe not text", 7, DAY, Truncated::No);
    let letter = DeadLetterRow::from_record(&batch.get(0).unwrap(), "not_stored", "why");
    store
        .insert_dead_letters(std::slice::from_ref(&letter))
        .await
        .unwrap();
    store.insert_dead_letters(&[letter]).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.matches, counts.dead_letters), (3, 1));
    dead_letters_are_asked_for(store).await;
}

/// By reason, place and time; bytes that are no text come back as they are; a replayed one leaves the list.
async fn dead_letters_are_asked_for(store: &Store) {
    let mut batch = RecordBatch::new(origin("tales"));
    for position in 10..14 {
        let received_at = Timestamp(DAY.as_micros() + position as i64);
        batch.push(b"again", position, received_at, Truncated::Yes);
    }
    let mut rows: Vec<DeadLetterRow> = batch
        .iter()
        .map(|record| DeadLetterRow::from_record(&record, "internal_error", "The engine failed"))
        .collect();
    store.insert_dead_letters(&rows).await.unwrap();
    let list = async |query: DeadLetterQuery| {
        let found = store.dead_letters(&query, 100).await.unwrap();
        let positions = found.iter().map(|letter| letter.position);
        positions.collect::<Vec<_>>()
    };
    let all = DeadLetterQuery::default();
    assert_eq!(list(all.clone()).await, [13, 12, 11, 10, 7]);
    let reason = |text: &str| DeadLetterQuery {
        reason: Some(text.to_owned()),
        ..DeadLetterQuery::default()
    };
    assert_eq!(list(reason("not_stored")).await, [7]);
    assert_eq!(list(reason("engine FAILED")).await, [13, 12, 11, 10]);
    assert_eq!(list(reason("' OR 1 --")).await, [0u64; 0]);
    let between = DeadLetterQuery {
        from: Some(Timestamp(DAY.as_micros() + 11)),
        to: Some(Timestamp(DAY.as_micros() + 13)),
        stream: Some("tales".into()),
        ..DeadLetterQuery::default()
    };
    assert_eq!(list(between).await, [12, 11]);

    let listed = store.dead_letters(&all, 100).await.unwrap();
    let binary = listed.iter().find(|letter| letter.position == 7).unwrap();
    assert_eq!((binary.bytes, binary.replayed_at), (11, 0));
    let shown = store.dead_letter(&binary.id[..8]).await.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].raw, b"\xff\xfe not text");
    assert!(store.dead_letter("12").await.is_err(), "too short an id");

    let first = store
        .next_dead_letters(&all, None, 3, 1 << 20)
        .await
        .unwrap();
    let rest = store
        .next_dead_letters(
            &all,
            first.last().map(DeadLetterCursor::of).as_ref(),
            100,
            1 << 20,
        )
        .await
        .unwrap();
    assert_eq!((first.len(), rest.len()), (3, 2));
    assert_eq!(first[1], rows[0]);
    let again = rest[0].to_batch();
    let (again, record) = (again.get(0).unwrap(), batch.get(2).unwrap());
    assert_eq!(
        (again.origin, again.raw, again.position, again.received_at),
        (
            record.origin,
            record.raw,
            record.position,
            record.received_at
        )
    );
    assert_eq!(again.truncated, Truncated::Yes);

    for row in &mut rows {
        row.replayed_at = DAY.as_micros();
    }
    store.insert_dead_letters(&rows).await.unwrap();
    assert_eq!(list(all).await, [7]);
    let included = DeadLetterQuery {
        replayed: Replayed::Included,
        ..DeadLetterQuery::default()
    };
    assert_eq!(list(included).await, [13, 12, 11, 10, 7]);
}

async fn tells_errors_apart(process: &StoreProcess, store: &Store) {
    let mut config = process.config();
    config.password = "wrong".into();
    let error = Store::connect(&config).unwrap().ping().await.unwrap_err();
    assert!(
        matches!(error, StoreError::SignIn { .. }) && !error.is_retryable(),
        "{error}"
    );
    config = process.config();
    config.url = "http://127.0.0.1:1".into();
    let error = Store::connect(&config).unwrap().ping().await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("refused"),
        "{error}"
    );
    config.url = "nonsense".into();
    assert!(Store::connect(&config).is_err());
    config = process.config();
    config.database = "not there".into();
    let error = Store::connect(&config)
        .unwrap()
        .insert_events(&tales())
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Refused { code: 81, .. }) && !error.is_retryable(),
        "{error}"
    );
    let mut torn = tales();
    torn[1].received_at += 86_400_000_000;
    let error = store.insert_events(&torn).await.unwrap_err();
    assert!(
        matches!(error, StoreError::ManyPartitions { .. }),
        "{error}"
    );
}
