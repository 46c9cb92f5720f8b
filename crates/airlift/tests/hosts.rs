//! The provider `hosts`, through the binary, against real OpenSSH servers: one for each machine, each with a folder and
//! a home of its own on a loopback address.
#![expect(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

#[path = "hosts/away.rs"]
mod away;
#[path = "hosts/bad_lines.rs"]
mod bad_lines;
#[path = "hosts/coming_up.rs"]
mod coming_up;
#[path = "hosts/cutting.rs"]
mod cutting;
#[path = "hosts/full_disk.rs"]
mod full_disk;
#[path = "hosts/going.rs"]
mod going;
#[path = "hosts/hostile_output.rs"]
mod hostile_output;
#[path = "hosts/keeping.rs"]
mod keeping;
#[path = "hosts/logging_in.rs"]
mod logging_in;
#[path = "hosts/odd_servers.rs"]
mod odd_servers;
#[path = "hosts/openssh_config.rs"]
mod openssh_config;
#[path = "hosts/outliving.rs"]
mod outliving;
#[path = "hosts/refusing.rs"]
mod refusing;
#[path = "hosts/relay.rs"]
mod relay;
#[path = "hosts/running.rs"]
mod running;
#[path = "hosts/sessions.rs"]
mod sessions;
#[path = "hosts/slowest.rs"]
mod slowest;
#[path = "../../hosts/tests/support/sshd.rs"]
mod sshd;
mod support;
#[path = "hosts/taking.rs"]
mod taking;
#[path = "hosts/trusting.rs"]
mod trusting;
#[path = "hosts/world.rs"]
mod world;
