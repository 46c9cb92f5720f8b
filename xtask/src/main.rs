//! Development commands of airlift, called as `cargo xtask …`, so that cargo is the only tool a contributor must have.
//!
//! Nothing here is shipped. Commands are started without standard input, so that none of them ever waits for an answer.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a development tool talks to its caller's terminal")]

mod cargo;
mod check;
mod links;
mod needs;
mod page;
mod repo;
mod shell;
mod steps;
mod tally;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::repo::Repo;
use crate::steps::Step;

/// Development commands of airlift.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything that CI runs, in the same order
    ///
    /// All steps run even when an earlier one failed, so that one call shows everything that is wrong; only missing
    /// needs end it at once. The exit code is 0 when no step failed. Where the tests ran, the last line counts them:
    /// `N passed, N failed, N skipped`.
    #[command(after_help = "Examples:\n  cargo xtask check\n  cargo xtask check fmt clippy")]
    Check {
        /// Only these steps, in the usual order [default: all of them]
        #[arg(value_enum, hide_default_value = true)]
        steps: Vec<Step>,
    },
}

fn main() -> ExitCode {
    let Cli { command: Command::Check { steps } } = Cli::parse();
    match Repo::find() {
        Ok(repo) => check::run(&repo, &steps),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
