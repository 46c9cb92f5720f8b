//! What can go wrong with a connection and with a remote command.
//!
//! A message says what happened and what to do next; what lies beneath is the source and is not repeated. What always
//! holds: a lost connection, a refused one and a remote program that failed are different values.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::auth::AuthError;
use super::command::CommandError;
use super::host_key_error::HostKeyError;
use crate::openssh::ConfigError;

/// How a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Loss {
    /// We ended it.
    #[error("the connection was closed on this side")]
    ClosedHere,
    /// The peer ended it without a word, as when its process is killed.
    #[error("the host closed the connection without a word")]
    ClosedByHost,
    /// The peer said why it ends it.
    #[error("the host ended the connection: {message}")]
    Disconnected {
        /// Its words.
        message: String,
    },
    /// The peer did not answer for too long.
    #[error("the host stopped answering")]
    Unanswered,
    /// The network failed.
    #[error("the network failed")]
    Network(#[source] Arc<io::Error>),
    /// What arrived makes no sense, or was tampered with.
    #[error("the connection broke the SSH protocol: {detail}")]
    Protocol {
        /// What the SSH library says.
        detail: String,
    },
}

impl Loss {
    /// Reads the SSH library's error.
    pub(super) fn from_library(error: russh::Error) -> Self {
        match error {
            russh::Error::Disconnect | russh::Error::HUP | russh::Error::RecvError | russh::Error::SendError => {
                Self::ClosedByHost
            }
            russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout | russh::Error::ConnectionTimeout => {
                Self::Unanswered
            }
            russh::Error::IO(error) => Self::from_network(error),
            russh::Error::NoCommonAlgo { kind, ours, theirs } => Self::Protocol {
                detail: format!(
                    "there is no {} that both know; here: {}; there: {}",
                    name_of(&kind),
                    ours.join(", "),
                    theirs.join(", ")
                ),
            },
            other => Self::Protocol { detail: other.to_string() },
        }
    }

    fn from_network(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Self::ClosedByHost
            }
            // Our own wire says these; see `wire.rs`.
            io::ErrorKind::ConnectionAborted => Self::ClosedHere,
            io::ErrorKind::TimedOut => Self::Unanswered,
            _ => Self::Network(Arc::new(error)),
        }
    }
}

/// What `sshd_config` calls a kind of algorithm.
fn name_of(kind: &russh::AlgorithmKind) -> &'static str {
    match kind {
        russh::AlgorithmKind::Kex => "key exchange (KexAlgorithms)",
        russh::AlgorithmKind::Key => "kind of host key (HostKeyAlgorithms)",
        russh::AlgorithmKind::Cipher => "cipher (Ciphers)",
        russh::AlgorithmKind::Compression => "compression (Compression)",
        russh::AlgorithmKind::Mac => "message authentication code (MACs)",
    }
}

/// What a connection attempt was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Looking up the name and opening the TCP connection.
    Reaching,
    /// Exchanging keys and verifying the host.
    Greeting,
    /// Proving who we are.
    LoggingIn,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reaching => "opening the TCP connection",
            Self::Greeting => "waiting for the SSH greeting and key exchange",
            Self::LoggingIn => "logging in",
        })
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot find the address of {target}; check its name and the name service")]
    Resolve {
        /// The host.
        target: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nothing answered at the address.
    #[error("cannot reach {target}; check that it is up and that a firewall lets its SSH port through")]
    Unreachable {
        /// The host.
        target: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The whole of it took too long.
    #[error("{target} did not answer within {} s while {stage}; check its load and the firewall, or raise the connection timeout", after.as_secs_f32())]
    Timeout {
        /// The host.
        target: String,
        /// The limit.
        after: Duration,
        /// Where the time ran out.
        stage: Stage,
    },
    /// The connection ended before the login was complete.
    #[error(
        "{target} hung up before the login; it may be starting, or refusing more connections (sshd's MaxStartups), or the port is not that of its SSH server"
    )]
    Closed {
        /// The host.
        target: String,
        /// How it ended.
        #[source]
        source: Loss,
    },
    /// The host is not the one it should be, or is not known.
    #[error("refusing to talk to {target}")]
    HostKey {
        /// The host.
        target: String,
        /// Which keys differ.
        #[source]
        source: HostKeyError,
    },
    /// The host does not let us in.
    #[error("cannot log in to {target}")]
    Auth {
        /// The host.
        target: String,
        /// What was tried.
        #[source]
        source: AuthError,
    },
    /// The peer does not speak SSH as we do.
    #[error(
        "cannot agree with {target} on how to talk: {detail}; check that the port is that of an SSH server, and its algorithms"
    )]
    Protocol {
        /// The host.
        target: String,
        /// What the SSH library says.
        detail: String,
    },
    /// The jump host cannot or will not connect us onwards.
    #[error("the jump host {via} did not connect us to {target}: {refusal}")]
    Forward {
        /// The jump host.
        via: String,
        /// The host behind it.
        target: String,
        /// Its answer.
        refusal: ChannelRefusal,
    },
    /// The command that is the way to the host failed.
    #[error("cannot reach {target} through its ProxyCommand, which {told}")]
    ProxyCommand {
        /// The host.
        target: String,
        /// How the command ended, and its words.
        told: String,
        /// What was seen of that.
        #[source]
        source: Box<ConnectError>,
    },
    /// The operator's OpenSSH config is at fault.
    #[error("{target} cannot be reached as your OpenSSH config says")]
    Config {
        /// The host.
        target: String,
        /// What is wrong, and where.
        #[source]
        source: ConfigError,
    },
    /// There is no session on a jump host.
    #[error("cannot use the jump host {via}")]
    Jump {
        /// The jump host.
        via: String,
        /// Why.
        #[source]
        source: Box<ConnectError>,
    },
}

