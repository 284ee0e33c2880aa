//! Mutual TLS and signed batches against a real broker; skipped, visibly, where none has been fetched.

#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

#[path = "../../tests/support/broker.rs"]
mod broker;
#[path = "../../tests/support/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use broker::Broker;
use citywatch_collector::Identity;
use citywatch_collector::authority::{Authority, TokenRequest};
use citywatch_collector::delivery::Delivery;
use citywatch_collector::frame;
use citywatch_collector::identity::own::{NewKey, Note};
use citywatch_collector::identity::{Reach, Verifier};
use citywatch_collector::kafka::{
    Consumer, ConsumerConfig, Producer, ProducerConfig, TlsConfig, TopicConfig,
};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(180);
const DAY: Duration = Duration::from_secs(24 * 3600);
const TOPIC: &str = "signed";

/// Enrols an agent without a server in between.
fn enrol(authority: &Authority, agent: &str, dir: &Path, valid: Duration) -> Arc<Identity> {
    let request = TokenRequest {
        unit: "hcmc/linh-xuan".into(),
        agent: None,
        reach: Reach::Unit,
        valid: DAY,
    };
    let now = SystemTime::now();
    let token = authority.make_token(&request, now).unwrap();
    let key = NewKey::make().unwrap();
    let issued = authority.enrol(&token, agent, key.request(), valid, now);
    let issued = issued.unwrap();
    let note = Note {
        holder: issued.holder.uri(),
        serial: issued.serial,
        at: 0,
        until: i64::MAX / 4,
        server: "https://localhost:1".into(),
    };
    key.keep(dir, &issued.certificate, &issued.ca, &note)
        .unwrap();
    Arc::new(Identity::open(dir).unwrap().unwrap())
}

fn tls_of(identity: &Identity, ca: &Path) -> TlsConfig {
    TlsConfig {
        ca: ca.into(),
        certificate: identity.file(),
        key: identity.file(),
    }
}

fn producer(broker: &str, tls: TlsConfig, identity: Option<Arc<Identity>>) -> Producer {
    let config = ProducerConfig {
        brokers: broker.into(),
        topic: TOPIC.into(),
        message_bytes_max: 1_000_000,
        tls: Some(tls),
        options: BTreeMap::new(),
    };
    Producer::signing(&config, identity).unwrap()
}

