//! Who began a change: user, machine, process, and the command line without the values that may be secret.

use airlift_core::event::Actor;
use airlift_core::id::hex;

use crate::settings::Settings;

/// The actor of a change that begins now. `salt` is the fleet's own secret.
pub(crate) fn actor(settings: &Settings, salt: &[u8; 32]) -> Actor {
    Actor {
        user: settings.user.clone(),
        machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        command: settings.command_line.discreet(&hex(salt)),
        airlift: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
