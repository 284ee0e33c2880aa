//! The packed batch: a [`RecordBatch`] as bytes, the same in the spool and in a Kafka message.
//!
//! A frame stands alone: it names its format's version and the origin of its records, and carries a
//! checksum. What arrives is hostile until checked, so decoding is bounded by [`DecodeLimits`] before
//! anything is unpacked, and every fault is a typed error, never a panic.
//!
//! ```text
//! magic "CWF1" | version u8 | reserved u8 | records u32 | raw bytes u32 | body bytes u32 | crc32 u32 | zstd(body)
//! body = raw bytes of all records, one after the other
//!      | unit agent stream host? format product category service   (length as varint, bytes)
//!      | per record: position delta, received_at delta (zigzag), length * 2 + truncated   (varints)
//! ```
//! Numbers are little-endian; the checksum covers the header before it and the packed body. The raw
//! bytes come first in the body so that the unpacked body becomes the batch's buffer without a copy.

pub mod sealed;
mod varint;

use std::sync::Arc;

use citywatch_parsers::record::{RecordSpan, Truncated};
use citywatch_parsers::{LogSource, Origin, RecordBatch, Timestamp};

use varint::{Reader, push_text, push_varint, unzigzag, zigzag};

/// The origin's format of a batch that carries what could not be decoded: one record whose raw bytes
/// are the broken frame. [`decode`] of these bytes tells the reason again.
pub const UNDECODABLE: &str = "undecodable";

/// The beginning of the origin's format of a batch that carries what was refused: one record whose raw
/// bytes are the sealed batch; the reason follows in the same name, after a line end.
pub const REFUSED: &str = "refused\n";

/// The beginning of the origin's format of a batch that stands for messages which no one can unpack: one record without bytes; the
/// reason follows in the same name, after a line end.
pub const UNREADABLE: &str = "unreadable\n";

/// Value of the Kafka header `framing` for a message that is a frame.
pub const FRAMING_PACKED: &str = "citywatch-1";

const MAGIC: [u8; 4] = *b"CWF1";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 22;
const CHECKSUM_AT: usize = 18;
/// zstd level 1: log text shrinks 8-15x, and a core packs several hundred MB/s.
const ZSTD_LEVEL: i32 = 1;

/// What a frame may claim before it is unpacked.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLimits {
    /// Most bytes an unpacked body may have.
    pub body_bytes_max: usize,
    /// Most records.
    pub records_max: usize,
}

impl Default for DecodeLimits {
    /// 32 MiB and one million records: far above what our agents send (1 MiB, 4096 records).
    fn default() -> Self {
        Self {
            body_bytes_max: 32 << 20,
            records_max: 1_000_000,
        }
    }
}

/// Why bytes are not a frame, or a batch cannot become one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first bytes are not a frame's.
    #[error(
        "not a packed batch: it does not begin with \"CWF1\"; is the sender a citywatch-agent?"
    )]
    Magic,
    /// A later version wrote it.
    #[error(
        "packed batch of version {found}, this program reads version {VERSION}: update the engine before its agents"
    )]
    Version {
        /// The version found.
        found: u8,
    },
    /// It ends too early.
    #[error("packed batch cut short: {found} bytes, its header promises {expected}")]
    Short {
        /// Bytes there should be.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// The bytes changed on their way.
    #[error("packed batch damaged: checksum {found:08x}, computed {computed:08x}")]
    Checksum {
        /// What the header says.
        found: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// It claims more than the limits allow.
    #[error("packed batch too large: {what} {found}, the limit is {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much it is.
        found: usize,
        /// How much it may be.
        max: usize,
    },
    /// The body does not unpack to what the header promises.
    #[error("packed batch does not unpack: {0}")]
    Unpack(String),
    /// The unpacked body is not what the format says.
    #[error("packed batch malformed: {0}")]
    Malformed(&'static str),
}

/// What a frame's header says, unchecked: for counting without unpacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Number of records.
    pub records: u32,
    /// Bytes of the unpacked body.
    pub body_bytes: u32,
}

