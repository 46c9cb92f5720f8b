//! Ports on hosts, over SSH: sessions, delivery of bundles, runs, and `host.sh`, the program that lives on a host.
//!
//! Reading order: `onhost/host/` and docs/host-protocol.md are the far side; [`SshHosts`] is the near one; [`ssh`] is how they
//! talk; [`bundle`] is what is delivered.

mod attendance;
pub mod bundle;
mod delivery;
mod facts;
mod given;
pub mod hostkey;
mod hosts;
mod listed;
pub mod openssh;
pub mod payload;
mod pipe;
mod pool;
pub mod program;
mod remote;
mod runs;
mod secrets;
pub mod ssh;
mod supply;
mod ways;

pub use given::usual_options;
pub use hosts::SshHosts;
pub use listed::Listed;
pub use pool::{Login, Logins};
pub use secrets::SecretSet;
pub use ways::{Usual, Way, Ways};
