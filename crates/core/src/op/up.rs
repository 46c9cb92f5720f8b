//! `up`: the fleet becomes what the config says.
//!
//! The fleet's part launches what is missing and ends what is too much. Each host's part, by itself: be reached with a
//! verified key, get its own host key, `host.sh`, secrets and the bundle, and bootstrap.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{POLL, ready};
use crate::action::{Action, Kind, LaunchInstance, TerminateInstance};
use crate::decide::{FleetVerdict, Next, On, Verdict, wait};
use crate::desired::Desired;
use crate::history::{Failure, FailureClass, History, Turn};
use crate::id::HostId;
use crate::seen::{FleetSeen, HostSeen, InstanceState};
use crate::time::Moment;

/// Bring the fleet to what the config says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    /// What the fleet should be.
    pub desired: Desired,
}

impl Up {
    pub(super) fn fleet_next(&self, seen: &FleetSeen, history: &History, now: Moment) -> Next<FleetVerdict> {
        let mut turns = Turns::default();
        for (host, max_lifetime_s) in self.desired.launched() {
            let launch = LaunchInstance { host: host.clone(), max_lifetime_s };
            match seen.instances.get(host) {
                // Half-way through its launch, which is under way or was cut off: that goes on.
                Some(instance)
                    if instance.state == InstanceState::Stopped && history.is_open(Kind::LaunchInstance, host) =>
                {
                    turns.take(launch.into(), history, now);
                }
                // What stopped cannot be trusted to hold anything: it is ended, and launched anew.
                Some(instance) if instance.state == InstanceState::Stopped => {
                    turns.take(TerminateInstance { host: host.clone(), lost: true }.into(), history, now);
                }
                Some(_) => {}
                None if seen.hides(host) && !history.has_ended(host) => turns.wait(),
                None => turns.take(launch.into(), history, now),
            }
        }
        let known = seen.instances.keys().chain(&seen.may_be_there);
        let surplus: BTreeSet<&HostId> = known.filter(|host| !self.desired.hosts.contains_key(*host)).collect();
        for host in surplus {
            turns.end(host, seen, history, now);
        }
        turns.next("instances to come up", now)
    }

    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        let limits = &self.desired.limits;
        let limit = if self.desired.is_launched(host) { limits.boot_s } else { limits.reach_s };
        ready::next(&self.desired, host, seen, history, now, Duration::from_secs(limit))
    }
}

/// Gathers what the fleet's actions may do now.
#[derive(Default)]
pub(super) struct Turns {
    actions: Vec<Action>,
    waiting: bool,
    given_up: Vec<(HostId, Verdict)>,
}

impl Turns {
    /// Takes `action` now, later or not at all.
    pub(super) fn take(&mut self, action: Action, history: &History, now: Moment) {
        match history.turn(&action, now) {
            Turn::Go { .. } => self.actions.push(action),
            Turn::InFlight | Turn::After(_) => self.waiting = true,
            Turn::Acknowledged { until } if now < until => self.waiting = true,
            Turn::Acknowledged { .. } => self.give_up(
                &action,
                Failure {
                    class: FailureClass::Unknown,
                    message: format!(
                        "{}: the provider acknowledged it, but does not show it",
                        action.step().plan_line()
                    ),
                },
            ),
            Turn::GiveUp(failure) => self.give_up(&action, failure),
        }
    }

    /// Ends an instance that is there, and waits for one that may be.
    pub(super) fn end(&mut self, host: &HostId, seen: &FleetSeen, history: &History, now: Moment) {
        let end = TerminateInstance { host: host.clone(), lost: false };
        if seen.instances.contains_key(host) {
            self.take(end.into(), history, now);
        } else if seen.hides(host) && !history.has_ended(host) {
            self.wait();
        }
    }

    /// Something is not decided yet.
    pub(super) fn wait(&mut self) {
        self.waiting = true;
    }

    fn give_up(&mut self, action: &Action, failure: Failure) {
        let verdict = Verdict::Failed { exit: None, message: failure.message };
        self.given_up.push((action.host().clone(), verdict));
    }

    /// All that may be done now; else a wait; else the end.
    pub(super) fn next(self, reason: &str, now: Moment) -> Next<FleetVerdict> {
        if !self.actions.is_empty() {
            Next::Do(self.actions)
        } else if self.waiting {
            Next::Wait(wait(reason, On::Time, now, POLL))
        } else {
            Next::Done(FleetVerdict { given_up: self.given_up })
        }
    }
}
