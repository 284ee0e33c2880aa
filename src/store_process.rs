//! Keeps `citywatch store` running: the embedded event store in a process of its own, so that a
//! crash in the database library takes nothing else along.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::parts::{PartState, Parts};
use crate::saying::Saying;

/// Name in the register of parts.
const PART: &str = "store";
/// Environment variable that carries the password to the store process: not its command line, which
/// every user of the machine can read.
pub const PASSWORD_VARIABLE: &str = "CITYWATCH_STORE_PASSWORD";
/// The user that the store process knows.
pub const USER: &str = "citywatch";

const RESTART_WAIT_MIN: Duration = Duration::from_millis(250);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(10);
/// A store that lived so long was well: the next restart waits little again.
const LIVED_WELL: Duration = Duration::from_secs(30);
/// Closing writes what is in memory.
const STOP_WAIT: Duration = Duration::from_secs(30);

/// How to start it.
#[derive(Clone, Debug)]
pub struct StoreProcess {
    /// Folder of its data.
    pub data_dir: PathBuf,
    /// libchdb.so, if the configuration names it.
    pub library: Option<PathBuf>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The password it asks for.
    pub password: String,
}

impl StoreProcess {
    /// With a random password, on `listen` or a free port of loopback.
    pub fn new(
        data_dir: PathBuf,
        library: Option<PathBuf>,
        listen: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let listen = match listen {
            Some(address) => address,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .context("no free port on loopback for the embedded store")?,
        };
        Ok(Self {
            data_dir,
            library,
            listen,
            password: random_password()?,
        })
    }

    /// Starts it and starts it again whenever it ends, until `shutdown`.
    pub fn keep_running(self, parts: Parts, shutdown: CancellationToken) -> JoinHandle<()> {
        parts.set(
            PART,
            PartState::Starting,
            Saying::StoreEmbedded {
                address: self.listen.to_string(),
            },
        );
        tokio::spawn(async move {
            let mut wait = RESTART_WAIT_MIN;
            loop {
                let begun = std::time::Instant::now();
                let end = match self.spawn() {
                    Ok(child) => watch(child, &shutdown).await,
                    Err(error) => Some(format!("cannot be started: {error:#}")),
                };
                let Some(end) = end else {
                    parts.set(PART, PartState::Stopped, Saying::Stopped);
                    return;
                };
                if begun.elapsed() > LIVED_WELL {
                    wait = RESTART_WAIT_MIN;
                }
                tracing::error!(%end, again_in = ?wait, "the embedded store ended");
                parts.set(
                    PART,
                    PartState::Retrying,
                    Saying::StoreRestarted { error: end },
                );
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(RESTART_WAIT_MAX);
            }
        })
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command
            .arg("store")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--listen")
            .arg(self.listen.to_string())
            .arg("--until-stdin-closes")
            .env(PASSWORD_VARIABLE, &self.password)
            // Its life hangs on this pipe: when this process is gone, however it ended, the store closes.
            .stdin(Stdio::piped())
            // A Ctrl-C in the terminal is for this process, which stops the store last.
            .process_group(0);
        if let Some(library) = &self.library {
            command.arg("--library").arg(library);
        }
        command.spawn().context("citywatch store")
    }
}

/// Waits for the end of the process: `None` when it was asked to stop, otherwise what happened.
async fn watch(mut child: Child, shutdown: &CancellationToken) -> Option<String> {
    // Waiting for a child closes its standard input unless that is held apart.
    let stdin = child.stdin.take();
    tokio::select! {
        status = child.wait() => Some(match status {
            Ok(status) => format!("it ended by itself ({status})"),
            Err(error) => format!("it was lost: {error}"),
        }),
        () = shutdown.cancelled() => {
            drop(stdin);
            if tokio::time::timeout(STOP_WAIT, child.wait()).await.is_err() {
                tracing::error!("the embedded store did not close in {} s and is killed", STOP_WAIT.as_secs());
                if let Err(error) = child.kill().await {
                    tracing::error!(%error, "the embedded store cannot be killed");
                }
            }
            None
        }
    }
}

/// 128 random bits, hexadecimal.
fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
