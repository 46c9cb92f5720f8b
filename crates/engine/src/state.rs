//! The folder of a fleet's state, and the locks in it.
//!
//! ```text
//! $XDG_STATE_HOME/airlift/FLEET/   0700
//!   log.sqlite, head               the event log and its anchor
//!   secret                         32 random bytes, 0600: host keys of launch batches and keyed digests derive from it
//!   id_ed25519                     the key with which airlift logs in to machines it launched, 0600
//!   runs/RUN/HOST/                 the spool
//!   instances/                     folders of provider `local`
//!   locks/                         lock files: `shape`, and one for each host and run
//! ```

use std::io::{self, Write};
use std::path::Path;

use airlift_core::id::{FleetName, HostId, RunId};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::lock::{self, Hold};
pub use crate::lock::{Lock, LockError};

/// The folder of one fleet's state.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: Utf8PathBuf,
}

impl StateDir {
    /// The folder of `fleet` beneath `state_home`, which is `$XDG_STATE_HOME` or what stands for it.
    pub fn new(state_home: &Utf8Path, fleet: &FleetName) -> Self {
        Self { root: state_home.join("airlift").join(fleet.as_str()) }
    }

    /// The folder itself.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The event log's database.
    pub fn log(&self) -> Utf8PathBuf {
        self.root.join("log.sqlite")
    }

    /// The spool.
    pub fn runs(&self) -> Utf8PathBuf {
        self.root.join("runs")
    }

    /// The folders of local instances.
    pub fn instances(&self) -> Utf8PathBuf {
        self.root.join("instances")
    }

    /// The private key for machines that airlift launched.
    pub fn client_key(&self) -> Utf8PathBuf {
        self.root.join("id_ed25519")
    }

    /// The fleet's own secret, made at first use. It never leaves this folder.
    pub fn secret(&self) -> io::Result<[u8; 32]> {
        if let Some(secret) = self.known_secret()? {
            return Ok(secret);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        private_dir(&self.root)?;
        write_private(&self.secret_file(), &secret)?;
        // Another process may have been first: what is there now is the secret.
        self.known_secret()?.ok_or_else(|| io::Error::other("the secret went away while it was made"))
    }

    /// The fleet's own secret, if it was made already. Writes nothing.
    pub fn known_secret(&self) -> io::Result<Option<[u8; 32]>> {
        let path = self.secret_file();
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{path} does not hold 32 bytes; restore it from a copy"),
                )
            }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn secret_file(&self) -> Utf8PathBuf {
        self.root.join("secret")
    }

    /// The lock on the fleet's shape: up, down, undo, one turn of watch.
    pub fn lock_shape(&self) -> Result<Lock, LockError> {
        self.lock("shape", "the fleet", Hold::Alone)
    }

    /// The same lock for what leaves the shape as it is, and needs it to stay so: several pushes may go on at once, but
    /// none beside an up.
    pub fn share_shape(&self) -> Result<Lock, LockError> {
        self.lock("shape", "the fleet", Hold::Shared)
    }

    /// The lock on one host: push, bootstrap.
    pub fn lock_host(&self, host: &HostId) -> Result<Lock, LockError> {
        self.lock(&format!("host-{}", host.as_str().replace('/', "+")), host.as_str(), Hold::Alone)
    }

    /// The lock on following one run.
    pub fn lock_run(&self, run: &RunId) -> Result<Lock, LockError> {
        self.lock(&format!("run-{run}"), run.as_str(), Hold::Alone)
    }

    /// Whether anybody follows the run now.
    pub fn is_followed(&self, run: &RunId) -> io::Result<bool> {
        match std::fs::File::open(self.root.join("locks").join(format!("run-{run}"))) {
            Ok(file) => Ok(matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lock(&self, name: &str, what: &str, hold: Hold) -> Result<Lock, LockError> {
        lock::take(&self.root.join("locks"), name, what, hold)
    }
}

/// Makes a folder, and those above it, for its owner only.
pub fn private_dir(path: impl AsRef<Path>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let path = path.as_ref();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot make the folder {}: {error}", path.display())))
}

/// Writes a file 0600 at one stroke, unless it is there already: whoever comes second changes nothing.
pub fn write_private(path: &Utf8Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&temporary)?;
    linked
}
