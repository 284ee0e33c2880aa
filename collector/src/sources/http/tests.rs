//! Requests as bytes over real sockets, with a real spool behind them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::AgentConfig;
use crate::sink::Sink;
use crate::sources::files::lines::RECORD_BYTES_MAX;
use crate::sources::tls::testing::{Authority, Shows};
use crate::spool::{Spool, SpoolLimits};
use crate::{Agent, AgentHandle, SpoolReader};

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
const BODY_BYTES: usize = 2 << 20;

struct Running {
    agent: AgentHandle,
    reader: SpoolReader,
    shutdown: CancellationToken,
    address: String,
    dir: tempfile::TempDir,
}

fn start() -> Running {
    start_with(|_, _| ())
}

fn start_with(change: impl FnOnce(&mut HttpConfig, &Path)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut config = AgentConfig {
        state_dir: dir.path().join("state"),
        http: vec![HttpConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            format: "auto".into(),
            unit: None,
            units: BTreeMap::from([("127.0.0.0/8".into(), "ward-4".into())]),
            body_bytes_max: BODY_BYTES,
            mask: None,
            when_full: None,
            tls: None,
            sign_in: None,
        }],
        ..AgentConfig::default()
    };
    let key = dir.path().join("masking.key");
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    config.masking.key_file = Some(key);
    change(&mut config.http[0], dir.path());
    assert_eq!(config.problems(), Vec::<String>::new());
    let (writer, reader) = Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
    let shutdown = CancellationToken::new();
    let agent = Agent::start(&config, Sink::Spool(writer), shutdown.clone()).unwrap();
    let address = agent.status().listeners[0].address.clone();
    Running {
        address: address.split_once("://").unwrap().1.to_owned(),
        agent,
        reader,
        shutdown,
        dir,
    }
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Running {
    /// The answer's status and body. Who is refused early may find the connection closed before all is sent.
    fn send(&self, request: &[u8]) -> (u16, Value) {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.send_over(stream, request)
    }

    fn send_over(&self, mut stream: impl Read + Write, request: &[u8]) -> (u16, Value) {
        let _ = stream.write_all(request);
        let _ = stream.flush();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.unwrap_or_default(), body)
    }

    /// What the spool holds once the agent has ended.
    async fn spooled(self) -> Vec<(String, Vec<u8>)> {
        let wanted = self.agent.status().listeners[0].durable_records;
        self.shutdown.cancel();
        timeout(PATIENCE, self.agent.ended())
            .await
            .expect("the agent ends");
        let (mut deliveries, _task) = self.reader.start(16, CancellationToken::new()).unwrap();
        let mut found = Vec::new();
        while (found.len() as u64) < wanted {
            let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
            for record in delivery.batch.iter() {
                found.push((record.origin.unit.to_string(), record.raw.to_vec()));
            }
            delivery.receipt.acknowledge();
        }
        found
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn lines_and_bulk_requests_are_answered_when_they_are_spooled() {
    let running = start();
    let (status, answer) = running.send(&request("POST", "/", "", b"{\"a\":1}\r\n\n{\"a\":2}"));
    assert_eq!((status, answer), (200, json!({ "records": 2 })));
    let packed = gzip(b"{\"a\":3}\n");
    let answer = running.send(&request("POST", "/", "Content-Encoding: gzip\r\n", &packed));
    assert_eq!(answer, (200, json!({ "records": 1 })));
    let packed = zstd::encode_all(&b"{\"a\":4}\n"[..], 3).unwrap();
    let answer = running.send(&request("POST", "/", "Content-Encoding: zstd\r\n", &packed));
    assert_eq!(answer, (200, json!({ "records": 1 })));

    // As Filebeat begins, and as it sends.
    let (status, answer) = running.send(&request("GET", "/", "", b""));
    assert_eq!(status, 200);
    assert!(answer["version"]["number"].is_string());
    let bulk = b"{\"create\":{\"_index\":\"filebeat\",\"_id\":\"x1\"}}\n{\"a\":5}\n{\"index\":{}}\n{\"a\":6}\n\
                 {\"delete\":{\"_id\":\"x1\"}}\n{\"update\":{}}\n{\"doc\":{}}\n";
    let (status, answer) = running.send(&request(
        "POST",
        "/_bulk?filter_path=errors",
        "Content-Encoding: gzip\r\n",
        &gzip(bulk),
    ));
    assert_eq!(status, 200);
    assert_eq!(answer["errors"], true);
    let statuses: Vec<_> = [(0, "create"), (1, "index"), (2, "delete"), (3, "update")]
        .map(|(item, action)| answer["items"][item][action]["status"].as_u64())
        .into();
    assert_eq!(statuses, [Some(201), Some(201), Some(400), Some(400)]);
    assert_eq!(answer["items"][0]["create"]["_id"], "x1");

    let long = vec![b'x'; RECORD_BYTES_MAX + 5];
    assert_eq!(running.send(&request("POST", "/", "", &long)).0, 200);
    let listener = running.agent.status().listeners[0].clone();
    // Every answer came after its records were durable.
    assert_eq!((listener.records, listener.durable_records), (7, 7));
    assert_eq!(listener.truncated_records, 1);

    let found = running.spooled().await;
    assert!(found.iter().all(|(unit, _)| unit == "ward-4"));
    let texts: Vec<_> = found.iter().map(|(_, raw)| raw.as_slice()).collect();
    let expected: Vec<_> = (1..=6)
        .map(|a| format!("{{\"a\":{a}}}").into_bytes())
        .collect();
    assert_eq!(texts[..6], expected);
    assert_eq!(texts[6], &long[..RECORD_BYTES_MAX]);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_in_words_and_nothing_of_it_is_kept() {
    let running = start();
    let bomb = gzip(&vec![b'\n'; 64 << 20]);
    let zstd_bomb = zstd::encode_all(vec![b'\n'; 64 << 20].as_slice(), 3).unwrap();
    let large = vec![b'\n'; BODY_BYTES + 1];
    let lying = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}\n";
    let cases: [(Vec<u8>, u16, &str); 9] = [
        (
            request("POST", "/", "Content-Encoding: gzip\r\n", &bomb),
            413,
            "larger than",
        ),
        (
            request("POST", "/", "Content-Encoding: zstd\r\n", &zstd_bomb),
            413,
            "larger than",
        ),
        (
            request("POST", "/", "Content-Encoding: br\r\n", b"x"),
            415,
            "`br` is not known",
        ),
        (
            request("POST", "/", "Content-Encoding: gzip\r\n", b"{}"),
            400,
            "does not unpack",
        ),
        (
            request("POST", "/_bulk", "", b"{\"a\":1}\n{\"a\":2}\n"),
            400,
            "Malformed action/metadata line [1]",
        ),
        (
            request("POST", "/_bulk", "", b"{\"index\":{}}\n{}\nnonsense\n"),
            400,
            "metadata line [3]",
        ),
        (
            request("POST", "/_bulk", "", b""),
            400,
            "request body is required",
        ),
        (request("DELETE", "/x", "", b""), 404, "send records to `/`"),
        (lying.to_vec(), 413, "larger than"),
    ];
    for (request, status, words) in &cases {
        let (found, answer) = running.send(request);
        let reason = answer["error"]["reason"].to_string();
        let shown = String::from_utf8_lossy(&request[..request.len().min(90)]);
        assert_eq!(found, *status, "{shown}: {reason}");
        assert!(reason.contains(words), "{shown}: {reason}");
        assert_eq!(answer["status"], u64::from(found));
    }
    // The answer to what is sent in full beyond the bound may be lost with the connection.
    assert!([0, 413].contains(&running.send(&request("POST", "/", "", &large)).0));
    // A body that ends too early: the sender is gone, and nothing of it is taken.
    let mut short = TcpStream::connect(&running.address).unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":1}\n";
    short.write_all(head).unwrap();
    short.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = short.read_to_end(&mut Vec::new());
    assert_eq!(
        running.send(&request("POST", "/", "", b"{\"last\":1}\n")).0,
        200
    );
    let listener = running.agent.status().listeners[0].clone();
    assert!(listener.refused_requests >= cases.len() as u64);
    let found = running.spooled().await;
    assert_eq!(found, [("ward-4".to_owned(), b"{\"last\":1}".to_vec())]);
}

#[test]
fn bounds_that_make_no_sense_are_told() {
    let mut config: HttpConfig = toml::from_str("listen = '127.0.0.1:9200'").unwrap();
    assert_eq!(config.problems(), Vec::<String>::new());
    config.body_bytes_max = 0;
    config.units = BTreeMap::from([("ward/8".into(), "x".into())]);
    assert_eq!(config.problems().len(), 2);
}

#[tokio::test]
async fn within_tls_and_signed_in() {
    let running = start_with(|config, dir| {
        config.tls = Some(Authority::make(dir).listen_to_own());
        fs::write(dir.join("token"), "t0ken\n").unwrap();
        fs::write(dir.join("password"), "s3cret\n").unwrap();
        config.sign_in = Some(SignIn {
            bearer_token_file: Some(dir.join("token")),
            user: Some("beat".into()),
            password_file: Some(dir.join("password")),
        });
    });
    assert!(
        running.agent.status().listeners[0]
            .address
            .starts_with("https://")
    );
    let authority = Authority::in_dir(running.dir.path());
    let send = |headers: &str, shows: Shows| {
        let stream = authority.connect(&running.address, shows);
        running.send_over(stream, &request("POST", "/", headers, b"{\"a\":1}\n"))
    };
    let kept = (200, json!({ "records": 1 }));
    assert_eq!(
        send("Authorization: Bearer t0ken\r\n", Shows::Certificate),
        kept
    );
    // `beat:s3cret`, as curl and Beats send it.
    let basic = "Authorization: Basic YmVhdDpzM2NyZXQ=\r\n";
    assert_eq!(send(basic, Shows::Certificate), kept);
    for headers in ["", "Authorization: Bearer other\r\n"] {
        let (status, answer) = send(headers, Shows::Certificate);
        assert_eq!(status, 401, "{headers}");
        assert_eq!(answer["error"]["type"], "security_exception");
    }
    assert_eq!(
        send(basic, Shows::Nothing).0,
        0,
        "no certificate, no answer"
    );
    let listener = running.agent.status().listeners[0].clone();
    assert_eq!((listener.records, listener.refused_requests), (2, 2));
    assert_eq!(running.spooled().await.len(), 2);
}

#[tokio::test]
async fn records_are_masked_before_they_are_spooled() {
    let running = start_with(|config, _| config.mask = Some(vec!["phone".into(), "email".into()]));
    let body = b"{\"a\":\"0901234567\"}\n{\"b\":\"an@example.vn\"}\n{\"c\":1}\n";
    assert_eq!(running.send(&request("POST", "/", "", body)).0, 200);
    let found = running.spooled().await;
    let texts: Vec<_> = found
        .iter()
        .map(|(_, raw)| String::from_utf8_lossy(raw))
        .collect();
    assert!(
        texts[0].starts_with("{\"a\":\"<phone:") && texts[1].starts_with("{\"b\":\"<email:"),
        "{texts:?}"
    );
    assert_eq!(texts[2], "{\"c\":1}");
}
