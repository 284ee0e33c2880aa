//! Requests in, records to the sink, answers when they are durable.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use citywatch_parsers::record::Truncated;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::body::{BodyError, unpack};
use super::bulk::{self, BulkError};
use super::connections::{Connections, Sender};
use super::sign_in::Gate;
use super::{HttpConfig, SignIn};
use crate::masking::Masking;
use crate::sink::Sink;
use crate::sources::connection::Terms;
use crate::sources::files::lines::RECORD_BYTES_MAX;
use crate::sources::received::{BindError, Counts, Kept, Listeners, PENDING_BYTES_MAX, keep};
use crate::sources::senders::Senders;

/// Requests whose bodies are in memory at once; others wait before theirs are read.
const BODIES_MAX: usize = 4;
/// A body must have come within this time.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// How long requests that have begun may take at the end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// Beats refuse to send to an Elasticsearch that is older than they are.
const ELASTIC_VERSION: &str = "9.99.0";

/// A bound address.
pub(crate) struct Bound {
    config: HttpConfig,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gate: Option<Gate>,
    counts: Arc<Counts>,
}

/// Binds all addresses; the first that cannot be had is named.
pub(crate) fn bind(
    configs: &[HttpConfig],
    masking: &Masking,
    listeners: &mut Listeners,
) -> Result<Vec<Bound>, BindError> {
    let mut bound = Vec::new();
    for config in configs {
        let tls = config.tls.as_ref();
        let tls = tls.map(|tls| tls.server_config(&[b"h2", b"http/1.1"]));
        let tls = tls.transpose()?.map(TlsAcceptor::from);
        let gate = config.sign_in.as_ref().map(SignIn::gate).transpose();
        let gate = gate.map_err(BindError::SignIn)?;
        let listener = TcpListener::bind(config.listen)
            .map_err(|error| BindError::Address(config.listen, error))?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let masker = masking.of_source(config.mask.as_deref())?;
        let counts = Arc::new(Counts::masking(masker));
        listeners.0.push((
            format!("{}://{address}", config.scheme()),
            Arc::clone(&counts),
        ));
        bound.push(Bound {
            config: config.clone(),
            listener,
            tls,
            gate,
            counts,
        });
    }
    Ok(bound)
}

/// Serves one address until `shutdown`; requests that have begun are answered within a while.
pub(crate) async fn serve(
    bound: Bound,
    agent: String,
    unit: String,
    sink: Sink,
    shutdown: CancellationToken,
) {
    let (requests, received) = mpsc::channel(BODIES_MAX);
    let server = Arc::new(Server {
        requests,
        bodies: Semaphore::new(BODIES_MAX),
        body_bytes_max: bound.config.body_bytes_max,
        gate: bound.gate,
        counts: Arc::clone(&bound.counts),
    });
    let terms = Terms {
        tls: bound.tls,
        idle_max: IDLE_MAX,
        counts: Arc::clone(&bound.counts),
    };
    let scheme = bound.config.scheme();
    let senders = Senders::new(bound.config.senders(), &agent, &unit, scheme);
    let give_up = CancellationToken::new();
    let collect = collect(received, senders, &sink, &bound.counts, &give_up);
    let answer_all = async {
        if let Err(error) = answer_until(bound.listener, terms, server, &shutdown).await {
            tracing::error!(%error, "a listener ended");
            bound.counts.set_error(Some(error.to_string()));
        }
        give_up.cancel();
    };
    tokio::join!(collect, answer_all);
}

async fn answer_until(
    listener: TcpListener,
    terms: Terms,
    server: Arc<Server>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let connections = Connections::new(tokio::net::TcpListener::from_std(listener)?, terms);
    let limit = DefaultBodyLimit::max(server.body_bytes_max);
    let router = Router::new()
        .fallback(answer)
        .layer(limit)
        .with_state(server);
    let service = router.into_make_service_with_connect_info::<Sender>();
    let serving = axum::serve(connections, service)
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(END_WITHIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = too_late => Ok(()),
    }
}

