//! The fleet's part of a change: launches and ends instances, and sets each host going as soon as it is there.
//!
//! The fleet is decided for again when one of its own actions came out or a wait is over, never because a host moved on:
//! the number of decisions grows linearly with the number of hosts.

use std::collections::BTreeSet;

use airlift_core::action::{Kind, Outcome};
use airlift_core::decide::{FleetVerdict, Next};
use airlift_core::event::{Event, Subject};
use airlift_core::history::{Act, ActState, History};
use airlift_core::id::HostId;
use airlift_core::seen::{FleetSeen, InstanceState};
use tokio::task::{JoinError, JoinSet};

use super::act::Intended;
use super::host::Crew;
use super::{Driver, Halt};
use crate::port::ActError;

type Flight = (Intended, Result<Outcome, ActError>);

impl Driver {
    /// Drives the fleet's part to its end, handing hosts over to `crew`.
    pub(super) async fn drive_fleet(&self, mut history: History, crew: &mut Crew) -> Result<(), Halt> {
        let mut flights: JoinSet<Flight> = JoinSet::new();
        let result = self.fleet_turns(&mut history, &mut flights, crew).await;
        // What is in the air lands before the change comes to rest: its outcome is worth recording.
        while let Some(landed) = flights.join_next().await {
            self.land(landed, &mut history, crew).await?;
        }
        result
    }

    async fn fleet_turns(
        &self,
        history: &mut History,
        flights: &mut JoinSet<Flight>,
        crew: &mut Crew,
    ) -> Result<(), Halt> {
        let concerned = self.operation.hosts();
        let launched_before = self.engine.launched_before().await?;
        loop {
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let instances = self.engine.ports.compute.look().await?;
            for (host, instance) in &instances {
                if concerned.contains(host) && instance.state != InstanceState::Stopped && !self.only_ends(host) {
                    crew.set_going(host);
                }
            }
            let now = self.engine.clock.now();
            let lags = now.since(history.since) < self.engine.ports.compute.lag();
            let may_be_there = if lags { launched_before.clone() } else { BTreeSet::new() };
            let seen = FleetSeen { instances, may_be_there };
            let next = self.operation.fleet_next(&seen, history, now);
            self.close_found(&next, &seen, history).await?;
            match next {
                Next::Do(actions) => {
                    for action in actions {
                        let intended = self.intend(action, history).await?;
                        let driver = self.clone();
                        flights.spawn(async move {
                            let _turn = driver.gate.acquire().await;
                            let result = driver.carry_out(&intended, None).await;
                            (intended, result)
                        });
                    }
                    if let Some(landed) = flights.join_next().await {
                        self.land(landed, history, crew).await?;
                    }
                }
                Next::Wait(wait) => {
                    let pause = wait.until.since(now);
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => {}
                        Some(landed) = flights.join_next(), if !flights.is_empty() => {
                            self.land(landed, history, crew).await?;
                        }
                        () = self.engine.clock.sleep(pause) => {}
                    }
                }
                Next::Done(verdict) => {
                    for (host, verdict) in verdict.given_up {
                        crew.give_up(&host, verdict.clone());
                        self.record(Subject::Host(host), vec![Event::Settled { verdict, output: None }]).await?;
                    }
                    for host in &concerned {
                        crew.set_going(host);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Records as found what was intended, had no outcome, and by what is seen now has happened.
    async fn close_found(
        &self,
        next: &Next<FleetVerdict>,
        seen: &FleetSeen,
        history: &mut History,
    ) -> Result<(), Halt> {
        let asked = |act: &Act| matches!(next, Next::Do(actions) if actions.contains(&act.action));
        let happened = |act: &Act| match act.action.kind() {
            Kind::LaunchInstance => seen.instances.contains_key(act.action.host()),
            _ => !seen.instances.contains_key(act.action.host()),
        };
        let found: Vec<Act> = history
            .acts
            .iter()
            .filter(|act| matches!(act.state, ActState::Unknown { .. }) && happened(act) && !asked(act))
            .cloned()
            .collect();
        for act in found {
            self.conclude(&self.intended(act), Ok(Outcome::Found), history).await?;
        }
        Ok(())
    }

    /// Records how an action came out. A host whose instance is ended by it is set going only then, so that it is not told to
    /// be gone before it is told to be terminated.
    async fn land(
        &self,
        landed: Result<Flight, JoinError>,
        history: &mut History,
        crew: &mut Crew,
    ) -> Result<(), Halt> {
        let (intended, outcome) = landed.map_err(|error| Halt::Task(error.to_string()))?;
        let ended = outcome.is_ok();
        self.conclude(&intended, outcome, history).await?;
        let host = intended.action.host();
        if ended && self.operation.hosts().contains(host) && self.only_ends(host) {
            crew.set_going(host);
        }
        Ok(())
    }

    /// All that the operation does to the host is to end its instance.
    fn only_ends(&self, host: &HostId) -> bool {
        self.operation.query(host).instance_only
    }
}
