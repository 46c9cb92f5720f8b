//! `airlift init`: a commented `airlift.yaml` to start from.

use airlift_core::config::{Starter, starter};
use airlift_core::id::FleetName;

use super::project::CONFIG;
use super::{random_id, say};
use crate::cli::{Init, Provider};
use crate::error::Error;
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) fn run(args: &Init, settings: &Settings) -> Result<Exit, Error> {
    let path = settings.project.join(CONFIG);
    if path.exists() {
        return Err(
            Error::refused(format!("{path} is there already; nothing was written")).help("edit it, or remove it first")
        );
    }
    let fleet = fleet_name(args.fleet.as_deref(), settings)?;
    let kind = match args.provider {
        Provider::Local => Starter::Local,
        Provider::Hosts => Starter::Hosts,
    };
    fs_err::write(&path, starter(kind, &fleet))?;
    say(&format!("wrote {path} for the fleet {fleet}"))?;
    match args.provider {
        Provider::Local => say(
            "Instances of provider `local` are processes on this machine: scripts run as your user and can do what you can.\n\nNext:\n  airlift up              launches them\n  airlift run SCRIPT      runs a script on all of them\n  airlift down            takes them away again",
        )?,
        Provider::Hosts => say(
            "\nNext:\n  list your machines in it\n  airlift check           finds what is wrong with it, without touching a host\n  airlift plan            looks at the hosts and shows what would be done\n  airlift up              does it",
        )?,
    }
    Ok(Exit::Success)
}

/// The fleet's name: the one that is given, or one that is unlikely to collide.
pub(crate) fn fleet_name(given: Option<&str>, settings: &Settings) -> Result<FleetName, Error> {
    match given {
        Some(name) => name.parse::<FleetName>().map_err(|error| Error::usage(error.to_string())),
        None => suggest(settings),
    }
}

/// The folder's name with four random characters: readable, and unlikely to be another fleet's.
fn suggest(settings: &Settings) -> Result<FleetName, Error> {
    let folder = settings.project.file_name().unwrap_or("fleet").to_lowercase();
    let mut stem: String =
        folder.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    stem = stem.trim_matches('-').chars().take(24).collect();
    if !stem.starts_with(|c: char| c.is_ascii_lowercase()) {
        stem = format!("fleet{}{stem}", if stem.is_empty() { "" } else { "-" });
    }
    let tail: String = random_id("")?.chars().take(4).collect();
    format!("{stem}-{tail}").parse().map_err(|error| Error::failed(format!("{error}")))
}
