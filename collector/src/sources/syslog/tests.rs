//! The listeners over real sockets, with a real spool behind them.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use citywatch_parsers::UnitId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::AgentConfig;
use crate::sink::Sink;
use crate::sources::tls::testing::{Authority, Shows};
use crate::spool::{Spool, SpoolLimits};
use crate::status::ListenerStatus;
use crate::{Agent, AgentHandle};

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

fn config(listen: &str) -> SyslogConfig {
    SyslogConfig {
        listen: listen.parse().unwrap(),
        protocols: default_protocols(),
        format: default_format(),
        unit: None,
        units: BTreeMap::from([
            ("127.0.0.0/8".into(), "ward-1".into()),
            ("127.0.0.1/32".into(), "ward-2".into()),
            ("::1/128".into(), "ward-6".into()),
        ]),
        mask: None,
        when_full: None,
        tls: None,
    }
}

fn ports(agent: &AgentHandle) -> Vec<String> {
    let address = |address: String| address.split_once("://").unwrap().1.to_owned();
    agent
        .status()
        .listeners
        .into_iter()
        .map(|listener| address(listener.address))
        .collect()
}

#[tokio::test]
async fn what_is_received_over_udp_and_tcp_is_spooled_by_sender() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent_config = AgentConfig {
        state_dir: dir.path().join("state"),
        ..AgentConfig::default()
    };
    agent_config.syslog = vec![config("127.0.0.1:0"), config("[::1]:0")];
    let (writer, reader) = Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
    let shutdown = CancellationToken::new();
    let agent = match Agent::start(&agent_config, Sink::Spool(writer), shutdown.clone()) {
        Ok(agent) => agent,
        Err(error) => {
            eprintln!("skipped: no IPv6 here ({error})");
            return;
        }
    };
    let ports = ports(&agent);
    for (address, from) in [(&ports[0], "127.0.0.1:0"), (&ports[2], "[::1]:0")] {
        let socket = UdpSocket::bind(from).unwrap();
        socket.send_to(b"<34>udp one\n", address).unwrap();
        socket.send_to(b"<34>udp two", address).unwrap();
    }
    for address in [&ports[1], &ports[3]] {
        TcpStream::connect(address)
            .unwrap()
            .write_all(b"<34>tcp one\n11 <34>tcp two<34>tcp three")
            .unwrap();
    }

    // What lies in the sockets when the end comes is not received.
    let all_received = async {
        let received = |listener: &ListenerStatus| listener.records;
        while agent.status().listeners.iter().map(received).sum::<u64>() < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_received)
        .await
        .expect("all is received");
    // What is not spooled yet is spooled at the end.
    shutdown.cancel();

    let (mut deliveries, _task) = reader.start(16, CancellationToken::new()).unwrap();
    let mut found = Vec::new();
    while found.len() < 10 {
        let delivery = timeout(PATIENCE, deliveries.recv())
            .await
            .expect("all that was received is spooled")
            .unwrap();
        for record in delivery.batch.iter() {
            let host = record.origin.host.as_deref().unwrap_or_default();
            found.push(format!(
                "{} {host} {}",
                record.origin.unit,
                String::from_utf8_lossy(record.raw)
            ));
        }
        delivery.receipt.acknowledge();
    }
    found.sort();
    let expected = ["tcp one", "tcp three", "tcp two", "udp one", "udp two"];
    let expected: Vec<String> = [("ward-2", "127.0.0.1"), ("ward-6", "::1")]
        .iter()
        .flat_map(|(unit, host)| expected.map(|text| format!("{unit} {host} <34>{text}")))
        .collect();
    assert_eq!(found, expected);
    timeout(PATIENCE, agent.ended())
        .await
        .expect("the agent ends");
}

