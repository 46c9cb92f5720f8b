//! Old output goes from this machine when a run begins, beside the run: nobody waits for it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use airlift_core::id::RunId;
use airlift_core::op::Operation;
use tokio::task::JoinHandle;

use super::fleet::{Fleet, warn};
use super::project::release_of;
use crate::error::Error;

/// The removal of old output, under way.
pub(crate) struct Pruning(Option<JoinHandle<std::io::Result<usize>>>);

/// Begins to remove what is older than `keep.outputs` and no unfinished change needs. A dry run removes nothing.
pub(crate) async fn prune(fleet: &Fleet) -> Result<Pruning, Error> {
    if fleet.is_dry() {
        return Ok(Pruning(None));
    }
    let unfinished = fleet.log.unfinished().await?;
    let needed: BTreeSet<RunId> = unfinished.iter().filter_map(|row| output_of(&row.began.operation)).collect();
    let Some(limit) = SystemTime::now().checked_sub(fleet.config.keep.outputs) else { return Ok(Pruning(None)) };
    let spool = fleet.spool();
    Ok(Pruning(Some(tokio::task::spawn_blocking(move || spool.prune(limit, &needed)))))
}

impl Pruning {
    /// Waits for it. That it failed is no fault of the run.
    pub(crate) async fn finish(self) {
        let Some(task) = self.0 else { return };
        match task.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn(&format!("old output of runs cannot be removed: {error}")),
            Err(error) => warn(&format!("old output of runs was not removed: {error}")),
        }
    }
}

/// The run whose output an operation fetches.
fn output_of(operation: &Operation) -> Option<RunId> {
    operation
        .run()
        .map(|run| run.run.clone())
        .or_else(|| release_of(operation).map(|release| RunId::bootstrap_of(&release)))
}
