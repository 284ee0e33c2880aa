//! Standard input: what another program pipes into the agent.
//!
//! It cannot be read again, so its records go to a spool first.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use citywatch_parsers::{LogSource, Origin};

use super::files::Joining;
use super::files::lines::BatchLimits;
use super::once::{ByteStream, Input, READ_BYTES, Stopped};
use super::received::Counts;
use crate::sink::Sink;
use crate::spool::WhenFull;

/// Pieces that were read and wait: then reading stops, and who writes waits.
const PIECES_MAX: usize = 4;

/// How standard input is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StdinConfig {
    /// Name of the format in the parsers' table, or `auto`; with the encoding where it is not UTF-8.
    pub format: String,
    /// The host the records speak of; the agent's own if absent.
    pub host: Option<String>,
    /// The office; the agent's own if absent.
    pub unit: Option<String>,
    /// What is known of the log source; the rest is found out by the parsers.
    pub log_source: LogSource<'static>,
    /// How lines are joined into records.
    pub multiline: Joining,
    /// What is masked of its records; as `[masking]` says if absent.
    pub mask: Option<Vec<String>>,
    /// What happens when its records fill their spool: with this, they have one of their own; without, that of `[spool]`.
    pub when_full: Option<WhenFull>,
}

impl Default for StdinConfig {
    fn default() -> Self {
        Self {
            format: "auto".into(),
            host: None,
            unit: None,
            log_source: LogSource::default(),
            multiline: Joining::None,
            mask: None,
            when_full: None,
        }
    }
}

/// Reads standard input to its end or `shutdown`. `origin` is that of its records.
pub(crate) async fn serve(
    config: StdinConfig,
    origin: Origin,
    limits: BatchLimits,
    sink: Sink,
    counts: Arc<Counts>,
    shutdown: CancellationToken,
) {
    let mut stream = ByteStream::new(origin, config.multiline, limits);
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    // A read from a pipe cannot be interrupted: this thread ends with the input or the process.
    let reader = thread::Builder::new().name("agent-stdin".into());
    let stopped = match reader.spawn(move || read_pieces(&pieces)) {
        Ok(_) => {
            let mut input = Input::Thread(received);
            stream.read(&mut input, &sink, &counts, &shutdown).await
        }
        Err(error) => Stopped::Ended(Err(error)),
    };
    stream.keep_all(&sink, &counts).await;
    match stopped {
        Stopped::Shutdown => return,
        Stopped::Ended(Ok(())) => tracing::info!("standard input is at its end"),
        Stopped::Ended(Err(error)) => {
            tracing::error!(%error, "standard input cannot be read any more");
            counts.set_error(Some(error.to_string()));
        }
    }
    counts.is_over.store(true, Ordering::Release);
}

fn read_pieces(pieces: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let piece = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_broken = piece.is_err();
        if pieces.blocking_send(piece).is_err() || is_broken {
            return;
        }
    }
}
