//! The ports: what the engine needs of the world, and nothing more. An adapter crate implements some of them.
//!
//! Looks take `&self` and write nothing. Whatever mutates takes a [`Permit`]. Errors say what they mean for trying again
//! ([`FailureClass`]), because only the adapter can know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use airlift_core::action::{
    CancelRun, DeliverBundle, InstallProgram, LaunchInstance, MakeHostKey, Outcome, PlaceSecrets, RemoveAirlift,
    StageRun, StartRun, SwitchHostKey, SwitchRelease, TakeBundle, TerminateInstance,
};
use airlift_core::history::{Failure, FailureClass};
use airlift_core::id::{HostId, RunId, Token};
use airlift_core::op::HostQuery;
use airlift_core::seen::{Address, InstanceSeen, Login, Pins};
use async_trait::async_trait;

use crate::permit::Permit;
use crate::spool::Follower;

/// An action that was not carried out, or whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActError {
    /// What it means for trying again.
    pub class: FailureClass,
    /// What happened, where, and what to do.
    pub message: String,
}

impl ActError {
    /// It may go better next time; it certainly did not happen now.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Transient, message: message.into() }
    }

    /// The answer was lost: it may have happened.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Unknown, message: message.into() }
    }

    /// Trying again would not help; it did not happen.
    pub fn definite(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Definite, message: message.into() }
    }
}

impl From<ActError> for Failure {
    fn from(error: ActError) -> Self {
        Self { class: error.class, message: error.message }
    }
}

/// A look that showed nothing: the provider did not answer. Nothing is decided on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookError(pub String);

/// Where and how to reach one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: HostId,
    /// Where it serves SSH.
    pub address: Address,
    /// What its host key must be.
    pub trust: Trust,
}

/// What makes a host key acceptable. There is no third way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// airlift made the machine: exactly the keys that it pinned.
    Pinned(Pins),
    /// The machine was there before: what the operator's `known_hosts` say.
    KnownHosts,
}

/// The provider of instances.
#[async_trait]
pub trait Compute: Send + Sync {
    /// It makes machines, so that their host keys are pinned; else it lists what was there before.
    fn launches(&self) -> bool;

    /// How far a look may lag behind what was acknowledged.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Every instance that carries the fleet's ownership mark.
    async fn look(&self) -> Result<BTreeMap<HostId, InstanceSeen>, LookError>;

    /// One of them.
    async fn find(&self, host: &HostId) -> Result<Option<InstanceSeen>, LookError>;

    /// The public host key that stage 1 carries for a launch under `token`, in OpenSSH's one-line form: known before
    /// the launch, so that the first connection is verified. None where the provider makes no machines.
    fn batch_key(&self, token: &Token) -> Option<String>;

    /// Launches an instance.
    async fn launch(&self, permit: Permit<LaunchInstance>) -> Result<Outcome, ActError>;

    /// Ends one. One that is gone already is a success.
    async fn terminate(&self, permit: Permit<TerminateInstance>) -> Result<Outcome, ActError>;
}

/// Looking at hosts. Nothing here writes, on the host or elsewhere, but for what is followed into the spool.
#[async_trait]
pub trait HostLook: Send + Sync {
    /// Logs in and asks. What went wrong is part of what was seen.
    async fn look(&self, at: &Target, query: &HostQuery) -> Login;

    /// Nothing is left to do on a host: what was held for it may go.
    fn let_go(&self, _host: &HostId) {}

    /// Returns when the host's inbox is empty and nothing is being taken, or when the connection is lost.
    async fn taken(&self, at: &Target) -> Result<(), LookError>;

    /// Follows a run's output into the spool until the run is over or the connection is lost.
    async fn follow(&self, at: &Target, run: &RunId, into: &mut Follower) -> Result<(), LookError>;
}

/// Preparing a host and clearing it.
#[async_trait]
pub trait HostSetup: Send + Sync {
    /// Installs `host.sh`, claims the host, arms its watcher.
    async fn install(&self, at: &Target, permit: Permit<InstallProgram>) -> Result<Outcome, ActError>;

