//! SSH: verified connections to hosts, and commands on them.
//!
//! [`connect`] makes a [`Session`] out of a [`Hop`] (a target, what is known of its key, how to prove who we are),
//! through as many jump hosts as it takes. A session runs [`Command`]s. What always holds: every host's key is
//! verified, also a jump host's; every wait for a host is limited; memory is bounded however much a host sends;
//! nothing here reads the environment or prints.

mod agent;
mod auth;
mod candidates;
mod certificate;
mod client;
mod command;
mod connect;
mod error;
mod exec;
mod host_key_error;
mod identity;
mod key;
mod known_hosts;
mod login;
mod options;
mod patience;
mod proxy;
mod revoked;
mod session;
mod signer;
mod streams;
mod tcp;
mod trust;
mod wire;

pub use auth::{Answer, Auth, AuthError, Tried};
pub use certificate::Flaw;
pub use command::{Command, CommandError, quote};
pub use connect::{Hop, Target, connect};
pub use error::{ChannelRefusal, ConnectError, ConnectErrorKind, ExecError, Loss, RunError, Stage};
pub use exec::{Control, Exec, Exit, ExitStatus, Pty, Size};
pub use host_key_error::HostKeyError;
pub use identity::Passphrase;
pub use key::{Fingerprint, PublicKey, PublicKeyError};
pub use known_hosts::Place;
pub(crate) use known_hosts::glob;
pub use options::{AddressFamily, Algorithms, HostKeyNames, Keepalive, Options};
pub use revoked::RevocationFault;
pub use session::{Limits, Output, Session};
pub use streams::{Incoming, Stdin};
pub use trust::Trust;
