//! How an agent gets its certificate, and the next one.

use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::own::{Identity, IdentityError, NewKey, Note};
use crate::authority::{AgentCertificate, Token};
use crate::https::{Client, HttpsError, Trust};

/// Where a token is turned into a certificate.
pub const ENROL_PATH: &str = "/v1/enroll";
/// Where a certificate is renewed.
pub const RENEW_PATH: &str = "/v1/renew";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The server was not reached.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// It said no.
    #[error("{server} refuses: {reason}")]
    Refused {
        /// The server.
        server: String,
        /// In its words.
        reason: String,
    },
    /// It said something else.
    #[error("{server} does not answer as a Citywatch does: {reason}")]
    Answer {
        /// The server.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// Key or certificate cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What an agent asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The token, at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// What the agent calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// PKCS#10, DER, base64.
    pub(crate) request: String,
}

/// What the server gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) certificate: String,
    pub(crate) ca: String,
    pub(crate) serial: String,
    pub(crate) holder: String,
    pub(crate) at: i64,
    pub(crate) until: i64,
}

impl Given {
    pub(crate) fn new(issued: AgentCertificate, at: i64, until: i64) -> Self {
        Self {
            holder: issued.holder.uri(),
            certificate: issued.certificate,
            ca: issued.ca,
            serial: issued.serial,
            at,
            until,
        }
    }
}

/// Makes a key here and has it certified by `server`, which is known by the fingerprint in the token.
/// Keeps both in `dir`.
///
/// # Errors
/// [`EnrolError`]; nothing is kept then.
pub async fn enrol(
    server: &str,
    token: &Token,
    name: &str,
    dir: &Path,
) -> Result<Identity, EnrolError> {
    let mut client = Client::new(server, Trust::Fingerprint(token.fingerprint()), None)?;
    let key = NewKey::make()?;
    let asked = Asked {
        token: Some(token.reveal()),
        name: Some(name.to_owned()),
        request: BASE64.encode(key.request()),
    };
    let given = ask(&mut client, server, ENROL_PATH, &asked).await?;
    keep(&key, given, server, dir)?;
    let identity = Identity::open(dir)?;
    identity.ok_or_else(|| EnrolError::Answer {
        server: server.to_owned(),
        reason: format!("nothing was kept in {}", dir.display()),
    })
}

/// Makes a new key and has it certified by showing the current certificate; it is in force when this returns.
///
/// # Errors
/// [`EnrolError`]; what is in force stays so.
pub async fn renew(identity: &Identity) -> Result<(), EnrolError> {
    let current = identity.current();
    let server = &current.note.server;
    let mut client = Client::new(server, Trust::Roots(identity.roots()?), Some(&current))?;
    let key = NewKey::make()?;
    let asked = Asked {
        token: None,
        name: None,
        request: BASE64.encode(key.request()),
    };
    let given = ask(&mut client, server, RENEW_PATH, &asked).await?;
    keep(&key, given, server, identity.dir())?;
    identity.reload()?;
    Ok(())
}

async fn ask(
    client: &mut Client,
    server: &str,
    path: &str,
    asked: &Asked,
) -> Result<Given, EnrolError> {
    let body = serde_json::to_value(asked).expect("always JSON");
    let answer = client.post_json(path, &body).await?;
    if !answer.status.is_success() {
        return Err(EnrolError::Refused {
            server: server.to_owned(),
            reason: answer.complaint(),
        });
    }
    serde_json::from_slice(&answer.body).map_err(|error| EnrolError::Answer {
        server: server.to_owned(),
        reason: error.to_string(),
    })
}

fn keep(key: &NewKey, given: Given, server: &str, dir: &Path) -> Result<(), EnrolError> {
    // Times are the server's; counted from this machine's clock they would end at another moment, but the
    // certificate itself is judged by the server's clock, too.
    let note = Note {
        holder: given.holder,
        serial: given.serial,
        at: given.at,
        until: given.until,
        server: server.trim_end_matches('/').to_owned(),
    };
    key.keep(dir, &given.certificate, &given.ca, &note)?;
    tracing::debug!(at = ?SystemTime::now(), serial = %note.serial, "kept a certificate");
    Ok(())
}
