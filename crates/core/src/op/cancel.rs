//! `cancel`: a run ends on every host, with its whole process group; where it has not started it never will.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HostQuery, POLL, reach};
use crate::action::{CancelRun, predicted_token};
use crate::decide::{Next, On, Verdict, wait};
use crate::history::History;
use crate::id::{Digest, HostId, RunId};
use crate::seen::{HostFacts, HostSeen, RunSeen};
use crate::time::Moment;

/// End a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The run.
    pub run: RunId,
    /// The hosts it was to run on.
    pub hosts: BTreeSet<HostId>,
    /// SHA-256 of the `host.sh` that the run was started with.
    pub program: Digest,
    /// Seconds that a host may stay unreachable.
    pub reach_s: u64,
}

impl Cancel {
    pub(super) fn query(&self) -> HostQuery {
        HostQuery { program: Some(self.program), runs: [self.run.clone()].into(), ..HostQuery::default() }
    }

    /// The run goes on there.
    pub(super) fn expected(&self) -> HostFacts {
        let running = RunSeen::Running { token: predicted_token(&self.run) };
        HostFacts { program: Some(self.program), runs: [(self.run.clone(), running)].into(), ..HostFacts::default() }
    }

    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        let facts = match reach(seen, history, now, Duration::from_secs(self.reach_s)) {
            Ok(facts) => facts,
            Err(next) => return next,
        };
        if facts.program.is_none() {
            return Next::Done(Verdict::SUCCEEDED);
        }
        match facts.run(&self.run) {
            RunSeen::Exited { .. } => Next::Done(Verdict::SUCCEEDED),
            RunSeen::Running { .. }
                if history.has_succeeded(crate::action::Kind::CancelRun)
                    && now.since(history.since) < Duration::from_secs(self.reach_s) =>
            {
                Next::Wait(wait("the process group to end", On::Time, now, POLL))
            }
            // What has not arrived yet may be on its way: it is kept from starting.
            RunSeen::Absent | RunSeen::Staged { .. } | RunSeen::Running { .. } => {
                history.take(CancelRun { host: host.clone(), run: self.run.clone() }, now)
            }
        }
    }
}
