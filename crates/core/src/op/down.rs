//! `down`: machines that airlift launched are ended; machines that were there are cleared of what airlift put on them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::up::Turns;
use super::{HostQuery, reach};
use crate::action::{RemoveAirlift, TerminateInstance};
use crate::decide::{FleetVerdict, Next, On, Verdict, wait};
use crate::event::Phase;
use crate::history::History;
use crate::id::{Digest, FleetName, HostId};
use crate::seen::{FleetSeen, HostFacts, HostSeen};
use crate::time::Moment;

/// Take hosts down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// The fleet.
    pub fleet: FleetName,
    /// The hosts, and whether airlift launched them: those end, the others are only cleared.
    pub hosts: BTreeMap<HostId, bool>,
    /// SHA-256 of the `host.sh` that this airlift brings.
    pub program: Digest,
    /// Seconds that a host may stay unreachable.
    pub reach_s: u64,
}

impl Down {
    pub(super) fn query(&self, host: &HostId) -> HostQuery {
        HostQuery { program: Some(self.program), instance_only: self.is_launched(host), ..HostQuery::default() }
    }

    /// It has been claimed.
    pub(super) fn expected(&self, host: &HostId) -> HostFacts {
        let identity = Some((self.fleet.clone(), host.clone()));
        HostFacts { program: Some(self.program), identity, ..HostFacts::default() }
    }

    pub(super) fn phase(&self, host: &HostId, seen: &HostSeen) -> Option<Phase> {
        let gone = if self.is_launched(host) {
            seen.instance.is_none()
        } else {
            seen.facts().is_some_and(|facts| facts.identity.is_none())
        };
        gone.then_some(Phase::Gone)
    }

    fn is_launched(&self, host: &HostId) -> bool {
        self.hosts.get(host).copied().unwrap_or(false)
    }

    pub(super) fn fleet_next(&self, seen: &FleetSeen, history: &History, now: Moment) -> Next<FleetVerdict> {
        let mut turns = Turns::default();
        for host in self.hosts.keys().filter(|host| self.is_launched(host)) {
            if seen.instances.contains_key(host) {
                turns.take(TerminateInstance { host: host.clone(), lost: false }.into(), history, now);
            }
        }
        turns.next("instances to end", now)
    }

    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        let limit = Duration::from_secs(self.reach_s);
        if self.is_launched(host) {
            return if seen.instance.is_none() {
                Next::Done(Verdict::SUCCEEDED)
            } else {
                Next::Wait(wait("its instance to end", On::Time, now, Duration::from_millis(200)))
            };
        }
        let facts = match reach(seen, history, now, limit) {
            Ok(facts) => facts,
            Err(next) => return next,
        };
        match &facts.identity {
            None if facts.program.is_none() => Next::Done(Verdict::SUCCEEDED),
            Some((fleet, _)) if *fleet != self.fleet => Next::Done(Verdict::Refused {
                message: format!("it belongs to the fleet {fleet}, so nothing was removed"),
            }),
            _ => history.take(RemoveAirlift { host: host.clone(), fleet: self.fleet.clone() }, now),
        }
    }
}
