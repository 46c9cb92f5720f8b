//! `push`: hosts that are there get the present bundle and secrets, and bootstrap it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ready;
use crate::decide::{Next, Verdict};
use crate::desired::Desired;
use crate::history::History;
use crate::id::HostId;
use crate::seen::HostSeen;
use crate::time::Moment;

/// Give running hosts the present bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What the fleet should be.
    pub desired: Desired,
    /// The hosts to push to.
    pub hosts: BTreeSet<HostId>,
}

impl Push {
    pub(super) fn host_next(&self, host: &HostId, seen: &HostSeen, history: &History, now: Moment) -> Next<Verdict> {
        let limit = Duration::from_secs(self.desired.limits.reach_s);
        ready::next(&self.desired, host, seen, history, now, limit)
    }
}
