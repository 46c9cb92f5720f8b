//! Development commands of airlift, called as `cargo xtask …`, so that cargo is the only tool a contributor must have.
//!
//! Nothing here is shipped. Commands are started without standard input, so that none of them ever waits for an answer.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a development tool talks to its caller's terminal")]

mod bench;
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

use std::path::PathBuf;
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
    /// Measure airlift beside other tools
    ///
    /// Hosts are OpenSSH servers on loopback addresses, each with a home of its own; contenders take turns; figures are
    /// medians. It needs root, and a machine that has nothing else to do. It writes beneath target/bench only, and makes
    /// an account for as long as it runs.
    #[command(
        after_help = "Examples:\n  cargo xtask bench --install-peers\n  cargo xtask bench exec push-run\n  cargo xtask bench --write --json figures.json"
    )]
    Bench(bench::Options),
    /// Measure one command; what `bench` calls for each of them
    #[command(name = bench::measure::HELPER, hide = true)]
    BenchOne {
        /// Where the figures go.
        told: PathBuf,
        /// The command.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Keep the hosts of a bench
    #[command(name = bench::keeper::KEEPER, hide = true)]
    BenchHosts {
        /// A folder with one folder for each host.
        hosts: PathBuf,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check { steps } => in_checkout(|repo| check::run(repo, &steps)),
        Command::Bench(options) => in_checkout(|repo| bench::run(repo, &options)),
        Command::BenchOne { told, command } => bench::measure::helper(&told, &command),
        Command::BenchHosts { hosts } => bench::keeper::keeper(&hosts),
    }
}

fn in_checkout(run: impl FnOnce(&Repo) -> ExitCode) -> ExitCode {
    match Repo::find() {
        Ok(repo) => run(&repo),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