/// Records of one request, and who waits for them to be durable.
struct Received {
    sender: IpAddr,
    body: Vec<u8>,
    records: Vec<Range<usize>>,
    answer: oneshot::Sender<Kept>,
}

/// Puts what comes at the same time into batches together, and answers when they are durable.
async fn collect(
    mut received: mpsc::Receiver<Received>,
    mut senders: Senders,
    sink: &Sink,
    counts: &Counts,
    give_up: &CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            first = received.recv() => first,
            () = give_up.cancelled() => return,
        };
        let Some(first) = first else { return };
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            for record in request.records {
                let raw = &request.body[record];
                let (raw, truncated) = match raw.get(..RECORD_BYTES_MAX) {
                    Some(head) if raw.len() > RECORD_BYTES_MAX => (head, Truncated::Yes),
                    _ => (raw, Truncated::No),
                };
                senders.push(request.sender, raw, truncated);
            }
            waiting.push(request.answer);
            let has_room = senders.pending_bytes() < PENDING_BYTES_MAX;
            next = has_room.then(|| received.try_recv().ok()).flatten();
        }
        let batches = senders.take();
        counts.received(&batches);
        let kept = keep(sink, batches, counts).await;
        for answer in waiting {
            // Who has gone does not hear it; the records are kept all the same.
            let _ = answer.send(kept);
        }
    }
}

struct Server {
    requests: mpsc::Sender<Received>,
    bodies: Semaphore,
    body_bytes_max: usize,
    gate: Option<Gate>,
    counts: Arc<Counts>,
}

async fn answer(
    State(server): State<Arc<Server>>,
    ConnectInfo(Sender(sender)): ConnectInfo<Sender>,
    request: Request,
) -> Response {
    let answered = route(&server, sender.ip(), request).await;
    let mut response = answered.unwrap_or_else(|refusal| {
        server
            .counts
            .refused_requests
            .fetch_add(1, Ordering::Relaxed);
        metrics::counter!("citywatch_agent_refused_requests_total").increment(1);
        refusal.into_response()
    });
    // Elastic's own clients send nothing to a server that does not say this.
    let product = HeaderValue::from_static("Elasticsearch");
    response.headers_mut().insert("x-elastic-product", product);
    response
}

async fn route(server: &Server, sender: IpAddr, request: Request) -> Result<Response, Refusal> {
    let authorization = request.headers().get(AUTHORIZATION);
    let authorization = authorization.map(HeaderValue::as_bytes);
    if server
        .gate
        .as_ref()
        .is_some_and(|gate| !gate.opens(authorization))
    {
        return Err(Refusal::signed_out());
    }
    let path = request.uri().path().to_owned();
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_sent = matches!(*request.method(), Method::POST | Method::PUT);
    match path.as_str() {
        "/" if is_asked => Ok(json_response(
            StatusCode::OK,
            &json!({
                "name": "citywatch-agent", "cluster_name": "citywatch", "cluster_uuid": "citywatch",
                "version": { "number": ELASTIC_VERSION, "build_flavor": "default" },
                "tagline": "You Know, for Search",
            }),
        )),
        "/_license" if is_asked => Ok(json_response(
            StatusCode::OK,
            &json!({
                "license": { "uid": "citywatch", "type": "basic", "status": "active" },
            }),
        )),
        "/" if is_sent => {
            let (body, _place) = server.body(request).await?;
            let is_record = |line: &Range<usize>| !body[line.clone()].trim_ascii().is_empty();
            let records: Vec<_> = bulk::lines(&body).filter(is_record).collect();
            let count = records.len();
            server.keep(sender, body, records).await?;
            Ok(json_response(StatusCode::OK, &json!({ "records": count })))
        }
        path if is_sent && path.ends_with("/_bulk") => {
            let since = Instant::now();
            let (body, _place) = server.body(request).await?;
            let bulk = bulk::parse(&body).map_err(Refusal::from)?;
            server.keep(sender, body, bulk.records()).await?;
            let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok(json_response(StatusCode::OK, &bulk.answer(took_ms)))
        }
        _ => {
            let reason =
                "send records to `/`, one per line, or to `/_bulk` as Elastic's bulk API says";
            Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "resource_not_found_exception",
                reason,
            ))
        }
    }
}

