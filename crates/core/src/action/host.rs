//! A host is prepared, supplied, switched and cleared: all that happens beneath airlift's folder on it, and its host key.

use serde::{Deserialize, Serialize};

use super::{Inverse, Kind, Left, Step, family, predicted_facts};
use crate::id::{Digest, FleetName, HostId, RunId, Token};
use crate::seen::{Exit, HostSeen, Output, RunEnd, RunSeen, Watcher};

family! {
    /// Everything that changes a host itself.
    HostAction as Host {
        Install(InstallProgram),
        MakeKey(MakeHostKey),
        SwitchKey(SwitchHostKey),
        Secrets(PlaceSecrets),
        Deliver(DeliverBundle),
        Take(TakeBundle),
        Switch(SwitchRelease),
        Remove(RemoveAirlift),
    }
}

/// Puts `host.sh` on the host, claims the host for the fleet, and arms whatever can wait for bundles there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallProgram {
    /// The host.
    pub host: HostId,
    /// The fleet it is claimed for.
    pub fleet: FleetName,
    /// SHA-256 of `host.sh`.
    pub program: Digest,
    /// The host had no folder of airlift's before: undoing removes it.
    pub fresh: bool,
}

impl Step for InstallProgram {
    fn kind(&self) -> Kind {
        Kind::InstallProgram
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("install host.sh {} on {}", self.program.short(), self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        let facts = predicted_facts(seen);
        facts.program = Some(self.program);
        facts.identity = Some((self.fleet.clone(), self.host.clone()));
    }

    fn inverse(&self) -> Inverse {
        if self.fresh {
            Inverse::By {
                action: Box::new(RemoveAirlift { host: self.host.clone(), fleet: self.fleet.clone() }.into()),
                left: Left::Program,
            }
        } else {
            Inverse::Nothing
        }
    }
}

/// Has the host make a host key of its own beside the one it was launched with. Its answer becomes a second accepted pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeHostKey {
    /// The host.
    pub host: HostId,
}

impl Step for MakeHostKey {
    fn kind(&self) -> Kind {
        Kind::MakeHostKey
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("have {} make a host key of its own", self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        seen.pins.own = Some(String::from("(not known yet)"));
    }

    fn inverse(&self) -> Inverse {
        Inverse::Nothing
    }
}

/// Puts the host's own key in the place of the launch batch's. Afterwards only the own key is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchHostKey {
    /// The host.
    pub host: HostId,
    /// The public key that it made, in OpenSSH's one-line form.
    pub public: String,
}

impl Step for SwitchHostKey {
    fn kind(&self) -> Kind {
        Kind::SwitchHostKey
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("switch {} to its own host key", self.host)
    }

    fn predict(&self, seen: &mut HostSeen) {
        seen.pins.batch = None;
    }

    fn inverse(&self) -> Inverse {
        Inverse::Nothing
    }
}

/// Puts the fleet's secrets on the host as files 0600, as one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceSecrets {
    /// The host.
    pub host: HostId,
    /// Keyed digest of the set (keyed by the fleet's own secret, so that it tells nothing to who lacks it); `none` for the
    /// empty set, which removes what is there.
    pub digest: String,
    /// Their names.
    pub names: Vec<String>,
}

impl Step for PlaceSecrets {
    fn kind(&self) -> Kind {
        Kind::PlaceSecrets
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        if self.names.is_empty() {
            return format!("remove all secrets from {}", self.host);
        }
        format!("place secrets on {}: {}", self.host, self.names.join(", "))
    }

    fn predict(&self, seen: &mut HostSeen) {
        predicted_facts(seen).secrets = (!self.names.is_empty()).then(|| self.digest.clone());
    }

    fn inverse(&self) -> Inverse {
        Inverse::Impossible { reason: format!("{}: the secrets that were replaced are not kept anywhere", self.host) }
    }
}

/// Sends the pieces of a release that the host lacks, and puts its bundle into the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBundle {
    /// The host.
    pub host: HostId,
    /// The release.
    pub release: Digest,
    /// The release that was current before: what undoing goes back to.
    pub replaces: Option<Digest>,
    /// The release has a bootstrap.
    pub bootstraps: bool,
    /// Seconds that sending may take.
    pub timeout_s: u64,
}

