//! The operations: one file each, which reads from top to bottom as what the operation is.
//!
//! An operation is data (it stands in the first record of its change) with two decisions: `fleet_next` for launches and
//! removals, `host_next` for one host by itself. Both are total, deterministic functions of what was seen and of the
//! change's own history.

mod cancel;
mod down;
mod push;
mod ready;
mod run;
mod undo;
mod up;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::cancel::Cancel;
pub use self::down::Down;
pub use self::push::Push;
pub use self::run::Run;
pub use self::undo::{Undo, UndoStep, Undoing, undo};
pub use self::up::Up;

use crate::decide::{FleetVerdict, Next, On, Verdict, wait};
use crate::event::Phase;
use crate::history::History;
use crate::id::{Digest, HostId, RunId};
use crate::seen::{FleetSeen, HostFacts, HostSeen, InstanceState, Login};
use crate::time::Moment;

/// One execution of something that people ask airlift to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Bring the fleet to what the config says.
    Up(Up),
    /// Give running hosts the present bundle.
    Push(Push),
    /// Run a script on hosts.
    Run(Run),
    /// End a run.
    Cancel(Cancel),
    /// Take hosts down.
    Down(Down),
    /// Take back what a change did.
    Undo(Undo),
}

/// What an operation wants a look at a host to tell beyond the ordinary facts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostQuery {
    /// The `host.sh` that this operation needs.
    pub program: Option<Digest>,
    /// The runs to tell about.
    pub runs: BTreeSet<RunId>,
    /// The services to tell about.
    pub services: BTreeSet<String>,
    /// The run that this operation means to launch or follow on the host next.
    pub attends: Option<RunId>,
    /// This operation may have a release for the host.
    pub supplies: bool,
    /// A change follows by which the host is looked at again in a moment: what is told now will do for that.
    pub ahead: bool,
    /// Nothing on the host matters to this operation, only that its instance ends: it need not be logged in to.
    pub instance_only: bool,
}

impl Operation {
    /// The operation's name, as the command is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Push(_) => "push",
            Self::Run(_) => "run",
            Self::Cancel(_) => "cancel",
            Self::Down(_) => "down",
            Self::Undo(_) => "undo",
        }
    }

    /// The hosts it concerns: each is decided for by itself and ends with a verdict.
    pub fn hosts(&self) -> BTreeSet<HostId> {
        match self {
            Self::Up(op) => op.desired.hosts.keys().cloned().collect(),
            Self::Push(op) => op.hosts.clone(),
            Self::Run(op) => op.hosts.clone(),
            Self::Cancel(op) => op.hosts.clone(),
            Self::Down(op) => op.hosts.keys().cloned().collect(),
            Self::Undo(op) => op.hosts.keys().cloned().collect(),
        }
    }

    /// What a look at a host should tell.
    pub fn query(&self, host: &HostId) -> HostQuery {
        match self {
            Self::Up(op) => ready::query(&op.desired),
            Self::Push(op) => ready::query(&op.desired),
            Self::Run(op) => op.query(),
            Self::Cancel(op) => op.query(),
            Self::Down(op) => op.query(host),
            Self::Undo(op) => op.query(host),
        }
    }

    /// What a host that does not answer yet is expected to be: what leaves this operation the most to do.
    pub fn expected(&self, host: &HostId) -> HostFacts {
        match self {
            Self::Up(Up { desired }) | Self::Push(Push { desired, .. }) => ready::expected(desired),
            Self::Run(_) => HostFacts::default(),
            Self::Cancel(op) => op.expected(),
            Self::Down(op) => op.expected(host),
            Self::Undo(op) => op.expected(host),
        }
    }

    /// The fleet's decision: which instances to launch or to end.
    pub fn fleet_next(&self, seen: &FleetSeen, history: &History, now: Moment) -> Next<FleetVerdict> {
        match self {
            Self::Up(op) => op.fleet_next(seen, history, now),
            Self::Down(op) => op.fleet_next(seen, history, now),
            Self::Undo(op) => op.fleet_next(seen, history, now),
            Self::Push(_) | Self::Run(_) | Self::Cancel(_) => Next::Done(FleetVerdict::default()),
        }
    }

    /// One host's decision, over only its own present and past.
    pub fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        match self {
            Self::Up(op) => op.host_next(host, seen, history, now),
            Self::Push(op) => op.host_next(host, seen, history, now),
            Self::Run(op) => op.host_next(host, seen, history, now),
            Self::Cancel(op) => op.host_next(host, seen, history, now),
            Self::Down(op) => op.host_next(host, seen, history, now),
            Self::Undo(op) => op.host_next(host, seen, history, now),
        }
    }

    /// The phase that a host is seen to be in, for operations that bring hosts up or take them down.
    pub fn phase(&self, host: &HostId, seen: &HostSeen) -> Option<Phase> {
        match self {
            Self::Up(op) => ready::phase(&op.desired, host, seen),
            Self::Push(op) => ready::phase(&op.desired, host, seen),
            Self::Down(op) => op.phase(host, seen),
            Self::Undo(_) | Self::Run(_) | Self::Cancel(_) => None,
        }
    }

    /// It changes which hosts there are or what is on them: no two such changes go on side by side.
    pub fn shapes_fleet(&self) -> bool {
        match self {
            Self::Up(_) | Self::Push(_) | Self::Down(_) | Self::Undo(_) => true,
            Self::Run(_) | Self::Cancel(_) => false,
        }
    }

    /// Both may go on at once: they push to different hosts.
    pub fn goes_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Push(one), Self::Push(two)) => one.hosts.is_disjoint(&two.hosts),
            _ => false,
        }
    }

    /// The run that this operation is, if it is one.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Run(run) => Some(run),
            _ => None,
        }
    }
}

/// How often to look while only time can tell.
const POLL: Duration = Duration::from_millis(500);

/// How long an instance that was told to end may still be shown.
const ENDING: Duration = Duration::from_mins(10);

/// A host's part where the fleet's part ends its instance.
fn instance_ends(seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
    if seen.instance.is_none() {
        Next::Done(Verdict::SUCCEEDED)
    } else if now.since(history.since) < ENDING {
        Next::Wait(wait("its instance to end", On::Time, now, POLL / 2))
    } else {
        let message = "its instance is still there; look at it with the provider's own tools".to_owned();
        Next::Done(Verdict::Failed { exit: None, message })
    }
}

/// Gives the facts of a host once a session is open; until then says how to wait, or gives the host up after `limit`.
fn reach<'s>(
    seen: &'s HostSeen,
    history: &History,
    now: Moment,
    limit: Duration,
) -> Result<&'s HostFacts, Next<Verdict>> {
    let (message, retry) = match &seen.login {
        Login::In(facts) => return Ok(facts),
        Login::Refused(message) => {
            return Err(Next::Done(Verdict::Refused { message: message.clone() }));
        }
        Login::Unreachable(message) => (message.clone(), POLL),
        Login::NotTried => {
            let message = match &seen.instance {
                None => "there is no such instance; `airlift up` launches it".to_owned(),
                Some(instance) if instance.state == InstanceState::Stopped => {
                    "its instance does not run any more; `airlift up` replaces it".to_owned()
                }
                Some(_) => "it has no address yet".to_owned(),
            };
            (message, POLL / 2)
        }
    };
    if now.since(history.since) >= limit {
        return Err(Next::Done(Verdict::Unreachable { message }));
    }
    Err(Next::Wait(wait(format!("a session: {message}"), On::Time, now, retry)))
}
