//! The authority that vouches for agents: it signs their certificates, against a one-time token at first
//! and against the current certificate later, and says which ones no longer count.
//!
//! Invariants:
//! - A token is used once: what uses it up is durable before the certificate leaves.
//! - An agent's name belongs to one unit at a time: records are known by (agent, stream, position), so a
//!   second holder of a name could make the first one's records look known.
//! - Unit, name and validity come from the token and from here, never from the request.
//!
//! In its folder: `ca-key.pem` (readable by its owner only), `ca.pem` (its certificate, then those above
//! it), `crl.pem` (the revoked ones, signed), `journal.ndjson` (tokens and certificates), `lock`.

mod issuing;
mod journal;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::hex;
use crate::identity::{Holder, HolderError, Reach};
use crate::private_file;

pub use issuing::IssueError;
use issuing::Signer;
use journal::{Entry, Journal};
pub use token::{Token, TokenError};

const KEY: &str = "ca-key.pem";
const CERTIFICATE: &str = "ca.pem";
const REVOKED: &str = "crl.pem";
const JOURNAL: &str = "journal.ndjson";
/// An agent's certificate is valid for so long unless the configuration says otherwise.
pub const VALID_DAYS: u32 = 90;

/// Why the authority does not do something.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is none.
    #[error("{}: there is no authority here; make one with `citywatch ca init`", .dir.display())]
    Missing {
        /// Its folder.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("{}: there is an authority here already; its certificates would all become worthless", .dir.display())]
    Exists {
        /// Its folder.
        dir: PathBuf,
    },
    /// A file cannot be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Key or certificate cannot be used.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Names that cannot be ones.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// The token is refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The agent's name belongs to somebody.
    #[error(
        "the name \"{agent}\" belongs to an agent of {unit} whose certificate is valid: give this one another name, make a token with --unit {unit} --agent {agent} to enrol the same agent anew, or revoke it first"
    )]
    NameTaken {
        /// The name.
        agent: String,
        /// Whose it is.
        unit: String,
    },
    /// The certificate that asks for its renewal is not known, or revoked.
    #[error("the certificate {serial} is {why}: enrol the agent anew with a token")]
    NotRenewable {
        /// Its serial number.
        serial: String,
        /// Why it is not renewed.
        why: &'static str,
    },
    /// Nothing of that name or number.
    #[error(
        "no valid certificate has the serial number or the agent \"{what}\"; see `citywatch ca list`"
    )]
    NotFound {
        /// As given.
        what: String,
    },
}

/// A certificate as the authority knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// The agent it names; none for a server's.
    pub holder: Option<Holder>,
    /// Name of the agent or server.
    pub name: String,
    /// When it was signed, in seconds since 1970.
    pub at: i64,
    /// When it ends, in seconds since 1970.
    pub until: i64,
    /// When it was revoked, if it was.
    pub revoked_at: Option<i64>,
    /// Whether a later one was made from it.
    pub is_renewed: bool,
}

impl Issued {
    /// Whether it still counts.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.revoked_at.is_none() && self.until > seconds(now)
    }
}

/// A fresh certificate for an agent.
#[derive(Clone, Debug)]
pub struct AgentCertificate {
    /// Whom it names.
    pub holder: Holder,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// The authority's, PEM.
    pub ca: String,
}

/// What a token allows.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The unit that the agent will speak for.
    pub unit: String,
    /// The agent's name; the agent names itself if none.
    pub agent: Option<String>,
    /// Which units it vouches for.
    pub reach: Reach,
    /// How long the token may be used.
    pub valid: Duration,
}

/// A token as the authority keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenToken {
    /// Its first part, which is no secret.
    pub id: String,
    /// The unit.
    pub unit: String,
    /// The agent that it is for.
    pub agent: Option<String>,
    /// Which units the certificate will vouch for.
    pub reach: Reach,
    /// When it ends, in seconds since 1970.
    pub until: i64,
    secret_sha256: String,
    used: bool,
}

/// An authority in a folder.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    signer: Signer,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lock: File,
    journal: Journal,
    tokens: HashMap<String, OpenToken>,
    certificates: BTreeMap<String, Issued>,
}

impl Authority {
    /// Makes an authority with a key of its own in `dir`.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`], or when the folder cannot be written.
    pub fn init(dir: &Path, now: SystemTime) -> Result<Self, AuthorityError> {
        let (key, certificate) = issuing::make_authority(now)?;
        Self::lay_down(dir, &key, &certificate, now)
    }

