//! Everything airlift can do to the world: one enum of families, one file per family.
//!
//! An action is data. It names a logical subject, never a provider's id that could change under it, and it carries the
//! before-values that undoing it needs. Each action knows its plan line, its predicted effect and its inverse; none knows
//! how it is carried out: that is a port's business, and a port acts only on a permit.

mod host;
mod instance;
mod run;

use serde::{Deserialize, Serialize};

pub(crate) use self::host::predicted_token;
pub use self::host::{
    DeliverBundle, HostAction, InstallProgram, MakeHostKey, PlaceSecrets, RemoveAirlift, SwitchHostKey, SwitchRelease,
    TakeBundle,
};
pub use self::instance::{InstanceAction, LaunchInstance, TerminateInstance};
pub use self::run::{CancelRun, RunAction, StageRun, StartRun};

use crate::id::{Digest, HostId};
use crate::seen::{HostFacts, HostSeen, Id, Login};

/// One thing that airlift can do to the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum Action {
    /// Instances come and go.
    Instance(InstanceAction),
    /// A host is prepared, supplied, switched, cleared.
    Host(HostAction),
    /// A script runs on a host.
    Run(RunAction),
}

/// The kind of an action: what a plan, an envelope and a retry count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`LaunchInstance`]
    LaunchInstance,
    /// [`TerminateInstance`]
    TerminateInstance,
    /// [`InstallProgram`]
    InstallProgram,
    /// [`MakeHostKey`]
    MakeHostKey,
    /// [`SwitchHostKey`]
    SwitchHostKey,
    /// [`PlaceSecrets`]
    PlaceSecrets,
    /// [`DeliverBundle`]
    DeliverBundle,
    /// [`TakeBundle`]
    TakeBundle,
    /// [`SwitchRelease`]
    SwitchRelease,
    /// [`RemoveAirlift`]
    RemoveAirlift,
    /// [`StageRun`]
    StageRun,
    /// [`StartRun`]
    StartRun,
    /// [`CancelRun`]
    CancelRun,
}

impl Kind {
    /// The kind's name in tokens, plans and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::LaunchInstance => "launch_instance",
            Self::TerminateInstance => "terminate_instance",
            Self::InstallProgram => "install_program",
            Self::MakeHostKey => "make_host_key",
            Self::SwitchHostKey => "switch_host_key",
            Self::PlaceSecrets => "place_secrets",
            Self::DeliverBundle => "deliver_bundle",
            Self::TakeBundle => "take_bundle",
            Self::SwitchRelease => "switch_release",
            Self::RemoveAirlift => "remove_airlift",
            Self::StageRun => "stage_run",
            Self::StartRun => "start_run",
            Self::CancelRun => "cancel_run",
        }
    }
}

/// What each action knows of itself.
pub trait Step {
    /// What kind of action it is.
    fn kind(&self) -> Kind;

    /// The host it acts on or for.
    fn host(&self) -> &HostId;

    /// What it will do, in one line for a person: "launch web/3".
    fn plan_line(&self) -> String;

    /// Something is gone afterwards that the action cannot bring back. Such a plan is confirmed first.
    fn destroys(&self) -> bool {
        false
    }

    /// How often it may be tried within one change; retries stay inside the plan's envelope.
    fn attempts(&self) -> u32 {
        3
    }

    /// Changes `seen` into what a look is expected to show once it is done. Only fields that decisions read.
    fn predict(&self, seen: &mut HostSeen);

    /// What would take it back, given that it was done.
    fn inverse(&self) -> Inverse;
}

/// What takes an action back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "inverse", rename_all = "snake_case")]
pub enum Inverse {
    /// This action does, provided that the host still shows `left`, the value that the original left behind.
    By {
        /// The inverse.
        action: Box<Action>,
        /// The value that must still be there.
        left: Left,
    },
    /// There is nothing to take back: the effect is harmless or is taken back by something else.
    Nothing,
    /// It cannot be taken back, for this reason.
    Impossible {
        /// Why, in words for a person.
        reason: String,
    },
}

/// The present value that an inverse requires, so that it never tramples on what came later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "left", rename_all = "snake_case")]
pub enum Left {
    /// The instance exists.
    Instance,
    /// airlift's folder is on the host and belongs to the fleet.
    Program,
    /// This release is current.
    Release {
        /// The release; none where `current` points nowhere.
        release: Option<Digest>,
    },
}

/// What a port answers after it acted: the facts that later decisions and people need, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done; there is nothing to add.
    Done,
    /// A look showed that it had been done: its own answer was lost.
    Found,
    /// The instance that the provider made.
    Launched {
        /// The provider's name for it.
        id: Id,
    },
    /// A host made itself a key.
    KeyMade {
        /// The public key, in OpenSSH's one-line form.
        public: String,
    },
    /// Bytes went over the wire.
    Sent {
        /// How many, after compression.
        bytes: u64,
        /// How many pieces the host lacked.
        pieces: u64,
    },
}

impl Action {
    /// The action as what it knows of itself.
    pub fn step(&self) -> &dyn Step {
        match self {
            Self::Instance(action) => action.step(),
            Self::Host(action) => action.step(),
            Self::Run(action) => action.step(),
        }
    }

    /// See [`Step::kind`].
    pub fn kind(&self) -> Kind {
        self.step().kind()
    }

    /// It belongs to the fleet's part of an operation: instances come and go by it.
    pub fn is_fleets(&self) -> bool {
        matches!(self, Self::Instance(_))
    }

    /// See [`Step::host`].
    pub fn host(&self) -> &HostId {
        self.step().host()
    }
}

/// Wires the leaves of a family into the family's enum and into [`Action`].
macro_rules! family {
    ($(#[$doc:meta])* $family:ident as $variant:ident { $($leaf_variant:ident($leaf:ident)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "action", rename_all = "snake_case")]
        pub enum $family {
            $(#[doc = concat!("See [`", stringify!($leaf), "`].")] $leaf_variant($leaf),)+
        }

        impl $family {
            pub(super) fn step(&self) -> &dyn super::Step {
                match self { $(Self::$leaf_variant(leaf) => leaf,)+ }
            }
        }

        $(impl From<$leaf> for super::Action {
            fn from(leaf: $leaf) -> Self {
                Self::$variant($family::$leaf_variant(leaf))
            }
        })+
    };
}
use family;

/// The facts of a host that is about to be reachable, for predictions: as a fresh host shows itself.
fn predicted_facts(seen: &mut HostSeen) -> &mut HostFacts {
    if !matches!(seen.login, Login::In(_)) {
        seen.login = Login::In(Box::default());
    }
    seen.facts_mut().expect("the login was just set")
}
