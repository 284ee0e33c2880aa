//! What can go wrong between the engine and the store, and whether to try again.

use thiserror::Error;

use super::StoreConfig;

/// An error of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store did not answer, or the connection broke: nothing is known of the call's effect.
    /// Inserts may be sent again, since their block carries a deduplication token.
    #[error(
        "the store at {url} does not answer: {reason}; is `citywatch store` or ClickHouse running there?"
    )]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// No answer within the configured time: as with [`StoreError::Unreachable`].
    #[error(
        "the store at {url} did not answer {what} within {seconds} s; it may be overloaded: see `citywatch status`, or raise the timeout in [store]"
    )]
    TimedOut {
        /// Where it is.
        url: String,
        /// The call.
        what: &'static str,
        /// The configured wait.
        seconds: u64,
    },
    /// The store refused for now: memory, disk space, too many parts or queries.
    #[error("the store is short of resources (ClickHouse error {code}): {message}")]
    Busy {
        /// ClickHouse's error code.
        code: u32,
        /// What it said.
        message: String,
    },
    /// User or password are wrong.
    #[error("the store at {url} refuses user \"{user}\": check `user` and `password` in [store]")]
    SignIn {
        /// Where it is.
        url: String,
        /// The user.
        user: String,
    },
    /// The store refused the call, and would again.
    #[error("the store refused {what} (ClickHouse error {code}): {message}")]
    Refused {
        /// The call.
        what: &'static str,
        /// ClickHouse's error code; 0 when it gave none.
        code: u32,
        /// What it said.
        message: String,
    },
    /// Fewer or more rows were written than sent. The block is not to be acknowledged.
    #[error(
        "the store wrote {written} of {sent} rows to {table}: the block is not acknowledged; please report this"
    )]
    RowsLost {
        /// The table.
        table: &'static str,
        /// Rows in the block.
        sent: u64,
        /// Rows that the store says it wrote.
        written: u64,
    },
    /// The store did not say how many rows it wrote: nothing is known of the insert. It may be sent again, as after
    /// [`StoreError::Unreachable`].
    #[error(
        "the store at {url} does not say how many of {sent} rows it wrote to {table}, so they are not acknowledged: the header X-ClickHouse-Summary is missing in its answer; let a proxy in between pass it, or name the ClickHouse server itself in [store] url"
    )]
    RowsUntold {
        /// Where it is.
        url: String,
        /// The table.
        table: &'static str,
        /// Rows in the block.
        sent: u64,
    },
    /// Rows of one insert belong to more than one partition, so they would not be stored as one.
    #[error(
        "a block for {table} spans partitions {first} and {second}: blocks are cut at partition boundaries"
    )]
    ManyPartitions {
        /// The table.
        table: &'static str,
        /// Partition of the first row.
        first: String,
        /// Partition that differs from it.
        second: String,
    },
    /// What a cursor, an id or a query says cannot be read.
    #[error("{what} \"{value}\" is not valid: {reason}")]
    Invalid {
        /// What it is.
        what: &'static str,
        /// As it was given, cut at 100 characters.
        value: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// A search line cannot be read.
    #[error("{reason}")]
    Search {
        /// Where: so many characters from the beginning.
        at: usize,
        /// So many characters.
        length: usize,
        /// What is wrong, for programs.
        fault: SearchFault,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The tables were made by a newer Citywatch.
    #[error(
        "database \"{database}\" has schema version {found}, this program knows {known}: start the newer citywatch that made it, or use another database"
    )]
    NewerSchema {
        /// The database.
        database: String,
        /// Version in the database.
        found: u32,
        /// Version of this program.
        known: u32,
    },
}

/// What is wrong with a search line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchFault {
    /// It is too long.
    TooLong,
    /// A parenthesis closes nothing.
    UnexpectedClose,
    /// A quote is not closed.
    OpenQuote,
    /// A parenthesis is not closed.
    OpenParenthesis,
    /// Nothing stands on one side of an operator.
    MissingOperand,
    /// Nothing stands behind a colon.
    MissingValue,
    /// No address.
    BadAddress,
    /// No port.
    BadNumber,
    /// Too many parentheses within parentheses.
    TooDeep,
    /// Too many words and fields.
    TooMany,
}

impl StoreError {
    /// Whether the same call can succeed later. The caller waits and tries again; any other error
    /// is the same for ever and belongs in the log and, for rows, in the dead letters.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Busy { .. }
                | Self::RowsUntold { .. }
        )
    }
}

/// ClickHouse's codes for what passes: timeouts, memory, parts, queries, network, disk space,
/// read-only replicas, unknown outcome of an insert, cancelled, Keeper.
const PASSING_CODES: &[u32] = &[
    159, 202, 209, 210, 236, 241, 242, 243, 252, 279, 285, 319, 394, 999,
];
/// What the system says when a disk is full in the middle of a write, whatever code ClickHouse gives it.
const DISK_FULL: &str = "No space left on device";
/// ClickHouse's codes for a wrong user or password.
const SIGN_IN_CODES: &[u32] = &[192, 193, 194, 516];

impl StoreError {
    /// A value that cannot be used, cut at 100 characters.
    pub(super) fn invalid(what: &'static str, value: &str, reason: &str) -> Self {
        Self::Invalid {
            what,
            value: value.chars().take(100).collect(),
            reason: reason.into(),
        }
    }

    /// What is wrong with a search line, between two of its bytes.
    pub(super) fn search(
        line: &str,
        (from, to): (usize, usize),
        fault: SearchFault,
        reason: String,
    ) -> Self {
        let characters = |text: &str| text.chars().count();
        Self::Search {
            at: characters(&line[..from]),
            length: characters(&line[from..to]),
            fault,
            reason,
        }
    }

    /// What an error of the official client means to us.
    pub(super) fn of_call(
        config: &StoreConfig,
        what: &'static str,
        error: clickhouse::error::Error,
    ) -> Self {
        use clickhouse::error::Error;
        let url = || config.url.clone();
        match error {
            Error::Network(source) => Self::Unreachable {
                url: url(),
                reason: root_cause(&*source),
            },
            Error::TimedOut => Self::TimedOut {
                url: url(),
                what,
                seconds: config.insert_timeout_seconds,
            },
            Error::BadResponse(message) => {
                let code = exception_code(&message);
                if SIGN_IN_CODES.contains(&code) {
                    Self::SignIn {
                        url: url(),
                        user: config.user.clone(),
                    }
                } else if PASSING_CODES.contains(&code) || message.contains(DISK_FULL) {
                    Self::Busy { code, message }
                } else {
                    Self::Refused {
                        what,
                        code,
                        message,
                    }
                }
            }
            other => Self::Refused {
                what,
                code: 0,
                message: other.to_string(),
            },
        }
    }
}

/// `Code: 62. DB::Exception: ...` gives 62; 0 when there is no code.
fn exception_code(message: &str) -> u32 {
    let digits = message.split_once("Code: ").map_or("", |(_, rest)| rest);
    let end = digits
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// The innermost reason: "connection refused" rather than "client error (Connect)".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_passes() {
        let error = |message: &str| {
            let error = clickhouse::error::Error::BadResponse(message.to_owned());
            StoreError::of_call(&StoreConfig::default(), "insert", error).is_retryable()
        };
        assert!(error(
            "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space"
        ));
        assert!(error(
            "Code: 75. DB::ErrnoException: Cannot write to file /store/tmp_insert_1/data.bin: , errno: 28, strerror: No space left on device"
        ));
        assert!(!error(
            "Code: 75. DB::ErrnoException: Cannot write to file: , errno: 5, strerror: Input/output error"
        ));
    }
}
