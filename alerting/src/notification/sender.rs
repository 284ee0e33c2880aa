//! Sends what waits in the outbox.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::delivery::{DeliveryError, DeliveryFault};
use super::outbox::{Message, Outbox, Outcome};
use super::routes::{Route, RouteKind, Routes};
use super::template::Content;
use super::{email, webhook};
use crate::accounts::Scope;
use crate::clock::HOUR_MICROS;
use crate::config::AlertingConfig;
use crate::status::Tally;

/// The outbox is looked into this often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Messages under way at once: one slow receiver holds up no other.
const AT_ONCE: usize = 8;
/// Messages read at once.
const PAGE: i64 = 64;
/// Whoever takes a message has sent it by then, or is gone: longer than all timeouts together.
const CLAIM_MICROS: i64 = 60_000_000;
/// The pause after the first failure; doubled with each further one.
const PAUSE_MIN_MICROS: i64 = 10_000_000;
const PAUSE_MAX_MICROS: i64 = 30 * 60_000_000;

/// The task that sends.
pub(crate) struct Sender {
    pub(crate) outbox: Outbox,
    pub(crate) routes: Routes,
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) tally: Arc<Tally>,
}

impl Sender {
    /// Runs until shutdown; a message that is being sent then comes again after the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            let turn = async {
                if let Err(error) = self.send_due().await {
                    self.tally.failed("sending notifications", &error);
                }
                tokio::time::sleep(INTERVAL).await;
            };
            tokio::select! {
                () = turn => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn send_due(&self) -> Result<(), sqlx::Error> {
        let due = self.outbox.due(PAGE).await?;
        let results: Vec<Result<(), sqlx::Error>> = futures::stream::iter(due)
            .map(|id| async move { self.send_one(&id).await })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        results.into_iter().collect()
    }

    async fn send_one(&self, id: &str) -> Result<(), sqlx::Error> {
        let now = self.outbox.clock.now().as_micros();
        let Some(message) = self.outbox.claim(id, now + CLAIM_MICROS).await? else {
            return Ok(());
        };
        let Some(route) = self.routes.one(&message.route_id, &Scope::City).await? else {
            let error = DeliveryError::new(DeliveryFault::Removed, "the route was removed");
            return self
                .outbox
                .settle(&message, Outcome::GivenUp { error: &error })
                .await;
        };
        let result = self.send(&route, &message).await;
        let now = self.outbox.clock.now().as_micros();
        let patience = i64::from(self.config.notifications.retry_hours) * HOUR_MICROS;
        let outcome = match &result {
            Ok(()) => Outcome::Sent,
            Err(error) if now - message.created_at >= patience => Outcome::GivenUp { error },
            Err(error) => Outcome::Again {
                at: now + pause(message.attempts),
                error,
            },
        };
        let word = match outcome {
            Outcome::Sent => "sent",
            Outcome::Again { .. } => "retried",
            Outcome::GivenUp { .. } => "failed",
        };
        metrics::counter!("citywatch_notifications_total", "kind" => route.kind.name(), "result" => word)
            .increment(1);
        if let Err(error) = &result {
            let what = format!("notifying {:?}", route.name);
            self.tally.failed(&what, error);
        }
        self.outbox.settle(&message, outcome).await
    }

    async fn send(&self, route: &Route, message: &Message) -> Result<(), DeliveryError> {
        let settings = &self.config.notifications;
        let content = Content {
            items: &message.items,
            count: message.item_count,
            console_url: settings.console_url.trim_end_matches('/'),
        };
        match route.kind {
            RouteKind::Email => {
                let smtp = settings.smtp.as_ref().ok_or_else(|| {
                    DeliveryError::settings(
                        "there is no mail server: set [alerting.notifications.smtp] host and from",
                    )
                })?;
                email::send(smtp, &message.id, &route.target, &route.template, content).await
            }
            RouteKind::Webhook => {
                let body = webhook::body_of(&message.id, &route.template, content)?;
                let seconds = self.outbox.clock.now().as_micros() / 1_000_000;
                let signature = webhook::signature(&route.secret, seconds, &body);
                let (url, id) = (route.target.clone(), message.id.clone());
                tokio::task::spawn_blocking(move || webhook::post(&url, &id, &signature, &body))
                    .await
                    .map_err(|error| {
                        DeliveryError::broken(format!("the webhook's thread failed: {error}"))
                    })?
            }
        }
    }
}

/// The pause after a failure, when there were `attempts` before it.
fn pause(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, 20)).unwrap_or(20);
    (PAUSE_MIN_MICROS << doublings).min(PAUSE_MAX_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let seconds: Vec<i64> = [0, 1, 2, 7, 8, 1_000]
            .map(|attempts| pause(attempts) / 1_000_000)
            .to_vec();
        assert_eq!(seconds, [10, 20, 40, 1_280, 1_800, 1_800]);
    }
}
