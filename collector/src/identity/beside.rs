//! The identity of an agent that lives beside the authority: both are files of one process, so that no token is carried
//! and no server asked.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::own::{Identity, IdentityError, NewKey, Note};
use super::{HolderError, Reach};
use crate::authority::{AgentCertificate, Authority, AuthorityError, TokenRequest};

/// How long the token exists that is used up at once.
const TOKEN_VALID: Duration = Duration::from_secs(60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// The authority says no.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Key or certificate cannot be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Unit or agent have names that cannot be ones.
    #[error(transparent)]
    Name(#[from] HolderError),
    /// Nothing can be read where it was kept.
    #[error("{0}: the identity that was just written is not there")]
    Gone(String),
}

/// Makes a key and has it certified for the agent `name` of `unit`. Keeps both in `dir`; `server` is where others renew
/// theirs.
///
/// # Errors
/// [`BesideError`]; nothing is kept then.
pub fn enrol(
    authority: &Authority,
    (unit, name): (&str, &str),
    server: &str,
    dir: &Path,
    valid: Duration,
    now: SystemTime,
) -> Result<Identity, BesideError> {
    let request = TokenRequest {
        unit: unit.to_owned(),
        agent: Some(name.to_owned()),
        reach: Reach::Unit,
        valid: TOKEN_VALID,
    };
    let token = authority.make_token(&request, now)?;
    let key = NewKey::make()?;
    let issued = authority.enrol(&token, name, key.request(), valid, now)?;
    keep(&key, issued, server, dir, (now, valid))?;
    Identity::open(dir)?.ok_or_else(|| BesideError::Gone(dir.display().to_string()))
}

/// Makes a new key and has it certified in place of the current one; it is in force when this returns.
///
/// # Errors
/// [`BesideError`], among them that the certificate was revoked; what is in force stays so.
pub fn renew(
    authority: &Authority,
    identity: &Identity,
    valid: Duration,
    now: SystemTime,
) -> Result<(), BesideError> {
    let current = identity.current();
    let key = NewKey::make()?;
    let issued = authority.renew(&current.note.serial, key.request(), valid, now)?;
    keep(
        &key,
        issued,
        &current.note.server,
        identity.dir(),
        (now, valid),
    )?;
    identity.reload()?;
    Ok(())
}

fn keep(
    key: &NewKey,
    issued: AgentCertificate,
    server: &str,
    dir: &Path,
    (now, valid): (SystemTime, Duration),
) -> Result<(), BesideError> {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let note = Note {
        holder: issued.holder.uri(),
        serial: issued.serial,
        at: seconds(now),
        until: seconds(now + valid),
        server: server.to_owned(),
    };
    key.keep(dir, &issued.certificate, &issued.ca, &note)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn it_is_enrolled_and_renewed_without_a_server_and_a_revoked_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let authority = Authority::init(&dir.path().join("ca"), now).unwrap();
        let own = dir.path().join("identity");
        let enrol = |unit, now| enrol(&authority, (unit, "soc-1"), "", &own, DAY * 90, now);
        let identity = enrol("hcmc/soc", now).unwrap();
        assert_eq!(identity.current().holder.to_string(), "soc-1 of hcmc/soc");
        let first = identity.current().note.serial.clone();
        renew(&authority, &identity, DAY * 90, now + DAY).unwrap();
        assert_ne!(identity.current().note.serial, first);
        // A name belongs to one unit.
        assert!(enrol("hcmc/other", now).is_err());
        // One that ended is made anew.
        let later = now + DAY * 200;
        assert!(renew(&authority, &identity, DAY * 90, later).is_err());
        enrol("hcmc/soc", later).unwrap();
        identity.reload().unwrap();
        authority.revoke("soc-1", later).unwrap();
        let error = renew(&authority, &identity, DAY * 90, later + DAY).unwrap_err();
        assert!(error.to_string().contains("revoked"), "{error}");
    }
}
