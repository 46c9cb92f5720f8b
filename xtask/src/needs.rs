//! The needs step: programs that building and testing call, and the Debian packages that hold them.
//!
//! A program counts as there when it is found, whoever installed it; so this also serves where there is no Debian.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::repo::Repo;
use crate::steps::Outcome;

/// (program, package that holds it in Debian)
const NEEDS: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("busybox", "busybox"),
    ("cc", "build-essential"),
    ("dash", "dash"),
    ("fish", "fish"),
    ("flock", "util-linux"),
    ("git", "git"),
    ("gzip", "gzip"),
    ("ps", "procps"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("sha256sum", "coreutils"),
    ("shellcheck", "shellcheck"),
    ("sqlite3", "sqlite3"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("tar", "tar"),
    ("zsh", "zsh"),
    ("zstd", "zstd"),
];

/// Where servers live. A user's PATH often leaves these out.
const SERVER_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

pub(crate) fn run(repo: &Repo) -> io::Result<Outcome> {
    let folders = folders();
    let missing = missing(|program| is_there(program, &folders));
    if missing.is_empty() {
        return Ok(Outcome::Passed);
    }
    let packages: Vec<&str> = missing.into_iter().collect();
    println!("missing: {}", packages.join(" "));
    if !is_root(repo)? || !is_there("apt-get", &folders) {
        let how = format!("run `apt-get install {}` as root, or its like elsewhere", packages.join(" "));
        return Ok(Outcome::Failed(how));
    }
    install(repo, &packages)
}

/// The packages of the programs that are not there.
fn missing(is_there: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    NEEDS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect()
}

fn install(repo: &Repo, packages: &[&str]) -> io::Result<Outcome> {
    let apt = |arguments: &[&str]| {
        let mut command = repo.command("apt-get");
        // Another apt on the machine is waited for, and a package that asks gets no answer.
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-o", "DPkg::Lock::Timeout=120"]);
        command.args(arguments).status()
    };
    // A fresh machine has no package lists. Old ones may do: whether this failed, the installation shows.
    apt(&["update"])?;
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(packages);
    let status = apt(&arguments)?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(format!("apt-get install: {status}")) })
}

fn is_root(repo: &Repo) -> io::Result<bool> {
    Ok(repo.command("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from)).collect()
}

fn is_there(program: &str, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| is_executable(&folder.join(program)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once_however_many_of_its_programs_are_missing() {
        let found = missing(|program| !matches!(program, "flock" | "setsid" | "sshd"));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["openssh-server", "util-linux"]);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        assert!(is_executable(Path::new("/bin/sh")));
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(!is_executable(Path::new("/bin")));
    }
}
