//! What every request and every answer passes, whatever its route.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Peer;
use super::caller::{Transport, is_mutating};
use super::problem::Problem;
use super::refusal::Refusal;

/// Scripts, styles, fonts and data come from here alone. Mantine sets style attributes, so styles may be
/// inline; scripts may not.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// How the site is reached.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Whether cookies travel under HTTPS.
    pub(crate) transport: Transport,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Names by which it may be called.
    pub(crate) host_names: Vec<String>,
    /// Whether browsers can check its certificate, so that HTTPS may be pinned.
    pub(crate) certificate: CertificateOrigin,
}

/// Who made the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateOrigin {
    /// There is none.
    None,
    /// This program: browsers warn of it.
    Own,
    /// The operator.
    Given,
}

impl Doors {
    /// Whether a request may call the site by this name. On loopback any page in the browser can make its
    /// own name point here (DNS rebinding), so only names that no page owns are let in.
    fn admits(&self, host: &str) -> bool {
        let name = host_name(host);
        if self
            .host_names
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return true;
        }
        if self.address.ip().is_loopback() {
            return name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback());
        }
        self.host_names.is_empty()
    }
}

/// The name in `name:port`, `[v6]:port` or `name`.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

/// Refuses requests by a foreign name or from a foreign page, and notes where they come from.
pub(super) async fn check_request(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let host = host_of(&request).unwrap_or_default().to_owned();
    if !doors.admits(&host) {
        return Err(Problem::of(Refusal::NotCalledSo { host }));
    }
    if is_mutating(request.method()) && !from_own_page(request.headers(), &host) {
        return Err(Problem::of(Refusal::ForeignPage));
    }
    request
        .extensions_mut()
        .insert(Peer(peer.ip().to_canonical()));
    request.extensions_mut().insert(doors.transport);
    Ok(next.run(request).await)
}

/// HTTP/2 names the host in the address, HTTP/1.1 in a header.
fn host_of(request: &Request) -> Option<&str> {
    let header = || request.headers().get(header::HOST)?.to_str().ok();
    request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(header)
}

/// Whether no other site's page makes the request. Programs send neither header.
fn from_own_page(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let same_site =
        text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin =
        text("origin").map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    same_site && origin.is_none_or(|origin| origin.eq_ignore_ascii_case(host))
}

/// Adds the headers that keep browsers on the safe side.
pub(super) async fn add_headers(
    State(doors): State<Arc<Doors>>,
    request: Request,
    next: Next,
) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if doors.certificate == CertificateOrigin::Given {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Counts requests and their times.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let part = if request.uri().path().starts_with("/api/") {
        "api"
    } else {
        "console"
    };
    let method = request.method().to_string();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("citywatch_http_requests_total", "part" => part, "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("citywatch_http_request_seconds", "part" => part).record(started.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(address: &str, host_names: &[&str]) -> Doors {
        Doors {
            transport: Transport::Plain,
            address: address.parse().unwrap(),
            host_names: host_names.iter().map(|&name| name.to_owned()).collect(),
            certificate: CertificateOrigin::None,
        }
    }

    #[test]
    fn on_loopback_only_its_own_names_are_let_in() {
        let doors = doors("127.0.0.1:8787", &["console.test"]);
        for host in [
            "localhost:8787",
            "127.0.0.1:8787",
            "[::1]:8787",
            "LOCALHOST",
            "console.test:1",
        ] {
            assert!(doors.admits(host), "{host}");
        }
        for host in [
            "evil.example:8787",
            "",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ] {
            assert!(!doors.admits(host), "{host}");
        }
    }

    #[test]
    fn elsewhere_any_name_does_unless_names_are_given() {
        assert!(doors("0.0.0.0:443", &[]).admits("soc.example"));
        assert!(!doors("0.0.0.0:443", &["soc.example"]).admits("other.example"));
    }

    #[test]
    fn a_foreign_page_is_recognised() {
        let mut headers = HeaderMap::new();
        assert!(from_own_page(&headers, "localhost:8787"));
        headers.insert("origin", HeaderValue::from_static("http://localhost:8787"));
        assert!(from_own_page(&headers, "localhost:8787"));
        headers.insert("origin", HeaderValue::from_static("null"));
        assert!(!from_own_page(&headers, "localhost:8787"));
        headers.remove("origin");
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(!from_own_page(&headers, "localhost:8787"));
    }
}
