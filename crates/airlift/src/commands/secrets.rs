//! The values of the secrets, from where the config says. They are in memory only, and what a command prints ends up
//! nowhere else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{self, Stdio};

use airlift_core::config::{Command, Config, SecretSource};
use airlift_core::secret::Secret;
use airlift_hosts::SecretSet;

use super::project::CONFIG;
use crate::error::Error;
use crate::settings::Settings;

/// The largest value, bytes. A secret is a key, a token, a certificate chain: whatever is larger is a mistake, such as a
/// command that never ends.
const LARGEST: u64 = 1024 * 1024;

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
        SecretSource::File(path) => {
            let file = fs_err::File::open(settings.path(path.as_str())).map_err(|error| error.to_string())?;
            bounded(file)
        }
        SecretSource::Env(name) => std::env::var_os(name.as_str())
            .map(std::os::unix::ffi::OsStringExt::into_vec)
            .ok_or_else(|| format!("the variable {name} is not set")),
        SecretSource::Command(command) => printed_by(command, settings),
    }
}

/// What a command prints.
fn printed_by(command: &Command, settings: &Settings) -> Result<Vec<u8>, String> {
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
    let mut child = process
        .current_dir(&settings.project)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("its command cannot be run: {error}"))?;
    // Whoever prints too much gets a closed pipe, and ends.
    let value = child.stdout.take().map_or_else(|| Ok(Vec::new()), bounded);
    let status = child.wait().map_err(|error| format!("its command cannot be waited for: {error}"))?;
    let value = value?;
    if status.success() { Ok(value) } else { Err(format!("its command failed ({status})")) }
}

fn bounded(from: impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut value = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut value).map_err(|error| error.to_string())?;
    if value.len() as u64 > LARGEST { Err("it is larger than 1 MiB".to_owned()) } else { Ok(value) }
}
