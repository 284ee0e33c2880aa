//! An agent's life as people meet it: `citywatch ca`, `citywatch up`, `citywatch-agent enroll`, signed
//! batches over HTTPS, and the end by `citywatch ca revoke`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use citywatch_collector::Identity;
use citywatch_collector::authority::Authority;
use citywatch_collector::identity::beside;
use support::broker::Broker;
use support::{Running, StoreServer, Up, free_port, have_chdb, run, sibling, wait_for};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs `citywatch ca` on the data of this test.
fn ca(dir: &Path, args: &[&str]) -> Output {
    let data = dir.join("data");
    run(&[&["ca"], args, &["--data", data.to_str().unwrap()]].concat())
}

fn token(dir: &Path, unit: &str) -> String {
    let made = ca(dir, &["token", "--unit", unit]);
    assert!(made.status.success(), "{}", text(&made));
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}

fn agent(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(sibling("citywatch-agent"));
    command.args(arguments).arg("--config").arg(config);
    command
}

fn append(log: &Path, lines: std::ops::Range<u32>) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    for line in lines {
        writeln!(
            file,
            "2026-11-22T08:00:00+07:00 web01 sshd[{line}]: session opened for user u{line}"
        )
        .unwrap();
    }
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_agent_lives_from_its_token_to_its_revocation() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("https://127.0.0.1:{port}");
    let config = write(
        dir.path().join("citywatch.toml"),
        &format!("[engine]\nflush_interval_ms = 200\n\n[intake]\nlisten = \"127.0.0.1:{port}\"\n"),
    );

    // Without an authority it says what to do.
    let output = Command::new(support::citywatch())
        .args(["up", "--config", config.to_str().unwrap(), "--data", "data"])
        .current_dir(dir.path())
        .args(["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(
        text(&output).contains("citywatch ca init"),
        "{}",
        text(&output)
    );

    let made = ca(dir.path(), &["init"]);
    assert!(made.status.success(), "{}", text(&made));
    let up = Up::start(dir.path(), &config);
    let log = dir.path().join("auth.log");
    append(&log, 0..100);
    let agent_toml = write(
        dir.path().join("agent.toml"),
        &format!(
            "name = \"web01\"\nstate_dir = \"{0}/agent\"\n\n[https]\n\n[[files]]\npaths = [\"{0}/auth.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n",
            dir.path().display()
        ),
    );

    // Before it is enrolled, an agent that is to use HTTPS says what to do.
    let output = agent(&["run"], &agent_toml).output().unwrap();
    assert!(
        text(&output).contains("citywatch-agent enroll"),
        "{}",
        text(&output)
    );

    let token_text = token(dir.path(), "hcmc/linh-xuan");
    let output = agent(&["enroll", &url, &token_text], &agent_toml)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("web01 of hcmc/linh-xuan"),
        "{}",
        text(&output)
    );
    let identity = dir.path().join("agent/identity/identity.pem");
    let mode = std::fs::metadata(&identity).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The token is used up, and an identity is not replaced by mistake.
    let output = agent(&["enroll", &url, &token_text], &agent_toml)
        .output()
        .unwrap();
    assert!(text(&output).contains("--replace"), "{}", text(&output));
    let output = agent(&["enroll", &url, &token_text, "--replace"], &agent_toml)
        .output()
        .unwrap();
    assert!(
        text(&output).contains("the token has been used"),
        "{}",
        text(&output)
    );

    let output = agent(&["check"], &agent_toml).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("enrolled as web01 of hcmc/linh-xuan"),
        "{}",
        text(&output)
    );

    let running = Running::start(&mut agent(&["run"], &agent_toml), "agent", dir.path());
    wait_for("the agent's lines to be stored", || {
        (up.total("events_stored") >= 100).then_some(())
    });

    let heard = wait_for("the agent's heartbeat", || {
        let agents = up.status()?["details"]["agents"]["agents"].clone();
        agents.as_array()?.first().cloned()
    });
    assert_eq!(
        (&heard["agent"], &heard["unit"], &heard["silent"]),
        (&"web01".into(), &"hcmc/linh-xuan".into(), &false.into()),
        "{heard}"
    );
    // One clock on one machine.
    let offset_us = heard["clock_offset_us"].as_i64().unwrap();
    assert!(offset_us.abs() < 60_000_000, "{heard}");
    assert!(
        heard["certificate_until"].as_i64().unwrap() > 1_700_000_000,
        "{heard}"
    );

    let listed = ca(dir.path(), &["list"]);
    assert!(
        text(&listed).contains("web01 of hcmc/linh-xuan"),
        "{}",
        text(&listed)
    );
    let revoked = ca(dir.path(), &["revoke", "web01"]);
    assert!(text(&revoked).contains("revoked"), "{}", text(&revoked));
    // The revocation is in force within seconds; what comes before that is stored as an event.
    let mut lines = 100..101;
    wait_for("a dead letter", || {
        append(&log, lines.clone());
        lines = lines.end..lines.end + 1;
        std::thread::sleep(std::time::Duration::from_millis(500));
        (up.total("dead_letters") >= 1).then_some(())
    });
    // It is counted when it is met and stored a little later.
    wait_for("the dead letter in the store", || {
        let list = run(&[
            "dead-letters",
            "list",
            "--config",
            config.to_str().unwrap(),
            "--data",
            dir.path().join("data").to_str().unwrap(),
            "--reason",
            "refused",
        ]);
        text(&list)
            .contains("the certificate of web01 of hcmc/linh-xuan is revoked")
            .then_some(())
    });
    let metrics = support::request(up.monitor, "GET", "/metrics", &[], "")
        .unwrap()
        .body;
    assert!(
        metrics.contains("citywatch_refused_batches_total{reason=\"revoked\"}"),
        "{metrics}"
    );
    wait_for("the agent to say that it is refused", || {
        let status = std::fs::read_to_string(dir.path().join("agent/status.json")).ok()?;
        status.contains("is revoked").then_some(())
    });
    running.stop();
    up.running.stop();

    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    let units = store.query("SELECT DISTINCT agent, unit FROM citywatch.events");
    assert_eq!(units, ["web01\thcmc/linh-xuan"]);
    let events =
        store.query("SELECT count() >= 100, count() = uniqExact(position) FROM citywatch.events");
    assert_eq!(events, ["1\t1"]);
    store.running.stop();
}

