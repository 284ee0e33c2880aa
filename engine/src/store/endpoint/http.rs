//! ClickHouse's HTTP interface: requests in, answers out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::connection::{Engine, EngineError, Written};
use super::format::streaming;
use super::job::{self, Access, Input, Part};
use super::request::{Account, BadRequest, Request};
use super::statement::{self, Statement};

/// Requests that run at once; more wait.
const RUNNING_MAX: u32 = 16;
/// Longest wait for a place among them.
const PLACE_WAIT: Duration = Duration::from_secs(15);
/// Longest statement in bytes, parameters included.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;
/// Most data of one insert in bytes.
const INSERT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Pieces of data, in or out, that wait between the connection and the engine.
const PIECES_WAITING_MAX: usize = 4;
/// Longest that the rest of a refused insert is read, so that its sender hears why.
const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// Wait before a wrong password is told.
const SIGN_IN_WAIT: Duration = Duration::from_millis(200);
/// Format when neither statement nor request names one.
const FORMAT_DEFAULT: &str = "TabSeparated";

/// The interface over an engine.
#[derive(Clone)]
pub(super) struct Service {
    engine: Engine,
    account: Arc<Account>,
    places: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(engine: Engine, account: Account) -> Self {
        let places = Arc::new(Semaphore::new(RUNNING_MAX as usize));
        Self {
            engine,
            account: Arc::new(account),
            places,
        }
    }

    pub(super) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// Waits until no request runs; false when some still do after `wait`.
    pub(super) async fn wait_idle(&self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.places.acquire_many(RUNNING_MAX))
            .await
            .is_ok()
    }
}

async fn answer(State(service): State<Service>, http: HttpRequest) -> Response {
    let begun = Instant::now();
    let response = match respond(service, http).await {
        Ok(response) => response,
        Err(failure) => failure.response(),
    };
    let outcome = if response.status().is_success() {
        "ok"
    } else {
        "error"
    };
    metrics::counter!("citywatch_store_requests_total", "outcome" => outcome).increment(1);
    metrics::histogram!("citywatch_store_request_seconds").record(begun.elapsed().as_secs_f64());
    response
}

async fn respond(service: Service, http: HttpRequest) -> Result<Response, Failure> {
    let (parts, body) = http.into_parts();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    match parts.uri.path() {
        "/ping" if reads => return Ok(plain(StatusCode::OK, "Ok.\n")),
        "/" => {}
        _ => {
            return Err(Failure::of(
                StatusCode::NOT_FOUND,
                0,
                "There is no such path; use / or /ping",
            ));
        }
    }
    if reads && parts.uri.query().is_none() {
        return Ok(plain(StatusCode::OK, "Ok.\n"));
    }
    if !reads && parts.method != Method::POST {
        return Err(Failure::of(
            StatusCode::METHOD_NOT_ALLOWED,
            0,
            "Use GET or POST",
        ));
    }
    if !service.account.admits(&parts.uri, &parts.headers) {
        metrics::counter!("citywatch_store_sign_in_failures_total").increment(1);
        tokio::time::sleep(SIGN_IN_WAIT).await;
        let message = "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)";
        return Err(Failure::of(StatusCode::FORBIDDEN, 516, message));
    }
    let request = Request::read(&parts.uri, &parts.headers)?;
    let access = if reads {
        Access::ReadOnly
    } else {
        Access::Write
    };
    let Ok(Ok(place)) =
        tokio::time::timeout(PLACE_WAIT, Arc::clone(&service.places).acquire_owned()).await
    else {
        metrics::counter!("citywatch_store_requests_refused_total").increment(1);
        let message = format!(
            "Code: 202. DB::Exception: {RUNNING_MAX} requests run already (TOO_MANY_SIMULTANEOUS_QUERIES)"
        );
        return Err(Failure::of(StatusCode::SERVICE_UNAVAILABLE, 202, &message));
    };
    let (request, text, rest) = read_statement(request, &parts.headers, body).await?;
    let work = Work {
        engine: service.engine,
        request,
        access,
        place,
    };
    match statement::read(&text) {
        Statement::Several => Err(EngineError("Code: 62. DB::Exception: Syntax error: Multi-statements are not allowed (SYNTAX_ERROR)".into()).into()),
        Statement::Insert { head, format, data } => {
            let first = text.slice_ref(data);
            work.insert(head.to_owned(), format.to_owned(), first, rest).await
        }
        Statement::Select { format } => work.select(text_of(&text)?, format).await,
        Statement::Other { format } => work.run(text_of(&text)?, format).await,
    }
}