impl Server {
    /// The body, unpacked, and its place in memory, which holds no more than [`BODIES_MAX`] of them, packed and unpacked.
    async fn body(
        &self,
        request: Request<Body>,
    ) -> Result<(Vec<u8>, SemaphorePermit<'_>), Refusal> {
        let encoding = request.headers().get(CONTENT_ENCODING);
        let encoding = encoding
            .map(|encoding| String::from_utf8_lossy(encoding.as_bytes()).to_ascii_lowercase());
        let promised = request.headers().get(CONTENT_LENGTH);
        let promised = promised.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if promised.is_some_and(|bytes| bytes > self.body_bytes_max as u64) {
            return Err(self.too_large());
        }
        let place = self
            .bodies
            .acquire()
            .await
            .map_err(|_| Refusal::stopping())?;
        let read = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, &())).await;
        let packed = match read {
            Ok(Ok(packed)) => packed,
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(self.too_large());
            }
            Ok(Err(rejection)) => {
                let reason = format!("the body ends too early or is broken: {rejection}");
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "parse_exception",
                    reason,
                ));
            }
            Err(_) => {
                let reason = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
                return Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "timeout_exception",
                    reason,
                ));
            }
        };
        let bytes_max = self.body_bytes_max;
        let unpacked = tokio::task::spawn_blocking(move || {
            unpack(encoding.as_deref(), packed.into(), bytes_max)
        });
        let unpacked = unpacked.await.map_err(|_| Refusal::stopping())?;
        let unpacked = unpacked.map_err(|error| match error {
            BodyError::TooLarge => self.too_large(),
            BodyError::Encoding(encoding) => {
                let reason = format!(
                    "Content-Encoding `{encoding}` is not known here; send gzip, zstd or none"
                );
                Refusal::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "illegal_argument_exception",
                    reason,
                )
            }
            BodyError::Broken(error) => {
                let reason = format!("the body does not unpack: {error}");
                Refusal::new(StatusCode::BAD_REQUEST, "parse_exception", reason)
            }
        })?;
        Ok((unpacked, place))
    }

    /// Waits until the records are durable.
    async fn keep(
        &self,
        sender: IpAddr,
        body: Vec<u8>,
        records: Vec<Range<usize>>,
    ) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        let received = Received {
            sender,
            body,
            records,
            answer,
        };
        let sent = self.requests.send(received).await;
        sent.map_err(|_| Refusal::stopping())?;
        match answered.await {
            Ok(Kept::All) => Ok(()),
            Ok(Kept::NotAll) | Err(_) => Err(Refusal::stopping()),
        }
    }

    fn too_large(&self) -> Refusal {
        let reason = format!(
            "the body is larger than {} bytes unpacked: send less at once, or raise `body_bytes_max`",
            self.body_bytes_max
        );
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "content_too_long_exception",
            reason,
        )
    }
}

/// Why a request is refused, in the form of Elastic's errors.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            reason: reason.into(),
        }
    }

    fn signed_out() -> Self {
        let reason = "sign in: send the header `Authorization` with the token, or the name and the password, that the agent's `sign_in` names";
        Self::new(StatusCode::UNAUTHORIZED, "security_exception", reason)
    }

    /// Nothing was kept for certain: the sender should send again.
    fn stopping() -> Self {
        let reason = "the records could not be kept: send them again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason)
    }
}

impl From<BulkError> for Refusal {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Malformed(reason) => Self::new(
                StatusCode::BAD_REQUEST,
                "illegal_argument_exception",
                reason,
            ),
            BulkError::TooMany => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "content_too_long_exception",
                "too many items: send less at once",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = json!({ "type": self.kind, "reason": self.reason, "root_cause": [{ "type": self.kind, "reason": self.reason }] });
        let mut response = json_response(
            self.status,
            &json!({ "error": error, "status": self.status.as_u16() }),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            let ways = HeaderValue::from_static("Basic realm=\"citywatch-agent\", Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, ways);
        }
        response
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
