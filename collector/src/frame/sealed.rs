//! A packed batch with its agent's signature around it: the same bytes in Kafka, in the spool and over HTTPS.
//!
//! ```text
//! magic "CWS1" | version u8 | reserved u8 | certificate bytes u16 | signature bytes u16
//!     | certificate (DER) | signature | frame
//! ```
//! Numbers are little-endian. What is signed is the text `citywatch batch 1` with a zero byte and the
//! SHA-256 of the frame; the frame holds agent, stream and positions, so a signature stands for one place
//! in one stream. The certificate travels along because a reader may begin anywhere.

use ring::digest;

use super::FrameError;

const MAGIC: [u8; 4] = *b"CWS1";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 10;
const CONTEXT: &[u8] = b"citywatch batch 1\0";

/// The parts of a sealed frame, none of them checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// The agent's certificate, DER.
    pub certificate: &'a [u8],
    /// Its signature.
    pub signature: &'a [u8],
    /// The packed batch.
    pub frame: &'a [u8],
}

/// Whether bytes claim to be a sealed frame.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// What is signed in place of a frame.
pub fn signed_text(frame: &[u8]) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, frame);
    [CONTEXT, digest.as_ref()].concat()
}

/// Puts the parts together.
///
/// # Panics
/// For a certificate or a signature of 64 KiB or more: both are our own.
pub fn join(sealed: &Sealed<'_>) -> Vec<u8> {
    let length = |part: &[u8]| {
        let bytes = u16::try_from(part.len()).expect("certificates and signatures are small");
        bytes.to_le_bytes()
    };
    [
        &MAGIC[..],
        &[VERSION, 0],
        &length(sealed.certificate),
        &length(sealed.signature),
        sealed.certificate,
        sealed.signature,
        sealed.frame,
    ]
    .concat()
}

/// Takes the parts apart.
///
/// # Errors
/// [`FrameError::Magic`], [`FrameError::Version`] or [`FrameError::Short`].
pub fn split(bytes: &[u8]) -> Result<Sealed<'_>, FrameError> {
    if !is_sealed(bytes) {
        return Err(FrameError::Magic);
    }
    let short = |expected| FrameError::Short {
        expected,
        found: bytes.len(),
    };
    let header = bytes
        .get(..HEADER_BYTES)
        .ok_or_else(|| short(HEADER_BYTES))?;
    if header[4] != VERSION {
        return Err(FrameError::Version { found: header[4] });
    }
    let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let signature_at = HEADER_BYTES + number(6);
    let frame_at = signature_at + number(8);
    let part = |range: std::ops::Range<usize>| bytes.get(range).ok_or_else(|| short(frame_at));
    Ok(Sealed {
        certificate: part(HEADER_BYTES..signature_at)?,
        signature: part(signature_at..frame_at)?,
        frame: &bytes[frame_at..],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_apart_as_they_were_put_together() {
        let sealed = Sealed {
            certificate: b"certificate",
            signature: b"sign",
            frame: b"CWF1...",
        };
        let bytes = join(&sealed);
        assert!(is_sealed(&bytes));
        assert_eq!(split(&bytes).unwrap(), sealed);
        for cut in 0..bytes.len() - sealed.frame.len() {
            assert!(split(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
