//! The HTTPS door for agents, as `up` and `serve` open it, and the trust that engines put in the authority.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use citywatch_collector::authority::Authority;
use citywatch_collector::intake::{Intake, IntakeParts, missing_authority};
use citywatch_collector::kafka::Producer;
use citywatch_collector::{Sink, Verifier};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::saying::Saying;

/// What checks signatures, if there is an authority in the configured folder.
pub fn authority(config: &Config) -> Option<Arc<Verifier>> {
    Authority::is_in(&config.ca.dir).then(|| Arc::new(Verifier::new(config.ca.dir.clone())))
}

/// The same; it must be there if a topic takes signed batches only.
///
/// # Errors
/// [`UsageError`] when a topic takes signed batches only and there is none.
pub fn verifier(config: &Config) -> anyhow::Result<Option<Arc<Verifier>>> {
    if let Some(verifier) = authority(config) {
        return Ok(Some(verifier));
    }
    let mut topics = config.kafka.iter().flat_map(|kafka| &kafka.topics);
    match topics.find(|(_, topic)| topic.require_signed) {
        None => Ok(None),
        Some((name, _)) => Err(UsageError(format!(
            "[kafka.topics.\"{name}\"] require_signed: there is no authority to check signatures with: run `citywatch ca init`, or put the ca.pem and crl.pem of the one that you have into {}",
            config.ca.dir.display()
        ))
        .into()),
    }
}

/// For how long agents' certificates are made.
pub fn certificates_valid(config: &Config) -> Duration {
    Duration::from_secs(24 * 3600) * config.intake.certificate_valid_days.clamp(1, 3650)
}

/// Opens the door if the configuration says where. Batches go to `spool`, or to the topic that the
/// configuration names; without either none are taken.
///
/// # Errors
/// [`UsageError`] when there is no authority; when the port cannot be had.
pub async fn open(
    config: &Config,
    verifier: Option<&Arc<Verifier>>,
    spool: Option<Sink>,
    parts: &Parts,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Intake>> {
    let Some(listen) = config.intake.listen else {
        return Ok(None);
    };
    let Some(verifier) = verifier else {
        return Err(UsageError(missing_authority(&config.ca.dir)).into());
    };
    let authority = Arc::new(Authority::open(&config.ca.dir)?);
    let sink = match (&config.intake.kafka, spool) {
        (Some(kafka), _) => Some(Sink::Kafka(Producer::new(kafka).context("[intake.kafka]")?)),
        (None, spool) => spool,
    };
    let takes_batches = sink.is_some();
    let inputs = IntakeParts {
        authority,
        verifier: Arc::clone(verifier),
        sink,
        valid: certificates_valid(config),
    };
    let intake = Intake::start(listen, &config.intake, inputs, shutdown.clone()).await?;
    let address = intake.address();
    let saying = Saying::IntakeOpen {
        address: format!("https://{address}"),
        takes_batches,
    };
    tracing::info!("the intake is open: {saying}");
    parts.set("intake", PartState::Running, saying);
    Ok(Some(intake))
}