#[tokio::test]
async fn within_tls_too_and_only_from_senders_with_a_certificate_where_that_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::make(dir.path());
    let tls = |listen: &str, tls: ListenTls| SyslogConfig {
        protocols: vec![Protocol::Tls],
        tls: Some(tls),
        ..config(listen)
    };
    let agent_config = AgentConfig {
        state_dir: dir.path().join("state"),
        syslog: vec![
            tls("127.0.0.1:0", authority.listen()),
            tls("[::1]:0", authority.listen_to_own()),
        ],
        ..AgentConfig::default()
    };
    assert_eq!(agent_config.problems(), Vec::<String>::new());
    let (writer, reader) = Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
    let shutdown = CancellationToken::new();
    let agent = match Agent::start(&agent_config, Sink::Spool(writer), shutdown.clone()) {
        Ok(agent) => agent,
        Err(error) => {
            eprintln!("skipped: no IPv6 here ({error})");
            return;
        }
    };
    let ports = ports(&agent);
    let send = |port: usize, shows: Shows| {
        let mut stream = authority.connect(&ports[port], shows);
        let text = b"11 <34>tls one<34>tls two\n";
        stream.write_all(text).and_then(|()| stream.flush())
    };
    send(0, Shows::Nothing).unwrap();
    send(1, Shows::Certificate).unwrap();
    // In TLS 1.3 the sender may hear of the refusal only later.
    let _ = send(1, Shows::Nothing);
    TcpStream::connect(&ports[0])
        .unwrap()
        .write_all(b"<34>not within TLS\n")
        .unwrap();

    let all_answered = async {
        loop {
            let [open, own] = &agent.status().listeners[..] else {
                panic!("two listeners");
            };
            let refused = (open.refused_connections, own.refused_connections);
            if (open.records, own.records, refused) == (2, 2, (1, 1)) {
                assert!(own.last_error.as_deref().unwrap_or("").contains("TLS with"));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_answered)
        .await
        .expect("two are received and two refused");
    shutdown.cancel();
    timeout(PATIENCE, agent.ended())
        .await
        .expect("the agent ends");
    let (mut deliveries, _task) = reader.start(16, CancellationToken::new()).unwrap();
    let mut found = Vec::new();
    while found.len() < 4 {
        let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        for record in delivery.batch.iter() {
            assert!(record.origin.stream.as_str().starts_with("syslog+tls://"));
            found.push(format!(
                "{} {}",
                record.origin.unit,
                String::from_utf8_lossy(record.raw)
            ));
        }
        delivery.receipt.acknowledge();
    }
    found.sort();
    let expected = [
        "ward-2 <34>tls one",
        "ward-2 <34>tls two",
        "ward-6 <34>tls one",
        "ward-6 <34>tls two",
    ];
    assert_eq!(found, expected);
}

#[test]
fn tls_needs_its_protocol_and_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Some(Authority::make(dir.path()).listen());
    let problems = |protocols: &[Protocol], tls: Option<ListenTls>| {
        let protocols = protocols.to_vec();
        SyslogConfig {
            protocols,
            tls,
            ..config("127.0.0.1:6514")
        }
        .problems()
    };
    assert!(problems(&[Protocol::Tls], None)[0].starts_with("tls: missing"));
    assert!(problems(&[Protocol::Tcp], tls.clone())[0].starts_with("tls: not used"));
    assert!(problems(&[Protocol::Tcp, Protocol::Tls], tls.clone())[0].contains("share a port"));
    assert_eq!(
        problems(&[Protocol::Udp, Protocol::Tls], tls),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut agent_config = AgentConfig {
        state_dir: dir.path().join("state"),
        ..AgentConfig::default()
    };
    agent_config.syslog = vec![config(&address)];
    let (writer, _reader) = Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
    let error =
        Agent::start(&agent_config, Sink::Spool(writer), CancellationToken::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("cannot listen on {address}")),
        "{error}"
    );
}

#[test]
fn the_narrowest_network_names_the_unit() {
    let mut config = config("127.0.0.1:0");
    config.unit = Some("rest".into());
    let unit = |sender: &str| {
        UnitId::from(config.senders().unit_of(sender.parse().unwrap()).unwrap()).to_string()
    };
    assert_eq!(unit("127.0.0.1"), "ward-2");
    assert_eq!(unit("127.9.0.1"), "ward-1");
    assert_eq!(unit("::ffff:127.9.0.1"), "ward-1");
    assert_eq!(unit("192.0.2.1"), "rest");
    assert_eq!(unit("::2"), "rest");
}

#[test]
fn networks_that_are_none_are_told() {
    for network in ["10.0.0.0", "10.0.0.0/33", "::/129", "ward/8"] {
        let mut config = config("127.0.0.1:0");
        config.units = BTreeMap::from([(network.into(), "x".into())]);
        assert_eq!(config.problems().len(), 1, "{network}");
    }
}
