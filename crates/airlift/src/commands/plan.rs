//! `airlift plan`: what `up` would do, found by a look at the real world; saved, it is a contract for `up --plan`.

use airlift_core::desired::Desired;
use airlift_core::op::{self, Operation};
use airlift_core::plan::Plan;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::change::show_plan;
use super::fleet::{Access, Fleet};
use crate::Hooks;
use crate::cli::PlanArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

/// The shape of a saved plan.
const VERSION: u32 = 1;

/// A plan in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// [`VERSION`].
    pub version: u32,
    /// What it works towards.
    pub desired: Desired,
    /// What it does.
    pub plan: Plan,
}

pub(crate) async fn run(args: PlanArgs, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    // A saved plan names the secrets by a digest under the fleet's own secret, which is then to be kept.
    let access = if args.output.is_some() { Access::Act } else { Access::Plan };
    let fleet = Fleet::open(settings, hooks, access)?;
    let desired = fleet.desired(args.bundle.rehash).await?;
    let plan = fleet.engine().plan(&Operation::Up(op::Up { desired: desired.clone() })).await?;
    show_plan(&fleet, &plan)?;
    let changes = !plan.is_empty();
    if let Some(path) = &args.output {
        let saved = Saved { version: VERSION, desired, plan };
        let text = serde_json::to_string_pretty(&saved).map_err(std::io::Error::other)?;
        fs_err::write(path, text)?;
    }
    Ok(if changes && args.exit_code { Exit::Changes } else { Exit::Success })
}

/// Reads a saved plan.
pub(crate) fn read(path: &Utf8Path) -> Result<Saved, Error> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Error::usage(format!("the plan {path} cannot be read: {}", error.kind()))
            .help("`airlift plan -o FILE` writes one")
    })?;
    let saved: Saved = serde_json::from_str(&text)
        .map_err(|error| Error::usage(format!("{path} is not a plan of this airlift: {error}")))?;
    if saved.version == VERSION {
        Ok(saved)
    } else {
        Err(Error::usage(format!(
            "{path} is a plan of version {}; this airlift knows version {VERSION}",
            saved.version
        )))
    }
}
