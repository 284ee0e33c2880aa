//! `citywatch store` of the measurement's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use citywatch_engine::store::{Store, StoreConfig, SyncToDisk};

use super::program;
use crate::pipeline::own_cpu_seconds;

const PASSWORD: &str = "a-measurement";
const USER: &str = "citywatch";
/// Merges have ended when none was seen for so long.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// Longest wait for that.
const QUIET_PATIENCE: Duration = Duration::from_secs(120);

/// It ends with this value.
pub(super) struct StoreProcess {
    child: Child,
    port: u16,
    sync_to_disk: SyncToDisk,
}

impl StoreProcess {
    /// Starts it on an empty folder.
    pub(super) fn start(dir: &Path, sync_to_disk: SyncToDisk) -> Result<Self> {
        let port = free_port()?;
        let child = Command::new(program("citywatch")?)
            .args(["store", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--data-dir")
            .arg(dir)
            .env("CITYWATCH_STORE_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            port,
            sync_to_disk,
        })
    }

    /// Section `[store]` of who uses it.
    pub(super) fn section(&self) -> String {
        let sync_to_disk = match self.sync_to_disk {
            SyncToDisk::Always => "always",
            SyncToDisk::Never => "never",
        };
        format!(
            "[store]\nurl = \"http://127.0.0.1:{}\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\nsync_to_disk = \"{sync_to_disk}\"\n",
            self.port
        )
    }

    /// A client, once it answers and has its tables.
    pub(super) async fn client(&self) -> Result<Store> {
        let store = Store::connect(&StoreConfig {
            url: format!("http://127.0.0.1:{}", self.port),
            user: USER.into(),
            password: PASSWORD.into(),
            sync_to_disk: self.sync_to_disk,
            ..StoreConfig::default()
        })?;
        for _ in 0..600 {
            if store.ping().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        store.migrate().await?;
        Ok(store)
    }

    /// CPU seconds that it has used.
    pub(super) fn cpu_s(&self) -> f64 {
        own_cpu_seconds(self.child.id())
    }

    /// A number that it answers a query with.
    pub(super) fn number(&self, query: &str) -> Result<u64> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}/", self.port))
            .query("query", query)
            .header("X-ClickHouse-User", USER)
            .header("X-ClickHouse-Key", PASSWORD)
            .call()?;
        let text = answer.body_mut().read_to_string()?;
        text.trim().parse().with_context(|| text.clone())
    }

    /// Waits until no merge has run for a while; when the last one was seen, or now.
    pub(super) fn merged(&self) -> Result<Instant> {
        let begun = Instant::now();
        let mut last = begun;
        while last.elapsed() < QUIET_FOR && begun.elapsed() < QUIET_PATIENCE {
            if self.number("SELECT count() FROM system.merges")? > 0 {
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(last)
    }
}

impl Drop for StoreProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
