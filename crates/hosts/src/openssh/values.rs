//! What a config says, before defaults and tokens: of several values the first one.
//!
//! What airlift's own config says is here from the beginning, as options on `ssh`'s command line would be.

use super::algorithms::AlgorithmList;
use super::jump::Jump;
use crate::ssh::{AddressFamily, Place};

/// The most files of one kind, as in OpenSSH.
pub(super) const MOST_KEYS: usize = 100;
/// The most files of host keys, known or revoked.
pub(super) const MOST_KNOWN_HOSTS: usize = 32;

/// A value, and the line that says it; none where it was given from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub at: Option<Place>,
}

impl<T> Said<T> {
    /// A value that no config file says.
    pub fn given(value: T) -> Self {
        Self { value, at: None }
    }
}

/// How the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Over the network.
    Direct,
    /// Through these hosts, the first one first.
    Jump(Vec<Jump>),
    /// Through a command, with its tokens as they are written.
    Command(String),
}

/// What is said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// `HostName`.
    pub host_name: Option<Said<String>>,
    /// `User`.
    pub user: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `IdentityFile`, all of them.
    pub identity_files: Vec<Said<String>>,
    /// `CertificateFile`, all of them.
    pub certificate_files: Vec<Said<String>>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: Option<Said<String>>,
    /// `ProxyJump`; no host where it is `none`.
    pub(crate) jumps: Option<Said<Vec<Jump>>>,
    /// `ProxyCommand`; nothing where it is `none`, or where a `ProxyJump` came before it.
    pub(crate) command: Option<Said<Option<String>>>,
    /// `UserKnownHostsFile`.
    pub user_known_hosts: Option<Vec<Said<String>>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts: Option<Vec<Said<String>>>,
    /// `RevokedHostKeys`.
    pub revoked_host_keys: Option<Vec<Said<String>>>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `ConnectTimeout`, in seconds.
    pub connect_timeout: Option<u32>,
    /// `ConnectionAttempts`.
    pub connection_attempts: Option<Said<u32>>,
    /// `ServerAliveInterval`, in seconds.
    pub alive_interval: Option<Said<u32>>,
    /// `ServerAliveCountMax`.
    pub alive_count_max: Option<u32>,
    /// `Ciphers`.
    pub ciphers: Option<Said<AlgorithmList>>,
    /// `MACs`.
    pub macs: Option<Said<AlgorithmList>>,
    /// `KexAlgorithms`.
    pub kex: Option<Said<AlgorithmList>>,
    /// `HostKeyAlgorithms`.
    pub host_key: Option<Said<AlgorithmList>>,
    /// `PubkeyAcceptedAlgorithms`.
    pub pubkey: Option<Said<AlgorithmList>>,
    /// `AddressFamily`.
    pub address_family: Option<AddressFamily>,
    /// `BindAddress`.
    pub bind_address: Option<String>,
    /// `CanonicalizeHostname` is not `no`.
    pub(crate) canonicalize: Option<bool>,
    /// `IgnoreUnknown`.
    pub(crate) ignore_unknown: Option<String>,
    /// `Tag`.
    pub(crate) tag: Option<String>,
    /// `RefuseConnection`.
    pub(crate) refused: Option<Said<String>>,
    /// Options that count for the host and that airlift does not honour.
    pub(crate) not_honoured: Vec<Notice>,
    /// Such options of which there was a value already.
    pub(crate) named: Vec<String>,
}

impl Values {
    /// Goes through these hosts, the first one first, or through none, whatever the files say.
    #[must_use]
    pub fn through(mut self, jumps: Vec<Jump>) -> Self {
        self.jumps = Some(Said::given(jumps));
        self.command = Some(Said::given(None));
        self
    }

    /// What comes of `ProxyJump` and `ProxyCommand`.
    pub(super) fn proxy(&self) -> Option<Said<Proxy>> {
        let jumps = self.jumps.as_ref().filter(|jumps| !jumps.value.is_empty());
        if let Some(jumps) = jumps {
            return Some(Said { value: Proxy::Jump(jumps.value.clone()), at: jumps.at.clone() });
        }
        let command = self.command.as_ref()?;
        Some(Said { value: Proxy::Command(command.value.clone()?), at: command.at.clone() })
    }
}

/// An option that airlift does not honour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notice {
    /// Its line.
    pub at: Place,
    /// Keyword and value, as they are written.
    pub text: String,
    /// What to do instead.
    pub remedy: &'static str,
}
