//! From a spool on to Kafka or an intake: for records that cannot be read again from where they came.

use std::collections::VecDeque;
use std::time::Duration;

use citywatch_parsers::RecordBatch;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::delivery::{Delivery, Receipt};
use crate::sink::{Sink, SinkError, SinkTicket};

/// Batches on their way.
const IN_FLIGHT_MAX: usize = 16;
const RETRY_AFTER_MIN: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

struct Sent {
    batch: RecordBatch,
    receipt: Receipt,
    ticket: Option<SinkTicket>,
}

/// Sends what is delivered, in order, and acknowledges what has arrived, until `shutdown`.
/// What is not acknowledged by then stays in the spool.
pub(crate) async fn forward(
    mut deliveries: mpsc::Receiver<Delivery>,
    sink: &Sink,
    shutdown: &CancellationToken,
) {
    let mut sent: VecDeque<Sent> = VecDeque::new();
    let mut retry_after = RETRY_AFTER_MIN;
    loop {
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            result = settle_first(&mut sent), if !sent.is_empty() => result,
            delivery = deliveries.recv(), if sent.len() < IN_FLIGHT_MAX => {
                let Some(Delivery { batch, receipt, .. }) = delivery else { return };
                let ticket = sink.submit(&batch).await;
                let (ticket, result) = ticket.map_or_else(|error| (None, Err(error)), |ticket| (Some(ticket), Ok(())));
                sent.push_back(Sent { batch, receipt, ticket });
                result
            }
        };
        let Err(error) = result else {
            retry_after = RETRY_AFTER_MIN;
            continue;
        };
        tracing::warn!(%error, "spooled records could not be sent, trying again");
        metrics::counter!("citywatch_agent_send_retries_total").increment(1);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(retry_after) => {}
        }
        retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
        send_again(&mut sent, sink).await;
    }
}

/// Waits for the first batch on its way.
async fn settle_first(sent: &mut VecDeque<Sent>) -> Result<(), SinkError> {
    let Some(first) = sent.front_mut() else {
        return Ok(());
    };
    match &mut first.ticket {
        Some(ticket) => ticket.settled().await?,
        None => return Err(SinkError::Ended),
    }
    if let Some(first) = sent.pop_front() {
        first.receipt.acknowledge();
    }
    Ok(())
}

/// After a failure nothing that was sent later has arrived: all of it goes again, in order.
async fn send_again(sent: &mut VecDeque<Sent>, sink: &Sink) {
    for batch in sent.iter_mut() {
        // Answered by now, or about to be: the failure ended the producer it went to.
        if let Some(ticket) = &mut batch.ticket {
            let _ = ticket.settled().await;
        }
        batch.ticket = None;
    }
    for batch in sent {
        batch.ticket = sink.submit(&batch.batch).await.ok();
        if batch.ticket.is_none() {
            return;
        }
    }
}
