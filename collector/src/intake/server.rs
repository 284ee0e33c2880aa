//! What the intake answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::IntakeParts;
use super::limits::Failures;
use super::listener::{Peer, TlsListener};
use crate::authority::{AgentCertificate, Authority, AuthorityError, Token, TokenError};
use crate::clock;
use crate::frame::sealed;
use crate::frame::{self, DecodeLimits};
use crate::identity::enrol::{Asked, ENROL_PATH, Given, RENEW_PATH};
use crate::identity::{Door, Refusal, Refused, Unsigned, Vouched};
use crate::sink::{Sink, SinkError};

/// Where batches are sent to.
pub(crate) const BATCHES_PATH: &str = "/v1/batches";
/// Where the clock is asked.
pub(crate) const TIME_PATH: &str = "/v1/time";

const ASKED_BYTES_MAX: usize = 64 << 10;
/// Batches in memory at once, before they are durable.
const BATCHES_MAX: usize = 32;
/// How long requests that have begun may take at the end.
const END_WITHIN: Duration = Duration::from_secs(5);

struct Server {
    parts: IntakeParts,
    door: Door,
    failures: Failures,
    batches: Semaphore,
}

/// What happened to a batch that is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Its records.
    pub(crate) records: usize,
    /// Why it becomes a dead letter, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

pub(super) async fn serve(
    listener: TlsListener,
    parts: IntakeParts,
    batch_bytes_max: usize,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        door: Door::new(Some(Arc::clone(&parts.verifier))),
        parts,
        failures: Failures::default(),
        batches: Semaphore::new(BATCHES_MAX),
    });
    let small = DefaultBodyLimit::max(ASKED_BYTES_MAX);
    let router = Router::new()
        .route(ENROL_PATH, post(enrol).layer(small))
        .route(RENEW_PATH, post(renew).layer(small))
        .route(
            BATCHES_PATH,
            post(batch).layer(DefaultBodyLimit::max(batch_bytes_max)),
        )
        .route(TIME_PATH, get(time))
        .with_state(server);
    let service = router.into_make_service_with_connect_info::<Peer>();
    let serving =
        axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(END_WITHIN).await;
    };
    tokio::select! {
        served = serving => {
            if let Err(error) = served {
                tracing::error!(%error, "the intake's listener ended");
            }
        }
        () = too_late => {}
    }
}

/// Why a request is refused.
struct No {
    status: StatusCode,
    reason: String,
    retry_after: Option<Duration>,
}

impl No {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            retry_after: None,
        }
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.reason }));
        match self.retry_after {
            Some(wait) => {
                let seconds = wait.as_secs() + 1;
                (self.status, [(header::RETRY_AFTER, seconds)], body).into_response()
            }
            None => (self.status, body).into_response(),
        }
    }
}

impl From<AuthorityError> for No {
    fn from(error: AuthorityError) -> Self {
        let status = match &error {
            AuthorityError::Token(_) | AuthorityError::NotRenewable { .. } => StatusCode::FORBIDDEN,
            AuthorityError::NameTaken { .. } => StatusCode::CONFLICT,
            AuthorityError::Issue(_) | AuthorityError::Holder(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "the authority failed");
            // The path of its files is nobody's business.
            return Self::new(
                status,
                "the authority cannot work at the moment; its log says why",
            );
        }
        Self::new(status, error.to_string())
    }
}

async fn enrol(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<Asked>,
) -> Result<Json<Given>, No> {
    let address = peer.address.ip();
    server.failures.begin(address).map_err(|wait| {
        metrics::counter!("citywatch_enrolments_total", "result" => "too_many").increment(1);
        No {
            status: StatusCode::TOO_MANY_REQUESTS,
            reason: "too many refused tokens from this address: wait".into(),
            retry_after: Some(wait),
        }
    })?;
    let given = issue(&server, move |authority, valid, now| {
        let token: Token = asked.token.unwrap_or_default().parse()?;
        let name = asked.name.unwrap_or_default();
        authority.enrol(&token, &name, &request_of(&asked.request)?, valid, now)
    })
    .await;
    match &given {
        Ok(given) => {
            server.failures.succeeded(address);
            metrics::counter!("citywatch_enrolments_total", "result" => "enrolled").increment(1);
            tracing::info!(%address, holder = given.0.holder, serial = given.0.serial, "an agent was enrolled");
        }
        Err(no) => {
            metrics::counter!("citywatch_enrolments_total", "result" => "refused").increment(1);
            tracing::warn!(%address, reason = no.reason, "an enrolment was refused");
        }
    }
    given
}

