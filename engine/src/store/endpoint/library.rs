//! libchdb: where it is found, and the few of its functions that are used.
//!
//! No registry carries chDB's header, so its functions are declared by hand, after `chdb.h` of
//! chDB 26.7; the crate `chdb-rust` binds the same ones. The library is loaded once and never
//! unloaded: its threads outlive every connection.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use super::EndpointError;

/// Version that deploy/chdb-fetch.sh puts into the cache.
const VERSION: &str = "26.7.3-stable.1";
/// File name of the library.
const FILE_NAME: &str = "libchdb.so";
/// Environment variable that names the library's file.
const PATH_VARIABLE: &str = "CITYWATCH_LIBCHDB";

/// The library's file: `configured`, else what the environment variable `CITYWATCH_LIBCHDB` names,
/// else the cache of `deploy/chdb-fetch.sh`, else beside the running program.
///
/// # Errors
/// [`EndpointError::LibraryMissing`] with all places that were looked at.
pub fn find_library(configured: Option<&Path>) -> Result<PathBuf, EndpointError> {
    // A place that a person named is not passed over in silence.
    let named = configured.map(Path::to_owned).or_else(|| {
        std::env::var_os(PATH_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    let places = match named {
        Some(path) => vec![path],
        None => [cached_library(), beside_program()]
            .into_iter()
            .flatten()
            .collect(),
    };
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(EndpointError::LibraryMissing { places }),
    }
}

fn cached_library() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("citywatch/chdb").join(VERSION).join(FILE_NAME))
}

fn beside_program() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join(FILE_NAME))
}

/// `chdb_connection`: a handle of the library.
pub(super) type RawConnection = *mut c_void;
/// `chdb_result *`.
pub(super) type RawResult = *mut c_void;
/// `chdb_insert_stream`.
pub(super) type RawInsert = *mut c_void;
/// `chdb_state`: 0 is success.
pub(super) type State = c_int;

/// A statement with its format and parameters: query, its length, format, its length, names and
/// their lengths, values and their lengths, number of parameters. Texts need no final zero.
type WithParameters<Handle> = unsafe extern "C" fn(
    RawConnection,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> Handle;

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $symbol:literal: $signature:ty;)*) => {
        /// The library's functions.
        pub(super) struct Functions {
            $($(#[$doc])* pub(super) $name: $signature,)*
        }

        impl Functions {
            /// Looks all functions up.
            ///
            /// # Safety
            /// `library` is libchdb of a version whose functions have the signatures given here,
            /// and stays loaded as long as the functions are used.
            unsafe fn of(library: &libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the caller vouches for the signatures.
                    $($name: unsafe { *library.get::<$signature>($symbol)? },)*
                })
            }
        }
    };
}

functions! {
    /// Arguments as of a program's `main`; null when refused.
    connect = b"chdb_connect\0": unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection;
    close = b"chdb_close_conn\0": unsafe extern "C" fn(*mut RawConnection);
    query = b"chdb_query_with_params_n\0": WithParameters<RawResult>;
    stream_query = b"chdb_stream_query_with_params_n\0": WithParameters<RawResult>;
    stream_fetch = b"chdb_stream_fetch_result\0": unsafe extern "C" fn(RawConnection, RawResult) -> RawResult;
    stream_cancel = b"chdb_stream_cancel_query\0": unsafe extern "C" fn(RawConnection, RawResult);
    destroy_result = b"chdb_destroy_query_result\0": unsafe extern "C" fn(RawResult);
    result_buffer = b"chdb_result_buffer\0": unsafe extern "C" fn(RawResult) -> *const c_char;
    result_length = b"chdb_result_length\0": unsafe extern "C" fn(RawResult) -> usize;
    result_rows_read = b"chdb_result_rows_read\0": unsafe extern "C" fn(RawResult) -> u64;
    result_rows_written = b"chdb_result_rows_written\0": unsafe extern "C" fn(RawResult) -> u64;
    result_bytes_written = b"chdb_result_bytes_written\0": unsafe extern "C" fn(RawResult) -> u64;
    result_error = b"chdb_result_error\0": unsafe extern "C" fn(RawResult) -> *const c_char;
    /// Never null: an error is told by `insert_error`.
    insert = b"chdb_stream_insert_with_params_n\0": WithParameters<RawInsert>;
    /// Copies the bytes; waits while the engine is behind.
    insert_append = b"chdb_stream_append\0": unsafe extern "C" fn(RawInsert, *const c_void, usize) -> State;
    insert_done = b"chdb_stream_done\0": unsafe extern "C" fn(RawInsert) -> RawResult;
    insert_cancel = b"chdb_stream_cancel_insert\0": unsafe extern "C" fn(RawInsert);
    insert_destroy = b"chdb_destroy_insert_stream\0": unsafe extern "C" fn(RawInsert);
    insert_error = b"chdb_stream_insert_error\0": unsafe extern "C" fn(RawInsert) -> *const c_char;
    set_signal_handlers = b"chdb_set_signal_handlers_enabled\0": unsafe extern "C" fn(c_int);
    version = b"chdb_version\0": unsafe extern "C" fn() -> *const c_char;
}

/// Loads the library; its signal handlers stay off, since signals are this program's.
///
/// # Errors
/// [`EndpointError::LibraryBroken`] when the file is no libchdb, or one of another version.
pub(super) fn load(path: &Path) -> Result<Functions, EndpointError> {
    let broken = |error: libloading::Error| EndpointError::LibraryBroken {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    // SAFETY: the file is libchdb, whose initialisers do nothing that could harm: found by the
    // operator's word or put there by deploy/chdb-fetch.sh, which checks its SHA-256.
    let library = unsafe { libloading::Library::new(path) }.map_err(broken)?;
    // SAFETY: the signatures are those of chdb.h; the library stays loaded, see `forget` below.
    let functions = unsafe { Functions::of(&library) }.map_err(broken)?;
    std::mem::forget(library);
    // SAFETY: callable at any time, from any thread.
    unsafe { (functions.set_signal_handlers)(0) };
    Ok(functions)
}

impl Functions {
    /// The library's own version.
    pub(super) fn version_text(&self) -> String {
        // SAFETY: the function has no preconditions.
        let text = unsafe { (self.version)() };
        // SAFETY: null or a static text that ends with a zero.
        unsafe { text_at(text) }.unwrap_or_default()
    }
}

/// The text that the library points to; `None` for null.
///
/// # Safety
/// `text` is null or points to bytes that end with a zero and live during the call.
pub(super) unsafe fn text_at(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller vouches for the zero.
    Some(
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    )
}
