//! Finds out whether the audit log is what was written.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use sqlx::AnyPool;

use super::key::is_signed;
use super::{AuditHead, AuditRow};

/// Entries read at once.
const PAGE: i64 = 1_000;
/// Problems that are told; one change near the start breaks nothing after it, but many may be changed.
const PROBLEMS_MAX: usize = 100;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Entries read.
    pub entries: u64,
    /// Number of the last entry.
    pub last_sequence: i64,
    /// What is wrong, in order, at most 100; empty when nothing is.
    pub problems: Vec<AuditProblem>,
}

/// Something that is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditProblem {
    /// At which entry.
    pub sequence: i64,
    /// What.
    pub what: String,
}

/// Reads the whole log. `trusted_keys` are public keys, hexadecimal, that may have signed it; `heads` were
/// kept elsewhere and show whether the log was cut or replaced.
pub(crate) async fn verify(
    pool: &AnyPool,
    trusted_keys: &HashSet<String>,
    heads: &[AuditHead],
) -> Result<AuditReport, sqlx::Error> {
    let mut verifier = Verifier {
        trusted_keys,
        report: AuditReport::default(),
        previous: String::new(),
    };
    let mut wanted: HashMap<i64, &AuditHead> =
        heads.iter().map(|head| (head.sequence, head)).collect();
    loop {
        let rows =
            sqlx::query("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2")
                .bind(verifier.report.last_sequence)
                .bind(PAGE)
                .fetch_all(pool)
                .await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let row = AuditRow::read(row)?;
            if let Some(head) = wanted.remove(&row.sequence)
                && head.hash != row.hash
            {
                verifier.note(row.sequence, "is not the entry whose head was exported");
            }
            verifier.check(row);
        }
    }
    let mut missing: Vec<i64> = wanted.into_keys().collect();
    missing.sort_unstable();
    for sequence in missing {
        verifier.note(
            sequence,
            "is missing, and its head was exported: the log was cut",
        );
    }
    Ok(verifier.report)
}

struct Verifier<'a> {
    trusted_keys: &'a HashSet<String>,
    report: AuditReport,
    previous: String,
}

impl Verifier<'_> {
    fn check(&mut self, row: AuditRow) {
        let expected = self.report.last_sequence + 1;
        if row.sequence != expected {
            let what = format!("follows entry {}: those between are missing", expected - 1);
            self.note(row.sequence, &what);
        } else if row.chained_hash(&self.previous) != row.hash {
            self.note(row.sequence, "was changed, or is not where it was written");
        }
        if !self.trusted_keys.contains(&row.public_key) {
            let what = format!(
                "is signed by a key that is not trusted here: {}",
                row.public_key
            );
            self.note(row.sequence, &what);
        } else if !is_signed(&row.hash, &row.signature, &row.public_key) {
            self.note(row.sequence, "has a signature that is not of its hash");
        }
        self.report.entries += 1;
        self.report.last_sequence = row.sequence;
        self.previous = row.hash;
    }

    fn note(&mut self, sequence: i64, what: &str) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(AuditProblem {
                sequence,
                what: what.to_owned(),
            });
        }
    }
}
