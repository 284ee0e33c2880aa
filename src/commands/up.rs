//! `citywatch up`: the whole system in one command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use citywatch_engine::pipeline::{LoadedRules, Pipeline, PipelineParts};
use citywatch_engine::watch::IntakeGate;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::ConfigArgs;
use crate::config::Config;
use crate::demo::{self, History};
use crate::input::Input;
use crate::monitor::Monitor;
use crate::monitor_token;
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::rules_keeper::{HangUp, RulesKeeper};
use crate::saying::Saying;
use crate::store_access::StoreAccess;
use crate::store_process::{self, StoreProcess};
use crate::system::{self, SystemReporter};
use crate::watching::{self, Watched};

/// Options of `citywatch up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder for all data, instead of [data] dir
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the console listens, instead of [alerting] listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where metrics, health and status answer, instead of [monitor] listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitor: Option<SocketAddr>,
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let hang_up = HangUp::listen(&runtime)?;
    let mut config = Config::load(args.config.config.as_deref())?;
    if let Some(dir) = &args.data {
        config.data.dir.clone_from(dir);
    }
    if let Some(listen) = args.listen {
        config.alerting.listen = listen;
    }
    if let Some(listen) = args.monitor {
        config.monitor.listen = listen;
    }
    config.complete();
    crate::logging::start("up");
    runtime.block_on(up(config, hang_up))?;
    Ok(ExitCode::SUCCESS)
}

/// Tokens in the order in which the parts end: each stops taking, finishes what it holds, and only
/// then the next one is told.
#[derive(Default)]
struct Stops {
    agent: CancellationToken,
    engine: CancellationToken,
    console: CancellationToken,
    store: CancellationToken,
}

async fn up(mut config: Config, hang_up: HangUp) -> anyhow::Result<()> {
    let signal = crate::shutdown::on_signal()?;
    let lock = system::claim_data_dir(&config.data.dir)?;
    let parts = Parts::default();
    // Registered from the start: readiness means all of them.
    for part in ["agent", "console", "engine", "rules", "store"] {
        parts.set(part, PartState::Starting, Saying::Nothing);
    }
    let monitor = Monitor::install(parts.clone())?;
    let rules = RulesKeeper::load_first(&config.engine, &parts, hang_up)?;
    let stops = Stops::default();
    config.monitor.listen = monitor
        .listen(config.monitor.listen, stops.store.clone())
        .await?;

    let store_process = start_store(&mut config, &parts, &stops.store)?;
    let access = match &store_process {
        Some(_) => Some(StoreAccess::leave(&config.data.dir, &config.store)?),
        None => None,
    };
    let outcome = run_parts(&config, &parts, &monitor, rules, &signal, &stops).await;
    stops.store.cancel();
    drop(access);
    if let Some(process) = store_process {
        process.await.context("the store's keeper")?;
    }
    drop(lock);
    outcome
}

/// Starts the embedded store unless the configuration names another.
fn start_store(
    config: &mut Config,
    parts: &Parts,
    stop: &CancellationToken,
) -> anyhow::Result<Option<tokio::task::JoinHandle<()>>> {
    if !config.store.url.is_empty() {
        return Ok(None);
    }
    let embedded = &config.embedded_store;
    // A missing library is said before anything runs, with its remedy.
    if let Err(error) = citywatch_engine::store::endpoint::find_library(embedded.library.as_deref())
    {
        return Err(match &embedded.library {
            Some(_) => UsageError(format!("[embedded_store] library: {error}")).into(),
            None => error.into(),
        });
    }
    let process = StoreProcess::new(
        config.data.dir.join("store"),
        embedded.library.clone(),
        embedded.listen,
    )?;
    config.store.url = format!("http://{}", process.listen);
    config.store.user = store_process::USER.to_owned();
    config.store.password = process.password.clone().into();
    Ok(Some(process.keep_running(parts.clone(), stop.clone())))
}

async fn run_parts(
    config: &Config,
    parts: &Parts,
    monitor: &Monitor,
    (keeper, rules): (RulesKeeper, Arc<LoadedRules>),
    signal: &CancellationToken,
    stops: &Stops,
) -> anyhow::Result<()> {
    let Some(store) = system::connect_store(&config.store, parts, signal).await? else {
        return Ok(());
    };
    if let Some(demo) = &config.demo {
        let history = History {
            config,
            demo,
            store: &store,
            rules: &rules,
            parts,
            signal,
        };
        history.play().await?;
        if signal.is_cancelled() {
            return Ok(());
        }
    }
    let alerting = Arc::new(
        system::open_alerting(&config.alerting, Some(store.clone()), &config.data.dir).await?,
    );
    let console = alerting.bind(config.alerting.listen)?;
    let address = console.url();
    let served = tokio::spawn(console.run(stops.console.clone()));
    let place = address.clone();
    parts.set("console", PartState::Running, Saying::At { place });

    let verifier = crate::intake::verifier(config)?;
    let (mut input, deliveries) =
        Input::open(config, verifier.clone(), parts, &stops.agent, &stops.engine)?;
    let spool = input.spool();
    let live = match (&config.demo, &spool) {
        (Some(demo), Some(spool)) => {
            let play_on = demo::play_on(demo.clone(), spool.clone(), stops.agent.clone());
            Some(tokio::spawn(play_on))
        }
        _ => None,
    };
    let intake = crate::intake::open(config, verifier.as_ref(), spool, parts, &stops.agent).await?;
    let gate = IntakeGate::default();
    let engine = PipelineParts {
        deliveries,
        plans: input.plans(),
        store: store.clone(),
        rules,
        definitions: crate::definition_files::watch(&config.parsers, parts, &stops.engine)?,
        alerts: alerting.intake(),
        gate: gate.clone(),
        held: Some(config.data.dir.join("held")),
    };

    let pipeline = Pipeline::start(&config.engine, engine, stops.engine.clone())?;
    parts.set("engine", PartState::Running, Saying::EngineWorks);
    let backlog = input.monitor();
    let watched = Watched {
        config,
        parts,
        store: &store,
        alerting: &alerting,
        pipeline: pipeline.status(),
        gate,
        backlog: Arc::new(move || backlog.backlog()),
    };
    let room = watching::start(watched, signal);
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
    let (agent, transport) = (input.monitor(), input.monitor());
    monitor.report_from(SystemReporter {
        pipeline: Some(pipeline.status()),
        details: vec![
            ("agent", Box::new(move || agent.agent())),
            ("transport", Box::new(move || transport.transport())),
            (
                "agents",
                system::agents_details(&pipeline.status(), config.engine.agent_silent_after_s),
            ),
            ("alerting", system::alerting_details(&alerting, signal)),
            ("room", room),
            ("rules", rules_details),
        ],
    });
    let status = monitor.clone();
    alerting.provide_status(move || serde_json::to_value(status.status()).unwrap_or_default());
    system::print_welcome(&address, &config.data.dir, config.monitor.listen)?;

    signal.cancelled().await;
    stops.agent.cancel();
    input.agent_ended().await;
    if let Some(intake) = intake {
        intake.ended().await;
    }
    if let Some(live) = live {
        live.await.context("the demonstration's task")?;
    }
    stops.engine.cancel();
    pipeline.ended().await;
    input.transport_ended().await;
    stops.console.cancel();
    served.await.context("the console's task")??;
    alerting.close().await;
    Ok(())
}
