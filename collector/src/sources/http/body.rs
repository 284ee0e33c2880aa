//! A request's body, unpacked within its bound.

use std::io::{self, Read};

/// Largest window of zstd that is unpacked, as a power of two: what RFC 8878 (3.1.1.1.2) asks of readers.
const WINDOW_LOG_MAX: u32 = 23;

/// Why a body is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is beyond the bound once unpacked.
    TooLarge,
    /// No such packing is known here.
    Encoding(String),
    /// It does not unpack.
    Broken(String),
}

/// Unpacks a body as its `Content-Encoding` says; never to more than `bytes_max` and one.
pub(super) fn unpack(
    encoding: Option<&str>,
    packed: Vec<u8>,
    bytes_max: usize,
) -> Result<Vec<u8>, BodyError> {
    match encoding.map(str::trim) {
        None | Some("" | "identity") if packed.len() > bytes_max => Err(BodyError::TooLarge),
        None | Some("" | "identity") => Ok(packed),
        Some("gzip" | "x-gzip") => read_within(
            flate2::read::MultiGzDecoder::new(packed.as_slice()),
            bytes_max,
        ),
        Some("zstd") => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed.as_slice())
                .map_err(|error| BodyError::Broken(error.to_string()))?;
            decoder
                .window_log_max(WINDOW_LOG_MAX)
                .map_err(|error| BodyError::Broken(error.to_string()))?;
            read_within(decoder, bytes_max)
        }
        Some(other) => Err(BodyError::Encoding(other.into())),
    }
}

fn read_within(unpacked: impl Read, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let broken = |error: io::Error| BodyError::Broken(error.to_string());
    unpacked
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut body)
        .map_err(broken)?;
    if body.len() > bytes_max {
        return Err(BodyError::TooLarge);
    }
    Ok(body)
}
