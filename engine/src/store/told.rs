//! How many rows an insert wrote, as the server says in its answer's header `X-ClickHouse-Summary`.
//!
//! The official client reads that header and keeps it to itself where inserts are concerned. So inserts go over connections
//! that note what their server answers, one insert at a time over each.
//!
//! Source: <https://clickhouse.com/docs/interfaces/http>, "Receive query progress information".

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::Uri;
use clickhouse::Client;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// The header.
const SUMMARY: &str = "X-ClickHouse-Summary";
/// Most of an answer that is noted: an insert's answer is its head, or an error.
const NOTED_BYTES_MAX: usize = 64 << 10;
/// ClickHouse closes connections after 3 s without a request, by default.
const IDLE_MAX: Duration = Duration::from_secs(2);
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Clients for inserts. Each makes one insert at a time and knows what was answered to it.
#[derive(Clone)]
pub(super) struct InsertClients {
    configure: Arc<dyn Fn(Client) -> Client + Send + Sync>,
    idle: Arc<Mutex<Vec<InsertClient>>>,
}

/// A client whose answers are noted.
pub(super) struct InsertClient {
    pub(super) client: Client,
    noted: Noted,
}

impl InsertClients {
    /// Clients that `configure` gives address and account.
    pub(super) fn new(configure: impl Fn(Client) -> Client + Send + Sync + 'static) -> Self {
        Self {
            configure: Arc::new(configure),
            idle: Arc::default(),
        }
    }

    /// One that nobody else uses.
    pub(super) fn take(&self) -> InsertClient {
        if let Some(idle) = lock(&self.idle).pop() {
            return idle;
        }
        let noted = Noted::default();
        let mut tcp = HttpConnector::new();
        tcp.set_keepalive(Some(KEEPALIVE));
        let connector = NotingConnector {
            tcp,
            noted: noted.clone(),
        };
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        InsertClient {
            client: (self.configure)(Client::with_http_client(http)),
            noted,
        }
    }

    /// Keeps one for the next insert, after an insert that went well.
    pub(super) fn give_back(&self, client: InsertClient) {
        lock(&self.idle).push(client);
    }
}

impl fmt::Debug for InsertClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertClients").finish_non_exhaustive()
    }
}

impl InsertClient {
    /// Forgets what was answered to anything before the insert's end.
    pub(super) fn listen(&self) {
        lock(&self.noted.0).clear();
    }

    /// Rows that the server says it wrote, since [`InsertClient::listen`]; none if it says nothing of it.
    pub(super) fn rows_written(&self) -> Option<u64> {
        rows_written(&lock(&self.noted.0))
    }
}

/// The last answer's word.
fn rows_written(answer: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(answer);
    let last = text.lines().rev().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(SUMMARY).then(|| value.trim())
    });
    let summary: serde_json::Value = serde_json::from_str(last?).ok()?;
    // Numbers are texts there.
    let rows = summary.get("written_rows")?;
    rows.as_u64().or_else(|| rows.as_str()?.parse().ok())
}

/// What came back over a client's connections.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<u8>>>);

impl Noted {
    fn add(&self, bytes: &[u8]) {
        let mut noted = lock(&self.0);
        let room = NOTED_BYTES_MAX.saturating_sub(noted.len());
        noted.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects as the official client does, and notes.
#[derive(Clone)]
struct NotingConnector {
    tcp: HttpConnector,
    noted: Noted,
}

impl Service<Uri> for NotingConnector {
    type Response = TokioIo<NotingStream>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connecting = self.tcp.call(address);
        let noted = self.noted.clone();
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            Ok(TokioIo::new(NotingStream { tcp, noted }))
        })
    }
}

struct NotingStream {
    tcp: TcpStream,
    noted: Noted,
}

impl Connection for NotingStream {
    fn connected(&self) -> Connected {
        self.tcp.connected()
    }
}

impl AsyncRead for NotingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        self.noted.add(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for NotingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::rows_written;

    #[test]
    fn the_last_answers_word_counts() {
        let describe = "HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {\"read_rows\":\"33\",\"written_rows\":\"0\"}\r\n\r\nx\r\n";
        let insert = "HTTP/1.1 200 OK\r\nx-clickhouse-summary: {\"written_rows\":\"50000\",\"written_bytes\":\"9\"}\r\n\r\n";
        assert_eq!(rows_written(insert.as_bytes()), Some(50_000));
        let both = format!("{describe}{insert}");
        assert_eq!(rows_written(both.as_bytes()), Some(50_000));
        for silent in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {\"read_rows\":\"0\"}\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {\"written_ro",
        ] {
            assert_eq!(rows_written(silent.as_bytes()), None, "{silent}");
        }
    }
}
