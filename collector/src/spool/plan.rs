//! What is planned to be stored next of what the spool delivered, on disk: see [`Plans`].

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::SpoolError;
use crate::delivery::{PlanRequest, Plans};

const FILE: &str = "plan";
/// Longer ones are none of ours.
const PLAN_BYTES_MAX: u64 = 4096;
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The plan that the last run left.
pub(super) fn read(dir: &Path) -> Option<Arc<str>> {
    let path = dir.join(FILE);
    let small = fs::metadata(&path).ok()?.len() <= PLAN_BYTES_MAX;
    let text = fs::read_to_string(&path).ok().filter(|_| small)?;
    (!text.is_empty()).then(|| text.into())
}

/// Starts keeping plans. A spool has one reader at a time, so its lane is never lost.
pub(super) fn keep(dir: &Path) -> Result<Plans, SpoolError> {
    let (plans, requests) = Plans::channel();
    let keeper_dir = dir.to_owned();
    thread::Builder::new()
        .name("spool-plans".into())
        .spawn(move || answer(&keeper_dir, requests))
        .map_err(SpoolError::io("start a thread for", dir))?;
    Ok(plans)
}

fn answer(dir: &Path, mut requests: UnboundedReceiver<PlanRequest>) {
    while let Some(PlanRequest { plan, lost, .. }) = requests.blocking_recv() {
        if let Some(plan) = plan {
            while let Err(error) = write(dir, &plan) {
                tracing::warn!(dir = %dir.display(), %error, "what is to be stored next cannot be noted, trying again");
                metrics::counter!("citywatch_spool_write_errors_total").increment(1);
                if lost.is_closed() {
                    break;
                }
                thread::sleep(AGAIN_AFTER);
            }
        }
        // Who asked may have ended.
        let _ = lost.send(Vec::new());
    }
}

/// Either the old plan or the new one is there, whenever the machine stops.
fn write(dir: &Path, plan: &str) -> io::Result<()> {
    let fresh = dir.join("plan.new");
    let mut file = File::create(&fresh)?;
    file.write_all(plan.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a fault here is a failed test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_plan_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let plans = keep(dir.path()).unwrap();
        for plan in ["first", "second"] {
            assert_eq!(plans.keep(vec![0], plan).await, Ok(vec![]));
            assert_eq!(read(dir.path()).as_deref(), Some(plan));
        }
        assert_eq!(plans.lost(vec![0]).await, Ok(vec![]));
    }
}
