//! `airlift cancel`: a run ends on every host, with its whole process group.

use airlift_core::id::RunId;
use airlift_core::op::{self, Operation};

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use crate::Hooks;
use crate::cli::Cancel;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Cancel, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    let row = find(&fleet, &args.run).await?;
    let program = match fleet.log.change(&row.change).await?.map(|change| change.began.operation) {
        Some(Operation::Run(run)) => run.desired.program,
        _ => airlift_hosts::program::digest(),
    };
    let hosts = row.hosts.into_iter().filter(|host| host.verdict.is_none()).map(|host| host.host).collect();
    let cancel = op::Cancel { run: row.run, hosts, program, reach_s: fleet.reach_s() };
    if cancel.hosts.is_empty() {
        return Err(Error::refused(format!("{} has ended on every host", cancel.run)));
    }
    carry_out(&mut fleet, Wanted::new(Operation::Cancel(cancel)), &args.acting).await
}

/// The run that a person named.
pub(crate) async fn find(fleet: &Fleet, run: &str) -> Result<airlift_engine::log::RunRow, Error> {
    let id: RunId = run.parse().map_err(|error| Error::usage(format!("{error}")))?;
    let row = fleet.log.run(&id).await?;
    row.ok_or_else(|| Error::refused(format!("there is no run {run}")).help("`airlift runs` lists them"))
}
