//! Errors as `application/problem+json` (RFC 9457): what is wrong, in which field, and what to do.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field_fault::FieldFault;
use super::refusal::{Refusal, Thing};

/// An error that a client gets.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Box<ProblemBody>,
    retry_after_seconds: Option<i64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    title: String,
    status: u16,
    /// What happened, for who says it in another language.
    said: Refusal,
    /// What happened, and what to do next.
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The version that is current, for a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<i64>,
    /// Where what was asked for is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<String>,
}

/// What is wrong with which field.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FieldError {
    field: String,
    reason: String,
    /// The reason, for who says it in another language.
    said: FieldFault,
    /// Where in the field's text: so many characters from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<usize>,
    /// So many characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
}

impl Problem {
    pub(crate) fn of(said: Refusal) -> Self {
        Self::under(said.status(), said)
    }

    fn under(status: StatusCode, said: Refusal) -> Self {
        Self {
            status,
            body: Box::new(ProblemBody {
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                status: status.as_u16(),
                detail: said.to_string(),
                said,
                errors: Vec::new(),
                current_version: None,
                merged_into: None,
            }),
            retry_after_seconds: None,
        }
    }

    /// Whether the request is to blame.
    pub(crate) fn is_the_callers(&self) -> bool {
        self.status.is_client_error()
    }

    /// What happened.
    pub(crate) fn detail(&self) -> &str {
        &self.body.detail
    }

    /// A field of the request is wrong.
    pub(crate) fn field(field: impl Into<String>, said: FieldFault) -> Self {
        let field = field.into();
        let mut problem = Self::of(Refusal::WrongInput);
        problem.body.detail = format!("{field}: {said}");
        problem.add_error(field, said);
        problem
    }

    /// A time of the query lies after the other one.
    pub(crate) fn from_after_to() -> Self {
        let said = FieldFault::FromAfterTo;
        let mut problem = Self::under(StatusCode::UNPROCESSABLE_ENTITY, Refusal::WrongInput);
        problem.body.detail = format!("from, to: {said}");
        problem.add_error("from", said.clone());
        problem.add_error("to", said);
        problem
    }

    fn add_error(&mut self, field: impl Into<String>, said: FieldFault) {
        self.body.errors.push(FieldError {
            field: field.into(),
            reason: said.to_string(),
            said,
            at: None,
            length: None,
        });
    }

    /// A part of a field's text is wrong.
    pub(crate) fn place(field: &str, said: FieldFault, (at, length): (usize, usize)) -> Self {
        let mut problem = Self::field(field, said);
        if let Some(error) = problem.body.errors.last_mut() {
            (error.at, error.length) = (Some(at), Some(length));
        }
        problem
    }

    /// Nobody is signed in.
    pub(crate) fn signed_out() -> Self {
        Self::of(Refusal::SignedOut)
    }

    /// There is no such thing, or not for this person.
    pub(crate) fn missing(thing: Thing) -> Self {
        Self::of(Refusal::Missing { thing })
    }

    /// Somebody changed it in between.
    pub(crate) fn conflict(current_version: i64) -> Self {
        let mut problem = Self::of(Refusal::ChangedMeanwhile);
        problem.body.current_version = Some(current_version);
        problem
    }

    /// It is part of another incident.
    pub(crate) fn merged(into: String) -> Self {
        let mut problem = Self::of(Refusal::Merged);
        problem.body.merged_into = Some(into);
        problem
    }

    /// Too many wrong passwords.
    pub(crate) fn too_many_passwords(retry_after_seconds: i64) -> Self {
        let minutes = (retry_after_seconds + 59) / 60;
        Self::of(Refusal::TooManyPasswords { minutes }).after(retry_after_seconds)
    }

    /// It may be tried again after so many seconds.
    pub(crate) fn after(mut self, seconds: i64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl From<sqlx::Error> for Problem {
    /// The client learns that it failed; why stands in the log.
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "a request failed at the database");
        metrics::counter!("citywatch_api_database_errors_total").increment(1);
        Self::of(Refusal::DatabaseAway)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body).expect("texts and numbers always serialize");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON body; what is wrong with it becomes a problem.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(error) => {
            let text = innermost(error);
            named(&text).unwrap_or_else(|| Problem::field("body", malformed(text)))
        }
        JsonRejection::JsonSyntaxError(error) => unread_json(&innermost(error)),
        other => Problem::under(
            other.status(),
            Refusal::Unreadable {
                error: innermost(other),
            },
        ),
    }
}

/// The problem of a body that is no JSON; serde_json writes "reason at line 1 column 2".
fn unread_json(error: &str) -> Problem {
    let place = error.rsplit_once(" at line ").and_then(|(reason, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some(format!("line {line}, column {column}: {reason}"))
    });
    let error = format!(
        "the body must be JSON; {}",
        place.as_deref().unwrap_or(error)
    );
    let mut problem = Problem::of(Refusal::Unreadable {
        error: error.clone(),
    });
    problem.add_error("body", malformed(error));
    problem
}

/// The problem of a field that serde's message names; serde_path_to_error writes "path: reason".
fn named(text: &str) -> Option<Problem> {
    let (path, reason) = match text.split_once(": ") {
        Some((path, reason)) if !path.contains(' ') => (path, reason),
        _ => ("", text),
    };
    // A field that is not there has no path of its own: its name stands in the reason.
    let missing = reason
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'));
    if let Some((name, _)) = missing {
        let dot = if path.is_empty() || path == "." {
            ""
        } else {
            "."
        };
        let path = if path == "." { "" } else { path };
        return Some(Problem::field(
            format!("{path}{dot}{name}"),
            FieldFault::Missing,
        ));
    }
    (!path.is_empty()).then(|| Problem::field(path, malformed(reason)))
}

fn malformed(error: impl Into<String>) -> FieldFault {
    FieldFault::Malformed {
        error: error.into(),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        // serde_json's own error stands below the one that knows the path.
        if source.source().is_none() && error.to_string().contains(&source.to_string()) {
            break;
        }
        error = source;
    }
    error.to_string()
}

/// The problem of a parameter whose text is no number and neither true nor false; what the standard library says of it names
/// neither what was given nor what is wanted.
fn unfit_value(parts: &Parts, text: &str) -> Option<Problem> {
    let (name, reason) = text.split_once(": ")?;
    let wanted = match reason {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "a whole number is expected"
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            "the number is beyond what can be asked for"
        }
        "provided string was not `true` or `false`" => "true or false is expected",
        _ => return None,
    };
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    let (_, given) = query.0.into_iter().find(|(given, _)| given == name)?;
    Some(Problem::field(
        name,
        malformed(format!("{given:?}: {wanted}")),
    ))
}

/// Query parameters; what is wrong with them becomes a problem.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let text = innermost(&error);
                Err(unfit_value(parts, &text)
                    .or_else(|| named(&text))
                    .unwrap_or_else(|| Problem::field("query", malformed(text))))
            }
            Err(other) => Err(Problem::under(
                other.status(),
                Refusal::Unreadable {
                    error: other.body_text(),
                },
            )),
        }
    }
}
