//! The endpoint's HTTP, as any client of ClickHouse would use it.

use std::io::Write as _;
use std::net::TcpStream;

use crate::http::{authorization, encode, get, post, post_with, send};
use crate::process::{StoreProcess, library_is_there};

/// One process for all of these: the table is theirs.
#[test]
fn speaks_clickhouse_http() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = StoreProcess::start(dir.path());
    answers_queries(&store);
    refuses_what_it_must(&store);
    binds_hostile_parameters(&store);
    inserts_in_every_form(&store);
    stores_nothing_of_what_breaks_off(&store);
    streams_results(&store);
    leaves_no_trace_between_requests(&store);
    assert!(store.stop(), "a clean stop");
}

fn answers_queries(store: &StoreProcess) {
    let at = store.address;
    assert_eq!(send(at, "GET /ping HTTP/1.1\r\n", b"").text(), "Ok.\n");
    assert_eq!(get(at, "/?query=SELECT+1").text(), "1\n");
    assert_eq!(post(at, "/", b"SELECT 2").text(), "2\n");
    assert_eq!(post(at, "/?query=SELECT", b"3").text(), "3\n");
    let json = post(at, "/?default_format=JSONEachRow", b"SELECT 1 AS a");
    assert_eq!(json.text(), "{\"a\":1}\n");
    assert_eq!(json.headers["x-clickhouse-format"], "JSONEachRow");
    assert_eq!(
        post(
            at,
            "/?default_format=CSV",
            b"SELECT 1 AS a FORMAT TSVWithNames"
        )
        .text(),
        "a\n1\n"
    );
    assert_eq!(
        post(at, "/?max_threads=1", b"SELECT getSetting('max_threads')").text(),
        "1\n"
    );
    let empty = post(
        at,
        "/?default_format=RowBinaryWithNamesAndTypes",
        b"SELECT 1 AS a WHERE 0",
    );
    assert_eq!(empty.body, b"\x01\x01a\x05UInt8");
    assert_eq!(
        post(at, "/", b"SHOW DATABASES LIKE 'default'").text(),
        "default\n"
    );
}

