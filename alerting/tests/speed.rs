//! How fast it is. Not part of the ordinary run: `cargo test --release -p citywatch-alerting --test speed --
//! --ignored --nocapture` prints the figures.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that prints figures"
)]

#[path = "support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use citywatch_engine::Match;
use serde_json::json;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe};
use support::{Place, Site, at, found, rule, send};

/// How many open incidents; fewer for a quick look.
fn incidents() -> u64 {
    std::env::var("INCIDENTS").map_or(100_000, |count| count.parse().unwrap())
}

/// Prints and returns the 95th percentile.
fn percentile_95(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let (middle, late) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    println!("{what}: median {middle:?}, p95 {late:?} of {}", times.len());
    late
}

fn times(count: usize, mut work: impl FnMut()) -> Vec<Duration> {
    (0..count)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; prints figures"]
async fn with_a_hundred_thousand_open_alerts() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    let site = Site::start_with(config).await;
    let intake = site.alerting.intake();
    let guess = rule("guess", "high");
    let started = Instant::now();
    for batch in 0..incidents() / 1_000 {
        // Each on a host of its own: the dearest case, an incident per match.
        let host = |number: u64| format!("host-{:06}", batch * 1_000 + number);
        let matches: Vec<Match> = (0..1_000)
            .map(|number| found(&guess, &host(number), at(0), number))
            .collect();
        send(&intake, matches).await;
    }
    let rate = incidents() as f64 / started.elapsed().as_secs_f64();
    println!("intake, an incident per match: {rate:.0} matches/s");
    let started = Instant::now();
    for batch in 0..50 {
        let matches: Vec<Match> = (0..1_000)
            .map(|number| found(&guess, "noisy", at(0), batch * 1_000 + number))
            .collect();
        send(&intake, matches).await;
    }
    println!(
        "intake, 50,000 of one alert: {:.0} matches/s",
        50_000.0 / started.elapsed().as_secs_f64()
    );

    let client = site.admin();
    let mut cursor = String::new();
    let page = || {
        let reply = client.get(&format!(
            "/api/v1/incidents?state=open&limit=50&cursor={cursor}"
        ));
        cursor = reply.body["next_cursor"].as_str().unwrap().to_owned();
    };
    let page = percentile_95("page of the queue", times(200, page));
    let mut cursor = String::new();
    let urgent = || {
        let reply = client.get(&format!(
            "/api/v1/incidents?state=open&sort=score&limit=50&cursor={cursor}"
        ));
        cursor = reply.body["next_cursor"].as_str().unwrap().to_owned();
    };
    let urgent = percentile_95("page, the most urgent first", times(100, urgent));
    let facets = || {
        client.get("/api/v1/incidents/facets?state=open");
    };
    percentile_95("facets", times(30, facets));
    let filtered = || {
        client.get("/api/v1/incidents?state=open&severity=high&host=host-000500");
    };
    percentile_95("page, one host", times(50, filtered));
    let one = client.get("/api/v1/incidents?limit=1").body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let detail = || {
        client.get(&format!("/api/v1/incidents/{one}"));
    };
    percentile_95("one incident", times(50, detail));
    let similar = || {
        client.get(&format!("/api/v1/incidents/{one}/similar"));
    };
    percentile_95("similar incidents", times(20, similar));

    let list = client.get("/api/v1/incidents?limit=500&cursor=1500").body;
    let more = client.get("/api/v1/incidents?limit=500&cursor=1000").body;
    let items: Vec<_> = [list, more]
        .iter()
        .flat_map(|list| list["items"].as_array().unwrap().clone())
        .map(|item| json!({ "id": item["id"], "version": item["version"] }))
        .collect();
    assert_eq!(items.len(), 1_000);
    let started = Instant::now();
    let body =
        json!({ "items": items, "change": { "state": "closed", "verdict": "false_positive" } });
    let reply = client.send("POST", "/api/v1/incidents/bulk", Some(body), &[]);
    let bulk = started.elapsed();
    println!("bulk change of 1,000: {bulk:?}");
    assert_eq!(reply.body["changed"].as_array().unwrap().len(), 1_000);

    let mut stream = client.follow("", None);
    let mut pushed = Vec::new();
    for number in 0..50 {
        send(
            &intake,
            vec![found(&guess, &format!("pushed-{number}"), at(0), 1)],
        )
        .await;
        let committed = Instant::now();
        while stream.next().data["host"] != format!("pushed-{number}") {}
        pushed.push(committed.elapsed());
    }
    let pushed = percentile_95("commit to push", pushed);
    site.stop().await;
    // Figures are goals, told and not asserted: what a machine reaches depends on the machine.
    for (what, reached) in [
        ("a page in 100 ms", page < Duration::from_millis(100)),
        (
            "a page by score in 100 ms",
            urgent < Duration::from_millis(100),
        ),
        ("a bulk change in 2 s", bulk < Duration::from_secs(2)),
        ("a push in 500 ms", pushed < Duration::from_millis(500)),
        ("1,000 matches a second", rate > 1_000.0),
    ] {
        println!(
            "goal {what}: {}",
            if reached { "reached" } else { "missed" }
        );
    }
}

