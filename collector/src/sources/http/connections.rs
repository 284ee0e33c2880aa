//! Accepts connections, no more than a bounded number at a time; others wait in the kernel's queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::sources::connection::{Connection, Terms};
use crate::sources::received::RETRY_AFTER;

const CONNECTIONS_MAX: usize = 256;

/// The accepting side of an address.
pub(super) struct Connections {
    listener: TcpListener,
    terms: Terms,
    places: Arc<Semaphore>,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender(pub(super) SocketAddr);

impl Connections {
    pub(super) fn new(listener: TcpListener, terms: Terms) -> Self {
        Self {
            listener,
            terms,
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("nobody closes the semaphore");
        loop {
            match self.listener.accept().await {
                Ok((stream, sender)) => {
                    let connection = Connection::new(stream, sender, self.terms.clone(), place);
                    return (connection, sender);
                }
                Err(error) => {
                    // Out of file descriptors, for example: others may end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Connections>> for Sender {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        Self(*stream.remote_addr())
    }
}
