//! The listeners' thread: sockets in, batches to the sink.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use citywatch_parsers::record::Truncated;
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::framing::Framing;
use super::{Protocol, SyslogConfig};
use crate::masking::Masking;
use crate::sink::Sink;
use crate::sources::connection::{Connection, Terms};
use crate::sources::received::{
    BindError, COLLECT_FOR, Counts, Listeners, PENDING_BYTES_MAX, RETRY_AFTER, keep,
};
use crate::sources::senders::Senders;
use crate::sources::tls::ListenTls;

const DATAGRAM_BYTES_MAX: usize = 65_535;
const CONNECTIONS_MAX: usize = 1024;
/// A connection that says nothing for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// Pieces of connections that wait for the batch: then reading stops, and the sender waits.
const PIECES_MAX: usize = 64;

/// A bound address.
pub(crate) struct Bound {
    config: SyslogConfig,
    socket: Socket,
    counts: Arc<Counts>,
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

impl Socket {
    fn bind(config: &SyslogConfig, protocol: Protocol) -> Result<Self, BindError> {
        let address = config.listen;
        let refused = |error| BindError::Address(address, error);
        let tcp = || TcpListener::bind(address).map_err(refused);
        match protocol {
            Protocol::Udp => UdpSocket::bind(address).map(Self::Udp).map_err(refused),
            Protocol::Tcp => tcp().map(Self::Tcp),
            Protocol::Tls => {
                let tls = config
                    .tls
                    .as_ref()
                    .map(|tls: &ListenTls| tls.server_config(&[]));
                let missing = || io::Error::other("it has no certificate: set `tls`");
                let tls = tls.transpose()?.ok_or_else(|| refused(missing()))?;
                Ok(Self::Tls(tcp()?, TlsAcceptor::from(tls)))
            }
        }
    }

    fn protocol(&self) -> Protocol {
        match self {
            Self::Udp(_) => Protocol::Udp,
            Self::Tcp(_) => Protocol::Tcp,
            Self::Tls(..) => Protocol::Tls,
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(listener) | Self::Tls(listener, _) => listener.local_addr(),
        }
    }
}

/// Binds all addresses; the first that cannot be had is named.
pub(crate) fn bind(
    configs: &[SyslogConfig],
    masking: &Masking,
) -> Result<(Vec<Bound>, Listeners), BindError> {
    let (mut bound, mut listeners) = (Vec::new(), Vec::new());
    for config in configs {
        for protocol in &config.protocols {
            let socket = Socket::bind(config, *protocol)?;
            let address = socket.address().unwrap_or(config.listen);
            let is_udp = *protocol == Protocol::Udp;
            let counts = Arc::new(Counts {
                udp_port: is_udp.then_some(address.port()),
                ..Counts::masking(masking.of_source(config.mask.as_deref())?)
            });
            listeners.push((
                format!("syslog+{}://{address}", protocol.name()),
                Arc::clone(&counts),
            ));
            bound.push(Bound {
                config: config.clone(),
                socket,
                counts,
            });
        }
    }
    Ok((bound, Listeners(listeners)))
}

/// Serves all listeners until `shutdown`; what was received by then is handed to the sink.
pub(crate) async fn serve(
    bound: Vec<Bound>,
    agent: &str,
    unit: &str,
    sink: &Sink,
    shutdown: &CancellationToken,
) {
    let mut tasks = JoinSet::new();
    for listener in bound {
        let Bound {
            config,
            socket,
            counts,
        } = listener;
        let scheme = format!("syslog+{}", socket.protocol().name());
        let senders = Senders::new(config.senders(), agent, unit, &scheme);
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let collector = Collector {
            senders,
            sink: sink.clone(),
            counts: Arc::clone(&counts),
        };
        tasks.spawn(collector.run(received));
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            let served = match socket {
                Socket::Udp(socket) => serve_udp(socket, pieces, &shutdown).await,
                Socket::Tcp(listener) => serve_tcp(listener, None, pieces, counts, &shutdown).await,
                Socket::Tls(listener, tls) => {
                    serve_tcp(listener, Some(tls), pieces, counts, &shutdown).await
                }
            };
            if let Err(error) = served {
                tracing::error!(%error, "a listener ended");
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Messages of one sender, as they were received together.
struct Piece {
    sender: SocketAddr,
    messages: Vec<(Vec<u8>, Truncated)>,
}

async fn serve_udp(
    socket: UdpSocket,
    pieces: mpsc::Sender<Piece>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            received = socket.recv_from(&mut buffer) => received,
        };
        // An error here is an earlier answer's (ICMP), not this socket's end.
        let Ok((length, sender)) = received else {
            continue;
        };
        let message = buffer[..length].trim_ascii_end();
        if !message.is_empty() {
            let piece = Piece {
                sender,
                messages: vec![(message.to_vec(), Truncated::No)],
            };
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn serve_tcp(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    pieces: mpsc::Sender<Piece>,
    counts: Arc<Counts>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let terms = Terms {
        tls,
        idle_max: IDLE_MAX,
        counts: Arc::clone(&counts),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, sender) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, for example: others may end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            counts.refused_connections.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("citywatch_agent_refused_connections_total").increment(1);
            continue;
        };
        let connection = Connection::new(stream, sender, terms.clone(), place);
        let (pieces, shutdown) = (pieces.clone(), shutdown.clone());
        connections.spawn(async move {
            serve_connection(connection, sender, &pieces, &shutdown).await;
        });
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn serve_connection(
    mut connection: Connection,
    sender: SocketAddr,
    pieces: &mpsc::Sender<Piece>,
    shutdown: &CancellationToken,
) {
    let mut framing = Framing::default();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            () = shutdown.cancelled() => break,
            read = connection.read(&mut buffer) => read,
        };
        let Ok(length) = read else { break };
        if length == 0 {
            break;
        }
        let mut messages = Vec::new();
        framing.receive(&buffer[..length], |message, truncated| {
            messages.push((message.to_vec(), truncated))
        });
        if !messages.is_empty() && pieces.send(Piece { sender, messages }).await.is_err() {
            return;
        }
    }
    let mut messages = Vec::new();
    framing.end(|message, truncated| messages.push((message.to_vec(), truncated)));
    // The collector outlives all connections but in a crash.
    let _ = pieces.send(Piece { sender, messages }).await;
}

/// Puts what a listener receives into batches.
struct Collector {
    senders: Senders,
    sink: Sink,
    counts: Arc<Counts>,
}

impl Collector {
    /// Until all that send pieces are gone.
    async fn run(mut self, mut received: mpsc::Receiver<Piece>) {
        let mut ticks = tokio::time::interval(COLLECT_FOR);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                piece = received.recv() => match piece {
                    Some(piece) => self.push(&piece),
                    None => break,
                },
                _ = ticks.tick() => self.send().await,
            }
            if self.senders.pending_bytes() >= PENDING_BYTES_MAX {
                self.send().await;
            }
        }
        self.send().await;
    }

    fn push(&mut self, piece: &Piece) {
        for (message, truncated) in &piece.messages {
            self.senders.push(piece.sender.ip(), message, *truncated);
            self.counts
                .truncated_records
                .fetch_add(u64::from(*truncated == Truncated::Yes), Ordering::Relaxed);
        }
        let records = piece.messages.len() as u64;
        self.counts.records.fetch_add(records, Ordering::Relaxed);
        metrics::counter!("citywatch_agent_records_total").increment(records);
    }

    async fn send(&mut self) {
        // What is not kept has been counted and logged; a syslog sender waits for no answer.
        let _ = keep(&self.sink, self.senders.take(), &self.counts).await;
    }
}
