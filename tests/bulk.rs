//! Elastic's bulk format from a sender that is none of ours: rsyslog's omelasticsearch, run for real against the agent within
//! `citywatch up`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use support::{Running, StoreServer, Up, free_port, have_chdb, wait_for};

const LINES: u64 = 500;

/// Whether rsyslog with its output for Elasticsearch is installed; says so when not.
fn have_rsyslog() -> bool {
    let there = Path::new("/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so").exists();
    if !there {
        eprintln!(
            "skipped: rsyslog-elasticsearch is not installed; deploy/setup.sh --for test does it"
        );
    }
    there
}

fn rsyslog(dir: &Path, listen: u16, bulk: u16) -> Running {
    let config = format!(
        r#"global(workDirectory="{dir}")
module(load="imtcp")
module(load="omelasticsearch")
input(type="imtcp" port="{listen}" address="127.0.0.1")
template(name="json" type="list") {{
  constant(value="{{")
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  constant(value=",")
  property(outname="hostname" name="hostname" format="jsonf")
  constant(value=",")
  property(outname="programname" name="programname" format="jsonf")
  constant(value=",")
  property(outname="msg" name="msg" format="jsonf")
  constant(value="}}")
}}
action(type="omelasticsearch" server="127.0.0.1" serverport="{bulk}" template="json" searchIndex="logs" searchType=""
       bulkmode="on" uid="beat" pwd="let-me-in" errorFile="{dir}/refused")
"#,
        dir = dir.display(),
    );
    let path = dir.join("rsyslog.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-f"]).arg(&path);
    command.arg("-i").arg(dir.join("rsyslog.pid"));
    Running::start(&mut command, "rsyslog", dir)
}

#[test]
fn rsyslog_sends_by_bulk_and_each_line_is_stored_once() {
    if !have_chdb() || !have_rsyslog() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let [bulk, listen] = [(); 2].map(|()| free_port());
    let password = dir.join("password");
    std::fs::write(&password, "let-me-in\n").unwrap();
    let config = dir.join("citywatch.toml");
    let text = format!(
        "[engine]\nflush_interval_ms = 200\n[agent]\nname = \"relay\"\nunit = \"hcmc/linh-xuan\"\n\
         [[agent.http]]\nlisten = \"127.0.0.1:{bulk}\"\nsign_in = {{ user = \"beat\", password_file = \"{}\" }}\n",
        password.display()
    );
    std::fs::write(&config, text).unwrap();
    let up = Up::start(dir, &config);
    let running = rsyslog(dir, listen, bulk);
    let mut stream = wait_for("rsyslog to listen", || {
        TcpStream::connect(("127.0.0.1", listen)).ok()
    });
    for number in 0..LINES {
        let words = format!("Failed password for root from 203.0.113.9 port {number} ssh2");
        writeln!(
            stream,
            "<38>1 2026-11-22T03:15:01.000000Z web01 sshd {number} - - {words}"
        )
        .unwrap();
    }
    stream.flush().unwrap();
    wait_for("the lines to be stored", || {
        (up.total("events_stored") >= LINES).then_some(())
    });
    running.kill();
    assert_eq!(up.total("dead_letters"), 0);
    up.running.stop();
    // rsyslog writes there what the answer to a request refuses.
    let refused = std::fs::read_to_string(dir.join("refused")).unwrap_or_default();
    assert_eq!(refused, "");
    let store = StoreServer::start(&dir.join("data/store"), dir, "store");
    let columns = "unit, host, fields['program'], count(), uniqExact(fields['message'])";
    let stored = store.query(&format!(
        "SELECT {columns} FROM citywatch.events WHERE agent = 'relay' GROUP BY 1, 2, 3"
    ));
    assert_eq!(
        stored,
        [format!("hcmc/linh-xuan\tweb01\tsshd\t{LINES}\t{LINES}")]
    );
    store.running.stop();
}
