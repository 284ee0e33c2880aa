//! How a command reaches the store: the one that the configuration names, the embedded one of the
//! `citywatch up` that runs on the same data, or, when none runs, the embedded one started for as long
//! as the command takes.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use citywatch_engine::store::{Store, StoreConfig};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::parts::Parts;
use crate::private_file;
use crate::report::UsageError;
use crate::store_process::{self, StoreProcess};
use crate::system;

/// Where `citywatch up` leaves address and password of its store, for the commands of the same user.
const ACCESS: &str = "store-access.json";
/// Longest wait for an embedded store that was started for one command.
const START_WAIT: Duration = Duration::from_secs(60);

/// Address and password of a running embedded store, in a file that only its owner reads; gone with
/// the store.
#[derive(Debug)]
pub struct StoreAccess {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Access {
    url: String,
    user: String,
    password: String,
}

impl StoreAccess {
    /// Leaves it in the data folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn leave(data_dir: &Path, store: &StoreConfig) -> anyhow::Result<Self> {
        let path = data_dir.join(ACCESS);
        let access = Access {
            url: store.url.clone(),
            user: store.user.clone(),
            password: store.password.expose().to_owned(),
        };
        private_file::write(&path, serde_json::to_string(&access)?.as_bytes())?;
        Ok(Self { path })
    }
}

impl Drop for StoreAccess {
    fn drop(&mut self) {
        // One that stays tells of a store that answers nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Gives `work` the store.
///
/// # Errors
/// [`UsageError`] when there is no store at the data folder, or what `work` says.
pub async fn with_store<F: Future<Output = anyhow::Result<T>>, T>(
    config: &Config,
    work: impl FnOnce(Store) -> F,
) -> anyhow::Result<T> {
    let connect = |store: &StoreConfig| {
        Store::connect(store).map_err(|error| UsageError(format!("[store]: {error}")))
    };
    if !config.store.url.is_empty() {
        return work(connect(&config.store)?).await;
    }
    let dir = &config.data.dir;
    if !dir.join("store").is_dir() {
        return Err(UsageError(format!(
            "no store at {}: name the data folder with --data or [data] dir, or a ClickHouse server with [store] url",
            dir.display()
        ))
        .into());
    }
    let mut embedded = config.store.clone();
    match system::claim_data_dir(dir) {
        Ok(_lock) => {
            let process = StoreProcess::new(
                dir.join("store"),
                config.embedded_store.library.clone(),
                None,
            )?;
            embedded.url = format!("http://{}", process.listen);
            embedded.user = store_process::USER.to_owned();
            embedded.password = process.password.clone().into();
            let (parts, stop) = (Parts::default(), CancellationToken::new());
            let running = process.keep_running(parts.clone(), stop.clone());
            let connecting = system::connect_store(&embedded, &parts, &stop);
            let outcome = match tokio::time::timeout(START_WAIT, connecting).await {
                Ok(Ok(Some(store))) => work(store).await,
                Ok(Err(error)) => Err(error),
                Ok(Ok(None)) | Err(_) => Err(anyhow::anyhow!(
                    "the embedded store of {} does not start",
                    dir.display()
                )),
            };
            stop.cancel();
            running.await.context("the store's keeper")?;
            outcome
        }
        Err(in_use) => {
            let text = std::fs::read(dir.join(ACCESS)).map_err(|_| in_use)?;
            let access: Access = serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged", dir.join(ACCESS).display()))?;
            embedded.url = access.url;
            embedded.user = access.user;
            embedded.password = access.password.into();
            work(connect(&embedded)?).await
        }
    }
}
