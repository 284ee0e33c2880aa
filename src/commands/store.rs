//! `citywatch store`: the embedded event store alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use citywatch_engine::store::endpoint::{self, EndpointConfig};
use clap::Args;
use tokio::io::AsyncReadExt;

use crate::report::UsageError;
use crate::store_process::{PASSWORD_VARIABLE, USER};

/// Options of `citywatch store`.
#[derive(Debug, Args)]
#[command(
    after_help = "The password that clients must send (user `citywatch`) is read from the environment variable
CITYWATCH_STORE_PASSWORD.

Example: ask the store something while it runs
  CITYWATCH_STORE_PASSWORD=secret citywatch store --listen 127.0.0.1:8123 &
  curl -u citywatch:secret 'http://127.0.0.1:8123/?query=SELECT+count()+FROM+citywatch.events'"
)]
pub struct StoreArgs {
    /// Folder of the store's data; made if missing
    #[arg(long, value_name = "DIR", default_value = "citywatch-data/store")]
    data_dir: PathBuf,
    /// Where to listen: loopback only
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8123")]
    listen: SocketAddr,
    /// The ClickHouse engine, libchdb.so; without it, CITYWATCH_LIBCHDB, the cache of deploy/setup.sh, the program's folder
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
    /// Stop when standard input ends (how `citywatch up` holds it)
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// Runs until SIGINT, SIGTERM or the end of standard input.
pub fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() {
        return Err(UsageError(format!(
            "--listen {}: the embedded store listens on loopback only; for other machines run ClickHouse and set [store] url",
            args.listen
        ))
        .into());
    }
    let password = std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty()).ok_or_else(|| {
        UsageError(format!("set the environment variable {PASSWORD_VARIABLE} to the password that clients must send"))
    })?;
    crate::logging::start("store");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let shutdown = crate::shutdown::on_signal()?;
        if args.until_stdin_closes {
            let stop = shutdown.clone();
            tokio::spawn(async move {
                let mut stdin = tokio::io::stdin();
                let mut ignored = [0u8; 64];
                while matches!(stdin.read(&mut ignored).await, Ok(read) if read > 0) {}
                stop.cancel();
            });
        }
        let config = EndpointConfig {
            data_dir: args.data_dir.clone(),
            listen: args.listen,
            user: USER.to_owned(),
            password: password.into(),
            library: args.library.clone(),
        };
        endpoint::serve(config, shutdown)
            .await
            .map_err(anyhow::Error::from)
    })?;
    // The runtime's blocking read of standard input cannot be cancelled: do not wait for it.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
