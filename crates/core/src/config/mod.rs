//! `airlift.yaml`: what a person writes, read into what the program uses.
//!
//! What always holds: a [`Config`] that exists is valid. Reading finds all it can find in one go, each [`Problem`] with its place, what
//! was expected and what to do. Nothing here reads a file: [`parse`] takes the text, [`check`] asks about files through [`Files`].
//!
//! The way of a text into a config: `yaml` makes a tree in which every node knows its place, `reader` and `section` walk it key by key and complain
//! on the way, `sections` (with `hosts` and `secrets`) says which keys there are, `name` and `duration` parse single values, `model`
//! is the result, and `schema` is made from it.

mod check;
mod duration;
mod hosts;
mod lint;
mod model;
mod name;
mod problem;
mod reader;
mod schema;
mod secrets;
mod section;
mod sections;
mod starter;
mod suggest;
mod yaml;

pub use check::{FileKind, Files, check};
pub use duration::{format_duration, parse_duration};
pub use model::{
    Bootstrap, Bundle, Command, Config, Host, Keep, Listed, Local, Provider, ProviderKind, Run, SecretSource, Ssh,
    Sudo, USUAL_KEY_FILES,
};
pub use name::{
    Endpoint, EnvName, HostAddress, LocalPath, Owner, PackageName, Pattern, ProjectPath, RemotePath, SecretName,
    UnitName, UserName,
};
pub use problem::{Code, Problem, Problems, Severity, Span};
pub use schema::schema;
pub use starter::{Starter, starter};
pub use suggest::nearest;

pub(crate) use yaml::{Kind, Node, is_number, is_truth, read as document};

use reader::Reader;

/// A config that was read, with what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The config.
    pub config: Config,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
    file: String,
    places: Vec<(String, Span)>,
}

impl Parsed {
    /// Where the value of a key stands, such as `ssh.port` or `hosts[0].address`; nothing when the file does not have it.
    pub fn at(&self, key_path: &str) -> Option<Span> {
        // Few ask, and all of a config of thousands of hosts is remembered.
        self.places.iter().rev().find(|(path, _)| path == key_path).map(|(_, at)| *at)
    }
}

/// Reads the text of a config. `file` is what messages call it.
///
/// ```
/// let text = "fleet: hello\nprovider: local\ninstances: 3\nssh: {conect_timeout: 10s}\n";
/// let problems = airlift_core::config::parse("airlift.yaml", text).unwrap_err();
/// assert!(problems.to_string().starts_with(
///     "airlift.yaml:4:7: unknown key \"conect_timeout\" in ssh; did you mean \"connect_timeout\"?"
/// ));
/// ```
pub fn parse(file: &str, text: &str) -> Result<Parsed, Problems> {
    let document = yaml::read(text);
    let reader = Reader::new(file);
    let faultless = document.faults.is_empty();
    for fault in document.faults {
        let mut problem =
            reader.problem(fault.code, fault.message).at(section_around(text, fault.at.offset), Some(fault.at));
        problem.help = fault.help;
        reader.report(problem);
    }
    let config = document.root.as_ref().and_then(|root| sections::config(&reader.root(root)));
    if document.root.is_none() && faultless {
        let help = "`airlift init` writes one to start from";
        reader.report(reader.problem(Code::Empty, "the file is empty").help(help));
    }
    let (mut problems, places) = reader.finish();
    if let Some(broken_at) = document.broken_at {
        problems.retain(|problem| is_certain(problem, broken_at));
    }
    match config {
        Some(config) if !problems.iter().any(Problem::is_error) => {
            Ok(Parsed { config, warnings: problems, file: file.to_owned(), places })
        }
        _ => Err(Problems::new(problems)),
    }
}

/// The last key in the first column up to a place: where the tree is broken, the lines still say in which section it is.
fn section_around(text: &str, offset: usize) -> &str {
    let end = text[offset..].find('\n').map_or(text.len(), |length| offset + length);
    let keys = text[..end].lines().rev().filter_map(|line| line.split_once(':'));
    let is_key = |key: &&str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    keys.map(|(key, _)| key).find(is_key).unwrap_or_default()
}

/// In a text that cannot be read to its end, what seems to be missing may stand further down.
fn is_certain(problem: &Problem, broken_at: usize) -> bool {
    match problem.code {
        Code::Syntax | Code::Unsupported => true,
        Code::Missing | Code::Empty => false,
        _ => problem.at.is_some_and(|at| at.offset + at.len <= broken_at),
    }
}
