//! `undo`: what a change did is taken back, newest first, itself a change that can be resumed.
//!
//! The steps are worked out once, from the records of the change, when the undo begins. An inverse is carried out only
//! while the present value is the one that the change left; what is already back is skipped; anything else stops that
//! host with the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::up::Turns;
use super::{HostQuery, instance_ends, reach};
use crate::action::{Action, HostAction, Inverse, Left};
use crate::decide::{FleetVerdict, Next, Verdict};
use crate::event::{Event, Record, Subject};
use crate::history::{FailureClass, History};
use crate::id::{ChangeId, Digest, HostId};
use crate::seen::{FleetSeen, HostFacts, HostSeen};
use crate::time::Moment;

/// Take back what a change did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The change that is taken back.
    pub of: ChangeId,
    /// What to do on each host, in order.
    pub hosts: BTreeMap<HostId, Vec<UndoStep>>,
    /// SHA-256 of the `host.sh` that this airlift brings.
    pub program: Digest,
    /// Seconds that a host may stay unreachable.
    pub reach_s: u64,
}

/// One inverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoStep {
    /// The inverse action.
    pub action: Action,
    /// The value that must still be there.
    pub left: Left,
}

/// What undoing a change would mean, before anything happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// The operation.
    pub undo: Undo,
    /// What cannot be taken back, in words.
    pub irreversible: Vec<String>,
}

/// Works out what undoing the change with these records takes.
///
/// An intent that failed for certain is left out. One whose outcome is unknown is kept: what the host shows decides.
pub fn undo(of: &ChangeId, records: &[Record], program: Digest, reach_s: u64) -> Undoing {
    let failed: BTreeSet<u64> = records
        .iter()
        .filter_map(|record| match record.event {
            Event::Failed { intent, ref failure } if failure.class != FailureClass::Unknown => Some(intent),
            _ => None,
        })
        .collect();
    let mut hosts: BTreeMap<HostId, Vec<UndoStep>> = BTreeMap::new();
    let mut irreversible = Vec::new();
    for record in records.iter().rev() {
        let (Event::Intended { action, .. }, Subject::Host(host)) = (&record.event, &record.subject) else {
            continue;
        };
        if failed.contains(&record.seq) {
            continue;
        }
        match action.step().inverse() {
            Inverse::Nothing => {}
            Inverse::Impossible { reason } => {
                if !irreversible.contains(&reason) {
                    irreversible.push(reason);
                }
            }
            Inverse::By { action, left } => {
                let steps = hosts.entry(host.clone()).or_default();
                let step = UndoStep { action: *action, left };
                if !steps.contains(&step) {
                    steps.push(step);
                }
            }
        }
    }
    for steps in hosts.values_mut() {
        // A machine that ends takes with it all that was done on it.
        if let Some(end) = steps.iter().position(|step| step.left == Left::Instance) {
            *steps = vec![steps.swap_remove(end)];
        }
    }
    Undoing { undo: Undo { of: of.clone(), hosts, program, reach_s }, irreversible }
}

/// Whether the world still shows what a change left.
enum Present {
    /// It does: the inverse may act.
    AsLeft,
    /// It is back already.
    Back,
    /// Neither: somebody else has changed it.
    Different(String),
}

impl Undo {
    pub(super) fn query(&self, host: &HostId) -> HostQuery {
        let instance_only = Self::ends_instance(self.steps(host)).is_some();
        HostQuery { program: Some(self.program), instance_only, ..HostQuery::default() }
    }

    fn steps(&self, host: &HostId) -> &[UndoStep] {
        self.hosts.get(host).map_or(&[], Vec::as_slice)
    }

    /// It is as the change left it: the newest step comes first.
    pub(super) fn expected(&self, host: &HostId) -> HostFacts {
        let mut facts = HostFacts::default();
        for step in self.steps(host).iter().rev() {
            match (&step.left, &step.action) {
                (Left::Release { release }, _) => facts.current = *release,
                (Left::Program, Action::Host(HostAction::Remove(remove))) => {
                    facts.identity = Some((remove.fleet.clone(), host.clone()));
                }
                _ => {}
            }
        }
        facts
    }

    fn ends_instance(steps: &[UndoStep]) -> Option<&UndoStep> {
        steps.iter().find(|step| step.left == Left::Instance)
    }

    pub(super) fn fleet_next(&self, seen: &FleetSeen, history: &History, now: Moment) -> Next<FleetVerdict> {
        let mut turns = Turns::default();
        for (host, steps) in &self.hosts {
            if Self::ends_instance(steps).is_some() {
                turns.end(host, seen, history, now);
            }
        }
        turns.next("instances to end", now)
    }

    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        let steps = self.steps(host);
        if Self::ends_instance(steps).is_some() {
            return instance_ends(seen, history, now);
        }
        if let Err(next) = reach(seen, history, now, Duration::from_secs(self.reach_s)) {
            return next;
        }
        for step in steps {
            match present(step, seen) {
                // What it took with it (services of the release) is not known to have come about.
                Present::Back if history.is_unfinished(&step.action) => return history.take(step.action.clone(), now),
                Present::Back => {}
                Present::AsLeft => return history.take(step.action.clone(), now),
                Present::Different(difference) => {
                    return Next::Done(Verdict::Refused {
                        message: format!(
                            "{} would trample on a later change: {difference}",
                            step.action.step().plan_line()
                        ),
                    });
                }
            }
        }
        Next::Done(Verdict::SUCCEEDED)
    }
}

fn present(step: &UndoStep, seen: &HostSeen) -> Present {
    let Some(facts) = seen.facts() else { return Present::Back };
    match (&step.left, &step.action) {
        (Left::Instance, _) => match seen.instance {
            Some(_) => Present::AsLeft,
            None => Present::Back,
        },
        (Left::Program, _) => match facts.identity {
            Some(_) => Present::AsLeft,
            None => Present::Back,
        },
        (Left::Release { release: left }, Action::Host(HostAction::Switch(switch))) => {
            if facts.current == *left {
                Present::AsLeft
            } else if facts.current == switch.to {
                Present::Back
            } else {
                let name = |r: Option<Digest>| r.map_or_else(|| "none".to_owned(), |r| r.short());
                Present::Different(format!(
                    "release {} is current, where {} was left",
                    name(facts.current),
                    name(*left)
                ))
            }
        }
        (Left::Release { .. }, _) => Present::Back,
    }
}