impl Step for DeliverBundle {
    fn kind(&self) -> Kind {
        Kind::DeliverBundle
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        let then = if self.bootstraps { ", which bootstraps it" } else { "" };
        format!("deliver release {} to {}{then}", self.release.short(), self.host)
    }

    fn attempts(&self) -> u32 {
        5
    }

    fn predict(&self, seen: &mut HostSeen) {
        let facts = predicted_facts(seen);
        facts.refused.remove(&self.release);
        if facts.watcher == Watcher::None {
            facts.waiting.insert(self.release);
        } else {
            predict_taken(seen, self.release, self.bootstraps);
        }
    }

    fn inverse(&self) -> Inverse {
        Inverse::By {
            action: Box::new(
                SwitchRelease { host: self.host.clone(), to: self.replaces, from: Some(self.release) }.into(),
            ),
            left: Left::Release { release: Some(self.release) },
        }
    }
}

/// Takes what waits in the inbox, on a host where nobody does it by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBundle {
    /// The host.
    pub host: HostId,
    /// The release that waits.
    pub release: Digest,
    /// The release has a bootstrap.
    pub bootstraps: bool,
}

impl Step for TakeBundle {
    fn kind(&self) -> Kind {
        Kind::TakeBundle
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("take release {} on {}", self.release.short(), self.host)
    }

    fn attempts(&self) -> u32 {
        5
    }

    fn predict(&self, seen: &mut HostSeen) {
        predict_taken(seen, self.release, self.bootstraps);
    }

    fn inverse(&self) -> Inverse {
        Inverse::Nothing
    }
}

/// Points `current` at another release that the host keeps, if it now is the one that is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchRelease {
    /// The host.
    pub host: HostId,
    /// The release to be current; none: `current` is removed.
    pub to: Option<Digest>,
    /// The release that must be current now.
    pub from: Option<Digest>,
}

impl Step for SwitchRelease {
    fn kind(&self) -> Kind {
        Kind::SwitchRelease
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        let name = |release: Option<Digest>| release.map_or_else(|| "none".to_owned(), |r| r.short());
        format!("switch {} from release {} to {}", self.host, name(self.from), name(self.to))
    }

    fn predict(&self, seen: &mut HostSeen) {
        predicted_facts(seen).current = self.to;
    }

    fn inverse(&self) -> Inverse {
        Inverse::By {
            action: Box::new(Self { host: self.host.clone(), to: self.from, from: self.to }.into()),
            left: Left::Release { release: self.to },
        }
    }
}

/// Removes from a host all that airlift put there, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveAirlift {
    /// The host.
    pub host: HostId,
    /// The fleet it must belong to.
    pub fleet: FleetName,
}

impl Step for RemoveAirlift {
    fn kind(&self) -> Kind {
        Kind::RemoveAirlift
    }

    fn host(&self) -> &HostId {
        &self.host
    }

    fn plan_line(&self) -> String {
        format!("remove what airlift put on {}", self.host)
    }

    fn destroys(&self) -> bool {
        true
    }

    fn predict(&self, seen: &mut HostSeen) {
        let facts = predicted_facts(seen);
        facts.program = None;
        facts.identity = None;
        facts.current = None;
        facts.releases.clear();
        facts.secrets = None;
        facts.bootstrap = None;
        facts.runs.clear();
    }

    fn inverse(&self) -> Inverse {
        Inverse::Impossible {
            reason: format!("{}: releases, runs and secrets on the host are gone; `up` delivers them again", self.host),
        }
    }
}

/// A bundle was taken and its bootstrap went well: the prediction, not a promise.
fn predict_taken(seen: &mut HostSeen, release: Digest, bootstraps: bool) {
    let facts = predicted_facts(seen);
    facts.waiting.remove(&release);
    facts.releases.insert(release);
    facts.current = Some(release);
    facts.bootstrap = bootstraps.then(|| predicted_success(&RunId::bootstrap_of(&release)));
}

/// A run as it looks after it went well and printed nothing.
pub(super) fn predicted_success(run: &RunId) -> RunSeen {
    let nothing = Output { bytes: 0, sha256: Digest::of(b"") };
    RunSeen::Exited {
        token: predicted_token(run),
        end: RunEnd { exit: Exit::Code(0), stdout: nothing, stderr: nothing },
    }
}

/// Stands in for a token that only a recorded intent will have.
pub(crate) fn predicted_token(run: &RunId) -> Token {
    run.as_str().parse().expect("a run id is made of characters that a token may have")
}