/// Packs a batch.
///
/// # Errors
/// [`FrameError::TooLarge`] when the batch is beyond the default [`DecodeLimits`]: no one could read it.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, FrameError> {
    let limits = DecodeLimits::default();
    let body = encode_body(batch);
    within("records", batch.len(), limits.records_max)?;
    within("unpacked bytes", body.len(), limits.body_bytes_max)?;

    let mut frame = vec![0; HEADER_BYTES + zstd::zstd_safe::compress_bound(body.len())];
    let packed_bytes =
        zstd::bulk::compress_to_buffer(&body, &mut frame[HEADER_BYTES..], ZSTD_LEVEL)
            .expect("the buffer holds the bound that zstd names for this body");
    frame.truncate(HEADER_BYTES + packed_bytes);
    frame.shrink_to_fit();

    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = VERSION;
    let sizes = [batch.len(), batch.bytes(), body.len()];
    for (place, size) in sizes.into_iter().enumerate() {
        let size = u32::try_from(size).expect("bounded by the limits above");
        frame[6 + 4 * place..10 + 4 * place].copy_from_slice(&size.to_le_bytes());
    }
    let checksum = checksum(&frame);
    frame[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

/// Reads a frame's header without touching its body.
///
/// # Errors
/// [`FrameError::Short`], [`FrameError::Magic`] or [`FrameError::Version`].
pub fn peek(frame: &[u8]) -> Result<FrameHeader, FrameError> {
    if frame.len() >= 4 && frame[..4] != MAGIC {
        return Err(FrameError::Magic);
    }
    if frame.len() < HEADER_BYTES {
        return Err(FrameError::Short {
            expected: HEADER_BYTES,
            found: frame.len(),
        });
    }
    if frame[4] != VERSION {
        return Err(FrameError::Version { found: frame[4] });
    }
    Ok(FrameHeader {
        records: u32_at(frame, 6),
        body_bytes: u32_at(frame, 14),
    })
}

/// Unpacks a frame.
///
/// # Errors
/// Any [`FrameError`]: nothing about `frame` is trusted, and no more than `limits` is allocated.
pub fn decode(frame: &[u8], limits: &DecodeLimits) -> Result<RecordBatch, FrameError> {
    let header = peek(frame)?;
    let (records, body_bytes) = (header.records as usize, header.body_bytes as usize);
    let raw_bytes = u32_at(frame, 10) as usize;
    within("records", records, limits.records_max)?;
    within("unpacked bytes", body_bytes, limits.body_bytes_max)?;
    let (found, computed) = (u32_at(frame, CHECKSUM_AT), checksum(frame));
    if found != computed {
        return Err(FrameError::Checksum { found, computed });
    }

    let mut body = zstd::bulk::decompress(&frame[HEADER_BYTES..], body_bytes)
        .map_err(|error| FrameError::Unpack(error.to_string()))?;
    if body.len() != body_bytes || raw_bytes > body_bytes {
        return Err(FrameError::Unpack(format!(
            "{} bytes, its header promises {body_bytes}",
            body.len()
        )));
    }
    let mut reader = Reader::new(&body[raw_bytes..]);
    let origin = decode_origin(&mut reader)?;
    let spans = decode_spans(&mut reader, records, raw_bytes)?;
    if !reader.is_empty() {
        return Err(FrameError::Malformed("bytes after the last record"));
    }
    body.truncate(raw_bytes);
    RecordBatch::from_parts(Arc::new(origin), body, spans)
        .map_err(|_| FrameError::Malformed("positions do not grow from record to record"))
}

/// Where something lay that no batch came of.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The unit that the transport's settings name; empty where nobody can tell: a claim of the bytes themselves is not believed.
    pub unit: &'a str,
    /// Agent of the records.
    pub agent: &'a str,
    /// Their stream.
    pub stream: &'a str,
    /// The first position.
    pub position: u64,
}

/// The batch that carries a frame that cannot be decoded onwards, to be kept as a dead letter:
/// nothing that arrives is dropped silently. See [`UNDECODABLE`].
pub fn undecodable(place: Place<'_>, frame: &[u8], received_at: Timestamp) -> RecordBatch {
    kept(place, frame, received_at, UNDECODABLE)
}

/// Why bytes that came as [`UNDECODABLE`] are no batch; none if they are one by now.
pub fn fault(bytes: &[u8]) -> Option<FrameError> {
    let frame = if sealed::is_sealed(bytes) {
        sealed::split(bytes).map(|sealed| sealed.frame)
    } else {
        Ok(bytes)
    };
    frame
        .and_then(|frame| decode(frame, &DecodeLimits::default()))
        .err()
}

/// The batch that carries a frame that nobody vouches for onwards, with the reason. See [`REFUSED`].
pub fn refused(
    place: Place<'_>,
    frame: &[u8],
    received_at: Timestamp,
    reason: &str,
) -> RecordBatch {
    kept(place, frame, received_at, &format!("{REFUSED}{reason}"))
}

