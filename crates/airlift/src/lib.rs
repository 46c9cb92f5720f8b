//! The `airlift` command: the command line, and renderers of events. No logic of its own.
//!
//! [`cli`] is the command line as data; [`settings`] resolves flags and environment once; each command is one file beneath
//! `commands`; [`render`] shows what happens; [`exit`] is the one place where exit codes are written down.

mod actor;
mod bounded_command;
pub mod cli;
pub mod command_line;
mod commands;
mod complete;
pub mod error;
pub mod exit;
mod passphrase;
pub mod render;
pub mod settings;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use airlift_engine::log::EventLog;
use airlift_engine::port::Ports;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;
use crate::command_line::CommandLine;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

/// Wraps an event log.
pub type WrapLog = Arc<dyn Fn(Arc<dyn EventLog>) -> Arc<dyn EventLog> + Send + Sync>;
/// Wraps the ports.
pub type WrapPorts = Arc<dyn Fn(Ports) -> Ports + Send + Sync>;

/// What a caller may put around the log and the ports: to inject faults, to count calls.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Around the event log.
    pub log: Option<WrapLog>,
    /// Around the ports.
    pub ports: Option<WrapPorts>,
}

/// The whole program: parses the words, carries the command out, shows errors, ends with the documented code.
pub fn main(words: &[OsString], hooks: &Hooks) -> ExitCode {
    if complete::answer(words) {
        return Exit::Success.into();
    }
    let (cli, command_line) = match parse(words) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() };
        }
    };
    listen_to_ourselves();
    allow_many_files();
    let json = cli.global.json;
    let result = carry_out(cli, command_line, hooks);
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = error.exit();
            complain(&error, json);
            exit.into()
        }
    }
}

fn parse(words: &[OsString]) -> Result<(Cli, CommandLine), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(words)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, CommandLine::of(&command, &matches)))
}

/// What the program has to say of itself goes to standard error: warnings, or what `AIRLIFT_LOG` asks for.
fn listen_to_ourselves() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AIRLIFT_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("off,airlift=warn,airlift_engine=warn,airlift_hosts=warn")
    });
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().try_init();
}

/// Every host takes a few open files; shells start with a soft limit of 1,024 that may be raised to the hard one.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, fewer hosts are reached at once, and the message says why.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Closes all files but the standard ones. To be called before the process has opened any of its own: what is open then
/// came from whoever started it, who may wait for it to be closed, or for a lock on it.
fn let_go_of_inherited_files() -> std::io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/dev/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > rustix::stdio::raw_stderr())
        .collect();
    // The folder that was read is among them, and closed already.
    for number in open {
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn carry_out(cli: Cli, command_line: CommandLine, hooks: &Hooks) -> Result<Exit, Error> {
    if matches!(cli.command, cli::Command::InstanceServe { .. }) {
        let_go_of_inherited_files()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = match cli.command {
        // An instance has no surroundings but its folder.
        cli::Command::InstanceServe { folder } => runtime.block_on(commands::serve(&folder)),
        command => Settings::resolve(&cli.global, command_line)
            .and_then(|settings| runtime.block_on(commands::dispatch(command, settings, hooks))),
    };
    // What still blocks a thread (a transfer to a host that hangs) must not hold the end up.
    runtime.shutdown_background();
    result
}

/// Shows an error on standard error; as an object where JSON was asked for.
fn complain(error: &Error, json: bool) {
    let mut out = anstream::stderr().lock();
    let _ = if json {
        writeln!(out, "{}", render::clean::json(&error.to_json().to_string()))
    } else {
        writeln!(out, "{}", error.render(settings::width_of(std::io::stderr()), settings::color_of(&std::io::stderr())))
    };
}
