//! The audit log: what people and tokens did, in a chain that shows when it was touched.
//!
//! Invariants:
//! - An entry is durable before what it tells of is done: nothing happens that is not told. Where it then
//!   failed, a second entry says so.
//! - Each hash covers the entry and the hash before it, and is signed (Ed25519) with a key that is not in
//!   the database: who can write to the database cannot change, remove or reorder entries unseen.
//! - The end of a chain can be cut off unseen unless its head was kept elsewhere: heads are logged and,
//!   where set, told to other machines.

mod export;
mod key;
mod verify;

pub(crate) use key::AuditKey;
pub use key::AuditKeyError;
pub(crate) use verify::verify;
pub use verify::{AuditProblem, AuditReport};

use std::sync::Arc;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::clock::Clock;
use crate::database::{Counter, Database, storable};
use crate::intake::keys::hexadecimal;

/// Longest detail of an entry in bytes; of more, the hash is told.
const DETAIL_BYTES_MAX: usize = 16 * 1024;

/// What somebody does.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    /// A person's name, or `token:` and a token's name.
    pub(crate) who: &'a str,
    /// The role then.
    pub(crate) role: &'a str,
    /// Where the request came from.
    pub(crate) address: &'a str,
    /// Method and path pattern, or a word.
    pub(crate) action: &'a str,
    /// The path and query that were asked for.
    pub(crate) subject: &'a str,
    /// What came with it, without secrets.
    pub(crate) detail: &'a str,
}

/// The end of the chain at some time; kept elsewhere, it shows when the chain was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Number of the last entry.
    pub sequence: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// The hash's signature, hexadecimal.
    pub signature: String,
    /// The key that signed it, hexadecimal.
    pub public_key: String,
}

/// Appends to the log.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) key: Arc<AuditKey>,
}

impl Audit {
    /// Appends an entry and makes it durable; returns its number.
    pub(crate) async fn append(&self, entry: Entry<'_>) -> Result<i64, sqlx::Error> {
        let detail = if entry.detail.len() > DETAIL_BYTES_MAX {
            let digest = ring::digest::digest(&SHA256, entry.detail.as_bytes());
            format!(
                "{} bytes, SHA-256 {}",
                entry.detail.len(),
                hexadecimal(digest.as_ref())
            )
        } else {
            entry.detail.to_owned()
        };
        let mut write = self.database.write().await?;
        // Its lock puts entries into a line, also those of other processes.
        let sequence = write.next(Counter::Audit).await?;
        let previous: Option<String> =
            sqlx::query_scalar("SELECT hash FROM audit WHERE sequence = $1")
                .bind(sequence - 1)
                .fetch_optional(&mut *write)
                .await?;
        let mut row = AuditRow {
            sequence,
            at: self.clock.now().as_micros(),
            who: storable(entry.who).into_owned(),
            role: entry.role.to_owned(),
            address: entry.address.to_owned(),
            action: entry.action.to_owned(),
            subject: storable(entry.subject).into_owned(),
            detail: storable(&detail).into_owned(),
            ..AuditRow::default()
        };
        row.hash = row.chained_hash(previous.as_deref().unwrap_or(""));
        row.public_key = self.key.public_key().to_owned();
        row.signature = self.key.sign(&row.hash);
        row.insert(&mut write).await?;
        write.commit().await?;
        metrics::counter!("citywatch_audit_entries_total").increment(1);
        Ok(sequence)
    }

    /// The end of the chain; none as long as it is empty.
    pub(crate) async fn head(&self) -> Result<Option<AuditHead>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(self.database.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = AuditRow::read(&row)?;
        Ok(Some(AuditHead {
            sequence: row.sequence,
            hash: row.hash,
            signature: row.signature,
            public_key: row.public_key,
        }))
    }
}

/// A row of the table `audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) sequence: i64,
    pub(crate) at: i64,
    pub(crate) who: String,
    pub(crate) role: String,
    pub(crate) address: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) detail: String,
    pub(crate) hash: String,
    pub(crate) public_key: String,
    pub(crate) signature: String,
}

impl AuditRow {
    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sequence: row.try_get("sequence")?,
            at: row.try_get("at")?,
            who: row.try_get("who")?,
            role: row.try_get("role")?,
            address: row.try_get("address")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            detail: row.try_get("detail")?,
            hash: row.try_get("hash")?,
            public_key: row.try_get("public_key")?,
            signature: row.try_get("signature")?,
        })
    }

    async fn insert(&self, write: &mut crate::database::Write) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO audit (sequence, at, who, role, address, action, subject, detail, hash, \
             public_key, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(self.sequence)
        .bind(self.at)
        .bind(self.who.as_str())
        .bind(self.role.as_str())
        .bind(self.address.as_str())
        .bind(self.action.as_str())
        .bind(self.subject.as_str())
        .bind(self.detail.as_str())
        .bind(self.hash.as_str())
        .bind(self.public_key.as_str())
        .bind(self.signature.as_str())
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// SHA-256 over the hash before and all that the entry tells, each with its length.
    pub(crate) fn chained_hash(&self, previous: &str) -> String {
        let (sequence, at) = (self.sequence.to_string(), self.at.to_string());
        let mut context = Context::new(&SHA256);
        for part in [
            previous,
            &sequence,
            &at,
            &self.who,
            &self.role,
            &self.address,
            &self.action,
            &self.subject,
            &self.detail,
        ] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        hexadecimal(context.finish().as_ref())
    }
}