/// A flood: 1,000 alerts a second for a minute, each an alert of its own, on 10,000 hosts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; prints figures"]
async fn a_thousand_alerts_a_second_for_a_minute() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    let site = Site::start_with(config).await;
    let intake = site.alerting.intake();
    let rules: Vec<_> = (0..10)
        .map(|number| rule(&format!("rule-{number}"), "high"))
        .collect();
    let mut waits = Vec::new();
    let started = Instant::now();
    // Tenths of a second, each with its hundred: as an engine delivers them.
    for tick in 0..600_u64 {
        let due = Duration::from_millis(tick * 100);
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        let matches: Vec<Match> = (0..100)
            .map(|number| {
                let serial = tick * 100 + number;
                let host = format!("host-{:05}", serial % 10_000);
                let rule = &rules[usize::try_from(serial / 10_000).unwrap()];
                found(rule, &host, at(i64::try_from(tick / 10).unwrap()), serial)
            })
            .collect();
        send(&intake, matches).await;
        waits.push(started.elapsed().saturating_sub(due));
    }
    let took = started.elapsed();
    percentile_95("from due to committed", waits);
    let pool = place.pool().await;
    let alerts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts")
        .fetch_one(&pool)
        .await
        .unwrap();
    let incidents: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE merged_into IS NULL")
            .fetch_one(&pool)
            .await
            .unwrap();
    println!("60,000 alerts in {took:?}: {alerts} stored in {incidents} incidents");
    assert_eq!(alerts, 60_000, "nothing is lost");
    site.stop().await;
}

/// A console for `deploy/browser-speed.sh` to look at: 100,000 open incidents, and fifty more, each committed at a time that
/// is written down. It speaks with the script through files in `CITYWATCH_SPEED_DIR`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a server for deploy/browser-speed.sh"]
async fn a_queue_for_a_browser() {
    let dir = PathBuf::from(std::env::var_os("CITYWATCH_SPEED_DIR").unwrap());
    let place = Place::sqlite();
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    let site = Site::start_with(config).await;
    let guess = rule("guess", "high");
    let matches: Vec<Match> = (0..1_000)
        .map(|number| found(&guess, &format!("host-{number:03}"), at(0), number))
        .collect();
    send(&site.alerting.intake(), matches).await;
    let password = site.password.clone();
    site.stop().await;
    multiply(&place, incidents() / 1_000).await;
    let mut config = place.config();
    config.incidents.join_by_entities = true;
    let site = Site::start_with(config).await;
    let intake = site.alerting.intake();
    let access = format!(
        "export CITYWATCH_URL={} CITYWATCH_USER=admin CITYWATCH_PASSWORD={}\n",
        site.url, password
    );
    std::fs::write(dir.join("access.new"), access).unwrap();
    std::fs::rename(dir.join("access.new"), dir.join("access")).unwrap();
    appears(&dir.join("watching")).await;
    let mut commits = String::new();
    for number in 0..50 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let one = found(&guess, &format!("pushed-{number}"), at(0), 1);
        send(&intake, vec![one]).await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        writeln!(commits, "{}", now.unwrap().as_millis()).unwrap();
    }
    std::fs::write(dir.join("commits.new"), commits).unwrap();
    std::fs::rename(dir.join("commits.new"), dir.join("commits")).unwrap();
    appears(&dir.join("done")).await;
    site.stop().await;
}

/// Copies of the thousand incidents that were taken in, each on hosts of its own: a debug build takes an hour to take in
/// as many, and what is measured reads them only.
async fn multiply(place: &Place, times: u64) {
    let pool = place.pool().await;
    let mut connection = pool.acquire().await.unwrap();
    let tables = [
        ("incidents", "id"),
        ("alerts", "incident_id"),
        ("incident_entities", "incident_id"),
    ];
    for (table, _) in tables {
        let sql = format!("CREATE TEMP TABLE first_{table} AS SELECT * FROM {table}");
        run(&mut connection, &sql).await;
    }
    for copy in 1..times {
        run(&mut connection, "BEGIN").await;
        for (table, incident) in tables {
            let more = match table {
                "incidents" => format!(
                    ", number = number + {copy} * 1000, group_key = group_key || '-{copy}', host = host || '-{copy}'"
                ),
                "alerts" => format!(", id = id || '-{copy}', host = host || '-{copy}'"),
                _ => String::new(),
            };
            for sql in [
                format!("CREATE TEMP TABLE copy AS SELECT * FROM first_{table}"),
                format!("UPDATE copy SET {incident} = {incident} || '-{copy}'{more}"),
                format!("INSERT INTO {table} SELECT * FROM copy"),
                "DROP TABLE copy".to_owned(),
            ] {
                run(&mut connection, &sql).await;
            }
        }
        run(&mut connection, "COMMIT").await;
    }
    let numbers = format!(
        "UPDATE counters SET value = {} WHERE name = 'incident'",
        times * 1_000
    );
    run(&mut connection, &numbers).await;
    drop(connection);
    pool.close().await;
}

async fn run(connection: &mut PoolConnection<Any>, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(&mut **connection)
        .await
        .unwrap();
}

/// Waits for a file; an hour at most, should whoever was to make it be gone.
async fn appears(path: &Path) {
    let started = Instant::now();
    while !path.exists() && started.elapsed() < Duration::from_secs(3_600) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
