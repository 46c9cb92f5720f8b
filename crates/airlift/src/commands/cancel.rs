//! `airlift cancel`: a run ends on every host, with its whole process group.

use airlift_core::decide::Verdict;
use airlift_core::id::{ChangeId, RunId};
use airlift_core::op::{self, Operation};
use airlift_engine::drive::Halt;
use airlift_engine::log::RunHostRow;
use tokio_util::sync::CancellationToken;

use super::change::{Interrupts, Wanted, carry_out};
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
    let hosts = row.hosts.into_iter().filter(may_go_on).map(|host| host.host).collect();
    let cancel = op::Cancel { run: row.run.clone(), hosts, program, reach_s: fleet.reach_s() };
    if cancel.hosts.is_empty() {
        return Err(Error::refused(format!("{} has ended on every host", cancel.run)));
    }
    let exit = carry_out(&mut fleet, Wanted::new(Operation::Cancel(cancel)), &args.acting).await?;
    if !fleet.is_dry() && exit != Exit::Stopped && row.ended.is_none() {
        settle(&mut fleet, &row.run, &row.change).await?;
    }
    Ok(exit)
}

/// The script may be running there: it is not settled, or was given up without a word from the host.
fn may_go_on(host: &RunHostRow) -> bool {
    matches!(host.verdict, None | Some(Verdict::Lost { .. } | Verdict::Unreachable { .. }))
}

/// Has the cancelled run come to its end as well: its output is fetched, its hosts are settled. Whoever follows it already
/// does that.
async fn settle(fleet: &mut Fleet, run: &RunId, change: &ChangeId) -> Result<(), Error> {
    match fleet.lock_run(run) {
        Err(error) if error.exit() == Exit::Locked => return Ok(()),
        taken => taken?,
    }
    let engine = fleet.engine();
    let Some(change) = engine.resume(change, fleet.actor()).await? else { return Ok(()) };
    let operation = change.began.operation.clone();
    let mut interrupts = Interrupts::listen()?;
    let stop = CancellationToken::new();
    let driving = engine.drive(change, stop.clone());
    tokio::pin!(driving);
    let end = loop {
        tokio::select! {
            biased;
            () = interrupts.next(), if !stop.is_cancelled() => stop.cancel(),
            end = &mut driving => break end,
        }
    };
    fleet.forget_caches(&operation, end.is_ok()).await;
    match end {
        Ok(_) | Err(Halt::Stopped) => Ok(()),
        Err(halt) => Err(Error::from(halt).help(format!("`airlift attach {run}` goes on where this ended"))),
    }
}

/// The run that a person named.
pub(crate) async fn find(fleet: &Fleet, run: &str) -> Result<airlift_engine::log::RunRow, Error> {
    let id: RunId = run.parse().map_err(|error| Error::usage(format!("{error}")))?;
    let row = fleet.log.run(&id).await?;
    row.ok_or_else(|| Error::refused(format!("there is no run {run}")).help("`airlift runs` lists them"))
}
