//! What the event log holds: decisions, intents, outcomes and phase changes, and nothing else.
//!
//! Output, byte counts on the way and rates are signals, which are never stored. Values of environment and arguments
//! appear only as digests. Every payload is JSON with a stable, versioned shape: fixtures of old versions must parse.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{Action, Outcome};
use crate::decide::Verdict;
use crate::history::Failure;
use crate::id::{ChangeId, Digest, FleetName, HostId, Token};
use crate::op::Operation;
use crate::plan::Envelope;
use crate::seen::Pins;

/// The shape of [`Event`] payloads. A log with a newer one is read, never written.
pub const EVENT_VERSION: u32 = 1;

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// The fleet as a whole.
    Fleet,
    /// One of its hosts.
    Host(HostId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("*"),
            Self::Host(host) => host.fmt(f),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = crate::id::InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" { Ok(Self::Fleet) } else { text.parse().map(Self::Host) }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

/// An event before the log has given it its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The change it belongs to.
    pub change: ChangeId,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub event: Event,
}

/// An event in its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place: from 1, without gaps. The order of everything.
    pub seq: u64,
    /// The wall clock of the operator's machine, for people; nothing is decided by it.
    pub at: Timestamp,
    /// The change it belongs to.
    pub change: ChangeId,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub event: Event,
    /// SHA-256 over the previous record's hash and this record's stored bytes.
    pub hash: Digest,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A change began: everything that resuming it takes, and who began it.
    ChangeBegan(Box<ChangeBegan>),
    /// A process took up an unfinished change again.
    ChangeResumed {
        /// Who.
        actor: Actor,
    },
    /// The run that this change is was cancelled: nothing more is started, and what goes on is ended.
    RunCancelled {
        /// The change that cancelled it.
        by: ChangeId,
    },
    /// An action will be carried out now.
    Intended {
        /// The action.
        #[serde(flatten)]
        action: Action,
        /// Which attempt, from 1.
        attempt: u32,
        /// What makes it happen once.
        token: Token,
    },
    /// It was carried out.
    Succeeded {
        /// Sequence number of the intent.
        intent: u64,
        /// The answer.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// It was not.
    Failed {
        /// Sequence number of the intent.
        intent: u64,
        /// Why, and what that means.
        #[serde(flatten)]
        failure: Failure,
    },
    /// The host keys that are accepted from now on.
    Pinned {
        /// All accepted keys.
        pins: Pins,
    },
    /// The host was seen in another phase, or with another release.
    Phase {
        /// Which.
        phase: Phase,
        /// The active release, where it was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<Digest>,
    },
    /// The host came to its end in this change.
    Settled {
        /// How.
        #[serde(flatten)]
        verdict: Verdict,
        /// What it printed, where a script ran to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<crate::seen::RunEnd>,
    },
    /// The change came to its end.
    ChangeEnded {
        /// How.
        #[serde(flatten)]
        end: ChangeEnd,
    },
}

/// The first record of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeBegan {
    /// [`EVENT_VERSION`] of the program that wrote it.
    pub version: u32,
    /// The fleet.
    pub fleet: FleetName,
    /// The operation with all that it works towards.
    pub operation: Operation,
    /// What the change may do.
    pub envelope: Envelope,
    /// Acting, or only showing what would be done.
    pub mode: Mode,
    /// Who began it, from where, how.
    pub actor: Actor,
    /// Unfinished changes of the same fleet that this one takes the place of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<ChangeId>,
}

/// Acting or showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The change acts.
    Apply,
    /// A dry run: its record is all that it writes.
    DryRun,
}

/// Who did something, from where, with which words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Login name on the operator's machine.
    pub user: String,
    /// The operator's machine.
    pub machine: String,
    /// Process id there.
    pub pid: u32,
    /// The command line; values of environment and of arguments to scripts as digests.
    pub command: Vec<String>,
    /// airlift's version.
    pub airlift: String,
}

/// Where an instance is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A launch is recorded.
    Requested,
    /// The provider has it and it does not run yet.
    Pending,
    /// It runs.
    Running,
    /// A verified session is open.
    Reachable,
    /// Its bundle is there.
    Staged,
    /// Its bundle is active and its bootstrap went well.
    Ready,
    /// Its bootstrap, or something before that, failed.
    Failed,
    /// Spot capacity was taken back, or the host went down under its work.
    Interrupted,
    /// It was there and does not answer any more.
    Lost,
    /// It was terminated or cleared.
    Gone,
}

impl Phase {
    /// The phase as commands print it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Reachable => "reachable",
            Self::Staged => "staged",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
            Self::Gone => "gone",
        }
    }
}

/// How a change ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum ChangeEnd {
    /// Every host is settled; how each of them came out, by the verdict's word.
    Finished {
        /// Number of hosts for each word of [`Verdict::word`].
        hosts: BTreeMap<String, u64>,
    },
    /// It stopped by itself before every host was settled.
    Aborted {
        /// Why, and what to do.
        message: String,
    },
    /// Another change took its place.
    Superseded {
        /// Which.
        by: ChangeId,
    },
    /// It was a dry run and showed this many actions.
    Shown {
        /// Number of actions.
        actions: u64,
    },
}

impl ChangeEnd {
    /// The hosts that did not succeed, among all.
    pub fn failed_of_all(&self) -> (u64, u64) {
        match self {
            Self::Finished { hosts } => {
                let all = hosts.values().sum();
                (all - hosts.get("succeeded").copied().unwrap_or(0), all)
            }
            _ => (0, 0),
        }
    }
}
