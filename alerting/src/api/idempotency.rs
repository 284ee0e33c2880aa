//! Requests that are sent again, because their answer was lost: who sends an `Idempotency-Key` gets the answer of the first
//! time, and nothing is done twice.
//!
//! A key is noted before its request is worked on and the answer after it, so that a crash between the two is known as what
//! it is: an outcome that nobody knows. Once begun, a request runs to its end whether or not somebody still waits for its
//! answer. Answers hold passwords and tokens that are told once, so they are encrypted by the key, which is not kept.

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::caller::{Caller, is_mutating};
use super::field_fault::FieldFault;
use super::problem::Problem;
use super::refusal::Refusal;
use super::{Access, App, REQUEST_TIMEOUT, Recorded, Route};
use crate::clock::DAY_MICROS;
use crate::intake::keys::hexadecimal;

/// Header in which a request carries its key.
pub(super) const KEY_HEADER: &str = "idempotency-key";

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Short keys can be guessed; a UUID has 36 characters.
const KEY_BYTES_MIN: usize = 16;
const KEY_BYTES_MAX: usize = 255;

/// Longer answers are not kept: that they were given is.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Headers that belong to an answer; the others are made anew.
const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

const RUNNING: i64 = 0;
const UNKNOWN: i64 = -1;

impl Route {
    /// Whether a request may carry a key.
    pub(super) fn takes_key(&self) -> bool {
        is_mutating(&self.method) && self.access != Access::Public && self.recorded == Recorded::Yes
    }
}

/// A request with its key.
pub(super) struct Keyed {
    who: String,
    key_hash: String,
    request_hash: String,
    secret: LessSafeKey,
}

/// What is known of a request that begins.
pub(super) enum Begun {
    /// It is the first of its key.
    First,
    /// It was answered before, and so again.
    Again(Response),
}

#[derive(Serialize, Deserialize)]
struct KeptAnswer {
    headers: Vec<(String, String)>,
    body: String,
}

