//! Ctrl-C and SIGTERM: the first asks every part to finish what it holds, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM; a second one exits with code 130.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        wait(&mut interrupt, &mut terminate).await;
        eprintln!(
            "\ncitywatch: stopping: what is in flight is being stored (once more to end at once)"
        );
        cancelled.cancel();
        wait(&mut interrupt, &mut terminate).await;
        eprintln!(
            "citywatch: ended before everything was stored; it is read again at the next start"
        );
        std::process::exit(130);
    });
    Ok(token)
}

async fn wait(
    interrupt: &mut tokio::signal::unix::Signal,
    terminate: &mut tokio::signal::unix::Signal,
) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
