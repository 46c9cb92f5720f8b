//! A plan: what an operation would do, found by unrolling its own decisions against predicted effects; and the envelope
//! that an execution stays inside.
//!
//! The plan and the execution are the same function. A plan with its envelope is a contract: nothing outside it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Kind};
use crate::decide::{Next, On, Verdict};
use crate::history::{Act, ActState, History};
use crate::id::HostId;
use crate::op::Operation;
use crate::seen::{FleetSeen, HostSeen, Login};
use crate::time::Moment;

/// Decisions that one subject may take in a plan; more means that an operation does not come to an end.
const STEP_LIMIT: usize = 64;

/// What an operation would do to the world that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The actions: the fleet's first, then host by host, each in its order.
    pub actions: Vec<Action>,
    /// How each host is expected to come out.
    pub verdicts: BTreeMap<HostId, Verdict>,
    /// The hosts that should answer and did not, and why: of what they need, the plan names the most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unseen: BTreeMap<HostId, String>,
}

/// What an execution may do at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// One line for each kind of action on each subject.
    pub lines: Vec<EnvelopeLine>,
}

/// The largest number of times that one kind of action may be intended for one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeLine {
    /// The kind.
    pub kind: Kind,
    /// The subject.
    pub host: HostId,
    /// The count; retries are part of it.
    pub most: u32,
}

/// An operation that does not come to an end in its own predictions: a defect of the operation, found before it acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the plan for {subject} does not come to an end: after {STEP_LIMIT} steps it still waits for {last}; please report this"
)]
pub struct Endless {
    /// The subject.
    pub subject: String,
    /// What it was at last.
    pub last: String,
}

/// Unrolls `operation` against `world`, what a look showed of each host.
pub fn plan(operation: &Operation, world: &BTreeMap<HostId, HostSeen>, now: Moment) -> Result<Plan, Endless> {
    let mut world = world.clone();
    let mut plan = Plan { unseen: unseen(operation, &world), ..Plan::default() };
    unroll_fleet(operation, &mut world, now, &mut plan)?;
    for host in operation.hosts() {
        if !plan.verdicts.contains_key(&host) {
            let seen = world.entry(host.clone()).or_default();
            unroll_host(operation, &host, seen, now, &mut plan)?;
        }
    }
    Ok(plan)
}

/// The hosts whose looks showed nothing though there is something to look at.
fn unseen(operation: &Operation, world: &BTreeMap<HostId, HostSeen>) -> BTreeMap<HostId, String> {
    let reason = |host: &HostId| match &world.get(host)?.login {
        Login::Unreachable(reason) => Some(reason.clone()),
        Login::NotTried | Login::Refused(_) | Login::In(_) => None,
    };
    operation
        .hosts()
        .into_iter()
        .filter_map(|host| Some((reason(&host)?, host)))
        .map(|(why, host)| (host, why))
        .collect()
}

fn unroll_fleet(
    operation: &Operation,
    world: &mut BTreeMap<HostId, HostSeen>,
    mut now: Moment,
    plan: &mut Plan,
) -> Result<(), Endless> {
    let mut history = History { since: now, ..History::default() };
    let mut last = String::new();
    for _ in 0..STEP_LIMIT {
        let seen = fleet_of(world);
        match operation.fleet_next(&seen, &history, now) {
            Next::Do(actions) => {
                for action in actions {
                    last = action.step().plan_line();
                    predict(&action, world.entry(action.host().clone()).or_default(), &mut history, now, plan);
                }
            }
            Next::Wait(wait) => {
                now = now.max(wait.until);
                last = wait.reason;
            }
            Next::Done(verdict) => {
                plan.verdicts.extend(verdict.given_up);
                return Ok(());
            }
        }
    }
    Err(Endless { subject: "the fleet".to_owned(), last })
}

