//! The door: what bytes from a transport become a batch, and on whose word.

use std::sync::Arc;
use std::time::SystemTime;

use citywatch_parsers::RecordBatch;
use serde::{Deserialize, Serialize};

use super::{Refusal, Verifier};
use crate::frame::sealed;
use crate::frame::{self, DecodeLimits, FrameError};

/// Whether a transport takes batches that nobody signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unsigned {
    /// Their own word on unit and agent is believed: of what only trusted programs write to.
    #[default]
    Taken,
    /// They become dead letters.
    Refused,
}

/// Why bytes become no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// They are no packed batch, or a damaged one.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Nobody vouches for them.
    #[error(transparent)]
    Identity(#[from] Refusal),
}

impl Refused {
    /// A name for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Frame(_) => "undecodable",
            Self::Identity(refusal) => refusal.name(),
        }
    }
}

/// Opens packed batches for one transport.
#[derive(Clone, Debug, Default)]
pub struct Door {
    verifier: Option<Arc<Verifier>>,
    limits: DecodeLimits,
}

impl Door {
    /// A door at which signatures are checked; without a verifier they are not looked at.
    pub fn new(verifier: Option<Arc<Verifier>>) -> Self {
        Self {
            verifier,
            limits: DecodeLimits::default(),
        }
    }

    /// Opens a packed batch, sealed or not.
    ///
    /// # Errors
    /// [`Refused`]; the reason is counted.
    pub fn open(&self, bytes: &[u8], unsigned: Unsigned) -> Result<RecordBatch, Refused> {
        self.judge(bytes, unsigned).inspect_err(|refused| {
            metrics::counter!("citywatch_refused_batches_total", "reason" => refused.name())
                .increment(1);
        })
    }

    /// Refuses what was not even looked at, with the same count.
    ///
    /// # Errors
    /// Always: the refusal.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Result<RecordBatch, Refused> {
        metrics::counter!("citywatch_refused_batches_total", "reason" => refusal.name())
            .increment(1);
        Err(refusal.into())
    }

    /// As [`Self::open`], without counting.
    pub(crate) fn judge(&self, bytes: &[u8], unsigned: Unsigned) -> Result<RecordBatch, Refused> {
        if !sealed::is_sealed(bytes) {
            if unsigned == Unsigned::Refused {
                return Err(Refusal::Unsigned.into());
            }
            return Ok(frame::decode(bytes, &self.limits)?);
        }
        let sealed = sealed::split(bytes)?;
        let Some(verifier) = &self.verifier else {
            if unsigned == Unsigned::Refused {
                let why = "this program knows no authority".to_owned();
                return Err(Refusal::NoAuthority(why).into());
            }
            return Ok(frame::decode(sealed.frame, &self.limits)?);
        };
        let vouched = verifier.sealed(&sealed, SystemTime::now())?;
        let batch = frame::decode(sealed.frame, &self.limits)?;
        let (origin, holder) = (&*batch.origin, &vouched.holder);
        if origin.agent != *holder.agent() {
            return Err(Refused::Identity(Refusal::Agent {
                claimed: shown(origin.agent.as_str()),
                own: holder.to_string(),
            }));
        }
        if !holder.vouches_for(origin.unit.as_str()) {
            return Err(Refused::Identity(Refusal::Unit {
                claimed: shown(origin.unit.as_str()),
                own: holder.unit().to_string(),
            }));
        }
        Ok(batch)
    }
}

/// What a batch claims may be of any length; a reason is not.
fn shown(claimed: &str) -> String {
    claimed.chars().take(200).collect()
}
