//! `airlift import`: the file of another tool, as an `airlift.yaml` to go on from.

mod beside;

use airlift_core::config::Problem;
use airlift_core::id::FleetName;
use airlift_core::import::{self, Beside, Format, Imported, Source};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::fleet::warn;
use super::project::{CONFIG, places};
use super::{init, say, say_json};
use crate::cli::{Import, ImportFormat};
use crate::error::{Error, Place};
use crate::exit::Exit;
use crate::render::human;
use crate::settings::Settings;

#[derive(Serialize)]
struct Report<'r> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'r str,
    fleet: &'r FleetName,
    /// Where it was written; none for standard output.
    path: Option<&'r Utf8Path>,
    hosts: u64,
    not_mapped: Vec<Place>,
}

pub(crate) fn run(args: &Import, settings: &Settings) -> Result<Exit, Error> {
    let text = read(&args.file)?;
    let found = beside::files(&args.file)?;
    let beside: Vec<Beside<'_>> = found.iter().map(beside::File::as_read).collect();
    let source = Source { file: args.file.as_str(), text: &text, beside: &beside };
    let format = match args.format {
        Some(format) => format.into(),
        None => import::detect(source).ok_or_else(|| {
            Error::usage(format!("{} is no file that airlift can import", args.file)).help(
                "it reads the config of the Python spot deployer and Ansible inventories, INI and YAML; --format says which one it is",
            )
        })?,
    };
    let fleet = init::fleet_name(args.fleet.as_deref(), settings)?;
    let imported = import::import(source, format, &fleet).map_err(|problems| {
        // Lines of an inventory may hold passwords: none is shown.
        Error::usage(format!("{} cannot be read as {}", args.file, format.name())).at(places(problems.into_vec(), ""))
    })?;
    let notes = imported.notes.clone();
    let written = match &args.output {
        Some(path) if path == "-" => None,
        path => Some(write(path.clone().unwrap_or_else(|| settings.project.join(CONFIG)), &imported)?),
    };
    if settings.json {
        if written.is_none() {
            return Err(Error::usage("--json and -o - both want standard output").help("name a file with -o"));
        }
        say_json(&Report {
            v: 1,
            kind: "import",
            fleet: &fleet,
            path: written.as_deref(),
            hosts: imported.hosts,
            not_mapped: places(notes, ""),
        })?;
        return Ok(Exit::Success);
    }
    if written.is_none() {
        say(imported.text.trim_end())?;
    }
    for note in &notes {
        warn(&one_line(note));
    }
    if let Some(path) = written {
        say(&told(&path, format, &imported, notes.len()))?;
    }
    Ok(Exit::Success)
}

fn read(file: &Utf8Path) -> Result<String, Error> {
    let bytes = fs_err::read(file).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {file}"),
            _ => format!("{file} cannot be read: {}", error.kind()),
        };
        Error::usage(message).help("its path is relative to where you are, also with -C")
    })?;
    String::from_utf8(bytes).map_err(|_| Error::usage(format!("{file} is not text in UTF-8")))
}

/// Writes the config, unless something is there.
fn write(path: Utf8PathBuf, imported: &Imported) -> Result<Utf8PathBuf, Error> {
    use std::io::Write as _;

    match fs_err::OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => file.write_all(imported.text.as_bytes())?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::refused(format!("{path} is there already; nothing was written"))
                .help("-o names another file, and `-o -` prints it"));
        }
        Err(error) => return Err(Error::usage(error.to_string())),
    }
    Ok(path)
}

/// `hosts.ini:3:14: warning: …` without the word that `warn` says.
fn one_line(note: &Problem) -> String {
    note.to_string().replacen(": warning: ", ": ", 1)
}

fn told(path: &Utf8Path, format: Format, imported: &Imported, notes: usize) -> String {
    let (what, next) = match format {
        Format::SpotDeployer => ("local instance", "launches them"),
        Format::AnsibleIni | Format::AnsibleYaml => ("host", "delivers and bootstraps"),
    };
    let left = match notes {
        0 => String::new(),
        n => format!(
            "; {} of {} could not be taken over, see the warnings",
            human::count(n as u64, "part"),
            format.name()
        ),
    };
    format!(
        "wrote {path} with {}{left}\n\nNext:\n  airlift check           finds what is wrong with it, without touching a host\n  airlift plan            looks and shows what would be done\n  airlift up              {next}",
        human::count(imported.hosts, what)
    )
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::SpotDeployer => Self::SpotDeployer,
            ImportFormat::AnsibleIni => Self::AnsibleIni,
            ImportFormat::AnsibleYaml => Self::AnsibleYaml,
        }
    }
}