    /// Has the host make its own host key; answers [`Outcome::KeyMade`].
    async fn make_key(&self, at: &Target, permit: Permit<MakeHostKey>) -> Result<Outcome, ActError>;

    /// Puts the host's own key in place.
    async fn switch_key(&self, at: &Target, permit: Permit<SwitchHostKey>) -> Result<Outcome, ActError>;

    /// Removes what airlift put there.
    async fn remove(&self, at: &Target, permit: Permit<RemoveAirlift>) -> Result<Outcome, ActError>;
}

/// Bringing bundles and secrets.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// Places the set of secrets.
    async fn place_secrets(&self, at: &Target, permit: Permit<PlaceSecrets>) -> Result<Outcome, ActError>;

    /// Sends missing pieces and offers the bundle; answers [`Outcome::Sent`].
    async fn deliver(&self, at: &Target, permit: Permit<DeliverBundle>) -> Result<Outcome, ActError>;

    /// Has the inbox taken.
    async fn take(&self, at: &Target, permit: Permit<TakeBundle>) -> Result<Outcome, ActError>;

    /// Brings a release and has it taken. An adapter that can do both at one stroke does.
    async fn supply(&self, at: &Target, deliver: Permit<DeliverBundle>, take: Permit<TakeBundle>) -> Supplied {
        match self.deliver(at, deliver).await {
            Ok(sent) => Supplied { delivered: Ok(sent), taken: self.take(at, take).await },
            Err(error) => Supplied::neither(error),
        }
    }

    /// Switches the current release.
    async fn switch(&self, at: &Target, permit: Permit<SwitchRelease>) -> Result<Outcome, ActError>;
}

/// What came of the two steps of supplying a host.
#[derive(Debug)]
pub struct Supplied {
    /// Of bringing the release.
    pub delivered: Result<Outcome, ActError>,
    /// Of having it taken.
    pub taken: Result<Outcome, ActError>,
}

impl Supplied {
    /// Neither was done, or it is not known whether: what did not arrive was not taken.
    pub fn neither(error: ActError) -> Self {
        let message = "the bundle did not get there".to_owned();
        Self { taken: Err(ActError { class: error.class, message }), delivered: Err(error) }
    }
}

/// What came of the two steps of a launch.
#[derive(Debug)]
pub struct Launched {
    /// Of putting the run's files in place.
    pub staged: Result<Outcome, ActError>,
    /// Of starting the script.
    pub started: Result<Outcome, ActError>,
}

impl Launched {
    /// Neither was done, or it is not known whether: where the files did not arrive nothing was started.
    pub fn neither(error: ActError) -> Self {
        let message = "the script did not get there".to_owned();
        Self { started: Err(ActError { class: error.class, message }), staged: Err(error) }
    }
}

/// Running scripts.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Puts the run's files in place; answers [`Outcome::Sent`].
    async fn stage(&self, at: &Target, permit: Permit<StageRun>) -> Result<Outcome, ActError>;

    /// Starts the script, once.
    async fn start(&self, at: &Target, permit: Permit<StartRun>) -> Result<Outcome, ActError>;

    /// Puts the run's files in place and starts the script, once. An adapter that can do both at one stroke does.
    async fn launch(&self, at: &Target, stage: Permit<StageRun>, start: Permit<StartRun>) -> Launched {
        match self.stage(at, stage).await {
            Ok(staged) => Launched { staged: Ok(staged), started: self.start(at, start).await },
            Err(error) => Launched::neither(error),
        }
    }

    /// Ends it.
    async fn cancel(&self, at: &Target, permit: Permit<CancelRun>) -> Result<Outcome, ActError>;
}

/// One adapter for each port. Any of them can be wrapped, to inject faults or to count calls.
#[derive(Clone)]
pub struct Ports {
    /// Instances.
    pub compute: Arc<dyn Compute>,
    /// Looking at hosts.
    pub look: Arc<dyn HostLook>,
    /// Preparing and clearing hosts.
    pub setup: Arc<dyn HostSetup>,
    /// Bundles and secrets.
    pub delivery: Arc<dyn Delivery>,
    /// Scripts.
    pub runs: Arc<dyn Runs>,
}
