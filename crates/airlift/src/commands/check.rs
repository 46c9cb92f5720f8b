//! `airlift check`: everything that can be found wrong without touching a host.

use serde::Serialize;

use super::project::{Memory, Project};
use super::{say, say_json};
use crate::error::{Error, Place};
use crate::exit::Exit;
use crate::render::human;
use crate::settings::Settings;

#[derive(Serialize)]
struct Checked<'c> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'c str,
    fleet: &'c str,
    hosts: usize,
    release: Option<String>,
    files: u64,
    bytes: u64,
    warnings: Vec<String>,
}

pub(crate) async fn run(settings: &Settings) -> Result<Exit, Error> {
    let project = Project::load(settings)?;
    project.check_ways()?;
    let scanned = project.scan(settings, Memory::None, None, false).await?;
    let hosts = project.hosts();
    let warnings = project.warnings();
    let checked = Checked {
        v: 1,
        kind: "check",
        fleet: project.config.fleet.as_str(),
        hosts: hosts.len(),
        release: scanned.as_ref().map(|plan| plan.release().to_string()),
        files: scanned.as_ref().map_or(0, |plan| plan.reading().files),
        bytes: scanned.as_ref().map_or(0, |plan| plan.reading().bytes),
        warnings: warnings.iter().map(one_line).chain(project.not_honoured().iter().cloned()).collect(),
    };
    if settings.json {
        say_json(&checked)?;
        return Ok(Exit::Success);
    }
    for warning in &checked.warnings {
        say(&format!("warning: {warning}"))?;
    }
    say(&format!("fleet {}: {}", checked.fleet, human::count(checked.hosts as u64, "host")))?;
    match &checked.release {
        Some(release) => say(&format!(
            "bundle: {}, {}, release {}",
            human::count(checked.files, "file"),
            human::bytes(checked.bytes),
            &release[..12]
        ))?,
        None => say("bundle: none")?,
    }
    say("the config is fine")?;
    Ok(Exit::Success)
}

fn one_line(warning: &Place) -> String {
    match &warning.help {
        Some(help) => format!("{warning}; {}", help.replace('\n', "; ")),
        None => warning.to_string(),
    }
}
