//! The SSH layer against real OpenSSH servers and agents.

#[path = "ssh/agents.rs"]
mod agents;
#[path = "ssh/certificates.rs"]
mod certificates;
#[path = "ssh/commands.rs"]
mod commands;
#[path = "ssh/common.rs"]
mod common;
#[path = "ssh/home.rs"]
mod home;
#[path = "ssh/host_certificates.rs"]
mod host_certificates;
#[path = "ssh/host_keys.rs"]
mod host_keys;
#[path = "ssh/jumps.rs"]
mod jumps;
#[path = "ssh/logins.rs"]
mod logins;
#[path = "ssh/losses.rs"]
mod losses;
#[path = "ssh/openssh.rs"]
mod openssh;
#[path = "ssh/speed.rs"]
mod speed;
#[path = "support/sshd.rs"]
mod sshd;
#[path = "ssh/streams.rs"]
mod streams;