/// The batch that stands for messages from a place on which no one can unpack, with the reason. See [`UNREADABLE`].
pub fn unreadable(place: Place<'_>, received_at: Timestamp, reason: &str) -> RecordBatch {
    kept(place, &[], received_at, &format!("{UNREADABLE}{reason}"))
}

/// Whether an origin's format is one of those that only a transport may give.
pub fn is_transports_own(format: &str) -> bool {
    format == UNDECODABLE || format.starts_with(REFUSED) || format.starts_with(UNREADABLE)
}

fn kept(place: Place<'_>, frame: &[u8], received_at: Timestamp, format: &str) -> RecordBatch {
    let origin = Origin {
        unit: place.unit.into(),
        agent: place.agent.into(),
        stream: place.stream.into(),
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(frame, place.position, received_at, Truncated::No);
    batch
}

fn encode_body(batch: &RecordBatch) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.bytes() + 256 + 8 * batch.len());
    for record in batch.iter() {
        body.extend_from_slice(record.raw);
    }
    let origin = &*batch.origin;
    push_text(&mut body, origin.unit.as_str());
    push_text(&mut body, origin.agent.as_str());
    push_text(&mut body, origin.stream.as_str());
    body.push(u8::from(origin.host.is_some()));
    if let Some(host) = &origin.host {
        push_text(&mut body, host);
    }
    push_text(&mut body, &origin.format);
    push_text(&mut body, &origin.log_source.product);
    push_text(&mut body, &origin.log_source.category);
    push_text(&mut body, &origin.log_source.service);

    let (mut position, mut received_at) = (0_u64, 0_i64);
    for record in batch.iter() {
        push_varint(&mut body, record.position.wrapping_sub(position));
        push_varint(
            &mut body,
            zigzag(record.received_at.as_micros().wrapping_sub(received_at)),
        );
        let cut = u64::from(record.truncated == Truncated::Yes);
        push_varint(&mut body, (record.raw.len() as u64) << 1 | cut);
        (position, received_at) = (record.position, record.received_at.as_micros());
    }
    body
}

fn decode_origin(reader: &mut Reader<'_>) -> Result<Origin, FrameError> {
    let unit = reader.text()?.into();
    let agent = reader.text()?.into();
    let stream = reader.text()?.into();
    let host = match reader.byte()? {
        0 => None,
        1 => Some(Arc::from(reader.text()?)),
        _ => {
            return Err(FrameError::Malformed(
                "a host that is neither there nor not",
            ));
        }
    };
    let format = Arc::from(reader.text()?);
    let log_source = LogSource {
        product: reader.text()?.to_owned().into(),
        category: reader.text()?.to_owned().into(),
        service: reader.text()?.to_owned().into(),
    };
    Ok(Origin {
        unit,
        agent,
        stream,
        host,
        format,
        log_source,
    })
}

fn decode_spans(
    reader: &mut Reader<'_>,
    records: usize,
    raw_bytes: usize,
) -> Result<Vec<RecordSpan>, FrameError> {
    // A record takes three bytes at least: a lying count is found before it is allocated.
    if records > reader.remaining() / 3 {
        return Err(FrameError::Malformed("fewer records than promised"));
    }
    let mut spans = Vec::with_capacity(records);
    let (mut position, mut received_at, mut start) = (0_u64, 0_i64, 0_usize);
    for _ in 0..records {
        position = position.wrapping_add(reader.varint()?);
        received_at = received_at.wrapping_add(unzigzag(reader.varint()?));
        let length = reader.varint()?;
        let truncated = if length & 1 == 1 {
            Truncated::Yes
        } else {
            Truncated::No
        };
        let end = usize::try_from(length >> 1)
            .ok()
            .and_then(|length| start.checked_add(length));
        let end = end
            .filter(|end| *end <= raw_bytes)
            .ok_or(FrameError::Malformed("a record longer than the body"))?;
        let place = |at: usize| u32::try_from(at).expect("within the body, which a u32 measures");
        spans.push(RecordSpan {
            start: place(start),
            end: place(end),
            position,
            received_at: Timestamp(received_at),
            truncated,
        });
        start = end;
    }
    if start != raw_bytes {
        return Err(FrameError::Malformed("bytes that belong to no record"));
    }
    Ok(spans)
}

fn within(what: &'static str, found: usize, max: usize) -> Result<(), FrameError> {
    if found > max {
        Err(FrameError::TooLarge { what, found, max })
    } else {
        Ok(())
    }
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CHECKSUM_AT]);
    hasher.update(&frame[HEADER_BYTES..]);
    hasher.finalize()
}

fn u32_at(frame: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]])
}

#[cfg(test)]
mod tests;