/// The statement, and what is left of the body: the data of an insert that does not fit into the
/// longest statement.
async fn read_statement(
    mut request: Request,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Request, Bytes, BodyDataStream), Failure> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mut rest = body.into_data_stream();
    let form = content_type.starts_with("multipart/form-data");
    let known = !form
        && matches!(
            statement::read(request.query.as_bytes()),
            Statement::Insert { .. }
        );
    let mut text = BytesMut::from(request.query.as_bytes());
    if known {
        // What follows is data: it belongs after the clause's own end.
        return Ok((request, text.freeze(), rest));
    }
    if form {
        text.clear();
    } else if !text.is_empty() {
        text.extend_from_slice(b"\n");
    }
    let mut ended = false;
    while text.len() <= STATEMENT_BYTES_MAX {
        match rest.next().await {
            Some(Ok(piece)) => text.extend_from_slice(&piece),
            Some(Err(error)) => return Err(broken_off(&error)),
            None => {
                ended = true;
                break;
            }
        }
    }
    if form && ended {
        request.take_form(&text, content_type)?;
        text = BytesMut::from(request.query.as_bytes());
    }
    if !ended && !matches!(statement::read(&text), Statement::Insert { .. }) {
        let message = format!(
            "Code: 62. DB::Exception: the statement is longer than {STATEMENT_BYTES_MAX} bytes (SYNTAX_ERROR)"
        );
        return Err(Failure::of(StatusCode::PAYLOAD_TOO_LARGE, 62, &message));
    }
    Ok((request, text.freeze(), rest))
}

fn text_of(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| {
        EngineError("Code: 62. DB::Exception: the statement is not UTF-8 (SYNTAX_ERROR)".into())
            .into()
    })
}

/// A statement about to run, with the place it has.
struct Work {
    engine: Engine,
    request: Request,
    access: Access,
    place: OwnedSemaphorePermit,
}

impl Work {
    fn format(&self, named: Option<&str>) -> String {
        named
            .or(self.request.default_format.as_deref())
            .unwrap_or(FORMAT_DEFAULT)
            .to_owned()
    }

    async fn select(self, sql: &str, format: Option<&str>) -> Result<Response, Failure> {
        let format = self.format(format);
        let sql = sql.to_owned();
        let (out, mut parts) = mpsc::channel(PIECES_WAITING_MAX);
        let query_id = self.request.query_id.clone();
        let asked = format.clone();
        tokio::task::spawn_blocking(move || {
            job::select(&self.engine, &self.request, &sql, &asked, self.access, &out);
            drop(self.place);
        });
        // With the first part it is known whether the statement runs at all.
        let first = match parts.recv().await {
            Some(Part::Failed(error)) => return Err(error.into()),
            Some(Part::Data(bytes)) => bytes,
            None => Bytes::new(),
        };
        let tag = exception_tag();
        let end = tag.clone();
        let rest = futures::stream::unfold(parts, move |mut parts| {
            let tag = end.clone();
            async move {
                let bytes = match parts.recv().await? {
                    Part::Data(bytes) => bytes,
                    Part::Failed(error) => exception_block(&error, &tag),
                };
                Some((Ok::<_, std::convert::Infallible>(bytes), parts))
            }
        });
        let all = futures::stream::once(async move { Ok(first) }).chain(rest);
        let mut response = Response::new(Body::from_stream(all));
        let headers = response.headers_mut();
        headers.insert("X-ClickHouse-Exception-Tag", header_value(&tag));
        result_headers(headers, &format, query_id.as_deref());
        Ok(response)
    }

    async fn run(self, sql: &str, format: Option<&str>) -> Result<Response, Failure> {
        let format = self.format(format);
        let sql = sql.to_owned();
        let query_id = self.request.query_id.clone();
        let asked = format.clone();
        let begun = Instant::now();
        let result = tokio::task::spawn_blocking(move || {
            let result = job::run(&self.engine, &self.request, &sql, &asked, self.access);
            drop(self.place);
            result
        });
        let (bytes, written) = joined(result.await)?;
        let mut response = Response::new(Body::from(bytes));
        result_headers(response.headers_mut(), &format, query_id.as_deref());
        response
            .headers_mut()
            .insert("X-ClickHouse-Summary", summary(written, begun.elapsed()));
        Ok(response)
    }

    async fn insert(
        self,
        head: String,
        format: String,
        first: Bytes,
        mut rest: BodyDataStream,
    ) -> Result<Response, Failure> {
        let (input, data) = mpsc::channel(PIECES_WAITING_MAX);
        let query_id = self.request.query_id.clone();
        let begun = Instant::now();
        if self.access == Access::ReadOnly {
            return Err(EngineError(
                "Code: 164. DB::Exception: Cannot insert with GET: use POST (READONLY)".into(),
            )
            .into());
        }
        let job = tokio::task::spawn_blocking(move || {
            let result = job::insert(&self.engine, &self.request, &head, &format, data);
            drop(self.place);
            result
        });
        let fed = feed(first, &mut rest, input).await;
        let written = joined(job.await);
        if written.is_err() {
            // The sender hears the answer only once its data is taken.
            let drain = async { while let Some(Ok(_)) = rest.next().await {} };
            let _ = tokio::time::timeout(DRAIN_WAIT, drain).await;
        }
        fed?;
        let written = written?;
        let mut response = Response::new(Body::empty());
        result_headers(response.headers_mut(), FORMAT_DEFAULT, query_id.as_deref());
        response
            .headers_mut()
            .insert("X-ClickHouse-Summary", summary(written, begun.elapsed()));
        Ok(response)
    }
}