/// An agent whose certificate is past two thirds of its life, as seen by what watches it.
#[test]
fn a_running_agent_renews_its_certificate_and_tells_of_its_queues() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let [port, monitor, syslog] = [(); 3].map(|()| free_port());
    let config = write(
        dir.join("citywatch.toml"),
        &format!("[engine]\nflush_interval_ms = 200\n[intake]\nlisten = \"127.0.0.1:{port}\"\n"),
    );
    let made = ca(dir, &["init"]);
    assert!(made.status.success(), "{}", text(&made));
    let up = Up::start(dir, &config);
    let authority = Authority::open(&dir.join("data/ca")).unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let begun = SystemTime::now() - hours(20);
    let url = format!("https://127.0.0.1:{port}");
    let identity = dir.join("agent/identity");
    let holder = ("hcmc/linh-xuan", "web01");
    let old = beside::enrol(&authority, holder, &url, &identity, hours(24), begun).unwrap();
    let serial = old.current().note.serial.clone();

    append(&dir.join("auth.log"), 0..100);
    let agent_toml = write(
        dir.join("agent.toml"),
        &format!(
            "name = \"web01\"\nstate_dir = \"{0}/agent\"\n[https]\n[monitor]\nlisten = \"127.0.0.1:{monitor}\"\n\
             [[syslog]]\nlisten = \"127.0.0.1:{syslog}\"\nprotocols = [\"tcp\"]\nwhen_full = \"drop_oldest\"\n\
             [[files]]\npaths = [\"{0}/auth.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n",
            dir.display()
        ),
    );
    let running = Running::start(&mut agent(&["run"], &agent_toml), "agent", dir);
    let asked = |path: &str| support::request(monitor, "GET", path, &[], "");
    wait_for("the certificate to be renewed", || {
        let metrics = asked("/metrics")?.body;
        metrics
            .contains("citywatch_agent_renewals_total{result=\"renewed\"} 1")
            .then_some(())
    });
    let new = Identity::open(&identity).unwrap().unwrap();
    assert_ne!(new.current().note.serial, serial);
    assert!(new.current().left(SystemTime::now()) > hours(24));
    // What it sends is signed with the new one.
    wait_for("the agent's lines to be stored", || {
        (up.total("events_stored") >= 100).then_some(())
    });
    assert_eq!(up.total("dead_letters"), 0);

    let metrics = wait_for("the agent's queues to be told", || {
        let metrics = asked("/metrics")?.body;
        let delivered = "citywatch_agent_delivered_bytes_total ";
        let delivered = metrics
            .lines()
            .find_map(|line| line.strip_prefix(delivered));
        (delivered? != "0").then(|| metrics.clone())
    });
    let queue = format!("{{queue=\"spool:syslog-tcp-127.0.0.1:{syslog}\"}}");
    for line in [
        format!("citywatch_agent_queue_bytes{queue} "),
        format!("citywatch_agent_queue_bytes_max{queue} "),
        format!("citywatch_agent_queue_batches{queue} 0"),
        format!("citywatch_agent_queue_dropped_records_total{queue} 0"),
        "citywatch_agent_in_flight_batches ".to_owned(),
        "citywatch_agent_files_lag_bytes 0".to_owned(),
        "citywatch_agent_connected 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    }
    assert_eq!(asked("/health/live").unwrap().body, "live\n");
    let status = asked("/status").unwrap().json();
    assert_eq!(status["name"], "web01", "{status}");

    // An address that is taken is named.
    let other = std::fs::read_to_string(&agent_toml).unwrap();
    let other = other
        .replace("/agent\"", "/other\"")
        .replace(&syslog.to_string(), "0");
    let other = write(
        dir.join("other.toml"),
        &format!("identity_dir = \"{}\"\n{other}", identity.display()),
    );
    let refused = agent(&["run"], &other).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(
        text(&refused).contains("set another [monitor] listen"),
        "{}",
        text(&refused)
    );
    running.stop();
    up.running.stop();
}

