//! Bounds what a batch unpacks to, in place of librdkafka's own unpacking of gzip and LZ4.
//!
//! librdkafka bounds what it unpacks of zstd (`receive.message.max.bytes`), and nothing else: a batch of gzip that a topic takes
//! at a megabyte becomes a gigabyte in memory, one for each partition. It has no setting and no hook for that. Its library is
//! linked from an archive, and a linker takes from an archive only what nobody has defined before: so the three functions of
//! its files `rdgz.c` and `rdkafka_lz4.c` are defined here, and those files are left out.
//!
//! What holds this together is tested: a bomb in each packing (`tests/kafka/bounds.rs`, which fails when librdkafka's functions are
//! linked instead), and the version whose functions these are (below).

use std::ffi::{c_char, c_int, c_void};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::GzDecoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use rdkafka::bindings::rd_kafka_resp_err_t as Answer;

/// What librdkafka takes of one batch by default.
pub(super) const UNPACKED_BYTES_MAX_DEFAULT: usize = 100_000_000;
/// The setting for it.
pub(super) const UNPACKED_BYTES_MAX: &str = "receive.message.max.bytes";

/// The bound of this process: librdkafka hands nothing over by which its consumers could be told apart.
static BOUND: AtomicUsize = AtomicUsize::new(UNPACKED_BYTES_MAX_DEFAULT);

const PIECE_BYTES: usize = 64 << 10;

/// Sets the bound to that of a consumer's configuration, and makes sure that what bounds is linked.
pub(super) fn bound(native: &rdkafka::ClientConfig) {
    let bytes = native.get(UNPACKED_BYTES_MAX);
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    BOUND.store(
        bytes.unwrap_or(UNPACKED_BYTES_MAX_DEFAULT),
        Ordering::Relaxed,
    );
    // A linker that has met these has no need of librdkafka's.
    std::hint::black_box((
        rd_gz_decompress as *const (),
        rd_kafka_lz4_decompress as *const (),
        rd_kafka_lz4_compress as *const (),
    ));
}

unsafe extern "C" {
    /// librdkafka's `rdbuf.c`: the next contiguous stretch of a slice, which is read thereby; 0 at its end.
    fn rd_slice_reader(slice: *mut c_void, stretch: *mut *const c_void) -> usize;
}

/// Memory as librdkafka frees it: of `malloc`.
struct Malloced {
    start: *mut u8,
    len: usize,
    room: usize,
}

impl Malloced {
    /// With room for `bytes`, and for a zero behind them.
    fn with_room(bytes: usize) -> Option<Self> {
        // SAFETY: any size may be asked for.
        let start = unsafe { libc::malloc(bytes + 1) };
        (!start.is_null()).then_some(Self {
            start: start.cast(),
            len: 0,
            room: bytes,
        })
    }

    /// Adds bytes; `None` beyond `max`, or when there is no memory.
    fn add(&mut self, bytes: &[u8], max: usize) -> Option<()> {
        let len = self.len + bytes.len();
        if len > max {
            return None;
        }
        if len > self.room {
            let room = (self.room * 2).clamp(len, max);
            // SAFETY: `start` came from `malloc` or `realloc` and was not freed since.
            let start = unsafe { libc::realloc(self.start.cast(), room + 1) };
            if start.is_null() {
                return None;
            }
            (self.start, self.room) = (start.cast(), room);
        }
        // SAFETY: there is room for them behind the first `len`, and nobody else knows of it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.len), bytes.len()) };
        self.len = len;
        Some(())
    }

    /// Hands it over, ended by a zero as librdkafka's own is.
    fn release(self) -> (*mut c_void, usize) {
        // SAFETY: there is one byte more than `room`.
        unsafe { *self.start.add(self.len) = 0 };
        let (start, len) = (self.start, self.len);
        std::mem::forget(self);
        (start.cast(), len)
    }
}

impl Drop for Malloced {
    fn drop(&mut self) {
        // SAFETY: it came from `malloc` or `realloc`, and is not used again.
        unsafe { libc::free(self.start.cast()) };
    }
}

