//! `citywatch serve`: console and API alone, on the incidents that engines raise in the same database.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::ConfigArgs;
use crate::config::Config;
use crate::monitor::Monitor;
use crate::parts::{PartState, Parts};
use crate::saying::Saying;
use crate::system::{self, SystemReporter};

/// Runs until Ctrl-C or SIGTERM.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(args.config.as_deref())?;
    config.complete();
    crate::logging::start("serve");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(config))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let signal = crate::shutdown::on_signal()?;
    let parts = Parts::default();
    parts.set("console", PartState::Starting, Saying::Nothing);
    let monitor = Monitor::install(parts.clone())?;
    let stop_monitor = CancellationToken::new();
    let monitor_address = monitor
        .listen(config.monitor.listen, stop_monitor.clone())
        .await?;
    system::make_data_dir(&config.data.dir)?;
    let store = if config.store.url.is_empty() {
        parts.set("store", PartState::Stopped, Saying::StoreNotSet);
        None
    } else {
        match system::connect_store(&config.store, &parts, &signal).await? {
            Some(store) => Some(store),
            None => return Ok(()),
        }
    };
    if let Some(store) = &store {
        system::watch_store(
            store.clone(),
            config.store.url.clone(),
            parts.clone(),
            signal.clone(),
        );
    }
    let alerting =
        Arc::new(system::open_alerting(&config.alerting, store, &config.data.dir).await?);
    let console = alerting.bind(config.alerting.listen)?;
    let address = console.url();
    let place = address.clone();
    parts.set("console", PartState::Running, Saying::At { place });
    monitor.report_from(SystemReporter {
        pipeline: None,
        details: vec![("alerting", system::alerting_details(&alerting, &signal))],
    });
    let status = monitor.clone();
    alerting.provide_status(move || serde_json::to_value(status.status()).unwrap_or_default());
    let verifier = crate::intake::verifier(&config)?;
    let intake = crate::intake::open(&config, verifier.as_ref(), None, &parts, &signal).await?;
    system::print_welcome(&address, &config.data.dir, monitor_address)?;
    console.run(signal).await?;
    if let Some(intake) = intake {
        intake.ended().await;
    }
    alerting.close().await;
    stop_monitor.cancel();
    Ok(())
}
