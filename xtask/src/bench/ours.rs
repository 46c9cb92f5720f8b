//! airlift's side of a bench: a project that lists the hosts, and state and cache of its own.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::USER;
use super::fleet::{Host, remove};
use super::operator::Operator;

/// airlift as an operator uses it.
#[derive(Debug)]
pub(crate) struct Ours<'a> {
    operator: &'a Operator,
    binary: PathBuf,
    folder: PathBuf,
}

impl<'a> Ours<'a> {
    /// A new project at `name` in the operator's folder, which lists these hosts.
    pub(crate) fn project(operator: &'a Operator, binary: &Path, name: &str) -> io::Result<Self> {
        let ours = Self { operator, binary: binary.to_owned(), folder: operator.path(name) };
        remove(&ours.folder)?;
        fs::create_dir_all(ours.path("project"))?;
        Ok(ours)
    }

    /// Lists these hosts, on this port; `more` is what `airlift.yaml` says beside them.
    pub(crate) fn list(&self, hosts: &[Host], port: u16, more: &str) -> io::Result<()> {
        let mut config = format!(
            "fleet: bench\nprovider: hosts\nssh:\n  user: {USER}\n  port: {port}\n  identity_files: [{}]\n  agent: false\n  \
             known_hosts: [{}]\n{more}hosts:\n",
            self.operator.key().display(),
            self.operator.known_hosts().display(),
        );
        for host in hosts {
            let _ = writeln!(config, "  - {{name: {}, address: {}}}", host.name, host.address);
        }
        fs::write(self.path("project/airlift.yaml"), config)
    }

    /// A file or folder beneath; `project` is what bundles are made of.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Forgets what was recorded and cached.
    pub(crate) fn forget(&self) -> io::Result<()> {
        remove(&self.path("state"))?;
        remove(&self.path("cache"))
    }

    /// `airlift -C PROJECT …`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.operator.command(&self.binary);
        command.env("XDG_STATE_HOME", self.path("state")).env("XDG_CACHE_HOME", self.path("cache"));
        command.arg("-C").arg(self.path("project")).args(arguments);
        command
    }

    /// A command of the hosts' shell on every host: `exec`, or, where this airlift has none yet, `run` of a script that
    /// holds it.
    pub(crate) fn exec(&self, fan_out: usize, command: &str) -> io::Result<Command> {
        let fan_out = fan_out.to_string();
        if self.has_exec()? {
            return Ok(self.command(&["exec", "--concurrency", &fan_out, "--", command]));
        }
        let script = self.path("command.sh");
        fs::write(&script, format!("#!/bin/sh\n{command}\n"))?;
        Ok(self.command(&["run", &script.to_string_lossy(), "--no-files", "--concurrency", &fan_out]))
    }

    fn has_exec(&self) -> io::Result<bool> {
        Ok(self.command(&["exec", "--help"]).output()?.status.success())
    }
}
