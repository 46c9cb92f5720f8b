//! The steps of `check`, in their order, and what can come of one.

use std::io;
use std::process::Command;

use clap::ValueEnum;

use crate::repo::Repo;
use crate::tally::Tally;
use crate::{cargo, links, needs, shell, test};

/// One step. The order of the variants is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    /// Programs that the tests need (as root, missing ones are installed)
    Needs,
    /// Formatting
    Fmt,
    /// Lints, as errors
    Clippy,
    /// Shell scripts
    Shellcheck,
    /// All tests, with those in documentation
    Test,
    /// The documentation builds without a warning
    Docs,
    /// Relative links in Markdown files lead somewhere
    Links,
    /// Bans, licences and sources of dependencies (only where cargo-deny is installed)
    Deny,
}

/// What came of a step that could be carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Passed,
    /// It does not apply here, for this reason.
    Skipped(String),
    /// Something is wrong; this says what, or what to do.
    Failed(String),
}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Shellcheck => "shellcheck",
            Self::Test => "test",
            Self::Docs => "docs",
            Self::Links => "links",
            Self::Deny => "deny",
        }
    }

    /// Carries the step out. Tests that it runs are added to `tally`.
    pub(crate) fn run(self, repo: &Repo, tally: &mut Tally) -> io::Result<Outcome> {
        match self {
            Self::Needs => needs::run(repo),
            Self::Fmt => cargo::fmt(repo),
            Self::Clippy => cargo::clippy(repo),
            Self::Shellcheck => shell::run(repo),
            Self::Test => test::run(repo, tally),
            Self::Docs => cargo::docs(repo),
            Self::Links => links::run(repo),
            Self::Deny => cargo::deny(repo),
        }
    }
}

/// Runs a command whose output says all that there is to say.
pub(crate) fn run_command(command: &mut Command) -> io::Result<Outcome> {
    let status = command.status().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        io::Error::new(error.kind(), format!("{program} cannot be started: {error}"))
    })?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) })
}
