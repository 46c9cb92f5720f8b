//! What is wrong with a config in its project: the files that it names.
//!
//! What always holds: nothing is read here. The caller says what is at a path, and a config that was read without a project folder can
//! still be checked for everything else.

use camino::Utf8Path;

use super::Parsed;
use super::model::SecretSource;
use super::problem::{Code, Problem};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A file, or a link to one.
    File {
        /// Its length in bytes.
        len: u64,
    },
    /// A folder, or a link to one.
    Folder,
    /// Nothing.
    Missing,
    /// Something that can be neither read nor sent, and why: no permission, a socket …
    Unusable(String),
}

/// The operator's files, as far as a config names them.
pub trait Files {
    /// What is at a path: relative to the project's folder, absolute, or beginning with `~/`.
    fn kind(&self, path: &Utf8Path) -> FileKind;

    /// Whether the bundle takes a path of the project; nothing when that is not known.
    fn in_bundle(&self, path: &Utf8Path) -> Option<bool> {
        let _ = path;
        None
    }
}

/// Checks what the config says of files. Problems are in the order of the file.
pub fn check(parsed: &Parsed, files: &dyn Files) -> Vec<Problem> {
    let mut check = Check { parsed, files, problems: Vec::new() };
    check.bundled();
    check.secrets();
    check.ssh();
    check.problems.sort_by_key(|problem| problem.at.map(|at| at.offset));
    check.problems
}

struct Check<'a> {
    parsed: &'a Parsed,
    files: &'a dyn Files,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Bootstrap and services: there, of use, and on their way to the hosts.
    fn bundled(&mut self) {
        let config = &self.parsed.config;
        if let Some(bootstrap) = &config.bootstrap {
            let key = if self.parsed.at("bootstrap.script").is_some() { "bootstrap.script" } else { "bootstrap" };
            let path = bootstrap.script.as_path();
            if let Some(len) = self.file(key, "the bootstrap script", path) {
                if len == 0 {
                    let message = format!("the bootstrap script {path} is empty");
                    self.report(key, Code::Unusable, message, |p| p.help("write it, or take the key out"));
                }
                self.needs_bundle(key, "the bootstrap script", path);
            }
        }
        for (index, service) in config.services.iter().enumerate() {
            let key = format!("services[{index}]");
            let path = Utf8Path::new(service.as_str());
            if self.file(&key, "the systemd unit", path).is_some() {
                self.needs_bundle(&key, "the systemd unit", path);
            }
        }
    }

    fn secrets(&mut self) {
        let bundled = |path| self.parsed.config.bundle.is_some() && self.files.in_bundle(path) == Some(true);
        for (name, source) in &self.parsed.config.secrets {
            let SecretSource::File { file: path } = source else { continue };
            let key = format!("secrets.{name}.file");
            let what = format!("the file of the secret {name}");
            if self.file(&key, &what, path.as_path()).is_some() && bundled(path.as_path()) {
                let message = format!("{what} is part of the bundle, so that every release holds a copy of it");
                self.report(&key, Code::SecretInBundle, message, |p| {
                    p.warning().help(format!("add \"/{}\" to bundle.exclude", path.as_path()))
                });
            }
        }
    }

    /// Key files that the config names.
    fn ssh(&mut self) {
        let ssh = &self.parsed.config.ssh;
        let named = [
            ("ssh.identity_files", "the private key", ssh.identity_files.as_deref()),
            ("ssh.certificate_files", "the certificate", Some(ssh.certificate_files.as_slice())),
            ("ssh.known_hosts", "the file of host keys", ssh.known_hosts.as_deref()),
        ];
        for (key, what, paths) in named {
            for (index, path) in paths.unwrap_or_default().iter().enumerate() {
                let before = self.problems.len();
                self.file(&format!("{key}[{index}]"), what, path.as_path());
                // A login may well succeed without it: with another key, or to a host that another file knows.
                self.problems[before..].iter_mut().for_each(|problem| *problem = problem.clone().warning());
            }
        }
    }

    /// The length of a file that has to be there.
    fn file(&mut self, key: &str, what: &str, path: &Utf8Path) -> Option<u64> {
        match self.files.kind(path) {
            FileKind::File { len } => return Some(len),
            FileKind::Missing => {
                let help = if path.is_relative() && !path.starts_with("~") {
                    "paths are relative to the project's folder"
                } else {
                    "correct the path"
                };
                self.report(key, Code::NotFound, format!("{what} {path} is not there"), |p| p.help(help));
            }
            FileKind::Folder => {
                self.report(key, Code::Unusable, format!("{what} {path} is a folder"), |p| p.expected("a file"));
            }
            FileKind::Unusable(why) => {
                self.report(key, Code::Unusable, format!("{what} {path} cannot be used: {why}"), |p| {
                    p.expected("a file")
                });
            }
        }
        None
    }

    fn needs_bundle(&mut self, key: &str, what: &str, path: &Utf8Path) {
        if self.files.in_bundle(path) == Some(false) {
            self.report(key, Code::NotInBundle, format!("{what} {path} is not part of the bundle"), |p| {
                p.help(format!("add \"/{path}\" to bundle.include, or take it out of bundle.exclude"))
            });
        }
    }

    fn report(&mut self, key: &str, code: Code, message: String, more: impl FnOnce(Problem) -> Problem) {
        let problem = Problem::new(&self.parsed.file, code, message).at(key, self.parsed.at(key));
        self.problems.push(more(problem));
    }
}