fn batch(unit: &str, position: u64) -> RecordBatch {
    let origin = Origin {
        unit: unit.into(),
        agent: "web01".into(),
        stream: "/var/log/auth.log".into(),
        format: "syslog".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(b"a line", position, Timestamp(1), Truncated::No);
    batch
}

async fn send(producer: &Producer, batch: &RecordBatch) {
    let mut ticket = producer.submit(batch).await.unwrap();
    timeout(PATIENCE, ticket.settled()).await.unwrap().unwrap();
}

/// What comes next: the unit of a batch, or why it was refused.
async fn next(deliveries: &mut Receiver<Delivery>) -> String {
    let delivery = timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
    let origin = Arc::clone(&delivery.batch.origin);
    delivery.receipt.acknowledge();
    match origin.format.strip_prefix(frame::REFUSED) {
        Some(reason) => reason.to_owned(),
        None => origin.unit.to_string(),
    }
}

/// The last fault of a producer that cannot connect.
async fn fault(producer: &Producer) -> String {
    // Something to send makes it try.
    let _ticket = producer.submit(&batch("hcmc/linh-xuan", 1)).await.unwrap();
    let monitor = producer.monitor();
    let looks = async {
        loop {
            let error = monitor.status().connection.last_error;
            if let Some(error) = error.filter(|error| error.contains("certif")) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match timeout(PATIENCE, looks).await {
        Ok(error) => error,
        Err(_) => panic!("no word of a certificate: {:?}", monitor.status()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_batches_over_mutual_tls() {
    let dir = tempfile::tempdir().unwrap();
    let ca_dir = dir.path().join("ca");
    let now = SystemTime::now();
    let authority = Authority::init(&ca_dir, now).unwrap();
    let ca = Authority::certificate_file(&ca_dir);
    let keys = |name: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let (key, certificates) = authority.issue(&hosts, DAY, now).unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, key + &certificates).unwrap();
        path
    };
    let broker_keys = keys("broker.pem", &["127.0.0.1", "localhost"]);
    let Some(broker) = Broker::start_with_tls(&broker_keys, &ca) else {
        return;
    };
    broker.topic(TOPIC, 1, &[]);
    let address = broker.tls_address();

    let engine_keys = keys("engine.pem", &["engine-1"]);
    let settings = TopicConfig {
        require_signed: true,
        ..TopicConfig::default()
    };
    let config = ConsumerConfig {
        brokers: address.clone(),
        topics: BTreeMap::from([(TOPIC.into(), settings)]),
        group: "engines".into(),
        tls: Some(TlsConfig {
            ca: ca.clone(),
            certificate: engine_keys.clone(),
            key: engine_keys,
        }),
        options: BTreeMap::new(),
    };
    let verifier = Some(Arc::new(Verifier::new(ca_dir.clone())));
    let shutdown = CancellationToken::new();
    let (mut deliveries, task) =
        Consumer::start_verifying(&config, verifier, 4, shutdown.clone()).unwrap();

    let identity = enrol(&authority, "web01", &dir.path().join("web01"), DAY);
    let signing = producer(
        &address,
        tls_of(&identity, &ca),
        Some(Arc::clone(&identity)),
    );
    send(&signing, &batch("hcmc/linh-xuan", 1)).await;
    assert_eq!(next(&mut deliveries).await, "hcmc/linh-xuan");
    send(&signing, &batch("hcmc/thu-duc", 2)).await;
    let refused = next(&mut deliveries).await;
    assert!(
        refused.contains("claims unit \"hcmc/thu-duc\""),
        "{refused}"
    );

    // Through the broker's door, but nobody vouches for the batch.
    let unsigned = producer(&address, tls_of(&identity, &ca), None);
    send(&unsigned, &batch("hcmc/linh-xuan", 3)).await;
    let refused = next(&mut deliveries).await;
    assert!(refused.contains("not signed"), "{refused}");

    // After a renewal the connection begins anew with what the files hold then.
    signing.reconnect();
    send(&signing, &batch("hcmc/linh-xuan", 4)).await;
    assert_eq!(next(&mut deliveries).await, "hcmc/linh-xuan");

    authority.revoke("web01", SystemTime::now()).unwrap();
    let reason = timeout(PATIENCE, async {
        let mut position = 5;
        loop {
            send(&signing, &batch("hcmc/linh-xuan", position)).await;
            let came = next(&mut deliveries).await;
            if came != "hcmc/linh-xuan" {
                return came;
            }
            position += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let reason = reason.await.unwrap();
    assert!(
        reason.contains("web01 of hcmc/linh-xuan is revoked"),
        "{reason}"
    );
    assert!(task.monitor().status().refused >= 3);

    // Who is not let in is told why.
    let other = Authority::init(&dir.path().join("other"), now).unwrap();
    let stranger = enrol(&other, "web01", &dir.path().join("stranger"), DAY);
    let words = fault(&producer(&address, tls_of(&stranger, &ca), None)).await;
    eprintln!("a stranger: {words}");
    assert!(
        words.contains("does not take this side's certificate"),
        "{words}"
    );
    let words = fault(&producer(
        &address,
        tls_of(&identity, &stranger.ca_file()),
        None,
    ))
    .await;
    eprintln!("a broker of another authority: {words}");
    assert!(words.contains("the broker's certificate"), "{words}");
    let short = Duration::from_secs(1);
    let expired = enrol(&authority, "web02", &dir.path().join("web02"), short);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let words = fault(&producer(&address, tls_of(&expired, &ca), None)).await;
    eprintln!("an expired certificate: {words}");
    assert!(words.contains("expired"), "{words}");

    shutdown.cancel();
    drop(deliveries);
    timeout(PATIENCE, task.ended()).await.unwrap();
}
