//! The web server itself: HTTPS, ports, pages.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use citywatch_alerting::{Alerting, TlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use support::{Place, Site};

fn https(address: &str, certificate: CertificateDer<'static>, request: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_loopback_an_own_certificate_serves_https() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.listen = "0.0.0.0:0".parse().unwrap();
    let site = Site::start_with(config.clone()).await;
    let address = site
        .url
        .strip_prefix("https://0.0.0.0:")
        .map(|port| format!("127.0.0.1:{port}"))
        .unwrap();
    let file = place.data_dir.join("console-certificate.pem");
    let certificate = CertificateDer::from_pem_file(&file).unwrap();
    let body = format!(r#"{{"user":"admin","password":"{}"}}"#, site.password);
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = https(&address, certificate.clone(), &request);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("set-cookie: __Host-citywatch="), "{answer}");
    assert!(answer.contains("; Secure"), "{answer}");
    site.stop().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = std::fs::metadata(place.data_dir.join("console-key.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    // The next start serves the same one: whoever trusted it goes on trusting it.
    Site::start_with(config).await.stop().await;
    assert_eq!(CertificateDer::from_pem_file(&file).unwrap(), certificate);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_port_or_certificate_is_said() {
    let place = Place::sqlite();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let alerting = Alerting::open(place.config(), None).await.unwrap();
    let error = alerting.bind(address).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot listen on {address}: another program does. Stop it (`ss -ltnp 'sport = :{port}'` names \
             it), or set another port in [alerting] listen",
            port = address.port()
        )
    );
    alerting.close().await;

    let missing = place.data_dir.join("missing.pem");
    for (certificate, private_key, expected) in [
        (
            Some(missing.clone()),
            None,
            "needs both certificate and private_key",
        ),
        (
            Some(missing.clone()),
            Some(missing),
            "cannot read the certificate",
        ),
    ] {
        let mut config = place.config();
        config.tls = TlsConfig {
            certificate,
            private_key,
        };
        let alerting = Alerting::open(config, None).await.unwrap();
        let error = alerting
            .bind("127.0.0.1:0".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        alerting.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_other_path_is_the_console() {
    let place = Place::sqlite();
    let site = Site::start(&place).await;
    let client = site.client();
    let start = client.get("/");
    assert_eq!(
        (start.status, start.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(client.get("/incidents/1").text, start.text);
    assert_eq!(client.get("/assets/gone-12345678.js").status, 404);
    assert_eq!(client.send("POST", "/", None, &[]).status, 405);
    let packed = client.send("GET", "/", None, &[("accept-encoding", "br")]);
    assert_eq!(
        (packed.status, packed.header("content-encoding")),
        (200, "br")
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_console_comes_compressed_to_who_takes_it_and_stays() {
    let place = Place::sqlite();
    let site = Site::start(&place).await;
    let client = site.client();
    let start = client.get("/").text;
    let script = start
        .split('"')
        .find(|text| text.ends_with(".js") && text.starts_with("/assets/"));
    let Some(script) = script else {
        // Without Node.js the console is not built; then the page says so.
        assert!(start.contains("make console"), "{start}");
        return site.stop().await;
    };
    let plain = client.send("GET", script, None, &[("accept-encoding", "identity")]);
    let packed = client.send("GET", script, None, &[("accept-encoding", "gzip, br")]);
    for reply in [&plain, &packed] {
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.header("content-type"),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(
            reply.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
    }
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(packed.header("content-encoding"), "br");
    assert!(packed.header("vary").contains("accept-encoding"));
    // Compressed beforehand: its length is known before it is sent.
    let length = |reply: &support::Reply| reply.header("content-length").parse::<usize>();
    assert!(length(&packed).unwrap() * 2 < length(&plain).unwrap());
    site.stop().await;
}
