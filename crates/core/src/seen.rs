//! What a look brings back: plain data about the world, as an operation's decision reads it.
//!
//! A look writes nothing. What could not be seen is said as such ([`Login::Unreachable`]), never guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, FleetName, HostId, RunId, Token};

/// The name a provider gives to an instance, or, in a dry run, the promise of one.
///
/// A port refuses [`Id::Predicted`]: there is nothing in the world that it names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Id {
    /// As the provider knows it.
    Actual(String),
    /// What a dry run expects to exist once the plan is carried out.
    Predicted(HostId),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actual(id) => f.write_str(id),
            Self::Predicted(host) => write!(f, "(the future {host})"),
        }
    }
}

/// Where an SSH server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Name or numeric address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a provider says of an instance's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Asked for, not yet running.
    Pending,
    /// Running: it may answer.
    Running,
    /// It exists but does not run, and will not by itself.
    Stopped,
}

/// One instance, as its provider shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSeen {
    /// The provider's name for it.
    pub id: Id,
    /// Its state.
    pub state: InstanceState,
    /// Where it serves SSH, once that is known.
    pub address: Option<Address>,
    /// The token of the launch that made it; none for machines that airlift did not make.
    pub token: Option<Token>,
}

/// What the provider shows of a fleet, and what it may not show yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetSeen {
    /// Every instance that carries the fleet's ownership mark.
    pub instances: BTreeMap<HostId, InstanceSeen>,
    /// Hosts that earlier changes launched, or meant to, and did not end, as long as a look may lag behind that: one that is
    /// not shown may be there all the same.
    pub may_be_there: BTreeSet<HostId>,
}

impl FleetSeen {
    /// It is not shown, and may be there all the same: it is neither launched again nor taken for gone.
    pub fn hides(&self, host: &HostId) -> bool {
        !self.instances.contains_key(host) && self.may_be_there.contains(host)
    }
}

/// One host: its instance and what a session on it showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSeen {
    /// The instance, where the provider shows one.
    pub instance: Option<InstanceSeen>,
    /// What the provider shows may be older than what was done before: another instance may be there by now.
    pub lags: bool,
    /// What came of logging in.
    pub login: Login,
    /// The host keys that are accepted for it, where airlift made the machine.
    pub pins: Pins,
    /// Output that is already in the spool, by run.
    pub spooled: BTreeMap<RunId, Spooled>,
}

/// The host keys that are accepted for a machine that airlift made, each in OpenSSH's one-line form.
///
/// The key of the launch batch was known before boot, so that the very first connection is verified; the host's own key
/// takes its place in the first session. Between the two both are accepted: a kill at any point locks nobody out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pins {
    /// The key that stage 1 carried.
    pub batch: Option<String>,
    /// The key that the host made itself.
    pub own: Option<String>,
}

impl Pins {
    /// The accepted keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.own.iter().chain(&self.batch).map(String::as_str)
    }
}

/// How much of a run's output is in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spooled {
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

/// What came of logging in to a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Login {
    /// There was no address to try.
    #[default]
    NotTried,
    /// No answer yet, or none any more; it may come back.
    Unreachable(String),
    /// A definite refusal (host key, authentication): trying again would not help.
    Refused(String),
    /// A session is open and the host told this.
    In(Box<HostFacts>),
}

/// What a host tells about itself (`look` in docs/host-protocol.md).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// SHA-256 of the installed host.sh, if it is the one that this airlift brings.
    pub program: Option<Digest>,
    /// The root folder of airlift on the host.
    pub root: String,
    /// Effective user id of the session (after sudo, where that is used).
    pub uid: u32,
    /// The kernel's boot id: differs after a reboot.
    pub boot: String,
    /// Tools that are present.
    pub tools: BTreeSet<String>,
    /// Free space where the root is, KiB.
    pub free_kib: Option<u64>,
    /// The fleet and the host id that the host was claimed for.
    pub identity: Option<(FleetName, HostId)>,
    /// Who takes bundles out of the inbox.
    pub watcher: Watcher,
    /// A bundle is being taken now (its bootstrap included).
    pub taking: bool,
    /// Bundles waiting in the inbox.
    pub waiting: BTreeSet<Digest>,
    /// Bundles that could not be taken, and why.
    pub refused: BTreeMap<Digest, String>,
    /// The active release.
    pub current: Option<Digest>,
    /// All releases kept.
    pub releases: BTreeSet<Digest>,
    /// Keyed digest of the set of secrets that is in place.
    pub secrets: Option<String>,
    /// Bootstrap of the current release, where it has one.
    pub bootstrap: Option<RunSeen>,
    /// State of the services that were asked about, in systemd's words.
    pub services: BTreeMap<String, String>,
    /// The runs that were asked about.
    pub runs: BTreeMap<RunId, RunSeen>,
}

/// Who takes bundles out of a host's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watcher {
    /// A systemd path unit.
    Systemd,
    /// The process that is the instance (provider `local`).
    Supervisor,
    /// Nobody: the operator has it taken.
    #[default]
    None,
}

/// One run on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunSeen {
    /// The host does not know the run.
    Absent,
    /// Files are in place, nothing has started.
    Staged {
        /// The token it was staged with.
        token: Token,
    },
    /// The supervisor lives.
    Running {
        /// The token it was started with.
        token: Token,
    },
    /// It ended, and the host wrote down how.
    Exited {
        /// The token it was started with.
        token: Token,
        /// How it ended and what it printed.
        end: RunEnd,
    },
}

/// How a run ended on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The manner of its end.
    pub exit: Exit,
    /// What it wrote to standard output.
    pub stdout: Output,
    /// What it wrote to standard error.
    pub stderr: Output,
}

/// Length and hash of one stream of output. The bytes themselves are in the spool, never in the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
}

/// The manner in which a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It exited with this status.
    Code(u8),
    /// A signal ended it.
    Signal(u8),
    /// It ran longer than it may; its process group was killed.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// The host was rebooted while it ran.
    Rebooted,
    /// Its supervisor on the host was killed.
    Killed,
}

impl Exit {
    /// The script ended by itself with status 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Rebooted => f.write_str("interrupted by a reboot"),
            Self::Killed => f.write_str("interrupted: its supervisor was killed"),
        }
    }
}

impl HostSeen {
    /// What the host told, if a session is open.
    pub fn facts(&self) -> Option<&HostFacts> {
        match &self.login {
            Login::In(facts) => Some(facts),
            _ => None,
        }
    }

    /// All that a run printed is in the spool. What the spool holds beyond the host's word counts as there too: its
    /// hash will tell.
    pub fn has_spooled(&self, run: &RunId, end: &RunEnd) -> bool {
        let (stdout, stderr) =
            self.spooled.get(run).map_or((0, 0), |spooled| (spooled.stdout.bytes, spooled.stderr.bytes));
        stdout >= end.stdout.bytes && stderr >= end.stderr.bytes
    }

    /// The same, to be changed by a predicted effect.
    pub fn facts_mut(&mut self) -> Option<&mut HostFacts> {
        match &mut self.login {
            Login::In(facts) => Some(facts),
            _ => None,
        }
    }
}

impl HostFacts {
    /// What the host says of a run; one it was not asked about is absent.
    pub fn run(&self, run: &RunId) -> &RunSeen {
        self.runs.get(run).unwrap_or(&RunSeen::Absent)
    }
}
