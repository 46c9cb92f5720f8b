//! The folder of one instance: what lies where, and the lock that tells whether it lives.
//!
//! ```text
//! FOLDER/                 0700
//!   user-data             the stage-1 document, 0600
//!   launch.json           for whom it was launched, under which token, and for how long it may live
//!   lock                  flock'ed exclusively while the process lives; content: its process id
//!   address               127.0.0.1:PORT, written by rename once it listens
//!   born                  when it first started; its lifetime counts from then, across restarts
//!   stop                  present when it is asked to end
//!   console.log           what the process itself has to say
//!   root/opt/airlift      AIRLIFT_ROOT of everything that it executes
//!   root/home             HOME and working directory
//!   root/tmp              TMPDIR, 0700
//!   root/etc/ssh_host_ed25519_key(.pub)   the present host key
//! ```
//! What always holds: whether an instance lives is told by the lock alone, never by a process id.

use std::fs::{File, TryLockError};
use std::io;

use airlift_core::id::{HostId, Token};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::{Deserialize, Serialize};

/// The version of `launch.json` that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Why and for how long an instance was launched: the content of `launch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    version: u32,
    /// The subject it fills.
    pub host: HostId,
    /// What makes its launch happen once.
    pub token: Token,
    /// Seconds after which it ends by itself.
    pub max_lifetime_s: u64,
}

/// A file of the folder that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `launch.json` is not readable as such.
    #[error("{path} is not a launch of version {VERSION}: {problem}; remove the folder and launch again")]
    Launch {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The places in one instance's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: Utf8PathBuf,
}

impl Launch {
    /// A launch of `host` under `token`.
    pub fn new(host: HostId, token: Token, max_lifetime_s: u64) -> Self {
        Self { version: VERSION, host, token, max_lifetime_s }
    }
}

impl Folder {
    /// The folder at `path`, which should be absolute: what is executed in it gets its paths.
    pub fn new(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The stage-1 document.
    pub fn user_data(&self) -> Utf8PathBuf {
        self.path.join("user-data")
    }

    /// Its [`Launch`].
    pub fn launch(&self) -> Utf8PathBuf {
        self.path.join("launch.json")
    }

    /// The lock that the living process holds.
    pub fn lock(&self) -> Utf8PathBuf {
        self.path.join("lock")
    }

    /// Where it serves SSH.
    pub fn address(&self) -> Utf8PathBuf {
        self.path.join("address")
    }

    /// When it first started.
    pub fn born(&self) -> Utf8PathBuf {
        self.path.join("born")
    }

    /// The request to end.
    pub fn stop(&self) -> Utf8PathBuf {
        self.path.join("stop")
    }

    /// The process's own log.
    pub fn console(&self) -> Utf8PathBuf {
        self.path.join("console.log")
    }

    /// airlift's root on this host.
    pub fn root(&self) -> Utf8PathBuf {
        self.path.join("root/opt/airlift")
    }

    /// The home of its user.
    pub fn home(&self) -> Utf8PathBuf {
        self.path.join("root/home")
    }

    /// Its folder for temporary files.
    pub fn tmp(&self) -> Utf8PathBuf {
        self.path.join("root/tmp")
    }

    /// The present host key.
    pub fn host_key(&self) -> Utf8PathBuf {
        self.path.join("root/etc/ssh_host_ed25519_key")
    }

    /// What every process of the instance of `token` in this folder carries in its environment as [`MARK`]. The token is
    /// part of it because another instance may have the same folder later.
    pub(crate) fn mark(&self, token: &Token) -> String {
        format!("{token}@{}", self.path)
    }

    /// Reads `launch.json`. None: there is no such folder.
    pub fn read_launch(&self) -> Result<Option<Launch>, FolderError> {
        let path = self.launch();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.exists() => return Ok(None),
            Err(source) => return Err(FolderError::Io { what: "read", path, source }),
        };
        let launch: Launch = serde_json::from_slice(&text)
            .map_err(|error| FolderError::Launch { path: path.clone(), problem: error.to_string() })?;
        if launch.version == VERSION {
            Ok(Some(launch))
        } else {
            Err(FolderError::Launch { path, problem: format!("it is of version {}", launch.version) })
        }
    }

    /// Takes the lock; the process that has the file holds it. None: another one has it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<File>> {
        let file = fs::OpenOptions::new().read(true).write(true).mode(0o600).open(self.lock())?.into_file();
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The lock is held: its instance lives. Looking takes a shared lock for a moment, which is why an instance that starts
    /// tries for its own more than once.
    pub(crate) fn is_locked(&self) -> io::Result<bool> {
        match File::open(self.lock()) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The variable that marks every process of an instance, so that none is left over even when the instance itself was killed.
pub(crate) const MARK: &str = "AIRLIFT_INSTANCE";

/// Writes a file at one stroke: whoever reads it sees all of it or the one before.
pub(crate) fn replace(path: &Utf8Path, mode: u32, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;

    let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(content)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_reads_as_documented_and_another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Utf8Path::from_path(dir.path()).unwrap());
        fs::write(folder.launch(), r#"{"version":1,"host":"web/3","token":"t-1","max_lifetime_s":28800}"#).unwrap();
        let launch = Launch::new("web/3".parse().unwrap(), "t-1".parse().unwrap(), 28_800);
        assert_eq!(folder.read_launch().unwrap(), Some(launch));
        fs::write(folder.launch(), r#"{"version":2,"host":"web/3","token":"t-1","max_lifetime_s":28800}"#).unwrap();
        assert!(folder.read_launch().unwrap_err().to_string().contains("version 2"));
        assert_eq!(Folder::new(folder.path().join("nowhere")).read_launch().unwrap(), None);
    }

    #[test]
    fn one_has_the_lock_and_others_see_that() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Utf8Path::from_path(dir.path()).unwrap());
        assert!(!folder.is_locked().unwrap());
        fs::write(folder.lock(), "").unwrap();
        let held = folder.try_lock().unwrap().expect("nobody has it");
        assert!(folder.is_locked().unwrap());
        assert!(folder.try_lock().unwrap().is_none());
        drop(held);
        assert!(!folder.is_locked().unwrap());
    }
}