/// All that `packed` gives, if it is not beyond the bound and whole.
fn unpacked(mut packed: impl Read, packed_bytes: usize) -> Option<Malloced> {
    let max = BOUND.load(Ordering::Relaxed);
    let work = || {
        let mut all = Malloced::with_room((packed_bytes * 4).min(max))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match packed.read(&mut piece) {
                Ok(0) => return Some(all),
                Ok(bytes) => all.add(&piece[..bytes], max)?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    };
    // Who called is C, through which nothing may unwind. What was being made is dropped with the panic.
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

/// `rdgz.h`: null if it cannot be unpacked.
///
/// # Safety
/// `compressed` has `compressed_len` bytes, and `decompressed_lenp` points to a number.
#[unsafe(no_mangle)]
unsafe extern "C" fn rd_gz_decompress(
    compressed: *const c_void,
    compressed_len: c_int,
    decompressed_lenp: *mut u64,
) -> *mut c_void {
    let Ok(bytes) = usize::try_from(compressed_len) else {
        return ptr::null_mut();
    };
    // SAFETY: as this function's own.
    let compressed = unsafe { slice::from_raw_parts(compressed.cast::<u8>(), bytes) };
    let Some(all) = unpacked(GzDecoder::new(compressed), bytes) else {
        return ptr::null_mut();
    };
    let (start, len) = all.release();
    // SAFETY: as this function's own.
    unsafe { *decompressed_lenp = len as u64 };
    start
}

/// `rdkafka_lz4.h`. The header of a frame that a broker before Kafka 0.10 wrote has a wrong checksum and is refused.
///
/// # Safety
/// `inbuf` has `inlen` bytes; `outbuf` and `outlenp` point to where the answer goes.
#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_lz4_decompress(
    _broker: *mut c_void,
    _proper_hc: c_int,
    _offset: i64,
    inbuf: *mut c_char,
    inlen: usize,
    outbuf: *mut *mut c_void,
    outlenp: *mut usize,
) -> Answer {
    // SAFETY: as this function's own.
    let compressed = unsafe { slice::from_raw_parts(inbuf.cast_const().cast::<u8>(), inlen) };
    let Some(all) = unpacked(FrameDecoder::new(compressed), inlen) else {
        return Answer::RD_KAFKA_RESP_ERR__BAD_COMPRESSION;
    };
    // SAFETY: as this function's own.
    unsafe { (*outbuf, *outlenp) = all.release() };
    Answer::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// `rdkafka_lz4.h`: what a producer calls whose configuration names this packing.
///
/// # Safety
/// `slice` is one of librdkafka's; `outbuf` and `outlenp` point to where the answer goes.
#[unsafe(no_mangle)]
unsafe extern "C" fn rd_kafka_lz4_compress(
    _broker: *mut c_void,
    _proper_hc: c_int,
    _level: c_int,
    slice: *mut c_void,
    outbuf: *mut *mut c_void,
    outlenp: *mut usize,
) -> Answer {
    // As librdkafka makes them, for readers of any age.
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB);
    let work = || {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        loop {
            let mut stretch = ptr::null();
            // SAFETY: as this function's own.
            let bytes = unsafe { rd_slice_reader(slice, &raw mut stretch) };
            if bytes == 0 {
                break;
            }
            // SAFETY: the slice's buffers live until this returns.
            let stretch = unsafe { slice::from_raw_parts(stretch.cast::<u8>(), bytes) };
            encoder.write_all(stretch).ok()?;
        }
        let packed = encoder.finish().ok()?;
        let mut all = Malloced::with_room(packed.len())?;
        all.add(&packed, packed.len())?;
        Some(all)
    };
    let Some(all) = catch_unwind(AssertUnwindSafe(work)).ok().flatten() else {
        return Answer::RD_KAFKA_RESP_ERR__BAD_COMPRESSION;
    };
    // SAFETY: as this function's own.
    unsafe { (*outbuf, *outlenp) = all.release() };
    Answer::RD_KAFKA_RESP_ERR_NO_ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever takes another librdkafka compares the three functions with its `rdgz.h` and `rdkafka_lz4.h`: nothing else
    /// would tell that their arguments changed.
    #[test]
    fn the_functions_are_those_of_this_version() {
        assert_eq!(rdkafka::util::get_rdkafka_version().1, "2.12.1");
    }

    #[test]
    fn what_is_whole_and_within_the_bound_is_unpacked() {
        let text = b"a line of a log\n".repeat(10_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut lz4 = FrameEncoder::new(Vec::new());
        lz4.write_all(&text).unwrap();
        let lz4 = lz4.finish().unwrap();
        let bytes = |all: Malloced| {
            let (start, len) = all.release();
            // SAFETY: just released, with so many bytes and a zero; freed once.
            unsafe {
                let bytes = slice::from_raw_parts(start.cast::<u8>(), len + 1).to_vec();
                libc::free(start);
                bytes
            }
        };
        let with_zero = [text.as_slice(), b"\0"].concat();
        let whole = unpacked(GzDecoder::new(gzip.as_slice()), gzip.len());
        assert_eq!(whole.map(bytes), Some(with_zero.clone()));
        let whole = unpacked(FrameDecoder::new(lz4.as_slice()), lz4.len());
        assert_eq!(whole.map(bytes), Some(with_zero));
        for cut in [1, gzip.len() / 2, gzip.len() - 1] {
            assert!(unpacked(GzDecoder::new(&gzip[..cut]), cut).is_none());
        }
        for cut in [1, lz4.len() / 2] {
            assert!(unpacked(FrameDecoder::new(&lz4[..cut]), cut).is_none());
        }
        let zeros = std::io::repeat(0).take(UNPACKED_BYTES_MAX_DEFAULT as u64 + 1);
        assert!(unpacked(zeros, 10).is_none());
    }
}
