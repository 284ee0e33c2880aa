//! All records of a few files, in memory: for tests and explanations.

use std::path::PathBuf;
use std::sync::Arc;

use citywatch_parsers::Timestamp;

use super::blocks::{Block, Sink, Stopped};
use super::inputs::{InputFormat, Inputs};

/// Records that are kept; files for tests are small.
pub const RECORDS_MAX: usize = 1_000_000;

/// A record and how it is read.
#[derive(Clone, Debug)]
pub struct KeptRecord {
    /// Its bytes.
    pub raw: Vec<u8>,
    /// What the parser is told.
    pub format: Arc<str>,
}

/// Reads all records of `paths`.
///
/// # Errors
/// How many files could not be read (standard error says why), or that there were too many records.
pub fn read(paths: &[PathBuf], format: InputFormat) -> Result<Vec<KeptRecord>, String> {
    let mut kept = Kept::default();
    let received_at = Timestamp::from_seconds(0);
    match Inputs::new(format, received_at, &mut kept).read_all(paths) {
        Ok(left_out) if left_out.files == 0 => Ok(kept.records),
        Ok(left_out) => Err(format!("{} files could not be read", left_out.files)),
        Err(Stopped) => Err(format!("there are more than {RECORDS_MAX} records")),
    }
}

#[derive(Default)]
struct Kept {
    records: Vec<KeptRecord>,
}

impl Sink for Kept {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        if self.records.len() + block.len() > RECORDS_MAX {
            return Err(Stopped);
        }
        let format = &block.source.origin.format;
        self.records
            .extend((0..block.len()).map(|index| KeptRecord {
                raw: block.record(index).raw.to_vec(),
                format: Arc::clone(format),
            }));
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        None
    }
}
