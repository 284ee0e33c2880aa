//! A sender's connection: plain or TLS, closed when nothing moves on it for long.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::received::Counts;

/// Who connects has this long to agree on keys.
const GREET_WITHIN: Duration = Duration::from_secs(30);

/// What a listener gives each of its connections.
#[derive(Clone)]
pub(crate) struct Terms {
    /// None on an address without TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Nothing moves for this long: it is closed.
    pub(crate) idle_max: Duration,
    pub(crate) counts: Arc<Counts>,
}

/// A connection that was accepted, and its place among those that may be.
pub(crate) struct Connection {
    stream: Stream,
    sender: SocketAddr,
    idle: Pin<Box<Sleep>>,
    terms: Terms,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    /// The keys are being agreed on; whoever reads or writes first waits for that.
    Greeting(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    Refused,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        sender: SocketAddr,
        terms: Terms,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let (stream, patience) = match &terms.tls {
            None => (Stream::Plain(stream), terms.idle_max),
            Some(tls) => {
                let greeting = Box::new(tls.accept(stream));
                (Stream::Greeting(greeting), GREET_WITHIN.min(terms.idle_max))
            }
        };
        Self {
            stream,
            sender,
            idle: Box::pin(tokio::time::sleep(patience)),
            terms,
            _place: place,
        }
    }

    /// Ready when the keys are agreed on.
    fn greet(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream::Greeting(greeting) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        let greeted = match pin!(greeting).poll(context) {
            Poll::Ready(greeted) => greeted,
            Poll::Pending => {
                ready!(self.idle.as_mut().poll(context));
                Err(io::ErrorKind::TimedOut.into())
            }
        };
        self.idle
            .as_mut()
            .reset(Instant::now() + self.terms.idle_max);
        match greeted {
            Ok(stream) => {
                self.stream = Stream::Tls(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.stream = Stream::Refused;
                let counts = &self.terms.counts;
                counts.refused_connections.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("citywatch_agent_refused_connections_total").increment(1);
                counts.set_error(Some(format!("TLS with {}: {error}", self.sender)));
                tracing::debug!(sender = %self.sender, %error, "a connection could not agree on TLS");
                Poll::Ready(Err(error))
            }
        }
    }

    /// Time starts again when something moved; without that it runs out.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        moved: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let until = Instant::now() + self.terms.idle_max;
            self.idle.as_mut().reset(until);
            return moved;
        }
        self.idle
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn refused<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.greet(context))?;
        let read = match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_read(context, buffer),
            Stream::Tls(stream) => pin!(stream).poll_read(context, buffer),
            Stream::Greeting(_) | Stream::Refused => refused(),
        };
        self.watch(context, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.greet(context))?;
        let written = match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_write(context, bytes),
            Stream::Tls(stream) => pin!(stream).poll_write(context, bytes),
            Stream::Greeting(_) | Stream::Refused => refused(),
        };
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_flush(context),
            Stream::Tls(stream) => pin!(stream).poll_flush(context),
            Stream::Greeting(_) | Stream::Refused => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => pin!(stream).poll_shutdown(context),
            Stream::Tls(stream) => pin!(stream).poll_shutdown(context),
            Stream::Greeting(_) | Stream::Refused => Poll::Ready(Ok(())),
        }
    }
}