async fn renew(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(asked): Json<Asked>,
) -> Result<Json<Given>, No> {
    let shown = known(&server, &peer)?;
    let given = issue(&server, move |authority, valid, now| {
        authority.renew(&shown.serial, &request_of(&asked.request)?, valid, now)
    })
    .await;
    match &given {
        Ok(given) => {
            metrics::counter!("citywatch_renewals_total", "result" => "renewed").increment(1);
            tracing::info!(
                holder = given.0.holder,
                serial = given.0.serial,
                "a certificate was renewed"
            );
        }
        Err(no) => {
            metrics::counter!("citywatch_renewals_total", "result" => "refused").increment(1);
            tracing::warn!(reason = no.reason, "a renewal was refused");
        }
    }
    given
}

/// What is not base64 is no request either.
fn request_of(text: &str) -> Result<Vec<u8>, AuthorityError> {
    Ok(BASE64.decode(text).unwrap_or_default())
}

/// Signs on a thread that may wait for the disk.
async fn issue(
    server: &Server,
    sign: impl FnOnce(&Authority, Duration, SystemTime) -> Result<AgentCertificate, AuthorityError>
    + Send
    + 'static,
) -> Result<Json<Given>, No> {
    let authority = Arc::clone(&server.parts.authority);
    let (valid, now) = (server.parts.valid, SystemTime::now());
    let signed = tokio::task::spawn_blocking(move || sign(&authority, valid, now)).await;
    let issued = signed
        .map_err(|error| No::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
        .map_err(No::from)?;
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    Ok(Json(Given::new(issued, seconds(now), seconds(now + valid))))
}

/// Whom the shown certificate names, if it counts.
fn known(server: &Server, peer: &Peer) -> Result<Arc<Vouched>, No> {
    let shown = peer.certificate.as_ref().ok_or_else(|| {
        No::new(
            StatusCode::UNAUTHORIZED,
            "no client certificate was shown: enrol this agent first",
        )
    })?;
    let verifier = &server.parts.verifier;
    verifier
        .certificate(shown, SystemTime::now())
        .map_err(|refusal| No::new(StatusCode::FORBIDDEN, refusal.to_string()))
}

async fn batch(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Json<Taken>, No> {
    let Some(sink) = &server.parts.sink else {
        return Err(No::new(
            StatusCode::NOT_FOUND,
            "this server takes no batches: send them to Kafka, or set [intake.kafka] there",
        ));
    };
    // A revoked one is let in: what it sends is kept as dead letters.
    match known(&server, &peer) {
        Err(no) if no.status == StatusCode::UNAUTHORIZED => return Err(no),
        _ => {}
    }
    let _place = server
        .batches
        .acquire()
        .await
        .map_err(|_| No::new(StatusCode::SERVICE_UNAVAILABLE, "ending"))?;
    let bad = |error: &dyn ToString| No::new(StatusCode::BAD_REQUEST, error.to_string());
    // Judged again where it is read; here so that the sender hears of it.
    let (opened, refused) = match server.door.judge(&body, Unsigned::Refused) {
        Ok(opened) => (opened, None),
        Err(Refused::Identity(refusal)) if refusal != Refusal::Unsigned => {
            let sealed = sealed::split(&body).map_err(|error| bad(&error))?;
            let opened = frame::decode(sealed.frame, &DecodeLimits::default())
                .map_err(|error| bad(&error))?;
            (opened, Some(refusal))
        }
        Err(other) => return Err(bad(&other)),
    };
    if let Some(refusal) = &refused {
        tracing::warn!(address = %peer.address, %refusal, "a batch will be a dead letter");
    }
    let records = opened.len();
    keep(sink, &opened, body.to_vec()).await?;
    metrics::counter!("citywatch_intake_batches_total").increment(1);
    metrics::counter!("citywatch_intake_bytes_total").increment(body.len() as u64);
    Ok(Json(Taken {
        records,
        refused: refused.map(|refusal| refusal.to_string()),
    }))
}

async fn keep(
    sink: &Sink,
    opened: &citywatch_parsers::RecordBatch,
    bytes: Vec<u8>,
) -> Result<(), No> {
    let kept = async { sink.submit_sealed(opened, bytes).await?.settled().await };
    kept.await.map_err(|error: SinkError| {
        if let Some(bytes_max) = error.message_bytes_max() {
            return No::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the transport takes at most {bytes_max} bytes"),
            );
        }
        tracing::warn!(%error, "a batch from the intake could not be kept");
        No::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the transport does not take it at the moment",
        )
    })
}

async fn time() -> Json<serde_json::Value> {
    Json(json!({ "now_us": clock::now().as_micros() }))
}

impl From<TokenError> for No {
    fn from(error: TokenError) -> Self {
        AuthorityError::from(error).into()
    }
}