    /// Makes an authority of a key and a certificate that somebody else signed: the city's intermediate.
    /// `certificate` may hold those above it too.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`]; [`AuthorityError::Issue`] when they do not belong together or may not sign.
    pub fn import(
        dir: &Path,
        key: &str,
        certificate: &str,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        Signer::new(key, certificate)?;
        Self::lay_down(dir, key, certificate, now)
    }

    fn lay_down(
        dir: &Path,
        key: &str,
        certificate: &str,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        if dir.join(KEY).exists() || dir.join(CERTIFICATE).exists() {
            return Err(AuthorityError::Exists { dir: dir.into() });
        }
        private_file::make_folder(dir).map_err(failed(dir))?;
        for (name, content, mode) in [
            (KEY, key, private_file::OWNER_ONLY),
            (CERTIFICATE, certificate, private_file::READABLE),
        ] {
            let path = dir.join(name);
            private_file::replace(&path, content.as_bytes(), mode).map_err(failed(&path))?;
        }
        let authority = Self::open(dir)?;
        authority.locked(|state| authority.write_revoked(state, now))?;
        Ok(authority)
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// [`AuthorityError::Missing`], or when its files cannot be used.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => AuthorityError::Missing { dir: dir.into() },
                _ => failed(&path)(error),
            })
        };
        let signer = Signer::new(&read(KEY)?, &read(CERTIFICATE)?)?;
        let (lock, journal) = (dir.join("lock"), dir.join(JOURNAL));
        let state = State {
            lock: File::create(&lock).map_err(failed(&lock))?,
            journal: Journal::open(&journal).map_err(failed(&journal))?,
            tokens: HashMap::new(),
            certificates: BTreeMap::new(),
        };
        Ok(Self {
            dir: dir.into(),
            signer,
            state: Mutex::new(state),
        })
    }

    /// Whether there is one in `dir`.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(CERTIFICATE).exists()
    }

    /// Whether its key is in `dir`, too: others have copies of its certificate only.
    pub fn signs_in(dir: &Path) -> bool {
        Self::is_in(dir) && dir.join(KEY).exists()
    }

    /// The file of its certificate, which whoever checks signatures needs.
    pub fn certificate_file(dir: &Path) -> PathBuf {
        dir.join(CERTIFICATE)
    }

    /// The file of the revoked certificates.
    pub fn revoked_file(dir: &Path) -> PathBuf {
        dir.join(REVOKED)
    }

    /// Its certificate and those above it, PEM.
    pub fn certificate(&self) -> &str {
        self.signer.chain()
    }

    /// SHA-256 of its certificate, by which agents know it.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.signer.fingerprint()
    }

    /// The same as people read it: hexadecimal.
    pub fn fingerprint_text(&self) -> String {
        hex::encode(&self.fingerprint())
    }

    /// Makes a token; it is told this once.
    ///
    /// # Errors
    /// For names that cannot be ones, or when the journal cannot be written.
    pub fn make_token(
        &self,
        request: &TokenRequest,
        now: SystemTime,
    ) -> Result<Token, AuthorityError> {
        let agent = request.agent.as_deref();
        Holder::new(&request.unit, agent.unwrap_or("agent"), request.reach)?;
        let token = Token::make(self.fingerprint())?;
        let entry = Entry::Token {
            id: token.id().to_owned(),
            secret_sha256: token.secret_sha256(),
            unit: request.unit.clone(),
            agent: request.agent.clone(),
            relay: request.reach == Reach::Below,
            at: seconds(now),
            until: seconds(now + request.valid),
        };
        self.locked(|state| state.note(entry, &self.dir))?;
        Ok(token)
    }

    /// Signs the request (PKCS#10, DER) of whoever has the token, and uses the token up. `name` is what
    /// the agent calls itself; a name in the token wins.
    ///
    /// # Errors
    /// [`AuthorityError::Token`], [`AuthorityError::NameTaken`], or [`AuthorityError::Issue`] for a request
    /// that is none; then the token may be used again.
    pub fn enrol(
        &self,
        token: &Token,
        name: &str,
        request: &[u8],
        valid: Duration,
        now: SystemTime,
    ) -> Result<AgentCertificate, AuthorityError> {
        self.locked(|state| {
            let open = token.admit(state.tokens.get(token.id()), now)?.clone();
            let agent = open.agent.as_deref().unwrap_or(name);
            let holder = Holder::new(&open.unit, agent, open.reach)?;
            let taken = state.certificates.values().find_map(|known| {
                let other = known.holder.as_ref()?;
                let same = other.agent() == holder.agent() && known.is_valid(now);
                let anew = other.unit() == holder.unit() && open.agent.is_some();
                (same && !anew).then(|| other.unit().to_string())
            });
            if let Some(unit) = taken {
                return Err(AuthorityError::NameTaken {
                    agent: agent.to_owned(),
                    unit,
                });
            }
            self.sign(state, holder, request, valid, now, (Some(open.id), None))
        })
    }

    /// Signs the request (PKCS#10, DER) of the agent that proved to hold the certificate `serial`.
    ///
    /// # Errors
    /// [`AuthorityError::NotRenewable`] when that certificate is unknown or revoked, [`AuthorityError::Issue`]
    /// for a request that is none.
    pub fn renew(
        &self,
        serial: &str,
        request: &[u8],
        valid: Duration,
        now: SystemTime,
    ) -> Result<AgentCertificate, AuthorityError> {
        let refused = |why| AuthorityError::NotRenewable {
            serial: serial.to_owned(),
            why,
        };
        self.locked(|state| {
            let known = state
                .certificates
                .get(serial)
                .ok_or_else(|| refused("not one of this authority"))?;
            if known.revoked_at.is_some() {
                return Err(refused("revoked"));
            }
            if !known.is_valid(now) {
                return Err(refused("expired"));
            }
            let holder = known
                .holder
                .clone()
                .ok_or_else(|| refused("not an agent's"))?;
            let renews = (None, Some(serial.to_owned()));
            self.sign(state, holder, request, valid, now, renews)
        })
    }

    fn sign(
        &self,
        state: &mut State,
        holder: Holder,
        request: &[u8],
        valid: Duration,
        now: SystemTime,
        (token, renews): (Option<String>, Option<String>),
    ) -> Result<AgentCertificate, AuthorityError> {
        let signed = self.signer.sign_agent(&holder, request, valid, now)?;
        let entry = Entry::Certificate {
            serial: signed.serial.clone(),
            unit: holder.unit().to_string(),
            agent: holder.agent().to_string(),
            relay: holder.reach() == Reach::Below,
            at: seconds(now),
            until: seconds(now + valid),
            token,
            renews,
        };
        state.note(entry, &self.dir)?;
        Ok(AgentCertificate {
            holder,
            serial: signed.serial,
            certificate: signed.certificate,
            ca: self.certificate().to_owned(),
        })
    }

    /// Makes key and certificate of a server or of a client that is no agent: a Kafka broker, an engine.
    /// Returns both, PEM: the key, the certificate, and those above it.
    ///
    /// # Errors
    /// When `names` has none, or one that is neither a host's name nor an address.
    pub fn issue(
        &self,
        names: &[String],
        valid: Duration,
        now: SystemTime,
    ) -> Result<(String, String), AuthorityError> {
        let (key, signed) = self.signer.make_other(names, valid, now)?;
        let entry = Entry::Other {
            serial: signed.serial,
            name: names.first().cloned().unwrap_or_default(),
            at: seconds(now),
            until: seconds(now + valid),
        };
        self.locked(|state| state.note(entry, &self.dir))?;
        Ok((key, signed.certificate + self.certificate()))
    }

    /// As [`Self::issue`], for a process of ours that asks anew at each start: nothing is noted.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub(crate) fn issue_unlisted(
        &self,
        names: &[String],
        valid: Duration,
        now: SystemTime,
    ) -> Result<(String, String), AuthorityError> {
        let (key, signed) = self.signer.make_other(names, valid, now)?;
        Ok((key, signed.certificate + self.certificate()))
    }

    /// Revokes a certificate by its serial number, or all valid ones of an agent; returns them.
    ///
    /// # Errors
    /// [`AuthorityError::NotFound`], or when the files cannot be written.
    pub fn revoke(&self, what: &str, now: SystemTime) -> Result<Vec<Issued>, AuthorityError> {
        self.locked(|state| {
            let meant: Vec<String> = state
                .certificates
                .values()
                .filter(|known| known.is_valid(now))
                .filter(|known| known.serial == what || known.name == what)
                .map(|known| known.serial.clone())
                .collect();
            if meant.is_empty() {
                return Err(AuthorityError::NotFound { what: what.into() });
            }
            for serial in &meant {
                let entry = Entry::Revoked {
                    serial: serial.clone(),
                    at: seconds(now),
                };
                state.note(entry, &self.dir)?;
            }
            self.write_revoked(state, now)?;
            let revoked = meant
                .iter()
                .filter_map(|serial| state.certificates.get(serial));
            Ok(revoked.cloned().collect())
        })
    }

    /// All certificates, the latest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn certificates(&self) -> Result<Vec<Issued>, AuthorityError> {
        self.locked(|state| {
            let mut all: Vec<Issued> = state.certificates.values().cloned().collect();
            all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.name.cmp(&b.name)));
            Ok(all)
        })
    }

    /// Tokens that can still be used.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn tokens(&self, now: SystemTime) -> Result<Vec<OpenToken>, AuthorityError> {
        self.locked(|state| {
            let open = state.tokens.values();
            let mut open: Vec<OpenToken> = open
                .filter(|token| !token.used && token.until > seconds(now))
                .cloned()
                .collect();
            open.sort_by_key(|token| token.until);
            Ok(open)
        })
    }

    fn write_revoked(&self, state: &State, now: SystemTime) -> Result<(), AuthorityError> {
        let revoked: Vec<(&str, i64)> = state
            .certificates
            .values()
            .filter_map(|known| Some((known.serial.as_str(), known.revoked_at?)))
            .collect();
        let list = self.signer.sign_revoked(&revoked, now)?;
        let path = self.dir.join(REVOKED);
        private_file::replace(&path, list.as_bytes(), private_file::READABLE).map_err(failed(&path))
    }

    /// Does something with the state as it is now, while no other process changes it.
    fn locked<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, AuthorityError>,
    ) -> Result<T, AuthorityError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join("lock");
        state.lock.lock().map_err(failed(&path))?;
        let done = state.catch_up().and_then(|()| act(&mut state));
        // Also given up when the file is closed.
        let _ = state.lock.unlock();
        done
    }
}

