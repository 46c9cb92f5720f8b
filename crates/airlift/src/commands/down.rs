//! `airlift down`: what was launched is terminated, what was listed is cleared of what airlift put there.

use std::collections::BTreeMap;

use airlift_core::desired::{HostDesired, Origin};
use airlift_core::id::HostId;
use airlift_core::op::{self, Operation};

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use super::select::select;
use crate::Hooks;
use crate::cli::Down;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Down, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    fleet.lock_shape()?;
    let known = everything(&fleet).await?;
    if known.is_empty() {
        return Err(Error::refused("there is nothing to take down"));
    }
    let chosen = select(&args.select, &known, fleet.log.as_ref()).await?;
    let launches = fleet.compute().launches();
    let down = op::Down {
        fleet: fleet.config.fleet.clone(),
        hosts: chosen.into_iter().map(|host| (host, launches)).collect(),
        program: airlift_hosts::program::digest(),
        reach_s: fleet.reach_s(),
    };
    carry_out(&mut fleet, Wanted::new(Operation::Down(down)), &args.acting).await
}

/// What the config names, and what is there beyond it.
async fn everything(fleet: &Fleet) -> Result<BTreeMap<HostId, HostDesired>, Error> {
    let instances = fleet.compute().look().await.map_err(|error| Error::failed(error.to_string()))?;
    let named = fleet.named();
    if !fleet.compute().launches() {
        return Ok(named);
    }
    Ok(instances
        .into_keys()
        .map(|host| {
            let desired = named.get(&host).cloned().unwrap_or_else(|| HostDesired {
                origin: Origin::Launched { max_lifetime_s: 0 },
                labels: BTreeMap::new(),
                region: None,
                instance_type: None,
            });
            (host, desired)
        })
        .collect())
}
