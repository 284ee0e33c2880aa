//! `citywatch engine`: records from Kafka in; events and matches to ClickHouse, alerts to the incidents' database.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use citywatch_engine::pipeline::{Pipeline, PipelineParts};
use citywatch_engine::watch::IntakeGate;
use tokio_util::sync::CancellationToken;

use crate::ConfigArgs;
use crate::config::Config;
use crate::input::{kafka_backlog, start_consumer};
use crate::monitor::Monitor;
use crate::monitor_token;
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::rules_keeper::{HangUp, RulesKeeper};
use crate::saying::Saying;
use crate::system::{self, SystemReporter};
use crate::watching::{self, Watched};

/// Runs until Ctrl-C or SIGTERM.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let hang_up = HangUp::listen(&runtime)?;
    let mut config = Config::load(args.config.as_deref())?;
    config.complete();
    if config.store.url.is_empty() {
        return Err(UsageError(
            "'citywatch engine' stores events in ClickHouse: set [store] url (for everything on one machine there is 'citywatch up')"
                .to_owned(),
        )
        .into());
    }
    crate::logging::start("engine");
    runtime.block_on(engine(config, hang_up))?;
    Ok(ExitCode::SUCCESS)
}

async fn engine(config: Config, hang_up: HangUp) -> anyhow::Result<()> {
    let signal = crate::shutdown::on_signal()?;
    let parts = Parts::default();
    for part in ["engine", "kafka", "rules", "store"] {
        parts.set(part, PartState::Starting, Saying::Nothing);
    }
    let monitor = Monitor::install(parts.clone())?;
    let stop_monitor = CancellationToken::new();
    monitor
        .listen(config.monitor.listen, stop_monitor.clone())
        .await?;
    system::make_data_dir(&config.data.dir)?;
    let (keeper, rules) = RulesKeeper::load_first(&config.engine, &parts, hang_up)?;
    let Some(store) = system::connect_store(&config.store, &parts, &signal).await? else {
        return Ok(());
    };
    let alerting = Arc::new(
        system::open_alerting(&config.alerting, Some(store.clone()), &config.data.dir).await?,
    );
    let verifier = crate::intake::verifier(&config)?;
    let (consumer, deliveries) = start_consumer(&config, verifier, &parts, &signal)?;
    let kafka = consumer.monitor();
    let gate = IntakeGate::default();
    let inputs = PipelineParts {
        deliveries,
        plans: consumer.plans(),
        store: store.clone(),
        rules,
        definitions: crate::definition_files::watch(&config.parsers, &parts, &signal)?,
        alerts: alerting.intake(),
        gate: gate.clone(),
        held: Some(config.data.dir.join("held")),
    };
    let pipeline = Pipeline::start(&config.engine, inputs, signal.clone())?;
    parts.set("engine", PartState::Running, Saying::EngineWorks);
    let backlog = consumer.monitor();
    let watched = Watched {
        config: &config,
        parts: &parts,
        store: &store,
        alerting: &alerting,
        pipeline: pipeline.status(),
        gate,
        backlog: Arc::new(move || kafka_backlog(&backlog)),
    };
    let room = watching::start(watched, &signal);
    let token = monitor_token::leave(&config.data.dir)?;
    monitor.give_samples(pipeline.taps(), token);
    system::watch_store(
        store,
        config.store.url.clone(),
        parts.clone(),
        signal.clone(),
    );
    let rules_details = keeper.details();
    system::tell_rules(&alerting, &pipeline.rules(), signal.clone());
    keeper.keep_current(pipeline.rules(), signal.clone());
    monitor.report_from(SystemReporter {
        pipeline: Some(pipeline.status()),
        details: vec![
            (
                "kafka",
                Box::new(move || serde_json::to_value(kafka.status()).unwrap_or_default()),
            ),
            (
                "agents",
                system::agents_details(&pipeline.status(), config.engine.agent_silent_after_s),
            ),
            ("alerting", system::alerting_details(&alerting, &signal)),
            ("room", room),
            ("rules", rules_details),
        ],
    });
    tracing::info!("the engine takes records from Kafka");
    signal.cancelled().await;
    pipeline.ended().await;
    consumer.ended().await;
    alerting.close().await;
    stop_monitor.cancel();
    Ok(())
}