impl State {
    fn catch_up(&mut self) -> Result<(), AuthorityError> {
        let path = self.journal.path().to_owned();
        for entry in self.journal.read_on().map_err(failed(&path))? {
            self.apply(entry)?;
        }
        Ok(())
    }

    fn note(&mut self, entry: Entry, dir: &Path) -> Result<(), AuthorityError> {
        self.journal
            .append(&entry)
            .map_err(failed(&dir.join(JOURNAL)))?;
        self.apply(entry)
    }

    fn apply(&mut self, entry: Entry) -> Result<(), AuthorityError> {
        match entry {
            Entry::Token {
                id,
                secret_sha256,
                unit,
                agent,
                relay,
                at: _,
                until,
            } => {
                let token = OpenToken {
                    id: id.clone(),
                    unit,
                    agent,
                    reach: reach(relay),
                    until,
                    secret_sha256,
                    used: false,
                };
                self.tokens.insert(id, token);
            }
            Entry::Certificate {
                serial,
                unit,
                agent,
                relay,
                at,
                until,
                token,
                renews,
            } => {
                if let Some(token) = token.and_then(|id| self.tokens.get_mut(&id)) {
                    token.used = true;
                }
                if let Some(before) = renews.and_then(|serial| self.certificates.get_mut(&serial)) {
                    before.is_renewed = true;
                }
                let issued = Issued {
                    serial: serial.clone(),
                    holder: Some(Holder::new(&unit, &agent, reach(relay))?),
                    name: agent,
                    at,
                    until,
                    revoked_at: None,
                    is_renewed: false,
                };
                self.certificates.insert(serial, issued);
            }
            Entry::Other {
                serial,
                name,
                at,
                until,
            } => {
                let issued = Issued {
                    serial: serial.clone(),
                    holder: None,
                    name,
                    at,
                    until,
                    revoked_at: None,
                    is_renewed: false,
                };
                self.certificates.insert(serial, issued);
            }
            Entry::Revoked { serial, at } => {
                if let Some(known) = self.certificates.get_mut(&serial) {
                    known.revoked_at = Some(at);
                }
            }
        }
        Ok(())
    }
}

fn reach(relay: bool) -> Reach {
    if relay { Reach::Below } else { Reach::Unit }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
