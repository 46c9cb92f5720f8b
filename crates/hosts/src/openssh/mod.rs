//! The operator's OpenSSH config: `~/.ssh/config` and `/etc/ssh/ssh_config`, read as `ssh` reads them.
//!
//! [`Config::resolve`] gives for a host what `ssh -G` gives for the options that airlift honours; a test compares the two on
//! generated configs. What always holds: of several values the first one counts; a config that `ssh` refuses is
//! refused here, with file and line; no command is run and no name is looked up; nothing makes the check of host keys
//! weaker.
//!
//! Reading order: `keywords` is what there is, `words` and `lines` how a line is read, `blocks` and `criteria` which lines count, `set`
//! and `values` what they say, `resolve` what comes of it, `route` the way through
//! jump hosts.

mod address;
mod algorithms;
mod blocks;
mod criteria;
mod error;
mod files;
mod jump;
mod keywords;
mod lines;
mod numbers;
mod patterns;
mod resolve;
mod route;
mod set;
mod tokens;
mod values;
mod words;

#[cfg(test)]
mod generated;
#[cfg(test)]
mod like_ssh;
#[cfg(test)]
mod refusals;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

pub use algorithms::AlgorithmList;
pub use error::{ConfigError, Fault};
pub use jump::Jump;
pub use resolve::{Agent, Resolved};
pub use route::Stop;
pub use values::{Notice, Proxy, Said, Values};

/// What tokens and paths refer to.
#[derive(Clone)]
pub struct Surroundings {
    /// The operator's home.
    pub home: Utf8PathBuf,
    /// The operator's name on this machine.
    pub user: String,
    /// Its number.
    pub uid: u32,
    /// What this machine is called.
    pub hostname: String,
    /// The environment.
    pub variables: BTreeMap<String, String>,
}

impl Surroundings {
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// The files of a config. Each is read once, when it is needed.
pub struct Config {
    around: Surroundings,
    user: Option<Utf8PathBuf>,
    system: Option<Utf8PathBuf>,
    /// The user's file must be nobody else's to write.
    guarded: bool,
    files: files::Files,
}

impl Config {
    /// The operator's file and the system's, after it.
    pub fn of(around: Surroundings) -> Self {
        let user = around.home.join(".ssh/config");
        Self {
            user: Some(user),
            system: Some("/etc/ssh/ssh_config".into()),
            guarded: true,
            ..Self::without_files(around)
        }
    }

    /// One file alone, as with `ssh -F`.
    pub fn of_file(around: Surroundings, file: Utf8PathBuf) -> Self {
        Self { user: Some(file), ..Self::without_files(around) }
    }

    fn without_files(around: Surroundings) -> Self {
        let files = files::Files::new(&around.home);
        Self { around, user: None, system: None, guarded: false, files }
    }

    /// How the host of this name is reached. What is `given` is stronger than what the files say, as options on `ssh`'s
    /// command line are.
    pub fn resolve(&self, named: &str, given: Values) -> Result<Resolved, ConfigError> {
        resolve::resolve(self, named, given)
    }
}