#[test]
fn the_agent_within_up_signs_where_signed_batches_are_asked_for() {
    if !have_chdb() {
        return;
    }
    let Some(broker) = Broker::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    broker.topic("signed", 1, &[]);
    let address = broker.address();
    let config = write(
        dir.join("citywatch.toml"),
        &format!(
            "[input]\nfrom = \"kafka\"\n[kafka]\nbrokers = \"{address}\"\n[kafka.topics.signed]\nrequire_signed = true\n\
             [agent]\nname = \"soc-1\"\nunit = \"hcmc/soc\"\n[agent.kafka]\nbrokers = \"{address}\"\ntopic = \"signed\"\n\
             [[agent.files]]\npaths = [\"auth.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n[engine]\nflush_interval_ms = 200\n"
        ),
    );
    append(&dir.join("auth.log"), 0..100);

    // Without an authority nobody could check what it signs.
    let output = Command::new(support::citywatch())
        .args(["up", "--config", config.to_str().unwrap(), "--data", "data"])
        .current_dir(dir)
        .args(["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("citywatch ca init"),
        "{}",
        text(&output)
    );

    // Beside the authority it gets its identity by itself.
    let made = ca(dir, &["init"]);
    assert!(made.status.success(), "{}", text(&made));
    let up = Up::start(dir, &config);
    wait_for("the agent's lines to be stored", || {
        (up.total("events_stored") >= 100).then_some(())
    });
    let heard = wait_for("the agent's heartbeat", || {
        let agents = up.status()?["details"]["agents"]["agents"].clone();
        agents.as_array()?.first().cloned()
    });
    assert_eq!(
        (&heard["agent"], &heard["unit"]),
        (&"soc-1".into(), &"hcmc/soc".into())
    );
    assert!(
        heard["certificate_until"].as_i64().unwrap() > 1_700_000_000,
        "{heard}"
    );
    assert_eq!(up.total("dead_letters"), 0);
    let listed = ca(dir, &["list"]);
    assert!(
        text(&listed).contains("soc-1 of hcmc/soc"),
        "{}",
        text(&listed)
    );
    up.running.stop();
    let store = StoreServer::start(&dir.join("data/store"), dir, "store");
    let units = store.query("SELECT DISTINCT agent, unit FROM citywatch.events");
    assert_eq!(units, ["soc-1\thcmc/soc"]);
    store.running.stop();
}

/// An office whose own `citywatch up` reads what its devices write to its Kafka, and whose agent reports to the centre's.
#[test]
fn the_agent_within_up_sends_through_the_intake_of_another() {
    if !have_chdb() {
        return;
    }
    let Some(broker) = Broker::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let [centre, office] = ["centre", "office"].map(|name| dir.path().join(name));
    for folder in [&centre, &office] {
        std::fs::create_dir(folder).unwrap();
    }
    let port = free_port();
    let centre_config = write(
        centre.join("citywatch.toml"),
        &format!("[engine]\nflush_interval_ms = 200\n[intake]\nlisten = \"127.0.0.1:{port}\"\n"),
    );
    let made = ca(&centre, &["init"]);
    assert!(made.status.success(), "{}", text(&made));
    let up = Up::start(&centre, &centre_config);

    broker.topic("devices", 1, &[]);
    append(&office.join("auth.log"), 0..100);
    let office_config = write(
        office.join("citywatch.toml"),
        &format!(
            "[input]\nfrom = \"kafka\"\n[kafka]\nbrokers = \"{}\"\n[kafka.topics.devices]\nunit = \"hcmc/an-khanh\"\n\
             [agent]\nname = \"an-khanh-1\"\nidentity_dir = \"identity\"\n[agent.https]\n\
             [[agent.files]]\npaths = [\"auth.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n[engine]\nflush_interval_ms = 200\n",
            broker.address()
        ),
    );
    let agent_toml = write(
        office.join("agent.toml"),
        &format!(
            "name = \"an-khanh-1\"\nstate_dir = \"{0}/agent\"\nidentity_dir = \"{0}/identity\"\n[https]\n",
            office.display()
        ),
    );
    let url = format!("https://127.0.0.1:{port}");
    let token = token(&centre, "hcmc/an-khanh");
    let output = agent(&["enroll", &url, &token], &agent_toml)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));

    let own = Up::start(&office, &office_config);
    wait_for("the office's lines to be stored at the centre", || {
        (up.total("events_stored") >= 100).then_some(())
    });
    let heard = wait_for("the office's heartbeat", || {
        let agents = up.status()?["details"]["agents"]["agents"].clone();
        agents.as_array()?.first().cloned()
    });
    assert_eq!(
        (&heard["agent"], &heard["unit"]),
        (&"an-khanh-1".into(), &"hcmc/an-khanh".into()),
        "{heard}"
    );
    // While the centre is away the agent waits, and goes on by itself.
    up.running.stop();
    append(&office.join("auth.log"), 100..200);
    let up = Up::start(&centre, &centre_config);
    wait_for("what came meanwhile", || {
        (up.total("events_stored") >= 100).then_some(())
    });
    // Of its own the office has none: its agent's lines are the centre's.
    assert_eq!(own.total("events_stored"), 0);
    own.running.stop();
    up.running.stop();
    let store = StoreServer::start(&centre.join("data/store"), dir.path(), "store");
    let events = store
        .query("SELECT agent, unit, count(), uniqExact(position) FROM citywatch.events GROUP BY agent, unit");
    assert_eq!(events, ["an-khanh-1\thcmc/an-khanh\t200\t200"]);
    store.running.stop();
}
