//! Instances come and go: what a provider that makes machines is asked to do.

use serde::{Deserialize, Serialize};

use super::{Inverse, Kind, Left, Step, family, predicted_facts};
use crate::id::HostId;
use crate::seen::{Address, HostSeen, Id, InstanceSeen, InstanceState, Login, Pins, Watcher};

family! {
    /// Launching and terminating instances.
    InstanceAction as Instance {
        Launch(LaunchInstance),
        Terminate(TerminateInstance),
    }
}

/// Brings up the instance for a subject, with stage 1 as its user-data.
///
/// The token in its permit makes it happen once: a provider that is asked again with the same token answers with the
/// instance it already made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchInstance {
    /// The subject it is for.
    pub host: HostId,
    /// Seconds after which it ends by itself, whatever happens to the operator.
    pub max_lifetime_s: u64,
}

impl Step for LaunchInstance {
    fn kind(&self) -> Kind {
        Kind::LaunchInstance
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("launch {}", self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        seen.instance = Some(InstanceSeen {
            id: Id::Predicted(self.host.clone()),
            state: InstanceState::Running,
            address: Some(Address { host: "(not known yet)".to_owned(), port: 22 }),
            token: None,
        });
        seen.pins = Pins { batch: Some("(not known yet)".to_owned()), own: None };
        predicted_facts(seen).watcher = Watcher::Supervisor;
    }

    fn inverse(&self) -> Inverse {
        Inverse::By {
            action: Box::new(TerminateInstance { host: self.host.clone(), lost: false }.into()),
            left: Left::Instance,
        }
    }
}

/// Ends an instance and all that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminateInstance {
    /// The subject whose instance ends.
    pub host: HostId,
    /// It does not run any more, nor will it again: only what is left of it is cleared away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

impl Step for TerminateInstance {
    fn kind(&self) -> Kind {
        Kind::TerminateInstance
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        if self.lost { format!("clear away the lost {}", self.host) } else { format!("terminate {}", self.host) }
    }

    /// What is lost already is not destroyed by clearing it away.
    fn destroys(&self) -> bool {
        !self.lost
    }

    fn predict(&self, seen: &mut HostSeen) {
        seen.instance = None;
        seen.login = Login::NotTried;
    }

    fn inverse(&self) -> Inverse {
        Inverse::Impossible {
            reason: format!("{}: a terminated instance does not come back; `up` launches another", self.host),
        }
    }
}