impl Keyed {
    /// The request's key, if it has one.
    pub(super) fn of(
        route: &Route,
        caller: &Caller,
        parts: &Parts,
        body: &[u8],
    ) -> Result<Option<Self>, Problem> {
        let Some(key) = parts.headers.get(KEY_HEADER).filter(|_| route.takes_key()) else {
            return Ok(None);
        };
        let key = key.as_bytes();
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            let fault = FieldFault::Length {
                bytes_min: KEY_BYTES_MIN,
                bytes_max: KEY_BYTES_MAX,
            };
            return Err(Problem::field("Idempotency-Key", fault));
        }
        let address = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let version = parts
            .headers
            .get(header::IF_MATCH)
            .map_or(&[][..], |value| value.as_bytes());
        let request: [&[u8]; 6] = [
            b"request",
            key,
            parts.method.as_str().as_bytes(),
            address.as_bytes(),
            version,
            body,
        ];
        let secret = UnboundKey::new(&AES_256_GCM, hash(&[b"answer", key]).as_ref())
            .expect("a SHA-256 is as long as a key");
        Ok(Some(Self {
            who: caller.name().to_owned(),
            key_hash: hexadecimal(hash(&[b"key", key]).as_ref()),
            request_hash: hexadecimal(hash(&request).as_ref()),
            secret: LessSafeKey::new(secret),
        }))
    }

    /// Notes the key, or finds what became of it.
    pub(super) async fn begin(&self, app: &App) -> Result<Begun, Problem> {
        let now = app.clock.now().as_micros();
        let mut write = app.database.write().await?;
        sqlx::query("DELETE FROM kept_answers WHERE begun_at < $1")
            .bind(now - DAY_MICROS)
            .execute(&mut *write)
            .await?;
        let noted = sqlx::query(
            "INSERT INTO kept_answers (who, key_hash, request_hash, begun_at, status, answer) \
             VALUES ($1, $2, $3, $4, $5, '') ON CONFLICT (who, key_hash) DO NOTHING",
        )
        .bind(self.who.as_str())
        .bind(self.key_hash.as_str())
        .bind(self.request_hash.as_str())
        .bind(now)
        .bind(RUNNING)
        .execute(&mut *write)
        .await?;
        if noted.rows_affected() == 1 {
            write.commit().await?;
            return Ok(Begun::First);
        }
        let row = sqlx::query(
            "SELECT request_hash, begun_at, status, answer FROM kept_answers \
             WHERE who = $1 AND key_hash = $2",
        )
        .bind(self.who.as_str())
        .bind(self.key_hash.as_str())
        .fetch_one(&mut *write)
        .await?;
        if row.try_get::<String, _>("request_hash")? != self.request_hash {
            return Err(Problem::of(Refusal::KeyUsedBefore));
        }
        let status: i64 = row.try_get("status")?;
        let age = now - row.try_get::<i64, _>("begun_at")?;
        // Whoever began it gives up after the one and is surely gone after twice that.
        if status == RUNNING && age < 2 * micros(REQUEST_TIMEOUT) {
            return Err(Problem::of(Refusal::StillRunning).after(1));
        }
        let answer: String = row.try_get("answer")?;
        self.opened(&answer)
            .and_then(|kept| answered(status, kept))
            .map(Begun::Again)
            .ok_or_else(|| Problem::of(Refusal::OutcomeUnknown))
    }

    /// Keeps the answer. What was refused did nothing and may be tried again under its key.
    pub(super) async fn finish(&self, app: &App, response: Response) -> Response {
        let status = response.status();
        let (parts, body) = response.into_parts();
        let headers = HEADERS.iter().filter_map(|name| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let headers = headers.collect();
        // Handlers answer with values that they have in memory, never with streams.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let kept = std::str::from_utf8(&bytes)
            .ok()
            .filter(|body| status.is_success() && body.len() <= ANSWER_BYTES_MAX)
            .map(|body| KeptAnswer {
                headers,
                body: body.to_owned(),
            })
            .and_then(|answer| self.sealed(&answer));
        let outcome = if status.is_client_error() {
            self.forget(app).await
        } else {
            let known = kept.as_ref().map_or(UNKNOWN, |_| status.as_u16().into());
            self.keep(app, known, &kept.unwrap_or_default()).await
        };
        if let Err(error) = outcome {
            // The key stays noted as begun: sent again, the request is refused and not done twice.
            tracing::warn!(%error, "an answer could not be kept");
        }
        Response::from_parts(parts, Body::from(bytes))
    }

    async fn keep(&self, app: &App, status: i64, answer: &str) -> Result<(), sqlx::Error> {
        let mut write = app.database.write().await?;
        sqlx::query(
            "UPDATE kept_answers SET status = $1, answer = $2 WHERE who = $3 AND key_hash = $4",
        )
        .bind(status)
        .bind(answer)
        .bind(self.who.as_str())
        .bind(self.key_hash.as_str())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    async fn forget(&self, app: &App) -> Result<(), sqlx::Error> {
        let mut write = app.database.write().await?;
        sqlx::query("DELETE FROM kept_answers WHERE who = $1 AND key_hash = $2")
            .bind(self.who.as_str())
            .bind(self.key_hash.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    fn sealed(&self, answer: &KeptAnswer) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut bytes = serde_json::to_vec(answer).ok()?;
        self.secret
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut bytes,
            )
            .ok()?;
        Some(BASE64.encode([&nonce[..], &bytes].concat()))
    }

    fn opened(&self, text: &str) -> Option<KeptAnswer> {
        let mut bytes = BASE64.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let answer = self
            .secret
            .open_in_place(nonce, Aad::empty(), sealed)
            .ok()?;
        serde_json::from_slice(answer).ok()
    }
}

fn answered(status: i64, kept: KeptAnswer) -> Option<Response> {
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(status.try_into().ok()?).ok()?;
    for (name, value) in kept.headers {
        response.headers_mut().insert(
            HeaderName::try_from(name).ok()?,
            HeaderValue::try_from(value).ok()?,
        );
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Some(response)
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The hash of several texts, each with its length before it.
fn hash(parts: &[&[u8]]) -> ring::digest::Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    context.finish()
}
