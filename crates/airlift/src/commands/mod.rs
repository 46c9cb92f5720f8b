//! The commands, one file each, and what they share.

mod audit;
mod bundle;
mod cache;
mod cancel;
mod change;
mod check;
mod down;
mod fleet;
mod import;
mod init;
mod logs;
mod man;
mod outputs;
mod plan;
mod project;
mod push;
mod resume;
mod run;
mod runs;
mod secrets;
mod select;
mod ssh;
mod status;
mod undo;
mod up;

pub(crate) use project::Project;

use std::io::Write as _;

use camino::Utf8Path;

use crate::Hooks;
use crate::cli::Command;
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

/// Carries a command out.
pub(crate) async fn dispatch(command: Command, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    match command {
        Command::Init(args) => init::run(&args, &settings),
        Command::Import(args) => import::run(&args, &settings),
        Command::Check(_) => check::run(&settings).await,
        Command::Plan(args) => plan::run(args, settings, hooks).await,
        Command::Up(args) => up::run(args, settings, hooks).await,
        Command::Status(args) => status::run(args, settings, hooks).await,
        Command::Run(args) => run::run(args, settings, hooks).await,
        Command::Exec(args) => run::exec(args, settings, hooks).await,
        Command::Runs(args) => runs::run(&args, settings, hooks).await,
        Command::Logs(args) => logs::run(args, settings, hooks).await,
        Command::Attach(args) => resume::attach(args, settings, hooks).await,
        Command::Cancel(args) => cancel::run(args, settings, hooks).await,
        Command::Push(args) => push::run(args, settings, hooks).await,
        Command::Ssh(args) => ssh::run(args, settings, hooks).await,
        Command::Down(args) => down::run(args, settings, hooks).await,
        Command::Resume(args) => resume::run(args, settings, hooks).await,
        Command::Undo(args) => undo::run(args, settings, hooks).await,
        Command::Audit(args) => audit::run(args, settings, hooks).await,
        Command::Bundle(args) => bundle::run(args, settings).await,
        Command::Schema => {
            let schema =
                serde_json::to_string_pretty(&airlift_core::config::schema()).map_err(std::io::Error::other)?;
            say(&schema)?;
            Ok(Exit::Success)
        }
        Command::Completions { shell } => {
            say(crate::complete::script(shell)?.trim())?;
            Ok(Exit::Success)
        }
        Command::Man { folder } => man::run(&folder),
        Command::InstanceServe { folder } => serve(&folder).await,
    }
}

/// Serves as one local instance until that ends.
pub(crate) async fn serve(folder: &Utf8Path) -> Result<Exit, Error> {
    airlift_local::instance::serve(folder).await.map_err(|error| Error::failed(crate::error::chain(&error)))?;
    Ok(Exit::Success)
}

/// Prints a text to standard output. A reader that has gone away is no error.
fn say(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a value as one line of JSON.
fn say_json(value: &impl serde::Serialize) -> Result<(), Error> {
    say(&crate::render::json_text(value).map_err(std::io::Error::other)?)
}

/// A random id: `prefix` and eight characters that are hard to mistake for each other.
fn random_id(prefix: &str) -> Result<String, Error> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let tail: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    Ok(format!("{prefix}{tail}"))
}

/// Asks a question that only an explicit yes answers.
fn ask(question: &str) -> Result<bool, Error> {
    let mut out = std::io::stdout().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
