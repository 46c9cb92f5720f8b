//! The operator's side: one key, one `known_hosts`, and for every tool the configuration that makes it use both.
//!
//! What always holds: every tool verifies host keys against the same file, logs in with the same key, reads no file of
//! the caller's own, and sees the same environment.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::USER;
use super::fleet::{Host, PORT, new_key, remove};

/// The operator; dropping it removes its folder.
#[derive(Debug)]
pub(crate) struct Operator {
    folder: PathBuf,
    /// The public half of the key that hosts let in.
    pub(crate) public: String,
}

/// Which key exchange OpenSSH's client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kex {
    /// What it prefers by itself.
    Default,
    /// Only curve25519, which costs a fraction of it.
    Curve25519,
}

impl Operator {
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        remove(folder)?;
        fs::create_dir_all(folder.join(".ssh"))?;
        let public = new_key(&folder.join(".ssh/id_ed25519"))?;
        Ok(Self { folder: folder.to_owned(), public })
    }

    /// Makes these hosts known, and writes every tool's configuration for them.
    pub(crate) fn know(&self, hosts: &[Host]) -> io::Result<()> {
        let mut known = String::new();
        for host in hosts {
            for port in [PORT, RELAY_PORT] {
                let _ = writeln!(known, "[{}]:{port} {}", host.address, host.key);
            }
        }
        fs::write(self.known_hosts(), known)?;
        fs::write(self.ssh_config(Kex::Default), self.openssh(""))?;
        fs::write(self.ssh_config(Kex::Curve25519), self.openssh("KexAlgorithms curve25519-sha256\n"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path(".ssh/id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path(".ssh/known_hosts")
    }

    pub(crate) fn ssh_config(&self, kex: Kex) -> PathBuf {
        self.path(match kex {
            Kex::Default => "ssh_config",
            Kex::Curve25519 => "ssh_config_curve25519",
        })
    }

    /// A command with the operator's environment and nothing else.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder).stdin(Stdio::null());
        command.env("HOME", &self.folder).env("USER", "operator").env("LC_ALL", "C.UTF-8").env("TERM", "dumb");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    /// A script of `sh`, with arguments from `$1` on.
    pub(crate) fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script, "sh"]).args(arguments);
        command
    }

    fn openssh(&self, more: &str) -> String {
        format!(
            "{more}User {USER}
Port {PORT}
IdentityFile {key}
IdentitiesOnly yes
UserKnownHostsFile {known}
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
",
            key = self.key().display(),
            known = self.known_hosts().display(),
        )
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = remove(&self.folder);
    }
}

/// Where the counting relay listens, on the host's own address.
pub(crate) const RELAY_PORT: u16 = 4023;
