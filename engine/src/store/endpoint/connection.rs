//! The engine and its connections: a safe face on libchdb.
//!
//! Invariants:
//! - One engine per process, on one path: the library allows no more.
//! - A connection is used by one thread at a time, and by one statement at a time: both are `&mut`.
//! - Every handle that the library gives is given back exactly once, on every path.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::sync::Arc;

use super::library::{Functions, RawConnection, RawInsert, RawResult, text_at};

/// One statement may take one part of so many of the machine's memory: the rest of Citywatch lives
/// on the same machine.
const MEMORY_SHARE: u64 = 3;

/// What the engine says when it refuses: `Code: 62. DB::Exception: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineError(pub(super) String);

impl EngineError {
    /// ClickHouse's error code; 1001 (an exception without one) if there is none.
    pub(super) fn code(&self) -> u32 {
        let digits = self.0.split_once("Code: ").map_or("", |(_, rest)| rest);
        let end = digits
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(1001)
    }
}

/// The engine, open on its data.
#[derive(Clone)]
pub(super) struct Engine {
    functions: Arc<Functions>,
    path: Arc<str>,
    statement_memory_bytes_max: u64,
}

impl Engine {
    pub(super) fn new(functions: Functions, path: &Path) -> Self {
        Self {
            functions: Arc::new(functions),
            path: path.to_string_lossy().into(),
            statement_memory_bytes_max: machine_memory_bytes() / MEMORY_SHARE,
        }
    }

    /// Most memory that one statement may take, unless its settings say otherwise.
    pub(super) fn statement_memory_bytes_max(&self) -> u64 {
        self.statement_memory_bytes_max
    }

    /// A new connection: about a millisecond. Settings, parameters and the database of one
    /// connection are not seen by another.
    pub(super) fn connect(&self) -> Result<Connection, EngineError> {
        let arguments = [
            CString::from(c"citywatch"),
            CString::new(format!("--path={}", self.path))
                .map_err(|_| EngineError("the data directory's name holds a zero byte".into()))?,
        ];
        let mut pointers: Vec<*mut c_char> = arguments
            .iter()
            .map(|argument| argument.as_ptr().cast_mut())
            .collect();
        let count = i32::try_from(pointers.len()).expect("two arguments");
        // SAFETY: `pointers` holds `count` texts with final zeros, alive during the call; the
        // library copies them and writes to none.
        let place = unsafe { (self.functions.connect)(count, pointers.as_mut_ptr()) };
        if place.is_null() {
            return Err(EngineError(format!("chDB cannot open {}", self.path)));
        }
        // SAFETY: not null, so it points to the handle.
        let handle = unsafe { *place };
        if handle.is_null() {
            return Err(EngineError(format!("chDB cannot open {}", self.path)));
        }
        Ok(Connection {
            functions: Arc::clone(&self.functions),
            place,
            handle,
        })
    }
}

/// What the machine has; 4 GiB should the system not say.
fn machine_memory_bytes() -> u64 {
    // SAFETY: `sysconf` has no preconditions.
    let (pages, page_bytes) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    match (u64::try_from(pages), u64::try_from(page_bytes)) {
        (Ok(pages), Ok(page_bytes)) if pages > 0 => pages.saturating_mul(page_bytes),
        _ => 4 << 30,
    }
}

/// A connection to the engine.
pub(super) struct Connection {
    functions: Arc<Functions>,
    place: *mut RawConnection,
    handle: RawConnection,
}

// SAFETY: the library lets a connection move between threads; that two never use it at once is
// ensured by `&mut self` on every call, and `Connection` is not `Sync`.
unsafe impl Send for Connection {}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: `place` came from `connect` and is closed here only.
        unsafe { (self.functions.close)(self.place) };
    }
}

/// A statement's parameters, by name; values in ClickHouse's escaped form, as HTTP carries them.
pub(super) type Parameters = [(String, String)];

/// The arrays that the library wants for [`Parameters`], borrowing from them.
struct ParameterArrays {
    names: Vec<*const c_char>,
    name_lengths: Vec<usize>,
    values: Vec<*const c_char>,
    value_lengths: Vec<usize>,
}

impl ParameterArrays {
    fn of(parameters: &Parameters) -> Self {
        Self {
            names: parameters
                .iter()
                .map(|(name, _)| name.as_ptr().cast())
                .collect(),
            name_lengths: parameters.iter().map(|(name, _)| name.len()).collect(),
            values: parameters
                .iter()
                .map(|(_, value)| value.as_ptr().cast())
                .collect(),
            value_lengths: parameters.iter().map(|(_, value)| value.len()).collect(),
        }
    }
}

/// Calls one of the library's `..._with_params_n` functions.
macro_rules! call_with_parameters {
    ($connection:expr, $function:ident, $sql:expr, $format:expr, $parameters:expr) => {{
        let arrays = ParameterArrays::of($parameters);
        // SAFETY: all pointers are valid for the lengths given, and alive during the call, within
        // which the library copies what it keeps.
        unsafe {
            ($connection.functions.$function)(
                $connection.handle,
                $sql.as_ptr().cast(),
                $sql.len(),
                $format.as_ptr().cast(),
                $format.len(),
                arrays.names.as_ptr(),
                arrays.name_lengths.as_ptr(),
                arrays.values.as_ptr(),
                arrays.value_lengths.as_ptr(),
                $parameters.len(),
            )
        }
    }};
}

