//! Files of other tools, read into an `airlift.yaml`.
//!
//! What always holds: what comes out is a valid config, and whatever of the source has no place in it is named in a note with
//! its line. No message repeats the value of a variable: it may be a password.
//!
//! [`detect`] says what a file is; `spot` reads the config of the Python spot deployer; `inventory` reads an Ansible inventory
//! in either form, and `machines` makes listed hosts of it; `text` writes what was found.

mod inventory;
mod machines;
mod notes;
mod spot;
mod ssh_arguments;
mod text;
mod words;

use crate::config::{self, Code, Kind, Problem, Problems, document};
use crate::id::FleetName;

use notes::Notes;

/// The forms that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `config.yaml` of the Python spot deployer.
    SpotDeployer,
    /// An Ansible inventory with sections.
    AnsibleIni,
    /// An Ansible inventory in YAML.
    AnsibleYaml,
}

impl Format {
    /// What a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpotDeployer => "a config of the Python spot deployer",
            Self::AnsibleIni => "an Ansible inventory (INI)",
            Self::AnsibleYaml => "an Ansible inventory (YAML)",
        }
    }
}

/// A file of another tool.
#[derive(Debug, Clone, Copy)]
pub struct Source<'t> {
    /// What messages call it.
    pub file: &'t str,
    /// What it holds.
    pub text: &'t str,
    /// What lies in the folders `group_vars` and `host_vars` beside an inventory.
    pub beside: &'t [Beside<'t>],
}

/// A file in a folder of variables.
#[derive(Debug, Clone)]
pub struct Beside<'t> {
    /// What messages call it.
    pub file: &'t str,
    /// Its path from where the inventory is, with slashes: `group_vars/web/main.yml`.
    pub path: &'t str,
    /// What it holds, or why that is not known.
    pub text: Result<&'t str, &'t str>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Imported {
    /// An `airlift.yaml`.
    pub text: String,
    /// The hosts or instances in it.
    pub hosts: u64,
    /// What of the source is not in it, in the order of the source.
    pub notes: Vec<Problem>,
}

/// What a file is, by its content; nothing where it is none of those that can be read.
pub fn detect(source: Source<'_>) -> Option<Format> {
    let document = document(source.text);
    let Some(Kind::Map(entries)) = document.root.as_ref().map(|root| &root.kind) else {
        return inventory::ini::looks_like(source.text).then_some(Format::AnsibleIni);
    };
    if entries.iter().any(|(key, _)| key.is_word("aws") || key.is_word("regions")) {
        return Some(Format::SpotDeployer);
    }
    inventory::yaml::looks_like(entries).then_some(Format::AnsibleYaml)
}

/// Reads a source of a known form. The fleet's name is the one thing that no source has.
pub fn import(source: Source<'_>, format: Format, fleet: &FleetName) -> Result<Imported, Problems> {
    let mut notes = Notes::new(source.file);
    let read = match format {
        Format::SpotDeployer => spot::read(source, fleet, &mut notes),
        Format::AnsibleIni => inventory::ini::read(source.text, &mut notes)
            .and_then(|inventory| inventory.with(source.beside, &mut notes))
            .and_then(|inventory| machines::read(&inventory, &mut notes)),
        Format::AnsibleYaml => inventory::yaml::read(source.text, &mut notes)
            .and_then(|inventory| inventory.with(source.beside, &mut notes))
            .and_then(|inventory| machines::read(&inventory, &mut notes)),
    };
    let (text, hosts) = match read {
        Ok(found) => (found.text(source.file, fleet), found.hosts()),
        Err(problem) => return Err(Problems::new(vec![*problem])),
    };
    match config::parse(source.file, &text) {
        Ok(_) => Ok(Imported { text, hosts, notes: notes.folded() }),
        // What is wrong has a place in the new text, of which the reader of the source has none.
        Err(problems) => Err(Problems::new(
            problems
                .into_vec()
                .into_iter()
                .filter(Problem::is_error)
                .map(|problem| notes.problem(None, Code::Invalid, problem.message).help("mend it in the source"))
                .collect(),
        )),
    }
}

/// A source that cannot be read, and why.
type Fault = Box<Problem>;
