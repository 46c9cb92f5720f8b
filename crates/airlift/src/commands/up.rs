//! `airlift up`: the fleet becomes what the config says; with `--run`, a script runs on it afterwards.

use airlift_core::op::{self, Operation};
use airlift_core::plan::Envelope;
use camino::Utf8Path;

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use super::{plan, run};
use crate::Hooks;
use crate::cli::Up;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Up, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    fleet.lock_shape()?;
    // What would stop the script is found before anything is launched.
    let script = args.run.as_deref().map(|script| run::readable(script).map(|()| script)).transpose()?;
    let desired = fleet.desired(args.bundle.rehash).await?;
    let envelope = match &args.plan {
        None => None,
        Some(path) => Some(saved(path, &desired)?),
    };
    let mut wanted = Wanted::new(Operation::Up(op::Up { desired }));
    wanted.envelope = envelope;
    wanted.shows_plan = true;
    let exit = carry_out(&mut fleet, wanted, &args.acting).await?;
    match script {
        Some(script) if exit == Exit::Success && !fleet.is_dry() => {
            run::on(&mut fleet, run::Job::of(script, args.acting)).await
        }
        _ => Ok(exit),
    }
}

/// The envelope of a saved plan, if the plan is for what is desired now.
fn saved(path: &Utf8Path, desired: &airlift_core::desired::Desired) -> Result<Envelope, Error> {
    let saved = plan::read(path)?;
    if saved.desired != *desired {
        return Err(Error::refused(format!("{path} was made for another config or another bundle"))
            .help("make a new plan with `airlift plan -o FILE`, and look at it"));
    }
    Ok(saved.plan.envelope())
}
