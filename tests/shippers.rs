//! Others' messages as they are, through a real broker into the store: rsyslog, syslog-ng and the OpenTelemetry
//! Collector run for real, the other shippers by messages in their documented form.
//!
//! The messages are `parsers/testdata/shipper_*`: one more file there is one more case here and in the parsers' own
//! test, which writes the golden beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::broker::Broker;
use support::{Running, StoreServer, citywatch, free_port, have_chdb, project, request, wait_for};

/// An engine that reads these topics: name and further settings of each.
fn engine(
    dir: &Path,
    broker: &Broker,
    store: &StoreServer,
    topics: &[(String, String)],
) -> Running {
    let mut config = format!(
        "[data]\ndir = \"{}\"\n[monitor]\nlisten = \"127.0.0.1:{}\"\n[engine]\nflush_interval_ms = 200\n{}[kafka]\nbrokers = \"{}\"\n",
        dir.join("engine-data").display(),
        free_port(),
        store.config(),
        broker.address()
    );
    for (name, settings) in topics {
        // There before anybody asks for it: who asks too early asks again minutes later.
        broker.topic(name, 1, &[]);
        write!(config, "[kafka.topics.\"{name}\"]\n{settings}\n").unwrap();
    }
    let path = dir.join("engine.toml");
    std::fs::write(&path, config).unwrap();
    let mut engine = Command::new(citywatch());
    engine.arg("engine").arg("--config").arg(&path);
    Running::start(&mut engine, "engine", dir)
}

/// Rows of a topic, once there are as many.
fn rows(store: &StoreServer, topic: &str, columns: &str, count: usize) -> Vec<String> {
    let there =
        "SELECT count() FROM system.tables WHERE database = 'citywatch' AND name = 'events'";
    wait_for(&format!("{count} events of {topic}"), || {
        if store.query(there) != ["1"] {
            return None;
        }
        let from = format!("FROM citywatch.events WHERE agent = 'kafka/{topic}'");
        let found = store.query(&format!("SELECT count() {from}"));
        assert!(
            found[0].parse::<usize>().unwrap() <= count,
            "{topic}: {found:?}"
        );
        (found[0] == count.to_string()).then(|| {
            store.query(&format!(
                "SELECT {columns} {from} ORDER BY position, sub_index FORMAT TSVRaw"
            ))
        })
    })
}