/// Passes an insert's data on. The end is told only when the body ended as it should: a body that
/// breaks off leaves the insert without its end, and nothing is stored.
async fn feed(
    first: Bytes,
    rest: &mut BodyDataStream,
    input: mpsc::Sender<Input>,
) -> Result<(), Failure> {
    let mut bytes_left = INSERT_BYTES_MAX;
    let mut next = Some(first);
    while let Some(piece) = next {
        bytes_left = bytes_left.checked_sub(piece.len() as u64).ok_or_else(|| {
            let message = format!("Code: 307. DB::Exception: an insert holds {INSERT_BYTES_MAX} bytes at most: send smaller blocks");
            Failure::of(StatusCode::PAYLOAD_TOO_LARGE, 307, &message)
        })?;
        if !piece.is_empty() && input.send(Input::Data(piece)).await.is_err() {
            // The engine refused it and says why.
            return Ok(());
        }
        next = rest
            .next()
            .await
            .transpose()
            .map_err(|error| broken_off(&error))?;
    }
    let _ = input.send(Input::End).await;
    Ok(())
}

fn broken_off(error: &axum::Error) -> Failure {
    Failure::of(
        StatusCode::BAD_REQUEST,
        210,
        &format!("Code: 210. DB::NetException: the request broke off: {error} (NETWORK_ERROR)"),
    )
}

/// What a job gave; a panic in it goes on here and ends this request only.
fn joined<T>(result: Result<Result<T, EngineError>, tokio::task::JoinError>) -> Result<T, Failure> {
    match result {
        Ok(result) => Ok(result?),
        Err(error) => Err(Failure::of(
            StatusCode::INTERNAL_SERVER_ERROR,
            1001,
            &format!("the request's thread failed: {error}"),
        )),
    }
}

/// An answer that is not a result.
struct Failure {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Failure {
    fn of(status: StatusCode, code: u32, message: &str) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    fn response(&self) -> Response {
        tracing::debug!(
            code = self.code,
            status = self.status.as_u16(),
            message = self.message,
            "request refused"
        );
        let mut message = self.message.trim_end().to_owned();
        message.push('\n');
        let mut response = plain(self.status, message);
        if self.code != 0 {
            response
                .headers_mut()
                .insert("X-ClickHouse-Exception-Code", HeaderValue::from(self.code));
        }
        response
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let code = error.code();
        Self {
            status: status_of(code),
            code,
            message: error.0,
        }
    }
}

impl From<BadRequest> for Failure {
    fn from(bad: BadRequest) -> Self {
        let message = format!("Code: {}. DB::Exception: {}", bad.code, bad.message);
        Self {
            status: StatusCode::BAD_REQUEST,
            code: bad.code,
            message,
        }
    }
}

/// As ClickHouse's `HTTPHandler` maps its error codes.
fn status_of(code: u32) -> StatusCode {
    match code {
        6
        | 20
        | 25..=27
        | 36
        | 38
        | 41
        | 43
        | 47
        | 50
        | 53
        | 57
        | 62
        | 70
        | 72
        | 117
        | 156
        | 396
        | 456
        | 457 => StatusCode::BAD_REQUEST,
        46 | 60 | 81 | 115 => StatusCode::NOT_FOUND,
        48 => StatusCode::NOT_IMPLEMENTED,
        516 => StatusCode::FORBIDDEN,
        202 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    response
}

fn result_headers(headers: &mut HeaderMap, format: &str, query_id: Option<&str>) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(streaming(format).1),
    );
    headers.insert("X-ClickHouse-Format", header_value(format));
    headers.insert("X-ClickHouse-Timezone", HeaderValue::from_static("UTC"));
    if let Some(query_id) = query_id {
        headers.insert("X-ClickHouse-Query-Id", header_value(query_id));
    }
}

/// A text of the request in a header; what a header cannot hold is left out.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn summary(written: Written, elapsed: Duration) -> HeaderValue {
    header_value(&format!(
        r#"{{"read_rows":"0","read_bytes":"0","written_rows":"{0}","written_bytes":"{1}","total_rows_to_read":"0","result_rows":"{0}","result_bytes":"{1}","elapsed_ns":"{2}"}}"#,
        written.rows,
        written.bytes,
        elapsed.as_nanos()
    ))
}

/// Sixteen letters that no result holds by chance, by which an error within a result is known.
fn exception_tag() -> String {
    let mut bytes = [0; 16];
    // Without randomness the tag is a fixed one, as good for all but hostile data.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect()
}

/// An error after a result has begun, as ClickHouse 25.11 and later write it.
fn exception_block(error: &EngineError, tag: &str) -> Bytes {
    let message = format!("{}\n", error.0.trim_end());
    Bytes::from(format!(
        "\r\n__exception__\r\n{tag}\r\n{message}{} {tag}\r\n__exception__\r\n",
        message.len()
    ))
}
