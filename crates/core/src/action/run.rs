//! A script runs on a host: its files are put in place, it is started once, it may be cancelled.

use serde::{Deserialize, Serialize};

use super::host::{predicted_success, predicted_token};
use super::{Inverse, Kind, Step, family, predicted_facts};
use crate::id::{HostId, RunId};
use crate::seen::{Exit, HostSeen, RunSeen};

family! {
    /// Everything that concerns one run on one host.
    RunAction as Run {
        Stage(StageRun),
        Start(StartRun),
        Cancel(CancelRun),
    }
}

/// Sends script, files, arguments and environment into the run's own folder on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRun {
    /// The host.
    pub host: HostId,
    /// The run.
    pub run: RunId,
    /// The script's name, for people.
    pub script: String,
    /// How many files go with it.
    pub files: u64,
    /// Seconds that sending may take.
    pub upload_timeout_s: u64,
}

impl Step for StageRun {
    fn kind(&self) -> Kind {
        Kind::StageRun
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        match self.files {
            0 => format!("send {} to {}", self.script, self.host),
            1 => format!("send {} and 1 file to {}", self.script, self.host),
            n => format!("send {} and {n} files to {}", self.script, self.host),
        }
    }

    fn predict(&self, seen: &mut HostSeen) {
        let staged = RunSeen::Staged { token: predicted_token(&self.run) };
        predicted_facts(seen).runs.insert(self.run.clone(), staged);
    }

    fn inverse(&self) -> Inverse {
        Inverse::Nothing
    }
}

/// Starts the script. The token of the permit decides on the host that it starts once, whatever the network does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRun {
    /// The host.
    pub host: HostId,
    /// The run.
    pub run: RunId,
    /// The script's name, for people.
    pub script: String,
}

impl Step for StartRun {
    fn kind(&self) -> Kind {
        Kind::StartRun
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("run {} on {}", self.script, self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        let success = predicted_success(&self.run);
        predicted_facts(seen).runs.insert(self.run.clone(), success);
    }

    fn inverse(&self) -> Inverse {
        Inverse::Impossible {
            reason: format!("{}: what {} did cannot be taken back by airlift", self.host, self.script),
        }
    }
}

/// Kills the whole process group of a run on the host; one that has not started never will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRun {
    /// The host.
    pub host: HostId,
    /// The run.
    pub run: RunId,
}

impl Step for CancelRun {
    fn kind(&self) -> Kind {
        Kind::CancelRun
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("cancel {} on {}", self.run, self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        let mut ended = predicted_success(&self.run);
        if let RunSeen::Exited { end, .. } = &mut ended {
            end.exit = Exit::Cancelled;
        }
        predicted_facts(seen).runs.insert(self.run.clone(), ended);
    }

    fn inverse(&self) -> Inverse {
        Inverse::Impossible { reason: format!("{}: a cancelled run does not go on; run the script again", self.host) }
    }
}
