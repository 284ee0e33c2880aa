//! Server-sent events: incidents as they change, resumable from any place.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::App;
use super::caller::Caller;
use super::problem::{Params, Problem};
use super::refusal::Refusal;
use crate::incidents;

/// Streams open at once; each costs a connection and some 100 KB.
const STREAMS_MAX: usize = 2_000;

/// Silence ends with a ping, which also finds out that nobody listens any more.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Incidents read at once.
const PAGE: i64 = 200;

/// Bounds the number of open streams.
#[derive(Clone, Debug)]
pub(crate) struct Followers(Arc<Semaphore>);

impl Followers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowParams {
    /// Go on after this change: `change` of a list.
    after: Option<i64>,
}

/// `GET /api/v1/stream`: goes on after the header `Last-Event-ID`, else after `after`, else from now. From a place that
/// there is not yet it begins with the event `reset`: what is shown must be asked for anew.
pub(super) async fn follow(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<FollowParams>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let permit = app.followers.0.clone().try_acquire_owned().map_err(|_| {
        metrics::counter!("citywatch_streams_refused_total").increment(1);
        Problem::of(Refusal::TooManyFollowers)
    })?;
    let last_event_id = headers.get("last-event-id").map(|value| {
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        // A place that no stream gave is like one that this database does not have.
        number.unwrap_or(i64::MAX)
    });
    let watch = app.changes.watch();
    let latest = crate::changes::latest(&app.database).await?;
    let wanted = last_event_id.or(params.after).unwrap_or(latest);
    let mut ready = VecDeque::new();
    if wanted > latest {
        // An older state of the database was brought back: what the page shows is of another time.
        let reset = Event::default().event("reset").data("{}");
        ready.push_back(reset.id(latest.to_string()));
    }
    let position = wanted.min(latest);
    let follower = Follower {
        app,
        caller,
        watch,
        position,
        ready,
        _permit: permit,
    };
    Ok(Sse::new(follower.into_stream()))
}

struct Follower {
    app: App,
    caller: Caller,
    watch: watch::Receiver<i64>,
    /// All changes up to this one have been read.
    position: i64,
    ready: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        // The retry time is sent at once: the page sees that the stream is open.
        let first = stream::iter([Ok(Event::default()
            .retry(Duration::from_secs(2))
            .comment("open"))]);
        let rest = stream::unfold(self, async |mut follower| {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        });
        stream::StreamExt::chain(first, rest)
    }

    /// The next event; none when the stream ends: shutdown, the session's end, or a failing database. The
    /// browser comes back and goes on where it was.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Marked as seen before reading: a change that comes meanwhile wakes again.
            self.watch.borrow_and_update();
            self.read().await?;
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.watch.changed() => changed.ok()?,
                () = self.app.shutdown.cancelled() => return None,
                () = tokio::time::sleep(PING_INTERVAL) => {
                    let holds = self.caller.holds(&self.app).await.ok()?;
                    return holds.then(|| Event::default().event("ping").data("{}"));
                }
            }
        }
    }

    async fn read(&mut self) -> Option<()> {
        let pool = self.app.database.pool();
        let changed = incidents::changed_after(
            pool,
            &self.app.config.clocks,
            self.caller.scope(),
            self.position,
            PAGE,
        )
        .await;
        let changed = changed
            .inspect_err(
                |error| tracing::warn!(%error, "a stream of incidents ends: the database failed"),
            )
            .ok()?;
        for (place, (sequence, incident)) in changed.iter().enumerate() {
            let data = serde_json::to_string(incident).expect("an incident always serializes");
            let mut event = Event::default().event("incident").data(data);
            // One transaction changes several incidents under one number: only the last of them moves
            // the place from which a broken connection goes on.
            if changed
                .get(place + 1)
                .is_none_or(|(next, _)| next != sequence)
            {
                event = event.id(sequence.to_string());
            }
            self.ready.push_back(event);
            self.position = *sequence;
        }
        Some(())
    }
}