fn unroll_host(
    operation: &Operation,
    host: &HostId,
    seen: &mut HostSeen,
    mut now: Moment,
    plan: &mut Plan,
) -> Result<(), Endless> {
    let mut history = History { since: now, ..History::default() };
    let mut last = String::new();
    let mut skip = Duration::from_secs(1);
    for _ in 0..STEP_LIMIT {
        match operation.host_next(host, seen, &history, now) {
            Next::Do(actions) => {
                for action in actions {
                    last = action.step().plan_line();
                    predict(&action, seen, &mut history, now, plan);
                }
            }
            // What is waited for comes by itself: the wait's end is as good a moment as any, and a limit is never
            // reached by a world that does not change.
            Next::Wait(wait) if settles_by_itself(seen, &wait.on) => {
                // What the host is taking may be another release than the wanted one: then there is more to do.
                if let Some(after) = once_taken(seen)
                    && let Next::Do(_) = operation.host_next(host, &after, &history, now)
                {
                    *seen = after;
                    continue;
                }
                plan.verdicts.insert(host.clone(), Verdict::SUCCEEDED);
                return Ok(());
            }
            Next::Wait(wait) => {
                // Ever longer, so that a wait for what never comes meets its limit within the steps there are.
                now = now.max(wait.until).after(skip);
                skip *= 2;
                last = wait.reason;
                expect_answer(operation, host, seen);
            }
            Next::Done(verdict) => {
                plan.verdicts.insert(host.clone(), verdict);
                return Ok(());
            }
        }
    }
    Err(Endless { subject: host.to_string(), last })
}

/// A host that does not answer yet is expected to answer so that the plan names all that might be done to it.
fn expect_answer(operation: &Operation, host: &HostId, seen: &mut HostSeen) {
    if seen.instance.is_some() && seen.facts().is_none() {
        seen.login = Login::In(Box::new(operation.expected(host)));
    }
}

/// The host is at it already (a bootstrap or run that was started before): nothing is predicted about its end.
fn settles_by_itself(seen: &HostSeen, on: &On) -> bool {
    seen.facts().is_some_and(|facts| match on {
        On::Time => false,
        On::Taken => facts.taking,
        On::Run(_) => true,
    })
}

/// The host as it is once it has taken what it is taking now, if it is taking something.
fn once_taken(seen: &HostSeen) -> Option<HostSeen> {
    let mut after = seen.clone();
    let facts = after.facts_mut().filter(|facts| facts.taking)?;
    facts.taking = false;
    Some(after)
}

fn predict(action: &Action, seen: &mut HostSeen, history: &mut History, now: Moment, plan: &mut Plan) {
    action.step().predict(seen);
    let attempt = 1 + history.acts.iter().filter(|act| act.action == *action).count();
    history.acts.push(Act {
        intent: 0,
        action: action.clone(),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        state: ActState::Succeeded { at: now, outcome: crate::action::Outcome::Done },
    });
    plan.actions.push(action.clone());
}

/// The fleet as its hosts' instances show it.
pub fn fleet_of(world: &BTreeMap<HostId, HostSeen>) -> FleetSeen {
    FleetSeen {
        instances: world.iter().filter_map(|(host, seen)| Some((host.clone(), seen.instance.clone()?))).collect(),
        may_be_there: BTreeSet::new(),
    }
}

impl Plan {
    /// The plan changes nothing.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// The actions that destroy something.
    pub fn destroys(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().filter(|action| action.step().destroys())
    }

    /// The envelope of this plan.
    pub fn envelope(&self) -> Envelope {
        let mut counts: BTreeMap<(Kind, HostId), u32> = BTreeMap::new();
        for action in &self.actions {
            let (kind, host, attempts) = (action.kind(), action.host(), action.step().attempts());
            *counts.entry((kind, host.clone())).or_default() += attempts;
            // What a failed launch left behind is ended before the next attempt: a replacement, inside the plan.
            if kind == Kind::LaunchInstance {
                *counts.entry((Kind::TerminateInstance, host.clone())).or_default() += attempts - 1;
            }
            // What is delivered is taken by us where nobody notices it.
            if kind == Kind::DeliverBundle {
                *counts.entry((Kind::TakeBundle, host.clone())).or_default() += attempts;
            }
            // What is started may be cancelled.
            if kind == Kind::StartRun {
                *counts.entry((Kind::CancelRun, host.clone())).or_default() += attempts;
            }
        }
        Envelope { lines: counts.into_iter().map(|((kind, host), most)| EnvelopeLine { kind, host, most }).collect() }
    }
}

impl Envelope {
    /// How often `kind` may be intended for `host`.
    pub fn most(&self, kind: Kind, host: &HostId) -> u32 {
        self.lines.iter().filter(|line| line.kind == kind && line.host == *host).map(|line| line.most).sum()
    }
}
