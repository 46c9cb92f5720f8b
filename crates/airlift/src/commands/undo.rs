//! `airlift undo`: a change is taken back, newest step first. What cannot be taken back is named before anything happens.

use airlift_core::event::Mode;
use airlift_core::id::ChangeId;
use airlift_core::op::{self, Operation};
use airlift_engine::log::Query;

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use crate::Hooks;
use crate::cli::Undo;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Undo, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    fleet.lock_shape()?;
    let id: ChangeId = args.change.parse().map_err(|error| Error::usage(format!("{error}")))?;
    let row =
        fleet.log.change(&id).await?.ok_or_else(|| {
            Error::refused(format!("there is no change {id}")).help("`airlift audit list` lists them")
        })?;
    if row.began.mode == Mode::DryRun {
        return Err(Error::refused(format!("{id} was a dry run: it changed nothing")));
    }
    if row.ended.is_none() {
        super::fleet::note(&format!(
            "{id} has not ended; it is taken back as far as it got, and cannot be resumed afterwards"
        ));
    }
    let records = fleet.log.records(Query::change(id.clone())).await?;
    let undoing = op::undo(&id, &records, airlift_hosts::program::digest(), fleet.reach_s());
    if undoing.undo.hosts.is_empty() {
        let why = match undoing.irreversible.first() {
            Some(reason) => format!("nothing of {id} can be taken back: {reason}"),
            None => format!("{id} did nothing that would have to be taken back"),
        };
        return Err(Error::refused(why));
    }
    let mut wanted = Wanted::new(Operation::Undo(undoing.undo));
    wanted.warnings = undoing.irreversible;
    wanted.shows_plan = true;
    wanted.confirmed = true;
    carry_out(&mut fleet, wanted, &args.acting).await
}