impl Connection {
    /// Runs a statement to its end and gives the whole result.
    pub(super) fn query(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> Result<QueryResult, EngineError> {
        let raw = call_with_parameters!(self, query, sql, format, parameters);
        QueryResult::of(&self.functions, raw)
    }

    /// Starts a `SELECT` whose result comes in chunks.
    pub(super) fn stream(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> Result<ResultStream<'_>, EngineError> {
        let raw = call_with_parameters!(self, stream_query, sql, format, parameters);
        let start = QueryResult::of(&self.functions, raw)?;
        Ok(ResultStream {
            connection: self,
            start,
            finished: false,
        })
    }

    /// Starts an insert whose rows are appended in `format`. `sql` holds no `FORMAT` clause.
    pub(super) fn insert(
        &mut self,
        sql: &str,
        format: &str,
        parameters: &Parameters,
    ) -> Result<InsertStream<'_>, EngineError> {
        let raw = call_with_parameters!(self, insert, sql, format, parameters);
        let stream = InsertStream {
            connection: self,
            raw,
            open: true,
        };
        match stream.error() {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }
}

/// A result, or a chunk of one, in the library's memory.
pub(super) struct QueryResult {
    functions: Arc<Functions>,
    raw: RawResult,
}

impl QueryResult {
    fn of(functions: &Arc<Functions>, raw: RawResult) -> Result<Self, EngineError> {
        if raw.is_null() {
            return Err(EngineError("chDB gave no result".into()));
        }
        let result = Self {
            functions: Arc::clone(functions),
            raw,
        };
        // SAFETY: `raw` is a live result; its error is null or a text that lives with it.
        match unsafe { text_at((functions.result_error)(raw)) } {
            Some(message) => Err(EngineError(message)),
            None => Ok(result),
        }
    }

    /// The rows in the format that was asked for.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `raw` is a live result.
        let (buffer, length) = unsafe {
            (
                (self.functions.result_buffer)(self.raw),
                (self.functions.result_length)(self.raw),
            )
        };
        if buffer.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: the library keeps `length` bytes there until the result is destroyed, which
        // needs `self`.
        unsafe { std::slice::from_raw_parts(buffer.cast(), length) }
    }

    /// Rows in it.
    pub(super) fn rows(&self) -> u64 {
        // SAFETY: `raw` is a live result.
        unsafe { (self.functions.result_rows_read)(self.raw) }
    }

    /// Rows that the statement wrote.
    pub(super) fn rows_written(&self) -> u64 {
        // SAFETY: `raw` is a live result.
        unsafe { (self.functions.result_rows_written)(self.raw) }
    }

    /// Bytes that the statement wrote.
    pub(super) fn bytes_written(&self) -> u64 {
        // SAFETY: `raw` is a live result.
        unsafe { (self.functions.result_bytes_written)(self.raw) }
    }
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        // SAFETY: `raw` is a live result that is destroyed here only.
        unsafe { (self.functions.destroy_result)(self.raw) };
    }
}

/// A `SELECT` under way. Dropping it cancels what is left.
pub(super) struct ResultStream<'connection> {
    connection: &'connection mut Connection,
    start: QueryResult,
    finished: bool,
}

impl ResultStream<'_> {
    /// The next rows. A chunk without rows is the last one: it may hold a header all the same.
    pub(super) fn next_chunk(&mut self) -> Result<Option<QueryResult>, EngineError> {
        if self.finished {
            return Ok(None);
        }
        let functions = &self.connection.functions;
        // SAFETY: connection and stream are live and belong together.
        let raw = unsafe { (functions.stream_fetch)(self.connection.handle, self.start.raw) };
        let chunk = QueryResult::of(functions, raw);
        self.finished = !matches!(&chunk, Ok(chunk) if chunk.rows() > 0);
        chunk.map(Some)
    }
}

impl Drop for ResultStream<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // SAFETY: connection and stream are live and belong together; `start` is destroyed after.
            unsafe {
                (self.connection.functions.stream_cancel)(self.connection.handle, self.start.raw)
            };
        }
    }
}

/// An insert under way. Dropping it before [`InsertStream::finish`] stores nothing of the last block.
pub(super) struct InsertStream<'connection> {
    connection: &'connection mut Connection,
    raw: RawInsert,
    open: bool,
}

/// What an insert wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl InsertStream<'_> {
    /// Appends bytes; rows may begin and end anywhere in them. Waits while the engine is behind.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        let append = self.connection.functions.insert_append;
        // SAFETY: the stream is live; `data` is valid for its length and copied within the call.
        let state = unsafe { append(self.raw, data.as_ptr().cast(), data.len()) };
        if state == 0 {
            return Ok(());
        }
        Err(self
            .error()
            .unwrap_or_else(|| EngineError("chDB refused a part of the insert".into())))
    }

    /// Ends the insert: once this returns, the rows are stored.
    pub(super) fn finish(mut self) -> Result<Written, EngineError> {
        self.open = false;
        // SAFETY: the stream is live and not finished before.
        let raw = unsafe { (self.connection.functions.insert_done)(self.raw) };
        let result = QueryResult::of(&self.connection.functions, raw)?;
        Ok(Written {
            rows: result.rows_written(),
            bytes: result.bytes_written(),
        })
    }

    fn error(&self) -> Option<EngineError> {
        // SAFETY: the stream is live; its error is null or a text that lives with it.
        unsafe { text_at((self.connection.functions.insert_error)(self.raw)) }.map(EngineError)
    }
}

impl Drop for InsertStream<'_> {
    fn drop(&mut self) {
        let functions = &self.connection.functions;
        if self.open {
            // SAFETY: the stream is live and not finished.
            unsafe { (functions.insert_cancel)(self.raw) };
        }
        // SAFETY: the stream is live and destroyed here only; neither end nor cancel does it.
        unsafe { (functions.insert_destroy)(self.raw) };
    }
}