fn refuses_what_it_must(store: &StoreProcess) {
    let at = store.address;
    let wrong = "Authorization: Basic Y2l0eXdhdGNoOndyb25n\r\n";
    for head in [
        "GET /?query=SELECT+1 HTTP/1.1\r\n".to_owned(),
        format!("GET /?query=SELECT+1 HTTP/1.1\r\n{wrong}"),
    ] {
        let refused = send(at, &head, b"");
        assert_eq!(
            (
                refused.status,
                refused.headers["x-clickhouse-exception-code"].as_str()
            ),
            (403, "516")
        );
    }
    let cases: [(&[u8], u16, &str, &str); 6] = [
        (b"SELEC 1", 400, "62", "Syntax error"),
        (
            b"SELECT 1; DROP DATABASE default",
            400,
            "62",
            "Multi-statements",
        ),
        (b"SELECT * FROM nowhere", 404, "60", "nowhere"),
        (
            b"SELECT {a:String}",
            400,
            "456",
            "Substitution `a` is not set",
        ),
        (b"SELECT throwIf(1)", 500, "395", "throwIf"),
        (b"SELECT '\xff", 400, "62", "UTF-8"),
    ];
    for (sql, status, code, text) in cases {
        let answer = post(at, "/", sql);
        let found = (
            answer.status,
            answer.headers["x-clickhouse-exception-code"].as_str(),
        );
        assert_eq!(found, (status, code), "{}", answer.text());
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    assert_eq!(
        get(at, "/?query=CREATE+DATABASE+x").headers["x-clickhouse-exception-code"],
        "164"
    );
    assert_eq!(
        post(at, "/?database=nowhere", b"SELECT 1").headers["x-clickhouse-exception-code"],
        "81"
    );
    assert_eq!(
        post(at, "/?decompress=1", b"SELECT 1").headers["x-clickhouse-exception-code"],
        "48"
    );
    assert_eq!(
        post(at, "/?no_such_setting=1", b"SELECT 1").headers["x-clickhouse-exception-code"],
        "115"
    );
    assert_eq!(post(at, "/", &vec![b' '; 2 << 20]).status, 413);
    assert_eq!(get(at, "/elsewhere").status, 404);
}

fn binds_hostile_parameters(store: &StoreProcess) {
    for value in [
        "x'; DROP TABLE t; --",
        "\\",
        "\\'",
        "}{",
        "a\0b",
        "%00 %s {a:String}",
        "Nguy\u{1ec5}n",
        "\u{202e}",
    ] {
        let escaped = value.replace('\\', "\\\\");
        let path = format!("/?param_a={}", encode(&escaped));
        let answer = post(store.address, &path, b"SELECT {a:String} FORMAT RowBinary");
        let mut expected = vec![u8::try_from(value.len()).unwrap()];
        expected.extend_from_slice(value.as_bytes());
        assert_eq!(answer.body, expected, "{value:?}: {}", answer.text());
    }
    let setting = format!("/?max_threads={}", encode("1', readonly = '0"));
    assert_ne!(post(store.address, &setting, b"SELECT 1").status, 200);
}

fn inserts_in_every_form(store: &StoreProcess) {
    let at = store.address;
    let count = || post(at, "/", b"SELECT count(), sum(a) FROM t").text();
    let done = post(
        at,
        "/",
        b"CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a",
    );
    assert_eq!(done.status, 200, "{}", done.text());
    let forms: [(&str, &[u8]); 6] = [
        ("INSERT INTO t FORMAT RowBinary", b"\x01\0\0\0\x01x"),
        (
            "INSERT INTO t FORMAT JSONEachRow",
            b"{\"a\": 2}\n{\"a\": 3, \"b\": \";\"}",
        ),
        ("", b"INSERT INTO t (b, a) VALUES ('x', 4), ('y', 5)"),
        ("", b"INSERT INTO t FORMAT RowBinary\n\x06\0\0\0\x01\n"),
        (
            "INSERT INTO t FORMAT RowBinaryWithNamesAndTypes",
            b"\x02\x01a\x01b\x06UInt32\x06String\x07\0\0\0\x01\xff",
        ),
        ("", b"INSERT INTO t SELECT 8, 'selected'"),
    ];
    for (query, body) in forms {
        let answer = post(at, &format!("/?query={}", encode(query)), body);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let summary: serde_json::Value =
            serde_json::from_str(&answer.headers["x-clickhouse-summary"]).unwrap();
        assert_ne!(summary["written_rows"], "0", "{query}");
    }
    assert_eq!(count(), "8\t36\n");
    let lying = post_with(
        at,
        "/?query=INSERT+INTO+t+FORMAT+CSV",
        "X-Citywatch-Rows: 3\r\n",
        b"9,a\n",
    );
    assert_eq!(
        lying.headers["x-clickhouse-exception-code"],
        "91001",
        "{}",
        lying.text()
    );
    assert!(
        lying.text().contains("1 rows written of 3 sent"),
        "{}",
        lying.text()
    );
    assert_eq!(post(at, "/", b"TRUNCATE TABLE t").status, 200);
    // Larger than the longest statement, the data within the body that names it.
    let mut body = b"INSERT INTO t FORMAT TSV\n".to_vec();
    for number in 0..300_000 {
        writeln!(body, "{number}\tx").unwrap();
    }
    let answer = post_with(at, "/", "X-Citywatch-Rows: 300000\r\n", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(count(), "300000\t44999850000\n");
}

fn stores_nothing_of_what_breaks_off(store: &StoreProcess) {
    let at = store.address;
    assert_eq!(post(at, "/", b"TRUNCATE TABLE t").status, 200);
    // Whole rows arrive, but the request is not at its end when the sender is gone.
    for head in [
        "Content-Length: 1000000\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        let head = format!(
            "POST /?query=INSERT+INTO+t+FORMAT+RowBinary HTTP/1.1\r\nHost: x\r\n{}{head}\r\n",
            authorization()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let rows = b"\x01\0\0\0\x01x".repeat(1000);
        stream
            .write_all(format!("{:x}\r\n", rows.len()).as_bytes())
            .unwrap();
        stream.write_all(&rows).unwrap();
        drop(stream);
    }
    // A broken row refuses the whole block.
    let broken = post(
        at,
        "/?query=INSERT+INTO+t+FORMAT+RowBinary",
        &b"\x01\0\0\0\x01x".repeat(1000)[..5999],
    );
    assert_eq!(
        broken.headers["x-clickhouse-exception-code"],
        "33",
        "{}",
        broken.text()
    );
    // Once the three have ended, nothing of them is there.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(post(at, "/", b"SELECT count() FROM t").text(), "0\n");
}

fn streams_results(store: &StoreProcess) {
    let at = store.address;
    let lines = post(
        at,
        "/?default_format=TSVWithNames",
        b"SELECT number FROM numbers(300000)",
    )
    .text();
    assert_eq!(lines.lines().count(), 300_001);
    assert_eq!(lines.lines().filter(|line| *line == "number").count(), 1);
    let binary = post(
        at,
        "/?default_format=RowBinaryWithNamesAndTypes",
        b"SELECT number FROM numbers(300000)",
    );
    assert_eq!(binary.body.len(), 1 + 7 + 7 + 300_000 * 8);
    let json = post(
        at,
        "/?default_format=JSON",
        b"SELECT number FROM numbers(300000)",
    );
    let json: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(json["rows"], 300_000);
    let late = post(
        at,
        "/",
        b"SELECT throwIf(number = 299999) FROM numbers(300000) SETTINGS max_block_size = 1000",
    );
    assert_eq!(late.status, 200, "the result had begun");
    assert!(late.text().ends_with(&format!(
        "{}\r\n__exception__\r\n",
        late.headers["x-clickhouse-exception-tag"]
    )));
    assert!(late.text().contains("Code: 395"));
}

fn leaves_no_trace_between_requests(store: &StoreProcess) {
    let at = store.address;
    assert_eq!(
        post(
            at,
            "/?max_threads=1&param_a=1&database=system",
            b"SELECT {a:String}"
        )
        .text(),
        "1\n"
    );
    assert_eq!(post(at, "/", b"SET max_threads = 1").status, 200);
    assert_eq!(
        post(at, "/", b"SELECT currentDatabase()").text(),
        "default\n"
    );
    assert_ne!(post(at, "/", b"SELECT {a:String}").status, 200);
    let threads = post(
        at,
        "/",
        b"SELECT changed FROM system.settings WHERE name = 'max_threads'",
    );
    assert_eq!(threads.text(), "0\n");
}

#[test]
fn one_process_per_directory_and_a_clear_word_about_it() {
    use citywatch_engine::store::endpoint::{Endpoint, EndpointConfig};
    let dir = tempfile::tempdir().unwrap();
    let config = |library: Option<&str>, listen: &str, password: &str| EndpointConfig {
        data_dir: dir.path().join("data"),
        listen: listen.parse().unwrap(),
        user: "u".into(),
        password: password.into(),
        library: library.map(Into::into),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = |config| match runtime.block_on(Endpoint::open(config)) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    };
    let missing = refused(config(Some("/nowhere/libchdb.so"), "127.0.0.1:0", "p"));
    assert_eq!(
        missing,
        "libchdb.so is not at /nowhere/libchdb.so: run deploy/chdb-fetch.sh, or name its path in CITYWATCH_LIBCHDB"
    );
    let program = std::env::current_exe().unwrap();
    let broken = refused(config(program.to_str(), "127.0.0.1:0", "p"));
    assert!(
        broken.contains("is no libchdb that can be used"),
        "{broken}"
    );
    assert!(refused(config(None, "0.0.0.0:0", "p")).contains("loopback only"));
    assert_eq!(
        refused(config(None, "127.0.0.1:0", "")),
        "the store needs a password"
    );
    if library_is_there() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        assert!(refused(config(None, &address, "p")).contains("choose another port"));
    }
}
