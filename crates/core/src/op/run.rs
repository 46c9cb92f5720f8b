//! `run`: a script runs once on each host, with its files, and its output comes back whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HostQuery, POLL, reach, ready};
use crate::action::{CancelRun, InstallProgram, Kind, StageRun, StartRun};
use crate::decide::{Next, On, Verdict, wait};
use crate::desired::{Desired, Origin};
use crate::history::History;
use crate::id::{Digest, HostId, RunId};
use crate::seen::{Exit, HostSeen, Id, InstanceSeen, InstanceState, RunEnd, RunSeen};
use crate::time::Moment;

/// How long one stretch of following lasts before the host is looked at again.
const FOLLOW: Duration = Duration::from_mins(1);

/// Run a script on hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The run.
    pub run: RunId,
    /// The fleet as the config has it (for a host that was never brought up: the program to install).
    pub desired: Desired,
    /// The hosts to run on.
    pub hosts: BTreeSet<HostId>,
    /// What the provider calls the instances that these hosts were when the run began, where airlift launched them: the
    /// script is for these machines, and for none that is launched in their place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<HostId, String>,
    /// The script's name, for people.
    pub script: String,
    /// How many files go with it.
    pub files: u64,
    /// SHA-256 of the payload: script, files, arguments, environment. The payload itself lies 0600 in the cache until
    /// the change ends.
    pub payload: Digest,
    /// The user to run as, where not the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_user: Option<String>,
    /// Seconds that the script may run.
    pub timeout_s: u64,
    /// Seconds that sending may take.
    pub upload_timeout_s: u64,
}

impl Run {
    pub(super) fn query(&self) -> HostQuery {
        HostQuery {
            program: Some(self.desired.program),
            runs: [self.run.clone()].into(),
            attends: Some(self.run.clone()),
            ..HostQuery::default()
        }
    }

    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        if history.cancelled && !history.has_intended(Kind::StartRun) {
            return Next::Done(Verdict::Cancelled);
        }
        if let Some(next) = self.without_machine(host, seen, history, now) {
            return next;
        }
        // Whoever cancelled it has waited for the host as long as that is worth.
        let limit = Duration::from_secs(if history.cancelled { 0 } else { self.desired.limits.reach_s });
        let facts = match reach(seen, history, now, limit) {
            Ok(facts) => facts,
            Err(Next::Done(Verdict::Unreachable { message })) if history.has_succeeded(Kind::StartRun) => {
                return Next::Done(Verdict::Lost {
                    message: format!("the script was started, then the host was lost: {message}"),
                });
            }
            Err(next) => return next,
        };
        if let Some(refusal) = ready::belongs_elsewhere(&self.desired, host, facts) {
            return Next::Done(Verdict::Refused { message: refusal });
        }
        if facts.program != Some(self.desired.program) || facts.identity.is_none() {
            return history.take(
                InstallProgram {
                    host: host.clone(),
                    fleet: self.desired.fleet.clone(),
                    program: self.desired.program,
                    fresh: facts.identity.is_none(),
                },
                now,
            );
        }
        match facts.run(&self.run) {
            // Staging again would start it again: what was started and is unknown now is lost, not new.
            RunSeen::Absent if history.has_succeeded(Kind::StartRun) => Next::Done(Verdict::Lost {
                message: "the script was started, but the host does not know the run any more".to_owned(),
            }),
            RunSeen::Absent if history.cancelled => Next::Done(Verdict::Cancelled),
            // What is ended before it has started is kept from starting: an answer that is still on its way changes nothing.
            RunSeen::Staged { .. } | RunSeen::Running { .. } if history.cancelled => {
                history.take(CancelRun { host: host.clone(), run: self.run.clone() }, now)
            }
            RunSeen::Absent => history.take(self.stage(host), now).and(|| history.take(self.start(host), now)),
            RunSeen::Staged { .. } => history.take(self.start(host), now),
            RunSeen::Running { .. } => self.follow("the script to end", now),
            RunSeen::Exited { end, .. } if seen.has_spooled(&self.run, end) => Next::Done(self.verdict(end)),
            RunSeen::Exited { .. } => self.follow("the rest of the output", now),
        }
    }

    /// What comes of a host whose machine is gone, or is another one by now: nothing is started there.
    fn without_machine(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Option<Next<Verdict>> {
        let desired = self.desired.hosts.get(host)?;
        if desired.origin == Origin::Listed {
            return None;
        }
        let gone = match (&seen.instance, self.instances.get(host)) {
            (None, None) => "there is no such instance; `airlift up` launches it",
            (None, Some(_)) => "the machine it was meant for is gone; `airlift up` launches another one",
            (Some(instance), Some(_)) if instance.state == InstanceState::Stopped => {
                "the machine it was meant for does not run any more; `airlift up` replaces it"
            }
            (Some(InstanceSeen { id: Id::Actual(id), .. }), Some(meant)) if id != meant => {
                "the machine it was meant for is gone, and the one that has its name now gets nothing of it; run the script anew to have it there"
            }
            _ => return None,
        };
        if seen.lags {
            return Some(Next::Wait(wait(format!("word of its instance: {gone}"), On::Time, now, POLL)));
        }
        let message = if history.has_succeeded(Kind::StartRun) {
            format!("the script was started, then {gone}")
        } else {
            gone.to_owned()
        };
        Some(Next::Done(Verdict::Lost { message }))
    }

    fn stage(&self, host: &HostId) -> StageRun {
        StageRun {
            host: host.clone(),
            run: self.run.clone(),
            script: self.script.clone(),
            files: self.files,
            upload_timeout_s: self.upload_timeout_s,
        }
    }

    fn start(&self, host: &HostId) -> StartRun {
        StartRun { host: host.clone(), run: self.run.clone(), script: self.script.clone() }
    }

    fn follow(&self, reason: &str, now: Moment) -> Next<Verdict> {
        Next::Wait(wait(reason, On::Run(self.run.clone()), now, FOLLOW))
    }

    fn verdict(&self, end: &RunEnd) -> Verdict {
        match end.exit {
            exit @ Exit::Code(0) => Verdict::Succeeded { exit: Some(exit) },
            exit @ Exit::TimedOut => Verdict::Failed {
                exit: Some(exit),
                message: format!("it ran longer than {} s and was killed", self.timeout_s),
            },
            exit @ (Exit::Code(_) | Exit::Signal(_)) => Verdict::Failed { exit: Some(exit), message: exit.to_string() },
            Exit::Cancelled => Verdict::Cancelled,
            exit @ (Exit::Rebooted | Exit::Killed) => Verdict::Interrupted { exit },
        }
    }
}
