//! The values of the secrets, from where the config says. They are in memory only, and what a command prints ends up
//! nowhere else.

use std::collections::BTreeMap;
use std::process;
use std::time::Duration;

use airlift_core::config::{Command, Config, SecretSource};
use airlift_core::secret::Secret;
use airlift_hosts::SecretSet;

use super::project::CONFIG;
use crate::bounded_command::{Ran, run, up_to};
use crate::error::Error;
use crate::render::human;
use crate::settings::Settings;

/// The largest value, bytes. A secret is a key, a token, a certificate chain: whatever is larger is a mistake, such as a
/// command that never ends.
const LARGEST: u64 = 1024 * 1024;

const TOO_LARGE: &str = "it is larger than 1 MiB";

/// Reads the values of all secrets.
pub(crate) fn read(config: &Config, settings: &Settings, fleet_secret: &[u8; 32]) -> Result<SecretSet, Error> {
    let mut values = BTreeMap::new();
    for (name, source) in &config.secrets {
        let value = value_of(source, settings).map_err(|why| {
            Error::usage(format!("the secret {name} cannot be had: {why}"))
                .help(format!("see secrets.{name} in {CONFIG}"))
        })?;
        values.insert(name.to_string(), Secret::new(value));
    }
    Ok(SecretSet::new(values, fleet_secret))
}

fn value_of(source: &SecretSource, settings: &Settings) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::File { file } => {
            let file = fs_err::File::open(settings.path(file.as_str())).map_err(|error| error.to_string())?;
            let value = up_to(file, LARGEST).map_err(|error| error.to_string())?;
            if value.len() as u64 > LARGEST { Err(TOO_LARGE.to_owned()) } else { Ok(value) }
        }
        SecretSource::Env { env: name } => std::env::var_os(name.as_str())
            .map(std::os::unix::ffi::OsStringExt::into_vec)
            .ok_or_else(|| format!("the variable {name} is not set")),
        SecretSource::Command { command, timeout } => printed_by(command, *timeout, settings),
    }
}

/// What a command prints.
fn printed_by(command: &Command, limit: Duration, settings: &Settings) -> Result<Vec<u8>, String> {
    let mut process = match command {
        Command::Shell(line) => {
            let mut process = process::Command::new("sh");
            process.arg("-c").arg(line);
            process
        }
        Command::Argv(words) => {
            let (program, args) = words.split_first().ok_or("its command is empty")?;
            let mut process = process::Command::new(program);
            process.args(args);
            process
        }
    };
    let ran = run(process.current_dir(&settings.project), LARGEST, limit);
    match ran.map_err(|error| format!("its command cannot be run: {error}"))? {
        Ran::Ended(status, value) if status.success() => Ok(value),
        Ran::Ended(status, _) => Err(format!("its command failed ({status})")),
        Ran::PrintsTooMuch => Err(TOO_LARGE.to_owned()),
        Ran::TookTooLong => {
            let limit = human::duration(limit);
            Err(format!("its command took longer than {limit} and was killed; its `timeout` says how long it may take"))
        }
    }
}
