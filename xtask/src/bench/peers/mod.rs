//! The tools beside which airlift is measured, each in a file of its own kind.

mod ansible;
mod clush;
mod install;
mod openssh;
mod pyinfra;
mod python;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

pub(crate) use self::install::install;
use super::account::USER;
use super::fleet::{Host, PORT};
use super::operator::{Kex, Operator};

/// A tool, in a way of using it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// xargs with ssh
    Ssh,
    /// The same, with nothing but curve25519 for the key exchange
    SshCurve25519,
    /// ClusterShell
    Clush,
    /// ClusterShell, with nothing but curve25519
    ClushCurve25519,
    /// parallel-ssh, the Python library
    ParallelSsh,
    /// fabric with a pool of threads
    Fabric,
    /// pyinfra
    Pyinfra,
    /// ansible-core
    Ansible,
    /// ansible-core with mitogen
    Mitogen,
}

/// What every peer is given to work with.
#[derive(Debug)]
pub(crate) struct Crew<'a> {
    pub(crate) operator: &'a Operator,
    pub(crate) hosts: &'a [Host],
    /// How many hosts are worked on at once.
    pub(crate) fan_out: usize,
    /// Where the peers from PyPI are.
    pub(crate) venv: PathBuf,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ssh => "xargs ssh",
            Self::SshCurve25519 => "xargs ssh, curve25519",
            Self::Clush => "clush",
            Self::ClushCurve25519 => "clush, curve25519",
            Self::ParallelSsh => "parallel-ssh",
            Self::Fabric => "fabric, thread pool",
            Self::Pyinfra => "pyinfra",
            Self::Ansible => "ansible",
            Self::Mitogen => "ansible + mitogen",
        }
    }

    /// The program that must be there for it.
    fn program(self, venv: &Path) -> PathBuf {
        match self {
            Self::Ssh | Self::SshCurve25519 => "/usr/bin/ssh".into(),
            Self::Clush | Self::ClushCurve25519 => "/usr/bin/clush".into(),
            Self::ParallelSsh => python::package(venv, "pssh"),
            Self::Fabric => python::package(venv, "fabric"),
            Self::Pyinfra => venv.join("bin/pyinfra"),
            Self::Ansible => venv.join("bin/ansible"),
            Self::Mitogen => python::package(venv, "ansible_mitogen"),
        }
    }

    pub(crate) fn is_there(self, venv: &Path) -> bool {
        self.program(venv).exists()
    }

    /// Runs a command of the hosts' shell on every host and shows what it printed.
    pub(crate) fn exec(self, crew: &Crew<'_>, command: &str) -> Command {
        match self {
            Self::Ssh => openssh::exec(crew, Kex::Default, command),
            Self::SshCurve25519 => openssh::exec(crew, Kex::Curve25519, command),
            Self::Clush => clush::exec(crew, Kex::Default, command),
            Self::ClushCurve25519 => clush::exec(crew, Kex::Curve25519, command),
            Self::ParallelSsh => python::parallel_ssh(crew, "", command),
            Self::Fabric => python::fabric(crew, "", command),
            Self::Pyinfra => pyinfra::exec(crew, command),
            Self::Ansible => ansible::exec(crew, ansible::Strategy::Linear, command),
            Self::Mitogen => ansible::exec(crew, ansible::Strategy::Mitogen, command),
        }
    }

    /// Brings a tar archive to every host, as `archive.tar` in the home, and runs a command of the hosts' shell there.
    pub(crate) fn push(self, crew: &Crew<'_>, archive: &Path, command: &str) -> Command {
        match self {
            Self::Ssh => openssh::push(crew, Kex::Default, archive, command),
            Self::SshCurve25519 => openssh::push(crew, Kex::Curve25519, archive, command),
            Self::Clush => clush::push(crew, Kex::Default, archive, command),
            Self::ClushCurve25519 => clush::push(crew, Kex::Curve25519, archive, command),
            Self::ParallelSsh => python::parallel_ssh(crew, &archive.to_string_lossy(), command),
            Self::Fabric => python::fabric(crew, &archive.to_string_lossy(), command),
            Self::Pyinfra => pyinfra::push(crew, archive, command),
            Self::Ansible => ansible::push(crew, ansible::Strategy::Linear, archive, command),
            Self::Mitogen => ansible::push(crew, ansible::Strategy::Mitogen, archive, command),
        }
    }
}

impl<'a> Crew<'a> {
    /// Writes what the peers read: the list of hosts, inventories, their own scripts.
    pub(crate) fn gather(
        operator: &'a Operator,
        hosts: &'a [Host],
        fan_out: usize,
        peers_folder: &Path,
    ) -> io::Result<Self> {
        let crew = Self { operator, hosts, fan_out, venv: venv(peers_folder) };
        fs::write(crew.list(), crew.lines(|host| host.address.to_string()))?;
        python::write(&crew)?;
        pyinfra::write(&crew)?;
        ansible::write(&crew)?;
        Ok(crew)
    }

    /// A file with one address a line.
    fn list(&self) -> PathBuf {
        self.operator.path("hosts")
    }

    fn lines(&self, line: impl Fn(&Host) -> String) -> String {
        self.hosts.iter().map(|host| line(host) + "\n").collect()
    }

    /// A script of `sh`. Its first arguments are how many hosts at once, their list, and OpenSSH's configuration.
    fn shell(&self, kex: Kex, script: &str, more: &[&str]) -> Command {
        let (list, config) = (self.list(), self.operator.ssh_config(kex));
        let (fan_out, list, config) = (self.fan_out.to_string(), list.to_string_lossy(), config.to_string_lossy());
        self.operator.shell(script, &[&[fan_out.as_str(), &list, &config], more].concat())
    }

    /// A program of the virtual environment, beneath the operator.
    fn in_venv(&self, program: &str) -> Command {
        self.operator.command(self.venv.join("bin").join(program))
    }
}

/// Where the virtual environment is.
pub(crate) fn venv(peers_folder: &Path) -> PathBuf {
    peers_folder.join("venv")
}

/// Name and version of everything that is compared, for the record.
pub(crate) fn versions(peers_folder: &Path) -> Vec<(String, String)> {
    let mut found = vec![
        ("OpenSSH".to_owned(), openssh::version()),
        ("rsync".to_owned(), first_line(Command::new("rsync").arg("--version"))),
        ("ClusterShell".to_owned(), first_line(Command::new("clush").arg("--version"))),
        ("zstd".to_owned(), first_line(Command::new("zstd").arg("--version"))),
        ("GNU tar".to_owned(), first_line(Command::new("tar").arg("--version"))),
    ];
    found.extend(python::versions(&venv(peers_folder)));
    found.retain(|(_, version)| !version.is_empty());
    found
}

/// The first line that a command prints, on either stream; nothing where it cannot be started.
fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.stdin(Stdio::null()).output() else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}