/// Messages of a fixture: a line each, or the whole of a `.bin`.
fn messages(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|end| end == "bin") {
        return vec![bytes];
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Fixtures by shipper.
fn fixtures() -> Vec<(String, Vec<PathBuf>)> {
    let folder = project().join("parsers/testdata");
    let mut found: Vec<(String, Vec<PathBuf>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|folder| {
            let name = folder
                .file_name()?
                .to_str()?
                .strip_prefix("shipper_")?
                .to_owned();
            let files = std::fs::read_dir(&folder).unwrap();
            let mut files: Vec<_> = files
                .map(|entry| entry.unwrap().path())
                .filter(|path| {
                    path.extension()
                        .is_some_and(|end| end == "log" || end == "bin")
                })
                .collect();
            files.sort();
            Some((name, files))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 9, "{found:?}");
    found
}

#[test]
fn documented_messages_of_every_shipper_are_stored_as_their_goldens_say() {
    if !have_chdb() {
        return;
    }
    let Some(broker) = Broker::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = StoreServer::start(&dir.path().join("store"), dir.path(), "store");
    let fixtures = fixtures();
    let topics: Vec<(String, String)> = fixtures
        .iter()
        .map(|(shipper, _)| {
            (
                format!("shipper-{shipper}"),
                format!("unit = \"unit-{shipper}\""),
            )
        })
        .collect();
    let engine = engine(dir.path(), &broker, &store, &topics);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .create()
        .unwrap();
    for ((topic, _), (_, files)) in topics.iter().zip(&fixtures) {
        for message in files.iter().flat_map(|path| messages(path)) {
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(&message);
            producer.send(record).unwrap();
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();

    for ((topic, _), (shipper, files)) in topics.iter().zip(&fixtures) {
        let goldens = files.iter().flat_map(|path| {
            let golden = std::fs::read_to_string(path.with_extension("json")).unwrap();
            let golden: Vec<serde_json::Value> = serde_json::from_str(&golden).unwrap();
            golden
        });
        let expected: Vec<String> = goldens
            .map(|event| {
                let text =
                    |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                // In the parsers' test the agent names its host; a topic has none.
                let host = text(&event["host"]).replace("origin-host", "");
                let program = text(&event["fields"]["program"]);
                format!(
                    "unit-{shipper}\t{}\t{host}\t{program}",
                    text(&event["format"])
                )
            })
            .collect();
        let columns = "unit, format, host, fields['program']";
        assert_eq!(
            rows(&store, topic, columns, expected.len()),
            expected,
            "{topic}"
        );
    }
    engine.stop();
    store.running.stop();
}

const LINES: usize = 500;

/// Sends the same lines over TCP: half of them as RFC 3164 has it, half as RFC 5424.
fn send_lines(port: u16) {
    let mut stream = wait_for("the daemon to listen", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    for number in 0..LINES {
        let words = format!("Failed password for root from 203.0.113.9 port {number} ssh2");
        let line = if number % 2 == 0 {
            format!("<38>Nov 22 10:15:01 web01 sshd[{number}]: {words}\n")
        } else {
            format!("<38>1 2026-11-22T03:15:01.000000Z web01 sshd {number} - - {words}\n")
        };
        stream.write_all(line.as_bytes()).unwrap();
    }
}

/// What must be in the store of these lines.
fn check_lines(store: &StoreServer, topic: &str, unit: &str) {
    let columns = "unit, host, fields['program'], user, toString(source_address), formatDateTime(event_time, '%m-%d %H:%i:%S'), fields['pid'], service";
    let mut found = rows(store, topic, columns, LINES);
    let mut expected: Vec<String> = (0..LINES)
        .map(|number| {
            format!("{unit}\tweb01\tsshd\troot\t::ffff:203.0.113.9\t11-22 03:15:01\t{number}\tsshd")
        })
        .collect();
    // A shipper may change the order of what it sends in parallel.
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{topic}");
    let message =
        "countIf(fields['message'] LIKE 'Failed password for root from 203.0.113.9 port % ssh2')";
    let sql = format!("SELECT {message} FROM citywatch.events WHERE agent = 'kafka/{topic}'");
    assert_eq!(store.query(&sql), [LINES.to_string()], "{topic}");
}

fn rsyslog(dir: &Path, broker: &Broker, port: u16) -> Running {
    let config = format!(
        r#"global(workDirectory="{dir}")
module(load="imtcp")
module(load="omkafka")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="json" type="list") {{
  constant(value="{{")
  property(outname="timereported" name="timereported" dateFormat="rfc3339" format="jsonf")
  constant(value=",")
  property(outname="hostname" name="hostname" format="jsonf")
  constant(value=",")
  property(outname="fromhost-ip" name="fromhost-ip" format="jsonf")
  constant(value=",")
  property(outname="programname" name="programname" format="jsonf")
  constant(value=",")
  property(outname="procid" name="procid" format="jsonf")
  constant(value=",")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  constant(value=",")
  property(outname="msg" name="msg" format="jsonf")
  constant(value="}}")
}}
action(type="omkafka" broker=["{broker}"] topic="rsyslog-json" template="json")
action(type="omkafka" broker=["{broker}"] topic="rsyslog-lines" template="RSYSLOG_SyslogProtocol23Format")
"#,
        dir = dir.display(),
        broker = broker.address()
    );
    let path = dir.join("rsyslog.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("rsyslogd");
    command
        .args(["-n", "-f"])
        .arg(&path)
        .arg("-i")
        .arg(dir.join("rsyslog.pid"));
    command.env("TZ", "Asia/Ho_Chi_Minh");
    Running::start(&mut command, "rsyslog", dir)
}

fn syslog_ng(home: &Path, dir: &Path, broker: &Broker, port: u16) -> Running {
    let kafka = |topic: &str, message: &str| {
        format!(
            "kafka-c(bootstrap-servers(\"{}\") topic(\"{topic}\") message(\"{message}\"));",
            broker.address()
        )
    };
    let config = format!(
        "@version: 3.38\n@module afsocket\n@module kafka\n@module syslogformat\n@module json-plugin\n\
         options {{ keep-hostname(yes); chain-hostnames(no); }};\n\
         source s {{ network(ip(\"127.0.0.1\") port({port}) transport(\"tcp\") flags(syslog-protocol)); }};\n\
         destination json {{ {} }};\n\
         destination lines {{ {} }};\n\
         log {{ source(s); destination(json); destination(lines); }};\n",
        kafka(
            "syslog-ng-json",
            "$(format-json --scope rfc5424 --pair SOURCEIP=\\\"$SOURCEIP\\\" --pair ISODATE=\\\"$ISODATE\\\")"
        ),
        kafka("syslog-ng-lines", "$ISODATE $HOST $MSGHDR$MSG\\n"),
    );
    let path = dir.join("syslog-ng.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(home.join("usr/sbin/syslog-ng"));
    let libraries = [
        "usr/lib/syslog-ng",
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
    ];
    let libraries = libraries.map(|folder| home.join(folder).display().to_string());
    command
        .env("LD_LIBRARY_PATH", libraries.join(":"))
        .env("TZ", "Asia/Ho_Chi_Minh");
    command.arg("-F").arg("-f").arg(&path);
    command.arg(format!(
        "--module-path={}",
        home.join("usr/lib/syslog-ng/3.38").display()
    ));
    for (option, file) in [
        ("persist-file", "persist"),
        ("pidfile", "pid"),
        ("control", "control"),
    ] {
        command.arg(format!(
            "--{option}={}",
            dir.join(format!("syslog-ng.{file}")).display()
        ));
    }
    Running::start(&mut command, "syslog-ng", dir)
}

/// Whether rsyslog with its Kafka output is installed; says so when not.
fn have_rsyslog() -> bool {
    let there = Path::new("/usr/lib/x86_64-linux-gnu/rsyslog/omkafka.so").exists();
    if !there {
        eprintln!("skipped: rsyslog-kafka is not installed; deploy/setup.sh --for test does it");
    }
    there
}

/// Where syslog-ng was unpacked; says so when it was not.
fn have_syslog_ng() -> Option<PathBuf> {
    let ask = |argument| {
        let script = project().join("deploy/syslog-ng-fetch.sh");
        Command::new(script).arg(argument).output().unwrap()
    };
    if !ask("--check").status.success() {
        eprintln!("skipped: syslog-ng is not fetched; deploy/setup.sh --for test does it");
        return None;
    }
    Some(
        String::from_utf8(ask("--path").stdout)
            .unwrap()
            .trim()
            .into(),
    )
}

#[test]
fn rsyslog_and_syslog_ng_run_for_real() {
    if !have_chdb() {
        return;
    }
    let (rsyslog_there, syslog_ng_home) = (have_rsyslog(), have_syslog_ng());
    let Some(broker) = Broker::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let store = StoreServer::start(&dir.join("store"), dir, "store");
    let by_address = "unit = \"nobody\"\n[kafka.topics.\"TOPIC\".units_by_address]\n\"127.0.0.0/8\" = \"ward-7\"\n";
    let topics: Vec<(String, String)> = [
        ("rsyslog-json", by_address.replace("TOPIC", "rsyslog-json")),
        ("rsyslog-lines", "unit = \"ward-8\"".to_owned()),
        (
            "syslog-ng-json",
            by_address.replace("TOPIC", "syslog-ng-json"),
        ),
        (
            "syslog-ng-lines",
            "unit = \"ward-8\"\ntime_zone = \"Asia/Ho_Chi_Minh\"".to_owned(),
        ),
    ]
    .map(|(name, settings)| (name.to_owned(), settings))
    .to_vec();
    let engine = engine(dir, &broker, &store, &topics);
    if rsyslog_there {
        let port = free_port();
        let running = rsyslog(dir, &broker, port);
        send_lines(port);
        check_lines(&store, "rsyslog-json", "ward-7");
        check_lines(&store, "rsyslog-lines", "ward-8");
        running.kill();
    }
    if let Some(home) = syslog_ng_home {
        let port = free_port();
        let running = syslog_ng(&home, dir, &broker, port);
        send_lines(port);
        check_lines(&store, "syslog-ng-json", "ward-7");
        check_lines(&store, "syslog-ng-lines", "ward-8");
        running.kill();
    }
    engine.stop();
    store.running.stop();
}

/// Where the OpenTelemetry Collector was built; says so when it was not.
fn have_otel_collector() -> Option<PathBuf> {
    let script = project().join("deploy/otel-collector-build.sh");
    let ask = |argument| Command::new(&script).arg(argument).output().unwrap();
    if !ask("--check").status.success() {
        eprintln!("skipped: the OpenTelemetry Collector is not built; make test-all does it");
        return None;
    }
    let path = String::from_utf8(ask("--path").stdout).unwrap();
    Some(path.trim().into())
}

fn otel_collector(program: &Path, dir: &Path, broker: &Broker, port: u16) -> Running {
    let exporter = |encoding: &str| {
        format!(
            "  kafka/{encoding}:\n    brokers: [\"{}\"]\n    logs:\n      topic: {encoding}\n      encoding: {encoding}\n",
            broker.address()
        )
    };
    let config = format!(
        "receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: 127.0.0.1:{port}\nexporters:\n{}{}\
         service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n    logs:\n      receivers: [otlp]\n      exporters: [kafka/otlp_proto, kafka/otlp_json]\n",
        exporter("otlp_proto"),
        exporter("otlp_json"),
    );
    let path = dir.join("otel-collector.yaml");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(program);
    command.arg(format!("--config=file:{}", path.display()));
    Running::start(&mut command, "otel-collector", dir)
}

/// What an application sends to its Collector: five records in a request.
fn otlp_request(first: usize) -> serde_json::Value {
    let text =
        |key: &str, value: &str| serde_json::json!({"key": key, "value": {"stringValue": value}});
    let records: Vec<serde_json::Value> = (first..first + 5)
        .map(|number| {
            let words = format!("Failed password for root from 203.0.113.9 port {number} ssh2");
            serde_json::json!({
                "timeUnixNano": "1795317301512345678",
                "severityNumber": 13,
                "severityText": "WARN",
                "body": {"stringValue": words},
                "attributes": [
                    text("user.name", "root"),
                    {"key": "client.port", "value": {"intValue": number.to_string()}},
                ],
            })
        })
        .collect();
    serde_json::json!({"resourceLogs": [{
        "resource": {"attributes": [text("host.name", "web01"), text("service.name", "sshd")]},
        "scopeLogs": [{"scope": {"name": "vn.city"}, "logRecords": records}],
    }]})
}

#[test]
fn the_opentelemetry_collector_runs_for_real() {
    if !have_chdb() {
        return;
    }
    let Some(program) = have_otel_collector() else {
        return;
    };
    let Some(broker) = Broker::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let store = StoreServer::start(&dir.join("store"), dir, "store");
    let encodings = ["otlp_proto", "otlp_json"];
    let topics = encodings.map(|name| (name.to_owned(), "unit = \"ward-9\"".to_owned()));
    let engine = engine(dir, &broker, &store, &topics);
    let port = free_port();
    let collector = otel_collector(&program, dir, &broker, port);
    let headers = [("content-type", "application/json")];
    for first in (0..100).step_by(5) {
        let body = otlp_request(first).to_string();
        let taken = wait_for("the Collector to take records", || {
            request(port, "POST", "/v1/logs", &headers, &body).filter(|taken| taken.status == 200)
        });
        assert_eq!(taken.body, "{\"partialSuccess\":{}}");
    }
    for topic in encodings {
        let columns = "unit, host, format, user, formatDateTime(event_time, '%F %T.%f'), fields['severity'], fields['service.name'], fields['client.port'], fields['message']";
        let mut found = rows(&store, topic, columns, 100);
        let mut expected: Vec<String> = (0..100)
            .map(|number| {
                format!("ward-9\tweb01\totlp\troot\t2026-11-22 03:15:01.512345\tWARN\tsshd\t{number}\tFailed password for root from 203.0.113.9 port {number} ssh2")
            })
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{topic}");
    }
    collector.kill();
    engine.stop();
    store.running.stop();
}
