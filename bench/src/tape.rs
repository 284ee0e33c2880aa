//! simd-json's tape of records: the ceiling of all that reads JSON.

use citywatch_parsers::RecordBatch;

/// Buffers that are used again.
#[derive(Default)]
pub(crate) struct Tape {
    buffers: simd_json::Buffers,
    bytes: Vec<u8>,
}

impl Tape {
    /// Reads each record. It is copied first: simd-json changes what it reads.
    pub(crate) fn read(&mut self, batch: &RecordBatch) {
        for record in batch.iter() {
            self.bytes.clear();
            self.bytes.extend_from_slice(record.raw);
            let tape = simd_json::to_tape_with_buffers(&mut self.bytes, &mut self.buffers);
            std::hint::black_box(tape.is_ok());
        }
    }
}
