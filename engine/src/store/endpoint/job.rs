//! The work of one request, on a thread of its own: the library's calls wait.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::ROWS_LOST_CODE;
use super::connection::{Connection, Engine, EngineError, Written};
use super::format::{Streaming, streaming};
use super::request::Request;

/// Bytes given to the response, or to the library, at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Largest result in a format that cannot be streamed; it is in memory as a whole.
const WHOLE_RESULT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest a query runs unless its settings say otherwise.
const QUERY_TIME_MAX: Duration = Duration::from_secs(300);

/// Whether a statement may change anything: those of `GET` requests may not, as with ClickHouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    Write,
}

/// A result on its way out.
pub(super) enum Part {
    /// The next bytes.
    Data(Bytes),
    /// The engine gave up; nothing follows.
    Failed(EngineError),
}

/// Runs `SELECT`s: parts of the result go to `out` as they come, at the pace of who reads them.
pub(super) fn select(
    engine: &Engine,
    request: &Request,
    sql: &str,
    format: &str,
    access: Access,
    out: &mpsc::Sender<Part>,
) {
    let mode = streaming(format).0;
    let result = open(engine, request, access).and_then(|mut connection| match mode {
        Streaming::Whole => {
            let bound = format!("SET max_result_bytes = {WHOLE_RESULT_BYTES_MAX}");
            connection.query(&bound, "Null", &[])?;
            let result = connection.query(sql, format, &request.parameters)?;
            send(out, result.bytes());
            Ok(())
        }
        mode => stream(&mut connection, request, sql, format, mode, out),
    });
    if let Err(error) = result {
        // Who asked may be gone: then nobody needs the answer.
        let _ = out.blocking_send(Part::Failed(error));
    }
}

fn stream(
    connection: &mut Connection,
    request: &Request,
    sql: &str,
    format: &str,
    mode: Streaming,
    out: &mpsc::Sender<Part>,
) -> Result<(), EngineError> {
    let mut stream = connection.stream(sql, format, &request.parameters)?;
    let mut first = true;
    while let Some(chunk) = stream.next_chunk()? {
        let bytes = chunk.bytes();
        let skipped = if first { 0 } else { mode.header_bytes(bytes) };
        first = false;
        if !send(out, &bytes[skipped..]) {
            break;
        }
    }
    Ok(())
}

/// Copies bytes out, a bounded piece at a time. False when nobody listens any more.
fn send(out: &mpsc::Sender<Part>, bytes: &[u8]) -> bool {
    bytes.chunks(CHUNK_BYTES).all(|piece| {
        out.blocking_send(Part::Data(Bytes::copy_from_slice(piece)))
            .is_ok()
    })
}

/// Runs any other statement to its end.
pub(super) fn run(
    engine: &Engine,
    request: &Request,
    sql: &str,
    format: &str,
    access: Access,
) -> Result<(Bytes, Written), EngineError> {
    let mut connection = open(engine, request, access)?;
    let result = connection.query(sql, format, &request.parameters)?;
    let written = Written {
        rows: result.rows_written(),
        bytes: result.bytes_written(),
    };
    Ok((Bytes::copy_from_slice(result.bytes()), written))
}

/// The data of an insert, as it arrives.
pub(super) enum Input {
    /// The next bytes.
    Data(Bytes),
    /// All bytes were there. Without this, the sender broke off and nothing is to be stored.
    End,
}

/// Runs an insert: rows are stored once all data has arrived, and their number is what was sent.
///
/// One query text with its data in it must never be used for this: chDB stored 41,482 of 100,000
/// rows of one such text and said nothing.
pub(super) fn insert(
    engine: &Engine,
    request: &Request,
    head: &str,
    format: &str,
    mut data: mpsc::Receiver<Input>,
) -> Result<Written, EngineError> {
    let mut connection = open(engine, request, Access::Write)?;
    let mut insert = connection.insert(head, format, &request.parameters)?;
    loop {
        match data.blocking_recv() {
            Some(Input::Data(bytes)) => {
                for piece in bytes.chunks(CHUNK_BYTES) {
                    insert.append(piece)?;
                }
            }
            Some(Input::End) => break,
            None => return Err(EngineError("Code: 210. DB::NetException: the insert's data broke off; nothing is stored (NETWORK_ERROR)".into())),
        }
    }
    let written = insert.finish()?;
    match request.rows_sent {
        Some(sent) if sent != written.rows => Err(EngineError(format!(
            "Code: {ROWS_LOST_CODE}. DB::Exception: {} rows written of {sent} sent (ROWS_LOST)",
            written.rows
        ))),
        _ => Ok(written),
    }
}

/// A connection with the request's database and settings.
fn open(engine: &Engine, request: &Request, access: Access) -> Result<Connection, EngineError> {
    let mut connection = engine.connect()?;
    if let Some(database) = &request.database {
        let name = database.replace('\\', "\\\\").replace('`', "\\`");
        connection.query(&format!("USE `{name}`"), "Null", &[])?;
    }
    let seconds = QUERY_TIME_MAX.as_secs().to_string();
    let memory = engine.statement_memory_bytes_max().to_string();
    let own = [
        ("max_execution_time", seconds.as_str()),
        ("max_memory_usage", memory.as_str()),
    ];
    let asked = request
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let read_only = (access == Access::ReadOnly).then_some(("readonly", "2"));
    let settings: Vec<String> = own
        .into_iter()
        .chain(asked)
        .chain(read_only)
        .map(|(name, value)| {
            format!(
                "{name} = '{}'",
                value.replace('\\', "\\\\").replace('\'', "\\'")
            )
        })
        .collect();
    connection.query(&format!("SET {}", settings.join(", ")), "Null", &[])?;
    Ok(connection)
}