/// The kinds of [`ConnectError`] that a caller acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// Nobody there, or it hung up.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The host key was refused.
    HostKey,
    /// The login was refused.
    Auth,
    /// No common language.
    Protocol,
    /// The operator's OpenSSH config is at fault.
    Config,
    /// The same for a jump host.
    Jump(Box<ConnectErrorKind>),
}

impl ConnectError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::Resolve { .. }
            | Self::Unreachable { .. }
            | Self::Closed { .. }
            | Self::Forward { refusal: ChannelRefusal::Unreachable, .. } => ConnectErrorKind::Unreachable,
            Self::Timeout { .. } => ConnectErrorKind::Timeout,
            Self::HostKey { .. } => ConnectErrorKind::HostKey,
            Self::Auth { .. } => ConnectErrorKind::Auth,
            Self::Protocol { .. } => ConnectErrorKind::Protocol,
            Self::Forward { .. } => ConnectErrorKind::Jump(Box::new(ConnectErrorKind::Protocol)),
            Self::ProxyCommand { source, .. } => source.kind(),
            Self::Config { .. } => ConnectErrorKind::Config,
            Self::Jump { source, .. } => ConnectErrorKind::Jump(Box::new(source.kind())),
        }
    }

    /// Whether the same attempt may succeed a moment later, with nothing changed by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Timeout { .. } | Self::Closed { .. } => true,
            Self::Unreachable { source, .. } => {
                !matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
            }
            Self::HostKey { .. } | Self::Protocol { .. } | Self::Config { .. } => false,
            Self::Auth { source, .. } => source.is_transient(),
            Self::Forward { refusal, .. } => matches!(refusal, ChannelRefusal::Unreachable | ChannelRefusal::Shortage),
            Self::Jump { source, .. } | Self::ProxyCommand { source, .. } => source.is_transient(),
        }
    }
}

/// A host's answer when it does not open a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelRefusal {
    /// It is configured not to.
    Prohibited,
    /// It could not reach what was asked for, or has no more sessions to give (OpenSSH uses one code for both).
    Unreachable,
    /// It has no resources left.
    Shortage,
    /// Another reason.
    Other(String),
}

impl ChannelRefusal {
    pub(super) fn from_library(failure: &russh::ChannelOpenFailure) -> Self {
        match failure {
            russh::ChannelOpenFailure::AdministrativelyProhibited => Self::Prohibited,
            russh::ChannelOpenFailure::ConnectFailed => Self::Unreachable,
            russh::ChannelOpenFailure::ResourceShortage => Self::Shortage,
            other => Self::Other(format!("{other:?}")),
        }
    }
}

impl fmt::Display for ChannelRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prohibited => {
                f.write_str("it is not allowed to forward connections; set AllowTcpForwarding in its sshd_config")
            }
            Self::Unreachable => {
                f.write_str("it cannot reach that address itself; check the address as seen from there")
            }
            Self::Shortage => f.write_str("it is out of resources; try again later"),
            Self::Other(reason) => write!(f, "{reason}; see its log"),
        }
    }
}

/// Why a remote command gave no exit status.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecError {
    /// The command cannot be written as a command line.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The connection was lost, and with it any knowledge of how the command ends.
    #[error("lost the connection to {target}; the command may still be running there")]
    Lost {
        /// The host.
        target: String,
        /// How it was lost.
        #[source]
        source: Loss,
    },
    /// The host gives no further session on this connection.
    #[error(
        "{target} refused another session on this connection; let one end first, or raise MaxSessions in its sshd_config"
    )]
    SessionRefused {
        /// The host.
        target: String,
        /// Its answer.
        refusal: ChannelRefusal,
    },
    /// The host opened a session and then refused what was asked in it.
    #[error(
        "{target} refused to {asked}; check its sshd_config (ForceCommand, PermitTTY) and the options of the key in authorized_keys"
    )]
    RequestRefused {
        /// The host.
        target: String,
        /// What was asked.
        asked: &'static str,
    },
    /// The session ended and the host did not say how the program did.
    #[error("{target} ended the session without an exit status; its sshd or the session was killed")]
    NoStatus {
        /// The host.
        target: String,
    },
}

/// Why [`run`](super::Session::run) gave no output.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The command itself could not be carried through.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// It wrote more than the caller is willing to keep.
    #[error("the command on {target} wrote more than {limit} bytes to its {stream}; it was given up")]
    TooMuchOutput {
        /// The host.
        target: String,
        /// `standard output` or `standard error`.
        stream: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// It took too long.
    #[error("the command on {target} did not end within {} s; it was given up and may still be running there", limit.as_secs_f32())]
    TooSlow {
        /// The host.
        target: String,
        /// The limit.
        limit: Duration,
    },
}
