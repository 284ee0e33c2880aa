use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime};

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use tokio::sync::mpsc;

use super::*;
use crate::authority::{Token, TokenRequest};
use crate::delivery::Delivery;
use crate::frame::{self, sealed};
use crate::https::{Client, Trust};
use crate::identity::enrol::{EnrolError, enrol, renew};
use crate::identity::{Door, Identity, Reach, Refusal, Refused, Unsigned};
use crate::spool::{Spool, SpoolLimits};
use crate::uplink::{Uplink, UplinkConfig};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PATIENCE: Duration = Duration::from_secs(180);

/// A system with an intake, and what comes out behind it.
struct Site {
    dir: tempfile::TempDir,
    authority: Arc<Authority>,
    verifier: Arc<Verifier>,
    url: String,
    deliveries: mpsc::Receiver<Delivery>,
    stop: CancellationToken,
    intake: Intake,
}

impl Site {
    async fn start(valid: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca");
        let authority = Arc::new(Authority::init(&ca, SystemTime::now()).unwrap());
        let verifier = Arc::new(Verifier::new(ca));
        let (writer, reader) =
            Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
        let stop = CancellationToken::new();
        let (deliveries, _task) = reader
            .verifying(Some(Arc::clone(&verifier)))
            .start(16, stop.clone())
            .unwrap();
        let parts = IntakeParts {
            authority: Arc::clone(&authority),
            verifier: Arc::clone(&verifier),
            sink: Some(Sink::Spool(writer)),
            valid,
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let intake = Intake::start(listen, &IntakeConfig::default(), parts, stop.clone())
            .await
            .unwrap();
        let url = format!("https://{}", intake.address());
        Self {
            dir,
            authority,
            verifier,
            url,
            deliveries,
            stop,
            intake,
        }
    }

    fn token(&self, unit: &str, reach: Reach) -> Token {
        let request = TokenRequest {
            unit: unit.into(),
            agent: None,
            reach,
            valid: DAY,
        };
        let token = self.authority.make_token(&request, SystemTime::now());
        token.unwrap().reveal().parse().unwrap()
    }

    async fn enrol(&self, unit: &str, name: &str) -> Arc<Identity> {
        let token = self.token(unit, Reach::Unit);
        let dir = self.dir.path().join(name);
        Arc::new(enrol(&self.url, &token, name, &dir).await.unwrap())
    }

    async fn next(&mut self) -> RecordBatch {
        let next = tokio::time::timeout(PATIENCE, self.deliveries.recv()).await;
        let delivery = next.unwrap().unwrap();
        delivery.receipt.acknowledge();
        delivery.batch
    }

    async fn end(self) {
        self.stop.cancel();
        self.intake.ended().await;
    }
}

fn batch(unit: &str, agent: &str, position: u64, text: &str) -> RecordBatch {
    let origin = Origin {
        unit: unit.into(),
        agent: agent.into(),
        stream: "/var/log/auth.log".into(),
        format: "syslog".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(text.as_bytes(), position, Timestamp(1), Truncated::No);
    batch
}

fn uplink(identity: &Arc<Identity>) -> Uplink {
    let config = UplinkConfig {
        url: None,
        batch_bytes_max: 1_000_000,
    };
    Uplink::start(&config, Arc::clone(identity)).unwrap()
}

/// The whole way: a token, a key that is the agent's own, signed batches, and the end by revocation.
#[tokio::test]
async fn an_agent_enrols_sends_and_is_revoked() {
    let mut site = Site::start(DAY).await;
    let token = site.token("hcmc/linh-xuan", Reach::Unit);
    let dir = site.dir.path().join("agent");
    let identity = Arc::new(enrol(&site.url, &token, "web01", &dir).await.unwrap());
    assert_eq!(
        identity.current().holder.to_string(),
        "web01 of hcmc/linh-xuan"
    );
    let mode = std::fs::metadata(identity.file()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let again = enrol(&site.url, &token, "web02", &site.dir.path().join("other")).await;
    let again = again.unwrap_err().to_string();
    assert!(again.contains("the token has been used"), "{again}");
    assert!(!site.dir.path().join("other").exists());

    let uplink = uplink(&identity);
    let sent = batch("hcmc/linh-xuan", "web01", 7, "a line");
    uplink.submit(&sent).await.unwrap().settled().await.unwrap();
    assert_eq!(site.next().await, sent);

    site.authority.revoke("web01", SystemTime::now()).unwrap();
    let until = Instant::now() + PATIENCE;
    let reason = loop {
        uplink.submit(&sent).await.unwrap().settled().await.unwrap();
        let format = site.next().await.origin.format.to_string();
        if let Some(reason) = format.strip_prefix(frame::REFUSED) {
            break reason.to_owned();
        }
        assert!(Instant::now() < until, "the revocation is not in force");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(
        reason.contains("web01 of hcmc/linh-xuan is revoked"),
        "{reason}"
    );
    // That one was judged twice, and the list may have been read in between; the next is told by the intake.
    uplink.submit(&sent).await.unwrap().settled().await.unwrap();
    site.next().await;
    let status = uplink.monitor().status();
    assert!(status.refused.unwrap().contains("revoked") && status.refused_batches > 0);
    let renewal = renew(&identity).await.unwrap_err().to_string();
    assert!(renewal.contains("revoked"), "{renewal}");
    site.end().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_over_itself() {
    let mut site = Site::start(Duration::from_secs(90)).await;
    let identity = site.enrol("hcmc", "web01").await;
    let first = identity.current();
    let start = first.note.at;
    let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs((start + seconds) as u64);
    assert!(!first.is_due(at(59)) && first.is_due(at(60)));
    assert_eq!(first.left(at(30)).as_secs(), 60);

    let uplink = uplink(&identity);
    let sent = batch("hcmc", "web01", 1, "before");
    uplink.submit(&sent).await.unwrap().settled().await.unwrap();
    assert_eq!(site.next().await, sent);
    renew(&identity).await.unwrap();
    let second = identity.current();
    assert_ne!(first.note.serial, second.note.serial);
    assert_eq!(first.holder, second.holder);
    // After a restart too.
    let read = Identity::open(identity.dir()).unwrap().unwrap();
    assert_eq!(read.current().note, second.note);

    site.authority
        .revoke(&first.note.serial, SystemTime::now())
        .unwrap();
    let sent = batch("hcmc", "web01", 2, "after");
    uplink.submit(&sent).await.unwrap().settled().await.unwrap();
    assert_eq!(site.next().await, sent);
    site.end().await;
}

/// The server must be the one that the token is for; a token or a batch never goes to another.
#[tokio::test]
async fn another_server_is_told_nothing() {
    let site = Site::start(DAY).await;
    let other = Site::start(DAY).await;
    let token = other.token("hcmc", Reach::Unit);
    let refused = enrol(&site.url, &token, "web01", &site.dir.path().join("a")).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, EnrolError::Https(_)), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains("not the one that the token is for"),
        "{words}"
    );
    assert_eq!(other.authority.tokens(SystemTime::now()).unwrap().len(), 1);

    // An agent of the other one is not let in: neither side trusts the other.
    let identity = other.enrol("hcmc", "web01").await;
    let trust = Trust::Roots(identity.roots().unwrap());
    let mut client = Client::new(&site.url, trust, Some(&identity.current())).unwrap();
    let words = client
        .post_json("/v1/renew", &serde_json::json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(words.contains("same authority"), "{words}");
    site.end().await;
    other.end().await;
}

#[tokio::test]
async fn who_shows_nothing_or_guesses_is_refused() {
    let site = Site::start(DAY).await;
    let roots = || crate::identity::own::roots_of(site.authority.certificate().as_bytes()).unwrap();
    let mut client = Client::new(&site.url, Trust::Roots(roots()), None).unwrap();
    for path in ["/v1/batches", "/v1/renew"] {
        let body = serde_json::json!({ "request": "" });
        let answer = client.post_json(path, &body).await.unwrap();
        assert_eq!(answer.status, 401, "{path}: {}", answer.complaint());
    }
    let mut statuses = Vec::new();
    for _ in 0..11 {
        let body = serde_json::json!({ "token": "cw1.000000000000.AAAA.AAAA", "request": "" });
        let answer = client.post_json("/v1/enroll", &body).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [[403; 10].as_slice(), &[429]].concat());
    site.end().await;
}

/// A certificate whose time is over opens nothing, and both sides say why.
#[tokio::test]
async fn an_expired_certificate_is_named() {
    let site = Site::start(Duration::from_secs(1)).await;
    let identity = site.enrol("hcmc", "web01").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let words = renew(&identity).await.unwrap_err().to_string();
    assert!(
        words.contains("has expired: enrol the agent anew"),
        "{words}"
    );
    let sealed_batch = identity
        .current()
        .seal(&frame::encode(&batch("hcmc", "web01", 1, "x")).unwrap());
    let refused = Door::new(Some(Arc::clone(&site.verifier))).open(&sealed_batch, Unsigned::Taken);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("web01 of hcmc has expired"), "{refused}");
    site.end().await;
}

/// What a door says of each way to lie.
#[tokio::test]
async fn a_batch_is_worth_what_its_certificate_says() {
    let site = Site::start(DAY).await;
    let identity = site.enrol("hcmc/thu-duc", "web01").await;
    let other = site.enrol("hcmc/linh-xuan", "web02").await;
    let relay_token = site.token("hcmc/thu-duc", Reach::Below);
    let relay_dir = site.dir.path().join("relay");
    let relay = enrol(&site.url, &relay_token, "gw01", &relay_dir)
        .await
        .unwrap();
    let stranger = Site::start(DAY).await;
    let strange = stranger.enrol("hcmc/thu-duc", "web01").await;
    let door = Door::new(Some(Arc::clone(&site.verifier)));
    let open = |bytes: &[u8]| match door.open(bytes, Unsigned::Refused) {
        Ok(_) => "taken",
        Err(Refused::Frame(_)) => "damaged",
        Err(Refused::Identity(refusal)) => refusal.name(),
    };
    let frame = |unit: &str, agent: &str| frame::encode(&batch(unit, agent, 1, "x")).unwrap();
    let own = frame("hcmc/thu-duc", "web01");
    let good = identity.current().seal(&own);
    assert_eq!(open(&good), "taken");
    assert_eq!(open(&own), "unsigned");
    assert_eq!(open(&strange.current().seal(&own)), "unknown_authority");
    assert_eq!(open(&other.current().seal(&own)), "agent");
    for (unit, expected) in [
        ("hcmc/thu-duc/hiep-phu", "unit"),
        ("hcmc/linh-xuan", "unit"),
        ("hcmc", "unit"),
        ("", "unit"),
    ] {
        assert_eq!(
            open(&identity.current().seal(&frame(unit, "web01"))),
            expected,
            "{unit}"
        );
    }
    assert_eq!(
        open(
            &relay
                .current()
                .seal(&frame("hcmc/thu-duc/hiep-phu", "gw01"))
        ),
        "taken"
    );
    assert_eq!(
        open(&relay.current().seal(&frame("hcmc/linh-xuan", "gw01"))),
        "unit"
    );

    // The certificate of one, the signature of another; and each byte changed.
    let parts = sealed::split(&good).unwrap();
    let forged = other.current().seal(&own);
    let forged = sealed::Sealed {
        certificate: parts.certificate,
        ..sealed::split(&forged).unwrap()
    };
    assert_eq!(open(&sealed::join(&forged)), "signature");
    for place in 0..good.len() {
        let mut changed = good.clone();
        changed[place] ^= 1;
        // The byte that is reserved is not looked at.
        let expected_taken = place == 5;
        assert_eq!(open(&changed) == "taken", expected_taken, "byte {place}");
    }
    // A server's certificate signs nothing for an agent.
    let (key, chain) = site
        .authority
        .issue(&["kafka-1".to_owned()], DAY, SystemTime::now())
        .unwrap();
    assert!(key.contains("PRIVATE KEY") && chain.contains("CERTIFICATE"));
    let verdict = {
        use rustls::pki_types::pem::PemObject;
        let der = rustls::pki_types::CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        site.verifier.certificate(&der, SystemTime::now())
    };
    assert!(matches!(verdict, Err(Refusal::Holder(_))), "{verdict:?}");
    site.end().await;
    stranger.end().await;
}

/// Prints what a signature costs; the figure in ARCHITECTURE.md is from here.
#[tokio::test]
async fn the_cost_of_a_signature_is_told() {
    let site = Site::start(DAY).await;
    let identity = site.enrol("hcmc", "web01").await;
    let current = identity.current();
    // As large as a full batch of log text is when it is packed, and one of a single line.
    for bytes in [120_000, 200] {
        let noise: Vec<u8> = (0..bytes as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let rounds = 200;
        let begun = Instant::now();
        let sealed_frames: Vec<Vec<u8>> = (0..rounds).map(|_| current.seal(&noise)).collect();
        let seal_us = begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
        let begun = Instant::now();
        for bytes in &sealed_frames {
            let parts = sealed::split(bytes).unwrap();
            site.verifier.sealed(&parts, SystemTime::now()).unwrap();
        }
        let verify_us = begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
        eprintln!(
            "a frame of {bytes} bytes: sealed in {seal_us:.0} us, verified in {verify_us:.0} us, {} bytes more",
            current.seal_bytes()
        );
    }
    site.end().await;
}

/// The key and the certificate are read by OpenSSL, which librdkafka uses, from the one file.
#[tokio::test]
async fn openssl_reads_the_identity() {
    let site = Site::start(DAY).await;
    let identity = site.enrol("hcmc", "web01").await;
    let run = |arguments: &[&str], path: &Path| {
        let output = std::process::Command::new("openssl")
            .args(arguments)
            .arg("-in")
            .arg(path)
            .output();
        output.ok().map(|output| {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {words}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    };
    let Some(key) = run(&["pkey", "-noout", "-text"], &identity.file()) else {
        eprintln!("skipped: there is no openssl here");
        return;
    };
    assert!(key.contains("ED25519"), "{key}");
    let certificate = run(&["x509", "-noout", "-text"], &identity.file()).unwrap();
    assert!(
        certificate.contains("URI:citywatch://unit/hcmc/agent/web01"),
        "{certificate}"
    );
    site.end().await;
}
