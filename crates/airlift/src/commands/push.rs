//! `airlift push`: running hosts get the present bundle and secrets.

use airlift_core::op::{self, Operation};

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use super::select::select;
use crate::Hooks;
use crate::cli::Push;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Push, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    let hosts = select(&args.select, &fleet.named(), fleet.log.as_ref()).await?;
    fleet.lock_hosts(&hosts)?;
    let desired = fleet.desired(args.bundle.rehash).await?;
    let wanted = Wanted::new(Operation::Push(op::Push { desired, hosts }));
    carry_out(&mut fleet, wanted, &args.acting).await
}
