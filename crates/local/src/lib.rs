//! The embedded default: instances on this machine, each a process of its own that serves SSH.
//!
//! An instance keeps the same contract as one in a cloud: it is given stage 1, serves SSH with the host key that stage 1
//! brought, takes bundles from its inbox, and ends by itself after its `max_lifetime`. What systemd does elsewhere, the process does
//! here. All it has lies in one [`folder`]; it survives the operator, ends when that folder vanishes, and needs nothing of
//! the user's `~/.ssh`.
//!
//! Reading order: [`folder`] is what lies where; [`spawn`] is the operator's side, [`instance`] the instance's.

pub mod folder;
pub mod instance;
pub mod port;
mod process;
pub mod spawn;

pub use port::{LaunchKeys, LocalCompute};
