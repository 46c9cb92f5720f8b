//! `airlift resume` and `attach`: an unfinished change goes on, with what it began with.

use airlift_core::id::ChangeId;
use airlift_core::op::{self, Operation};
use airlift_engine::drive::Begin;
use airlift_engine::log::ChangeRow;

use super::change::{drive, new_id, show};
use super::fleet::{Access, Fleet};
use crate::Hooks;
use crate::cli::{Acting, Attach, Resume};
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Resume, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    let row =
        match &args.change {
            Some(change) => named(&fleet, change).await?,
            None => fleet.log.unfinished().await?.pop().ok_or_else(|| {
                Error::refused("nothing is unfinished").help("`airlift audit list` shows what was done")
            })?,
        };
    go_on(&mut fleet, row).await
}

pub(crate) async fn attach(args: Attach, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&Acting::default(), &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    let row = match &args.run {
        Some(run) => {
            let row = super::cancel::find(&fleet, run).await?;
            if row.ended.is_some() {
                return Err(Error::refused(format!("{run} has ended")).help(format!("see `airlift logs {run}`")));
            }
            named(&fleet, row.change.as_str()).await?
        }
        None => fleet
            .log
            .unfinished()
            .await?
            .into_iter()
            .rev()
            .find(|row| row.began.operation.run().is_some())
            .ok_or_else(|| Error::refused("no run is under way").help("`airlift runs` lists what ran"))?,
    };
    go_on(&mut fleet, row).await
}

async fn named(fleet: &Fleet, change: &str) -> Result<ChangeRow, Error> {
    let id: ChangeId = change.parse().map_err(|error| Error::usage(format!("{error}")))?;
    let row = fleet.log.change(&id).await?;
    let row = row.ok_or_else(|| {
        Error::refused(format!("there is no change {change}")).help("`airlift audit list` lists them")
    })?;
    match row.ended {
        None => Ok(row),
        Some(_) => Err(Error::refused(format!("{change} has ended; there is nothing to resume"))),
    }
}

async fn go_on(fleet: &mut Fleet, row: ChangeRow) -> Result<Exit, Error> {
    match &row.began.operation {
        Operation::Up(_) | Operation::Down(_) | Operation::Undo(_) => fleet.lock_shape()?,
        Operation::Push(push) => fleet.lock_hosts(&push.hosts.clone())?,
        Operation::Run(run) => fleet.lock_run(&run.run.clone())?,
        Operation::Cancel(_) => {}
    }
    if let Operation::Up(op::Up { desired }) | Operation::Push(op::Push { desired, .. }) = &row.began.operation
        && desired.secrets.digest.is_some()
    {
        fleet.read_secrets()?;
    }
    let engine = fleet.engine();
    if fleet.is_dry() {
        let plan = engine.plan(&row.began.operation).await?;
        let begin =
            Begin { id: new_id()?, operation: row.began.operation, envelope: row.began.envelope, actor: fleet.actor() };
        return show(fleet, begin, &plan, &[]).await;
    }
    let change = engine
        .resume(&row.change, fleet.actor())
        .await?
        .ok_or_else(|| Error::failed(format!("the records of {} cannot be read", row.change)))?;
    drive(fleet, change, false).await
}
