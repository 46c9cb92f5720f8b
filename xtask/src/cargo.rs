//! The steps that are one call of cargo.

use std::io;
use std::process::Stdio;

use crate::repo::Repo;
use crate::steps::{Outcome, run_command};

pub(crate) fn fmt(repo: &Repo) -> io::Result<Outcome> {
    run_command(repo.cargo().args(["fmt", "--all", "--check"]))
}

pub(crate) fn clippy(repo: &Repo) -> io::Result<Outcome> {
    run_command(repo.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

pub(crate) fn docs(repo: &Repo) -> io::Result<Outcome> {
    run_command(repo.cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps"]))
}

/// Advisories are left out: their database needs the network, and a new one must not turn an unchanged checkout red.
pub(crate) fn deny(repo: &Repo) -> io::Result<Outcome> {
    let probe = repo.cargo().args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !probe.success() {
        let how = "cargo-deny is not installed; `cargo install --locked cargo-deny` adds it";
        return Ok(Outcome::Skipped(how.to_owned()));
    }
    run_command(repo.cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}
